"""Faults of the embedded bus alone: the file locked by strangers and by frozen members, a full disk, readers that tail, no permission."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus.errors import BusAway, BusError
from bus.log import Bus, TopicSpec
from bus.sqlite import file as log_file
from bus.sqlite.bus import SqliteBus
from bus.sqlite.inspect import ReadOnlyBus
from config import faults
from stores.process import end_frozen_holder, process_start, process_state, write_lock_holder
from tests.contract.world import ROOT, Reader, check_copied, members, numbered, outgoing, read_all, until

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc/locks and pidfd are Linux's")


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """A stranger who has begun to write and takes its time."""
    stranger = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    stranger.execute("BEGIN IMMEDIATE")
    try:
        yield stranger
    finally:
        stranger.execute("ROLLBACK")
        stranger.close()


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[SqliteBus]:
    opened = SqliteBus(tmp_path / "bus.db")
    await opened.open()
    await opened.declare([TopicSpec("in"), TopicSpec("out"), TopicSpec("t")])
    yield opened
    await opened.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bus.db"


async def test_a_locked_file_is_bus_away_for_an_append_and_nothing_was_written(bus: SqliteBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "APPEND_WAIT_S", 0.1)
    with locked(bus.path):
        with pytest.raises(BusAway):
            await bus.append([outgoing("t")])
        assert await bus.read("t", 0, 0) == []
    assert await bus.append([outgoing("t")]) == [(0, 0)]


async def test_a_stranger_with_the_lock_for_leases_kills_nobody_and_the_owner_keeps_the_group(bus: SqliteBus, url: str) -> None:
    """CASES B31, in seconds instead of minutes: what matters is that it is several leases."""
    first, second = Reader(url, "g", "t"), Reader(url, "g", "t")
    async with first.running():
        await until(lambda: first.positions.fences)
        async with second.running():
            await until(lambda: _standbys(bus))
            with locked(bus.path):
                waiting = asyncio.create_task(bus.append([outgoing("t", b"meanwhile")]))
                await asyncio.wait([waiting], timeout=3.5)
            await waiting
            await until(lambda: first.values == [b"meanwhile"])
            await until(lambda: _offset(bus, 1))
            assert not second.positions.fences and not first.app.crashed and not second.app.crashed
            assert [fence.epoch for fence in first.positions.fences] == [1]


async def _standbys(bus: Bus) -> bool:
    return any(row.standby for row in await bus.groups())


async def _offset(bus: Bus, offset: int) -> bool:
    return (await bus.offsets("g")).get(("t", 0)) == offset


async def test_a_dead_owner_is_followed_after_a_strangers_lock_as_well(bus: SqliteBus, url: str, tmp_path: Path) -> None:
    async with members() as start:
        owner = await start(url, "g", "in", "out", tmp_path / "store.db")
        await owner.active()
        standby = await start(url, "g", "in", "out", tmp_path / "store.db")
        await until(lambda: standby.has_said("started"))
        with locked(bus.path):
            owner.send(signal.SIGKILL)
            await owner.ended()
            await asyncio.sleep(0.6)
            assert standby.has_said("active") is None
        assert await standby.active() == 2


@linux
@pytest.mark.parametrize("point", ["bus.append.before:freeze:5", "bus.offsets.before:freeze:1", "bus.renew.before:freeze:3"])
async def test_an_owner_frozen_inside_a_transaction_is_ended_by_the_standby(bus: SqliteBus, url: str, tmp_path: Path, point: str) -> None:
    async with members() as start:
        owner = await start(url, "g", "in", "out", tmp_path / "store.db", fault=point)
        await owner.active()
        standby = await start(url, "g", "in", "out", tmp_path / "store.db")
        loading = asyncio.create_task(_load(bus))
        await until(lambda: process_state(owner.process.pid) == "T")
        assert await owner.ended() == -signal.SIGKILL
        assert await standby.active() == 2
        await loading
        await until(lambda: _copied(bus))
        assert standby.process.returncode is None
    check_copied(await read_all(bus, "out"), 300)


async def _load(bus: Bus) -> None:
    for first in range(0, 300, 10):
        while True:
            try:
                await bus.append(numbered("in", 10, first=first))
                break
            except BusAway:
                await asyncio.sleep(0.05)


async def _copied(bus: Bus) -> bool:
    return len({record.value for record in await read_all(bus, "out")}) == 300


APPENDER = """
import asyncio, sys
from bus.connect import connect
from config import faults
from tests.contract.world import outgoing
async def main():
    bus = connect(sys.argv[1]); await bus.open(); await bus.append([outgoing('t', b'frozen')])
