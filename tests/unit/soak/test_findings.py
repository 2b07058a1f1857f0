"""What a soak finds, from hand-made parts: each thing that went wrong is found under its own name, exactly, and fails the run."""

import asyncio
import collections
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from agents.runtime.envelope import MESSAGE_ID
from bus.log import Bus
from bus.record import Record
from config.settings import load
from tools.bench.place import Place, here
from tools.output import Failed
from tools.soak import books, run, verdict
from tools.soak.roles import Fall
from tools.soak.run import SETTLE_S_MAX, Soak, Terms
from tools.soak.stage import prepare
from tools.soak.troupe import Ending
from tools.soak.verdict import FarEnd
from tools.soak.watch import Change

SENT: Final = {"a": 3, "b": 2}
POISON: Final = {"no_key": 2, "no_value": 1}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in which nothing went wrong; made once, each table costs an fsync."""
    folder = tmp_path_factory.mktemp("soak")
    prepare(here(folder))
    for name in ("first", "second"):
        ask(folder, name, "INSERT INTO counter(id, version, handled, last) VALUES ('a', 3, 3, 2), ('b', 2, 2, 1)")
    for number, reason in enumerate(reason for reason, count in POISON.items() for _ in range(count)):
        dead_letter(folder, "first", f"good-{number}", reason)
    return folder


def ask(folder: Path, name: str, statement: str, values: tuple[object, ...] = ()) -> None:
    """Change a store by hand."""
    with closing(sqlite3.connect(folder / f"{name}.db", isolation_level=None)) as c:
        c.execute(statement, values)


def insert(folder: Path, name: str, table: str, **known: object) -> None:
    """A row with these values, and something of the right kind in every other column that must have one."""
    with closing(sqlite3.connect(folder / f"{name}.db", isolation_level=None)) as c:
        columns = [(column, kind) for _, column, kind, needed, _, _ in c.execute(f"PRAGMA table_info({table})") if needed]
        row = {column: b"" if kind == "BLOB" else "x" if kind == "TEXT" else 0 for column, kind in columns} | known
        names = ", ".join(f'"{column}"' for column in row)
        c.execute(f"INSERT INTO {table}({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


def dead_letter(folder: Path, name: str, identity: str, reason: str) -> None:
    insert(folder, name, "dead_letter", id=identity, reason=reason)


def arrival(offset: int, identity: str, actor: str, number: int) -> Record:
    return Record("bench.end", 0, offset, 0, 0, actor.encode(), b'{"seq":%d}' % number, ((MESSAGE_ID, identity.encode()),))


@dataclass
class World:
    """The parts of a run that is over, all well until somebody plants something."""

    folder: Path
    arrived: list[tuple[str, str, int]] = field(default_factory=lambda: [(f"{a}{n}", a, n) for a, c in SENT.items() for n in range(c)])
    endings: list[Ending] = field(default_factory=list)
    falls: list[Fall] = field(default_factory=list)
    owners: dict[int, list[Change]] = field(default_factory=dict)
    went_back: int = 0
    settled_s: float = 1.0
    done: collections.Counter[str] = field(default_factory=collections.Counter)
    points: collections.Counter[str] = field(default_factory=collections.Counter)

    committed: dict[str, dict[tuple[str, int], int]] = field(default_factory=dict)
    unread: int = 0

    def soak(self) -> Soak:
        far = FarEnd()
        far.take(arrival(offset, *each) for offset, each in enumerate(self.arrived))
        place = here(self.folder)
        producer: Any = SimpleNamespace(sent=SENT, total=5, poison=collections.Counter(POISON), duplicates=7)
        troupe: Any = SimpleNamespace(endings=self.endings, actors=[SimpleNamespace(starts=2), SimpleNamespace(starts=3)])
        watch: Any = SimpleNamespace(went_back=self.went_back, owners=self.owners, outbox_age_ms=12, wal_bytes={"second": 2, "bus": 1})
        deeds: Any = SimpleNamespace(done=self.done, points=self.points, falls=self.falls)
        parts = (producer, troupe, watch, deeds, far, collections.Counter(POISON))
        return Soak(Terms(10, 4, 100), place, cast(Any, self), books.of(place), *parts)

    async def offsets(self, group: str) -> dict[tuple[str, int], int]:
        """As the bus has them."""
        return self.committed.get(group, {})

    async def lag(self, group: str, topics: list[str]) -> dict[tuple[str, int], int]:
        """As the bus has it."""
        assert (group, topics) in (("first", ["bench.first"]), ("second", ["bench.second"]))
        return {(topics[0], 0): self.unread}

    async def findings(self) -> dict[str, Any]:
        soak = self.soak()
        found = await soak._findings(self.settled_s, 0)
        await soak.books.close()
        return found


@pytest.fixture
def world(template: Path, tmp_path: Path) -> World:
    return World(Path(shutil.copytree(template, tmp_path / "soak")))


async def test_where_all_is_well_nothing_is_wrong_and_every_count_is_there(world: World) -> None:
    found = await world.findings()
    assert (found["ok"], found["wrong"], found["examples"]) == (True, [], [])
    assert (found["sent"], found["applied"], found["parked"], found["poison"], found["duplicates_sent"]) == (5, 5, 3, 3, 7)
    assert (found["seed"], found["seconds"], found["rate"], found["endings"]["starts"]) == (4, 10, 100, 5)
    assert list(found["wal_bytes_max"]) == ["bus", "second"]


Plant = Callable[[World], None]


def _counts(name: str, handled: int, last: int) -> Plant:
    return lambda w: ask(w.folder, name, "UPDATE counter SET handled = ?, last = ? WHERE id = 'a'", (handled, last))


def _also(*more: tuple[str, str, int]) -> Plant:
    return lambda w: w.arrived.extend(more)


def _without(*places: int) -> Plant:
    def plant(w: World) -> None:
        w.arrived = [each for place, each in enumerate(w.arrived) if place not in places]

    return plant


def _letter(reason: str) -> Plant:
    return lambda w: dead_letter(w.folder, "first", "planted", reason)


def _no_letter(w: World) -> None:
    ask(w.folder, "first", "DELETE FROM dead_letter WHERE reason = 'no_value'")


def _other_reason(w: World) -> None:
    ask(w.folder, "first", "UPDATE dead_letter SET reason = 'bad_schema' WHERE reason = 'no_value'")


def _row(name: str, table: str) -> Plant:
    return lambda w: insert(w.folder, name, table)


def _late(w: World) -> None:
    w.settled_s = SETTLE_S_MAX


def _back(w: World) -> None:
    w.went_back = 2


def _committed(group: str, offset: int) -> Plant:
    def plant(w: World) -> None:
        w.committed[group] = {(f"bench.{group}", 0): offset}

    return plant


def _handled(w: World) -> None:
    insert(w.folder, "second", "position", partition=0, next_offset=4)


def _swapped(w: World) -> None:
    w.arrived[0], w.arrived[1] = w.arrived[1], w.arrived[0]


@pytest.mark.parametrize(
    ("plant", "name", "count"),
    [
        pytest.param(_without(0), "lost", 1, id="one message never came"),
        pytest.param(_without(2, 4), "lost", 2, id="the last of both actors never came"),
        pytest.param(_without(0, 1, 2, 3, 4), "lost", 5, id="nothing came at all"),
        pytest.param(_also(("x", "a", 2)), "doubled", 1, id="one effect twice at the far end"),
        pytest.param(_counts("first", 4, 2), "doubled", 1, id="the first stage counted one twice"),
        pytest.param(_counts("second", 4, 2), "doubled", 1, id="the second stage counted one twice"),
        pytest.param(_counts("first", 3, 3), "doubled", 1, id="a stage has a number that was never sent"),
        pytest.param(_swapped, "out_of_order", 1, id="two changed places"),
        pytest.param(_letter("no_key"), "wrongly_parked", 1, id="one dead letter too many of a reason"),
        pytest.param(_letter("unstorable"), "wrongly_parked", 1, id="a dead letter of a reason that nobody sent"),
        pytest.param(_no_letter, "wrongly_parked", 1, id="a poison without its dead letter"),
        pytest.param(_other_reason, "wrongly_parked", 2, id="one with another reason: one too many and one too few"),
        pytest.param(_row("first", "suspended"), "left_suspended", 1, id="an actor of the first stage stands still"),
        pytest.param(_row("second", "suspended"), "left_suspended", 1, id="an actor of the second stage stands still"),
        pytest.param(_row("first", "parked"), "left_suspended", 1, id="a message waits behind an actor"),
        pytest.param(_row("first", "outbox"), "left_in_outboxes", 1, id="a row never left"),
        pytest.param(_committed("first", 3), "offsets_unlike_positions", 1, id="the group is ahead of the store"),
        pytest.param(_handled, "offsets_unlike_positions", 1, id="the group is behind the store"),
        pytest.param(_late, "left_unread", 1, id="it did not settle in its time"),
        pytest.param(_back, "offsets_went_back", 2, id="offsets went back"),
    ],
)
async def test_what_went_wrong_is_found_under_its_own_name_only(world: World, plant: Plant, name: str, count: int) -> None:
    plant(world)
    found = await world.findings()
    assert found[name] == count
    assert (found["wrong"], found["ok"]) == ([name], False)


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(_also(("a0", "a", 0), ("a0", "a", 0)), id="the relay said one again"),
        pytest.param(_counts("second", 1, 0), id="a stage has counted less: the far end is what is lost or not"),
        pytest.param(lambda w: w.endings.append(Ending(1, 9, -9, None, "loop.ack.after:kill:1", False)), id="a process was killed"),
        pytest.param(lambda w: dead_letter(w.folder, "second", "elsewhere", "no_key"), id="the second stage's letters are its own"),
    ],
)
async def test_what_is_anybodys_good_right_is_held_against_nobody(world: World, plant: Plant) -> None:
    plant(world)
    assert (await world.findings())["ok"]


async def test_all_that_went_wrong_is_found_at_once_in_the_order_of_its_weight(world: World) -> None:
    for plant in (_back, _late, _no_letter, _swapped, _counts("first", 9, 9)):
        plant(world)
    assert (await world.findings())["wrong"] == ["doubled", "out_of_order", "wrongly_parked", "offsets_went_back", "left_unread"]


async def test_an_example_names_the_stage_the_actor_and_both_counts(world: World) -> None:
    _counts("second", 9, 2)(world)
    assert (await world.findings())["examples"] == ["second counted (9, 2) of 3 messages to a"]


@pytest.mark.parametrize(
    ("ending", "counted"),
    [
        pytest.param(Ending(1, 9, -9, None, "", True), "ended by a waiter", id="stood still and was killed by another"),
        pytest.param(Ending(1, 9, -9, None, "bus.append.before:freeze:1", True), "ended by a waiter", id="frozen at a point"),
        pytest.param(Ending(1, 9, -9, None, "bus.append.before:kill:1", False), "killed at a point", id="killed itself"),
        pytest.param(Ending(1, 9, 1, None, "bus.append.before:raise:1", False), "failed", id="raised and ended with 1"),
        pytest.param(Ending(1, 9, 1, 15, "", False), "failed", id="asked to end, and failed"),
        pytest.param(Ending(1, 9, -9, 9, "", False), None, id="killed by the soak"),
        pytest.param(Ending(1, 9, 0, 15, "", False), None, id="ended as it was asked"),
        pytest.param(Ending(1, 9, -15, 15, "", False), None, id="asked before it listened"),
    ],
)
async def test_how_a_process_ended_is_counted_where_it_belongs(world: World, ending: Ending, counted: str | None) -> None:
    world.endings = [ending]
    found = (await world.findings())["endings"]
    names = ("ended by a waiter", "killed at a point", "failed")
    assert {name: found[name] for name in names} == {name: int(name == counted) for name in names}


async def test_points_count_who_stood_still_there_and_who_died_there(world: World) -> None:
    world.points["relay.append.before:kill"] = 2
    world.endings = [
        Ending(1, 9, -9, None, "relay.append.before:kill:3", False),
        Ending(1, 9, 1, None, "loop.ack.after:raise:3", False),
        Ending(1, 9, -9, 9, "timers.commit.after:kill:1", False),
        Ending(1, 9, 0, 15, "timers.commit.after:raise:1", False),
    ]
    assert (await world.findings())["points"] == {"loop.ack.after:raise": 1, "relay.append.before:kill": 3}


def test_take_overs_are_told_apart_by_what_befell_the_owner_and_by_stage() -> None:
    owners = {1: [Change(0, 1, 10), Change(2.5, 2, 11), Change(9.0, 3, 12)], 2: [Change(0, 5, 20), Change(3.0, 6, 21)]}
    falls = [Fall("kill", 1, 2.0, {0: 1}), Fall("kill", 2, 2.0, {0: 5}), Fall("term", 1, 8.9, {0: 2}), Fall("freeze", 2, 50.0, {0: 6})]
    times = verdict.takeovers(falls, owners)
    assert list(times) == ["kill", "term"], "the freeze was followed by nobody"
    assert times["kill"] == {"count": 2, "p50_s": 0.75, "p95_s": 1.0, "max_s": 1.0}
    assert times["term"]["max_s"] == pytest.approx(0.1)


@pytest.mark.parametrize(("count", "p95"), [(1, 1), (2, 2), (19, 19), (20, 19), (21, 20), (40, 38), (100, 95)])
def test_the_95th_percentile_is_the_value_that_so_many_do_not_exceed(count: int, p95: int) -> None:
    owners = {1: [Change(float(100 * n + n), n, n) for n in range(1, count + 1)]}
    falls = [Fall("kill", 1, float(100 * n), {0: n - 1}) for n in range(1, count + 1)]
    assert verdict.takeovers(falls, owners)["kill"] | {"p95_s": p95} == verdict.takeovers(falls, owners)["kill"]


@pytest.mark.parametrize(
    ("plant", "unread", "settled"),
    [
        pytest.param(lambda _: None, 0, True, id="all there"),
        pytest.param(_without(1), 0, False, id="one has not arrived"),
        pytest.param(_row("second", "suspended"), 0, False, id="an actor is still suspended"),
        pytest.param(_committed("second", 1), 0, False, id="a group is elsewhere than its store"),
        pytest.param(_row("second", "outbox"), 0, False, id="a row has not left"),
        pytest.param(_no_letter, 0, False, id="a dead letter is still to come"),
        pytest.param(lambda _: None, 3, False, id="something is unread"),
    ],
)
async def test_it_is_settled_when_everything_is_there_and_read(world: World, plant: Plant, unread: int, settled: bool) -> None:
    plant(world)
    world.unread = unread
    soak = world.soak()
    assert await asyncio.wait_for(soak._is_settled(), 5) is settled


@pytest.mark.parametrize(
    ("ok", "keep", "stays"),
    [
        pytest.param(True, False, False, id="well"),
        pytest.param(True, True, True, id="well, kept"),
        pytest.param(False, False, True, id="not well"),
        pytest.param(None, False, True, id="could not be run"),
    ],
)
async def test_the_folder_stays_when_somebody_will_want_to_look(
    ok: bool | None, keep: bool, stays: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def instead(_: Terms, place: Place, bus: Bus) -> dict[str, Any]:
        await bus.close()
        (place.folder / "first.db").touch()
        if ok is None:
            raise RuntimeError("planted")
        return {"ok": ok}

    monkeypatch.setattr(run, "_run", instead)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = await asyncio.gather(run.soak(Terms(1, 77, 1, keep), load()), return_exceptions=True)
    assert isinstance(told[0], RuntimeError) is (ok is None)
    left = list(tmp_path.iterdir())
    words = capsys.readouterr().err
    assert bool(left) is stays
    assert all(str(folder) in words for folder in left)
    assert "--seed 77" in words


async def test_a_server_that_is_away_at_the_start_is_a_sentence_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(Failed, match=r"cannot be reached.*this needs the servers that --bus and --db name"):
        await run.soak(Terms(1, 77, 1, False), load(db="postgresql://postgres@127.0.0.1:1/x"))
    assert not list(tmp_path.iterdir())
