"""What a bench says: bars with their verdict, one object for machines, rows for eyes, and an exit that fails below a bar."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

import pytest

from config.settings import load
from tools.bench import commands, hop, loop, scale, takeover
from tools.bench.report import Report, conditions
from tools.output import Failed, Output, WrongUse

SHAPE: Final = {"bench", "conditions", "figures", "bars"}


def a_report(*bars: tuple[str, float, float, bool], name: str = "loop") -> Report:
    """A report with these bars: name, value, bar, at least."""
    report = Report(name, {"cores": 2})
    report.figure("floor, ms", 0.5)
    for title, value, bar, at_least in bars:
        report.bar(title, value, bar, at_least=at_least)
    return report


@pytest.mark.parametrize(
    ("value", "bar", "at_least", "ok"),
    [
        pytest.param(0.61, 0.60, True, True, id="above what it must have"),
        pytest.param(0.60, 0.60, True, True, id="just what it must have"),
        pytest.param(0.599, 0.60, True, False, id="a little less than it must have"),
        pytest.param(0, 10_000, True, False, id="nothing at all"),
        pytest.param(3.99, 4.0, False, True, id="below what it may take"),
        pytest.param(4.0, 4.0, False, True, id="just what it may take"),
        pytest.param(4.01, 4.0, False, False, id="a little more than it may take"),
        pytest.param(float("nan"), 4.0, False, False, id="no number is below no bar"),
        pytest.param(float("nan"), 4.0, True, False, id="no number reaches no bar"),
    ],
)
def test_a_bar_is_held_at_its_very_value_and_missed_beyond(value: float, bar: float, at_least: bool, ok: bool) -> None:
    assert a_report(("x", value, bar, at_least)).bars["x"]["ok"] is ok


def test_the_object_has_conditions_figures_and_bars_with_what_was_measured() -> None:
    told = a_report(("hop, p50, ms", 2.5, 4.0, False)).as_dict()
    assert told == {
        "bench": "loop",
        "conditions": {"cores": 2},
        "figures": {"floor, ms": 0.5},
        "bars": {"hop, p50, ms": {"value": 2.5, "bar": 4.0, "ok": True}},
    }


def test_two_reports_share_nothing() -> None:
    one, other = a_report(), Report("hop", {})
    one.figure("only mine, ms", 1.0)
    assert (other.figures, other.bars) == ({}, {})


def test_conditions_name_everything_that_a_figure_depends_on_and_can_be_written_as_json() -> None:
    said = json.loads(json.dumps(conditions()))
    assert set(said) == {"bus", "db", "cores", "python", "sqlite", "faust-streaming", "synchronous", "load_before"}
    assert (said["bus"], said["db"]) == ("sqlite", "sqlite")
    assert said["synchronous"] == "FULL"
    assert said["cores"] >= 1


@pytest.mark.parametrize(
    ("bus", "db", "libraries"),
    [
        pytest.param("sqlite", "sqlite", set(), id="files"),
        pytest.param("kafka", "sqlite", {"aiokafka"}, id="a broker"),
        pytest.param("kafka", "postgresql", {"aiokafka", "asyncpg"}, id="a broker and a database"),
    ],
)
def test_conditions_name_bus_stores_and_their_libraries(bus: str, db: str, libraries: set[str]) -> None:
    said = conditions(load(bus=bus, db=db))
    assert (said["bus"], said["db"]) == (bus, db)
    assert {"aiokafka", "asyncpg"} & set(said) == libraries


class Options:
    """What was said on the command line."""

    def __init__(self, *, as_json: bool = True) -> None:
        self.out = Output(as_json=as_json, as_table=not as_json)
        self.settings = load(bus="sqlite", db="sqlite")


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is left as it was found."""
    monkeypatch.setattr("gc.set_threshold", lambda *_: None)
    monkeypatch.setattr("structlog.configure", lambda **_: None)
    monkeypatch.setenv("COLUMNS", "120")


def measuring(report: Report) -> Callable[[], Coroutine[Any, Any, Report]]:
    """A bench that has measured this."""

    async def measured() -> Report:
        return report

    return measured


GOOD: Final = ("ratio", 0.7, 0.6, True)
BAD: Final = ("p50, ms", 9.0, 4.0, False)
WORSE: Final = ("p95, ms", 99.0, 8.0, False)


