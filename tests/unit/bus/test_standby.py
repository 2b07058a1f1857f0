"""When a standby takes over: an owner that is gone at once, a silent one only after it could have renewed, nobody on a guess."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bus.errors import BusAway, BusError
from bus.sqlite import file as log_file
from bus.sqlite import lease, membership
from bus.sqlite.file import LogFile, translated
from bus.sqlite.lease import LEASE_MS, Lease
from bus.sqlite.membership import ALARM_MS, GRACE_S, HELD_RUNNING_S, Membership
from stores.process import Process, this_process
from stores.sqlite import Locked

ME = this_process()
OWNER = ME._replace(pid=4_000_001)
ELSEWHERE = Process(1, 1, "another-boot/another-namespace", "another-host")
LONG_AGO_MS = 10 * LEASE_MS
TICK_S = 0.01


class World:
    """A file that can be written or not, an owner that lives or not, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 5_000.0
        self.writable = True
        self.alive: bool | None = True
        self.holder: int | None = None
        self.ended: list[tuple[str, bool]] = []
        self.path = Path("bus.db")
        self.me = ME
        monkeypatch.setattr(membership, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        monkeypatch.setattr(membership, "is_alive", lambda process: self.alive)
        monkeypatch.setattr(membership, "write_lock_holder", lambda path: self.holder)
        monkeypatch.setattr(membership, "end_frozen_holder", self.end)
        monkeypatch.setattr(lease, "monotonic_ms", lambda: int(self.now_s * 1000))
        self.waiter = Membership(cast(LogFile, self), "g")

    def is_ours(self, pid: int, started: int) -> bool:
        return pid == OWNER.pid

    def end(self, path: Path, registered: Callable[[int, int], bool], *, even_running: bool = False) -> None:
        who = "the owner" if registered(OWNER.pid, OWNER.started) and not registered(OWNER.pid, OWNER.started + 1) else "ours"
        self.ended.append((who, even_running))

    async def write(self, work: Callable[..., Any]) -> bool:
        return self.writable

    def lease(self, *, silent_ms: int = 0, owner: Process | None = OWNER) -> Lease:
        return Lease(3, "m" if owner else None, owner, 0, int(self.now_s * 1000) - silent_ms)

    async def is_out(self, seen: Lease) -> bool:
        return await self.waiter._is_out(seen)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize("alive", [True, False, None])
async def test_a_lease_that_was_given_back_is_free_at_once(world: World, alive: bool | None) -> None:
    world.alive = alive
    assert await world.is_out(world.lease(owner=None))
    assert await world.is_out(lease.NEVER)


async def test_a_dead_owner_is_out_at_once_although_it_has_just_renewed(world: World) -> None:
    world.alive = False
    assert await world.is_out(world.lease(silent_ms=0))


@pytest.mark.parametrize("silent_ms", [0, 1, ALARM_MS - 1, ALARM_MS, LEASE_MS - 1, LEASE_MS, LONG_AGO_MS])
async def test_a_silent_owner_is_never_out_at_the_first_look(world: World, silent_ms: int) -> None:
    assert not await world.is_out(world.lease(silent_ms=silent_ms))


@pytest.mark.parametrize(
    ("silent_ms", "waited_s", "out"),
    [
        pytest.param(LEASE_MS, GRACE_S + TICK_S, True, id="a lease and the grace are over"),
        pytest.param(LONG_AGO_MS, GRACE_S + TICK_S, True, id="long silent"),
        pytest.param(LONG_AGO_MS, GRACE_S - TICK_S, False, id="the grace is not over"),
        pytest.param(LEASE_MS - 1, 100.0, False, id="the lease is not over"),
        pytest.param(ALARM_MS - 1, 100.0, False, id="it renews"),
    ],
)
async def test_a_silent_owner_is_out_when_it_could_have_renewed_for_the_grace(
    world: World, silent_ms: int, waited_s: float, out: bool
) -> None:
    await world.is_out(world.lease(silent_ms=silent_ms))
    world.now_s += waited_s
    assert await world.is_out(world.lease(silent_ms=silent_ms)) is out


async def test_the_grace_begins_anew_when_the_file_was_locked_in_between(world: World) -> None:
    await world.is_out(world.lease(silent_ms=LEASE_MS))
    world.now_s += GRACE_S
    world.writable = False
    assert not await world.is_out(world.lease(silent_ms=LEASE_MS))
    world.writable = True
    assert not await world.is_out(world.lease(silent_ms=LONG_AGO_MS))
    world.now_s += GRACE_S - TICK_S
    assert not await world.is_out(world.lease(silent_ms=LONG_AGO_MS))
    world.now_s += 2 * TICK_S
    assert await world.is_out(world.lease(silent_ms=LONG_AGO_MS))


async def test_the_grace_begins_anew_when_the_owner_has_renewed_in_between(world: World) -> None:
    await world.is_out(world.lease(silent_ms=LEASE_MS))
    world.now_s += GRACE_S
    assert not await world.is_out(world.lease(silent_ms=0))
    assert not await world.is_out(world.lease(silent_ms=LEASE_MS))


async def test_an_owner_on_another_machine_is_watched_by_its_renewals_alone(world: World) -> None:
    world.alive = None
    seen = Lease(3, "m", ELSEWHERE, 0, 10**15)  # its clock is not ours
    world.waiter._seen_at_s = world.now_s
    assert not await world.is_out(seen)
    world.now_s += LEASE_MS / 1000
    assert not await world.is_out(seen)
    world.now_s += GRACE_S + TICK_S
    assert await world.is_out(seen)


@pytest.mark.parametrize(
    ("silent_ms", "holder", "looks_s", "ended"),
    [
        pytest.param(2 * LEASE_MS, OWNER.pid, [0.0], [], id="not yet two leases"),
        pytest.param(2 * LEASE_MS + 1, OWNER.pid, [0.0], [("ours", False)], id="a stopped one of ours"),
        pytest.param(LONG_AGO_MS, OWNER.pid, [0.0, HELD_RUNNING_S], [("ours", False)] * 2, id="a slow disk gets its time"),
        pytest.param(
            LONG_AGO_MS, OWNER.pid, [0.0, HELD_RUNNING_S + 0.1], [("ours", False), ("the owner", True)], id="held by the owner for long"
        ),
        pytest.param(LONG_AGO_MS, 77, [0.0, 100.0], [("ours", False)] * 2, id="held by another for long"),
        pytest.param(LONG_AGO_MS, None, [0.0, 100.0], [("ours", False)] * 2, id="nobody knows who holds it"),
    ],
)
async def test_a_holder_is_ended_late_and_one_that_runs_only_if_it_is_the_owner(
    world: World, silent_ms: int, holder: int | None, looks_s: list[float], ended: list[tuple[str, bool]]
) -> None:
    world.writable, world.holder = False, holder
    for look_s in looks_s:
        world.now_s += look_s
        assert not await world.is_out(world.lease(silent_ms=silent_ms)), "a locked file cannot be taken over"
    assert world.ended == ended


async def test_an_owner_that_let_go_of_the_lock_in_between_gets_its_time_again(world: World) -> None:
    world.writable = False
    for holder in (OWNER.pid, None, OWNER.pid):
        world.holder = holder
        await world.is_out(world.lease(silent_ms=LONG_AGO_MS))
        world.now_s += HELD_RUNNING_S
    assert ("the owner", True) not in world.ended


def failure(kind: type[sqlite3.Error], code: int) -> sqlite3.Error:
    exc = kind("as SQLite says it")
    exc.sqlite_errorcode = code
    return exc


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        pytest.param(Locked("for 5 s"), BusAway, id="locked"),
        pytest.param(failure(sqlite3.OperationalError, sqlite3.SQLITE_FULL), BusAway, id="full disk"),
        pytest.param(failure(sqlite3.OperationalError, sqlite3.SQLITE_IOERR), BusAway, id="disk error"),
        pytest.param(failure(sqlite3.OperationalError, sqlite3.SQLITE_CANTOPEN), BusAway, id="cannot open"),
        pytest.param(failure(sqlite3.DatabaseError, sqlite3.SQLITE_NOTADB), BusError, id="no database"),
        pytest.param(failure(sqlite3.DatabaseError, sqlite3.SQLITE_CORRUPT), BusError, id="damaged"),
        pytest.param(BusError("unknown topic"), BusError, id="a sentence of our own"),
        pytest.param(KeyError("x"), KeyError, id="a mistake of ours"),
    ],
)
def test_what_passes_is_away_and_what_does_not_is_an_error(raised: Exception, said: type[Exception]) -> None:
    with pytest.raises(Exception) as caught, translated():  # noqa: PT011  (exactly which is asked below)
        raise raised
    assert type(caught.value) is said
    assert caught.value is raised or caught.value.__cause__ is raised


def test_a_waiting_appender_waits_longer_than_its_holder_is_left_alone() -> None:
    assert log_file.STUCK_AFTER_S < log_file.APPEND_WAIT_S
    assert lease.RENEW_EVERY_S * 1000 * 3 < LEASE_MS
    assert ALARM_MS < LEASE_MS
