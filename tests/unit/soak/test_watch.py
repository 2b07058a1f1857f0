"""What looks on while a soak runs, over hand-made stores and a bus that says what a test tells it."""

import asyncio
import itertools
import json
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.errors import BusAway
from tools import soak
from tools.bench.place import here
from tools.metrics_port import serving_metrics
from tools.output import Output
from tools.soak import books, verdict
from tools.soak.patience import until
from tools.soak.stage import prepare
from tools.soak.troupe import Actor, Ending, Troupe, kept_bytecode
from tools.soak.watch import Watch

NOW_MS: Final = 1_764_000_000_000


class Offsets:
    """A bus whose groups have the offsets that come next in a list; None: it is away."""

    def __init__(self, *said: int | None) -> None:
        self.said = list(said)

    async def offsets(self, group: str) -> dict[tuple[str, int], int]:
        if group != "first":
            return {}
        offset = self.said.pop(0)
        if offset is None:
            raise BusAway("planted")
        return {("bench.first", 0): offset}


def a_watch(folder: Path, bus: Any = None) -> Watch:
    """One that looks at a folder's stores when it is asked to."""
    place = here(folder)
    return Watch(place, cast(Any, bus), books.of(place))


@pytest.mark.parametrize(
    ("said", "went_back"),
    [
        pytest.param([0, 5, 9], 0, id="forward"),
        pytest.param([5, 5, 5], 0, id="standing"),
        pytest.param([5, 4, 9], 1, id="back by one"),
        pytest.param([9, 4, 3], 2, id="back twice"),
        pytest.param([9, None, 10], 0, id="away between"),
        pytest.param([9, None, 8], 1, id="back while the bus was away"),
        pytest.param([9, 0, 0], 1, id="back to the start, and it stays there"),
    ],
)
async def test_an_offset_that_goes_back_is_counted_each_time(said: list[int | None], went_back: int, tmp_path: Path) -> None:
    watch = a_watch(tmp_path, Offsets(*said))
    for _ in said:
        await watch.look_at_offsets()
    assert watch.went_back == went_back


@settings(max_examples=40)
@given(st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=12))
def test_offsets_go_back_as_often_as_a_look_is_below_the_look_before(said: list[int | None]) -> None:
    watch = a_watch(Path(), Offsets(*said))

    async def look() -> None:
        for _ in said:
            await watch.look_at_offsets()

    asyncio.run(look())
    seen = [offset for offset in said if offset is not None]
    assert watch.went_back == sum(later < earlier for earlier, later in itertools.pairwise(seen))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("watch")
    prepare(here(made))
    return made


@pytest.fixture
def store(prepared: Path) -> Iterator[sqlite3.Connection]:
    """The first stage's store, without rows."""
    with closing(sqlite3.connect(prepared / "first.db", isolation_level=None)) as c:
        for table in ("owner", "outbox"):
            c.execute(f"DELETE FROM {table}")
        yield c


def owned(store: sqlite3.Connection, epoch: int, pid: int, partition: int = 0) -> None:
    row = (partition, epoch, pid)
    store.execute("INSERT OR REPLACE INTO owner(partition, epoch, pid, process_start, since_ms) VALUES (?, ?, ?, 0, 0)", row)


async def test_each_partition_has_owners_of_its_own(store: sqlite3.Connection, prepared: Path) -> None:
    watch = a_watch(prepared)
    for partition, epoch, pid in ((0, 1, 10), (1, 1, 10), (2, 4, 11), (1, 2, 11)):
        owned(store, epoch, pid, partition)
        await watch.look(1)
    await watch.books.close()
    assert (watch.owner(1), watch.owned(1), watch.owned(2)) == (10, 3, 0)
    assert (watch.held(1, 10), watch.held(1, 11), watch.held(2, 10)) == ({0: 1}, {1: 2, 2: 4}, {})


async def test_an_owner_is_noted_once_an_epoch(store: sqlite3.Connection, prepared: Path) -> None:
    watch = a_watch(prepared)
    assert watch.owner(1) is None
    for epoch, pid in ((1, 10), (1, 10), (2, 11), (2, 11), (3, 10)):
        owned(store, epoch, pid)
        await watch.look(1)
    await watch.books.close()
    assert [(change.epoch, change.pid) for change in watch.owners[1]] == [(1, 10), (2, 11), (3, 10)]
    assert [change.at_s for change in watch.owners[1]] == sorted(change.at_s for change in watch.owners[1])
    assert (watch.owner(1), watch.owner(2)) == (10, None)


@pytest.mark.parametrize(
    ("rows", "age_ms"),
    [
        pytest.param([], 0, id="nothing waits"),
        pytest.param([(100, None)], 100, id="one waits"),
        pytest.param([(100, None), (900, None), (5, None)], 900, id="the oldest of three"),
        pytest.param([(100, None), (900, "too large")], 100, id="what the bus can never take does not wait"),
    ],
)
async def test_the_oldest_row_that_waits_in_an_outbox_is_remembered(
    store: sqlite3.Connection, prepared: Path, rows: list[tuple[int, str | None]], age_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOW_MS * 1_000_000)
    for age, refused in rows:
        store.execute(
            "INSERT INTO outbox(partition, actor, topic, headers, at_ms, refused) VALUES (0, 'a', 't', x'', ?, ?)", (NOW_MS - age, refused)
        )
    watch = a_watch(prepared)
    await watch.look(1)
    assert watch.outbox_age_ms == 0, "a quick look does not ask"
    await watch.look_thoroughly()
    store.execute("DELETE FROM outbox")
    await watch.look_thoroughly()
    await watch.books.close()
    assert (watch.outbox_age_ms, watch.outbox_age_now_ms) == (age_ms, 0), "it rose and fell"