@pytest.mark.parametrize(
    ("reports", "missed"),
    [
        pytest.param([[GOOD]], [], id="one held"),
        pytest.param([[]], [], id="no bar at all"),
        pytest.param([[BAD]], ["p50, ms"], id="one missed"),
        pytest.param([[GOOD, BAD, WORSE]], ["p50, ms", "p95, ms"], id="two of three missed"),
        pytest.param([[GOOD], [WORSE]], ["p95, ms"], id="the second bench misses"),
        pytest.param([[BAD], [GOOD], [WORSE]], ["p50, ms", "p95, ms"], id="every bench is run and all that is missed is said"),
    ],
)
def test_a_missed_bar_fails_the_command_by_name_after_everything_is_printed(
    reports: list[list[tuple[str, float, float, bool]]], missed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    benches = [measuring(a_report(*bars)) for bars in reports]
    if missed:
        with pytest.raises(Failed, match=f"below its bar on this machine: {', '.join(missed)}$"):
            commands._show(cast(Any, Options()), benches)
    else:
        assert commands._show(cast(Any, Options()), benches) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [set(each) for each in lines] == [SHAPE] * len(reports)


def test_for_eyes_every_figure_and_every_bar_is_a_row_with_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    commands._one(cast(Any, Options(as_json=False)), a_report(GOOD, BAD))
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split() == ["figure", "value", "bar", "ok"]
    assert [row.split() for row in rows] == [
        ["loop:", "floor,", "ms", "0.5", "-", "-"],
        ["loop:", "ratio", "0.7", "0.6", "yes"],
        ["loop:", "p50,", "ms", "9.0", "4.0", "no"],
    ]


@pytest.mark.parametrize("workers", ["", "0", "1,", "two", "9", "1,2,-4", "1;2"])
def test_a_number_of_workers_that_is_none_is_wrong_use(workers: str) -> None:
    with pytest.raises(WrongUse, match="--workers"):
        commands.scale(cast(Any, Options()), messages=100, workers=workers)


@pytest.mark.parametrize(("bus", "db"), [("sqlite", "sqlite"), ("kafka", "sqlite"), ("sqlite", "postgresql")])
def test_workers_that_cannot_share_partitions_are_not_measured(bus: str, db: str) -> None:
    with pytest.raises(WrongUse, match="--bus kafka --db postgresql"):
        asyncio.run(scale.run(load(bus=bus, db=db), 100, [1]))


@pytest.mark.parametrize(
    ("bus", "db", "names"),
    [
        pytest.param("sqlite", "sqlite", ["loop", "hop", "takeover"], id="files"),
        pytest.param("kafka", "sqlite", ["loop", "hop"], id="nobody shares a file"),
        pytest.param("kafka", "postgresql", ["loop", "hop", "takeover", "scale"], id="everything"),
    ],
)
def test_all_benches_are_those_that_fit_the_bus_and_the_stores(
    bus: str, db: str, names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def named(name: str) -> Callable[..., Coroutine[Any, Any, Report]]:
        return lambda *_: measuring(a_report(name=name))()

    for module in (loop, hop, takeover, scale):
        monkeypatch.setattr(module, "run", named(module.__name__.rpartition(".")[2]))
    options = Options()
    options.settings = load(bus=bus, db=db)
    assert commands.all_(cast(Any, options)) == 0
    assert [json.loads(line)["bench"] for line in capsys.readouterr().out.splitlines()] == names


@pytest.mark.parametrize(
    ("rates", "busy", "held"),
    [
        pytest.param({1: 1_000.0, 2: 1_500.0}, {1: 0.5, 2: 0.8}, True, id="room, and it is used"),
        pytest.param({1: 1_000.0, 2: 1_100.0}, {1: 0.5, 2: 0.6}, False, id="room, and it is not used"),
        pytest.param({1: 1_000.0, 2: 1_100.0}, {1: 0.8, 2: 0.9}, None, id="one leaves no room"),
        pytest.param({1: 1_000.0, 2: 1_100.0}, {1: 0.6, 2: 0.97}, None, id="two fill the cores"),
        pytest.param({1: 1_000.0, 2: 1_500.0}, {}, True, id="nobody knows"),
        pytest.param({2: 1_500.0}, {}, None, id="nothing to compare with"),
    ],
)
def test_two_workers_are_held_to_a_bar_where_one_leaves_room_for_a_second(
    rates: dict[int, float], busy: dict[int, float], held: bool | None
) -> None:
    report = a_report()
    scale._compare(report, rates, busy)
    assert [bar["ok"] for bar in report.bars.values()] == ([] if held is None else [held])
    assert any("2 workers / 1" in name for name in report.figures) is (held is None and len(rates) == 2)
