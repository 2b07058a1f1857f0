"""What a bench says: bars with their verdict, one object for machines, rows for eyes, and an exit that fails below a bar."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

import pytest

from tools.bench import commands
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
    assert set(said) == {"cores", "python", "sqlite", "faust-streaming", "synchronous", "load_before"}
    assert said["synchronous"] == "FULL"
    assert said["cores"] >= 1


class Settings:
    """Where a bench shall run."""

    def __init__(self, bus_kind: str) -> None:
        self.bus_kind = bus_kind


class Options:
    """What was said on the command line."""

    def __init__(self, *, as_json: bool = True, bus_kind: str = "sqlite") -> None:
        self.out = Output(as_json=as_json, as_table=not as_json)
        self.settings = Settings(bus_kind)


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


def test_a_bench_of_another_bus_is_wrong_use_and_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WrongUse, match="--bus sqlite"):
        commands._show(cast(Any, Options(bus_kind="kafka")), [measuring(a_report())])
    assert capsys.readouterr().out == ""