faults.install_from_environment()
asyncio.run(main())
"""


@linux
async def test_an_appender_without_a_lease_that_froze_with_the_lock_is_ended_by_the_next_appender(bus: SqliteBus, url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", APPENDER, url, cwd=ROOT, env={**os.environ, "LENDBUS_FAULT": "bus.append.before:freeze"}
    )
    await until(lambda: process_state(process.pid) == "T")
    assert write_lock_holder(bus.path) == process.pid
    await bus.append([outgoing("t", b"after")])
    assert await process.wait() == -signal.SIGKILL
    assert [record.value for record in await read_all(bus, "t")] == [b"after"]


@linux
async def test_a_frozen_stranger_with_the_lock_is_never_ended(bus: SqliteBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "APPEND_WAIT_S", 0.5)
    monkeypatch.setattr(log_file, "STUCK_AFTER_S", 0.1)
    script = (
        "import os, signal, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE'); os.kill(os.getpid(), signal.SIGSTOP)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(bus.path))
    try:
        await until(lambda: process_state(process.pid) == "T")
        with pytest.raises(BusAway):
            await bus.append([outgoing("t")])
        assert process_state(process.pid) == "T"
        started = process_start(process.pid)
        assert end_frozen_holder(bus.path, lambda pid, start: (pid, start) == (process.pid, (started or 0) + 1)) is None
        assert process_state(process.pid) == "T"
        assert end_frozen_holder(bus.path, lambda pid, start: (pid, start) == (process.pid, started)) == process.pid
        assert await process.wait() == -signal.SIGKILL
        await bus.append([outgoing("t")])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_full_disk_is_bus_away_and_goes_on_when_there_is_room(bus: SqliteBus) -> None:
    pages = await bus.file.write(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await bus.file.write(lambda c: c.execute(f"PRAGMA max_page_count={pages + 4}").fetchall())
    with pytest.raises(BusAway, match="full"):
        await bus.append([outgoing("t", b"x" * 10_000) for _ in range(20)])
    assert await bus.ends("t") == {0: (0, 0)}
    await bus.file.write(lambda c: c.execute("PRAGMA max_page_count=1000000").fetchall())
    assert await bus.append([outgoing("t", b"x" * 10_000)]) == [(0, 0)]


async def test_the_wal_stays_small_while_somebody_tails(bus: SqliteBus) -> None:
    reading = True

    async def tail() -> None:
        at = 0
        while reading:
            run = await bus.read("t", 0, at, 100)
            at = run[-1].offset + 1 if run else at
            await asyncio.sleep(0)

    tails = [asyncio.create_task(tail()) for _ in range(3)]
    largest = 0
    for _ in range(300):
        await bus.append([outgoing("t", b"x" * 1000) for _ in range(200)])
        largest = max(largest, os.stat(f"{bus.path}-wal").st_size)
    reading = False
    await asyncio.gather(*tails)
    assert os.stat(bus.path).st_size > 50_000_000
    assert largest < 2 * log_file.WAL_BYTES_MAX


async def test_retention_goes_by_time_of_appending_in_steps_and_the_end_stays(bus: SqliteBus) -> None:
    await bus.declare([TopicSpec("short", retention_ms=1000), TopicSpec("kept", retention_ms=None)])
    await bus.append([outgoing(topic, str(n).encode()) for n in range(10) for topic in ("short", "kept")])
    now_ms = (await bus.read("short", 0, 0))[0].appended_ms
    assert await bus.prune(now_ms + 1000) == 0
    assert await bus.prune(now_ms + 60_000, 4) == 4
    assert await bus.ends("short") == {0: (4, 10)}
    assert [record.offset for record in await bus.read("short", 0, 0)] == list(range(4, 10))
    while await bus.prune(now_ms + 60_000, 4):
        pass
    assert await bus.ends("short") == {0: (10, 10)} and await bus.ends("kept") == {0: (0, 10)}
    assert await bus.append([outgoing("short")]) == [(0, 10)]


async def test_retention_stops_at_the_slowest_declared_group(bus: SqliteBus, url: str) -> None:
    await bus.declare([TopicSpec("short", retention_ms=1000)])
    await bus.declare_group("idle", ["short"])
    await bus.append(numbered("short", 10))
    now_ms = (await bus.read("short", 0, 9))[0].appended_ms + 60_000
    assert await bus.prune(now_ms) == 0
    async with Reader(url, "g", "short").running() as reader:
        await until(lambda: len(reader.records) == 10)
    assert await bus.prune(now_ms) == 0
    await bus.declare_group("idle", [])
    assert await bus.prune(now_ms) == 10
    assert await bus.lag("g", ["short"]) == {("short", 0): 0}


@pytest.mark.parametrize("operation", ["bus.append", "bus.declare", "bus.prune", "bus.acquire", "bus.offsets"])
@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_fault_at_a_commit_leaves_all_or_nothing_and_the_bus_goes_on(tmp_path: Path, operation: str, side: str) -> None:
    hit: list[str] = []

    def hook(point: str) -> None:
        if point == f"{operation}.{side}" and not hit:
            hit.append(point)
            raise faults.InjectedFault(point)

    bus = SqliteBus(tmp_path / "bus.db")
    await bus.open()
    await bus.declare([TopicSpec("t", retention_ms=0)])
    with faults.installed(hook):
        steps: list[Callable[[], object]] = [
            lambda: bus.declare([TopicSpec("u")]),
            lambda: bus.append(numbered("t", 3)),
            lambda: _commit_one(bus),
            lambda: bus.prune(2**50),
        ]
        for step in steps:
            try:
                await step()  # type: ignore[misc]
            except faults.InjectedFault:
                await step()  # type: ignore[misc]
    assert hit
    assert {spec.name for spec in await bus.topics()} == {"t", "u"}
    start, end = (await bus.ends("t"))[0]
    assert start == end and end in (3, 6)
    await bus.close()


async def _commit_one(bus: SqliteBus) -> None:
    member = bus.member("g")
    fence = await member.join(lambda _: None)
    try:
        await bus.commit_offsets(fence, {("t", 0): 3})
    finally:
        await member.leave()


# CASES B32: the inspector is a process of its own, as SQLite shares what a process has open of a file.

INSPECTOR = """
import asyncio, concurrent.futures.thread, json, os, sys
from bus.errors import BusError
from bus.sqlite.inspect import ReadOnlyBus
from pathlib import Path
from tests.contract.world import read_all
async def main():
    await asyncio.to_thread(int)
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    bus = ReadOnlyBus(Path(sys.argv[1]))
    try:
        await bus.open()
        print(json.dumps([record.value.decode() for record in await read_all(bus, 't')]))
    except BusError as exc:
        print(json.dumps(str(exc)))