async def test_a_store_that_is_just_being_made_tells_nothing_and_ends_nothing(tmp_path: Path) -> None:
    watch = a_watch(tmp_path)
    await watch.look(1)
    await watch.look_thoroughly()
    await watch.books.close()
    assert (watch.owner(1), watch.outbox_age_ms) == (None, 0)


def test_the_largest_size_of_each_wal_is_remembered(tmp_path: Path) -> None:
    watch = a_watch(tmp_path)
    for name, sizes in (("bus.db-wal", (10, 70, 30)), ("first.db-wal", (5, 0, 0)), ("first.db", (999, 999, 999))):
        for size in sizes:
            (tmp_path / name).write_bytes(b"x" * size)
            watch.look_at_files()
    assert watch.wal_bytes == {"bus.db": 70, "first.db": 5}


async def test_waiting_ends_at_once_when_it_holds_and_at_its_deadline_when_it_does_not() -> None:
    looks = iter([False, False, True])
    assert await until(lambda: next(looks), 5, look_s=0)
    assert next(looks, "all were asked") == "all were asked"
    assert not await until(lambda: False, 0, look_s=0)


async def test_what_waiting_asks_may_raise_and_is_heard() -> None:
    def broken() -> bool:
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        await until(broken, 5)


def a_troupe() -> Troupe:
    """Two places a stage, none with a process."""
    return Troupe(here(Path("nowhere")), (1, 2))


def test_a_troupe_has_two_places_a_stage_and_finds_them_by_stage_and_pid() -> None:
    troupe = a_troupe()
    assert [(actor.stage, actor.number) for actor in troupe.actors] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert [actor.stage for actor in troupe.of(2)] == [2, 2]
    troupe.actors[2].process = cast(Any, SimpleNamespace(pid=77, returncode=None))
    troupe.actors[3].process = cast(Any, SimpleNamespace(pid=78, returncode=0))
    assert troupe.by_pid(77) is troupe.actors[2]
    assert [troupe.by_pid(pid) for pid in (78, 0, None, 5)] == [None] * 4, "a process that has ended is nobody's"


async def test_a_life_that_cannot_start_a_process_is_heard_by_who_checks() -> None:
    class Broken(Actor):
        async def live(self) -> None:
            raise FileNotFoundError("planted")

    troupe = a_troupe()
    troupe.start([Broken(1, 0, Path(), {})])
    assert await until(troupe._lives[0].done, 5)
    with pytest.raises(FileNotFoundError, match="planted"):
        troupe.check()


async def test_ending_a_troupe_that_never_began_leaves_every_place_closed() -> None:
    troupe = a_troupe()
    await troupe.end()
    assert all(actor.closing for actor in troupe.actors)


def test_endings_of_all_places_are_one_list() -> None:
    troupe = a_troupe()
    troupe.actors[0].endings.append(first := Ending(1, 5, 0, None, "", False))
    troupe.actors[3].endings.append(last := Ending(2, 6, 0, None, "", False))
    assert troupe.endings == [first, last]


@pytest.mark.parametrize(("may_write", "kept"), [(True, {}), (False, {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": "here"})])
def test_compiled_modules_are_kept_apart_only_where_they_may_not_stand_beside_their_sources(
    may_write: bool, kept: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", not may_write)
    assert kept_bytecode(Path("here")) == kept


class Options:
    """A command line whose soak has been run already."""

    def __init__(self, ok: bool, *, as_json: bool) -> None:
        self.settings = SimpleNamespace(bus_kind="sqlite")
        self.out = Output(as_json=as_json, as_table=not as_json)
        self.findings = verdict.judged({**dict.fromkeys(verdict.MUST_BE_NONE, 0), "lost": int(not ok), "deeds": {"kill owner": 2}})

    def run(self, work: Any) -> dict[str, Any]:
        work.close()
        return self.findings


@pytest.mark.parametrize(("ok", "code", "wrong"), [(True, 0, []), (False, 1, ["lost"])])
def test_a_soak_that_has_found_something_ends_with_one(ok: bool, code: int, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.command(cast(Any, Options(ok, as_json=True)), seconds=1, seed=3) == code
    (only,) = capsys.readouterr().out.splitlines()
    told = json.loads(only)
    assert (told["ok"], told["wrong"], told["lost"]) == (ok, wrong, code)


def test_for_eyes_what_is_counted_by_name_has_a_line_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    soak.command(cast(Any, Options(False, as_json=False)), seconds=1, seed=3)
    lines = {name.strip(): value for name, _, value in (line.rpartition("  ") for line in capsys.readouterr().out.splitlines())}
    assert (lines["deeds, kill owner"], lines["lost"], lines["out of order"], lines["ok"], lines["wrong"]) == ("2", "1", "0", "no", "lost")


def test_a_soak_without_a_seed_draws_another_one_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    async def nothing() -> None:
        raise AssertionError("its run is closed before it begins")

    def noted(terms: Any, _: Any) -> Any:
        seeds.append(terms.seed)
        return nothing()

    monkeypatch.setattr("tools.soak.run.soak", noted)
    for _ in range(4):
        soak.command(cast(Any, Options(True, as_json=True)), seconds=1)
    assert len(set(seeds)) > 1
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_metrics_end_with_their_block_also_when_it_raises() -> None:
    before = set(threading.enumerate())
    seen: list[str | None] = []

    def broken() -> None:
        with serving_metrics(0) as where:
            seen.append(where)
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        broken()
    assert seen[0] is not None
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(seen[0], timeout=5)
    assert set(threading.enumerate()) <= before, "its thread has gone"