asyncio.run(main())
"""


async def inspected(path: Path) -> object:
    """What another user without any right to write finds in the topic `t`, or what it is told; only root can become one."""
    if os.geteuid() != 0:
        pytest.skip("needs root: only root can become another user")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", INSPECTOR, str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return json.loads(out)


@pytest.fixture
def shown() -> Iterator[Path]:
    """A folder that everybody may look into, and nobody else write; pytest closes what is above `tmp_path` at each of its starts."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Names with owner and mode."""
    return {path.name: (path.stat().st_uid, path.stat().st_mode) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("running", [True, False])
async def test_an_inspector_without_write_permission_reads_everything_and_changes_nothing(shown: Path, running: bool) -> None:
    bus = SqliteBus(shown / "bus.db")
    await bus.open()
    await bus.declare([TopicSpec("t")])
    await bus.append(numbered("t", 5))
    if not running:
        await bus.close()
    before = state_of(shown)
    assert await inspected(bus.path) == ["0", "1", "2", "3", "4"]
    assert state_of(shown) == before
    await bus.open()
    await bus.append(numbered("t", 1, first=5))
    assert await inspected(bus.path) == ["0", "1", "2", "3", "4", "5"]
    await bus.close()


async def test_an_inspector_reads_what_a_killed_process_left(shown: Path) -> None:
    bus = SqliteBus(shown / "bus.db")
    await bus.open()
    await bus.declare([TopicSpec("t")])
    await bus.close()
    environment = {**os.environ, "LENDBUS_FAULT": "bus.append.after:kill"}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", APPENDER, f"sqlite:///{bus.path}", cwd=ROOT, env=environment)
    assert await process.wait() == -signal.SIGKILL
    before = state_of(shown)
    assert "bus.db-wal" in before
    assert await inspected(bus.path) == ["frozen"]
    assert state_of(shown) == before


async def test_an_inspector_without_read_permission_is_told_what_to_do(shown: Path) -> None:
    bus = SqliteBus(shown / "bus.db")
    await bus.open()
    await bus.close()
    bus.path.chmod(0o600)
    assert "read permission" in str(await inspected(bus.path))


async def test_an_inspector_of_nothing_is_told_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="there is no bus"):
        await ReadOnlyBus(tmp_path / "missing.db").open()


async def test_an_inspector_writes_nothing(bus: SqliteBus) -> None:
    inspector = ReadOnlyBus(bus.path)
    for attempt in (inspector.append([outgoing("t")]), inspector.declare([]), inspector.declare_group("g", []), inspector.prune(0)):
        with pytest.raises(BusError, match="read only"):
            await attempt


async def test_an_inspector_that_waits_sees_an_append_of_others(bus: SqliteBus) -> None:
    inspector = ReadOnlyBus(bus.path)
    await inspector.wait(0)
    waiting = asyncio.create_task(inspector.wait(60))
    await bus.append([outgoing("t")])
    await asyncio.wait_for(waiting, 10)
