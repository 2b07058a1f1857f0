"""The lease's rules on a file in memory: epochs grow, only who was seen is followed, nobody is dead on a guess."""

import sqlite3
from collections.abc import Iterator

import pytest

from bus.errors import LostLease
from bus.record import Fence
from bus.sqlite import lease, schema
from stores.process import Process, boot_id, is_alive, monotonic_ms, this_process

ME = this_process()
DEAD = Process(ME.pid, ME.started + 1, ME.boot, ME.host)  # the same pid, an earlier process
ELSEWHERE = Process(1, 1, "another-boot/another-namespace", "another-host")


@pytest.fixture
def c() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.create(connection)
    yield connection
    connection.close()


def take(c: sqlite3.Connection, member: str = "m", me: Process = ME) -> Fence | None:
    return lease.acquire(c, "g", member, me, lease.look(c, "g"), wait_s=1, stuck=None)


def test_every_acquisition_has_the_next_epoch(c: sqlite3.Connection) -> None:
    assert [take(c, member) for member in "abc"] == [Fence("g", 1), Fence("g", 2), Fence("g", 3)]


def test_a_lease_that_was_renewed_after_the_look_is_not_taken(c: sqlite3.Connection) -> None:
    fence = take(c, "a")
    assert fence is not None
    seen = lease.look(c, "g")
    c.execute("UPDATE lease SET renewed_ms = renewed_ms + 1")
    assert lease.acquire(c, "g", "b", ME, seen, wait_s=1, stuck=None) is None
    assert lease.look(c, "g").epoch == 1


def test_renewing_tells_who_has_lost_the_lease(c: sqlite3.Connection) -> None:
    old = take(c, "a")
    new = take(c, "b")
    assert old is not None and new is not None
    assert lease.renew(c, {"a": old, "b": new}, wait_s=1, stuck=None) == ["a"]
    with pytest.raises(LostLease):
        lease.still_held(c, old, "a")
    lease.still_held(c, new, "b")


def test_what_is_given_back_keeps_its_epoch_and_has_no_owner(c: sqlite3.Connection) -> None:
    fence = take(c)
    lease.release(c, "m", fence, wait_s=1)
    assert lease.look(c, "g") == lease.Lease(1, None, None, lease.look(c, "g").since_ms, lease.look(c, "g").renewed_ms)
    assert take(c) == Fence("g", 2)


def test_giving_back_an_old_lease_does_not_touch_the_new_one(c: sqlite3.Connection) -> None:
    old = take(c, "a")
    take(c, "b")
    lease.release(c, "a", old, wait_s=1)
    assert lease.look(c, "g").owner == "b"


def test_a_process_is_its_start_time_too() -> None:
    assert is_alive(ME) is True
    assert is_alive(DEAD) is False


def test_of_another_machine_nothing_is_known() -> None:
    assert is_alive(ELSEWHERE) is None
    assert is_alive(Process(ME.pid, ME.started, "an-earlier-boot/x", ME.host)) is False


def test_silence_is_counted_on_the_shared_clock_and_not_on_another_machines(c: sqlite3.Connection) -> None:
    take(c)
    seen = lease.look(c, "g")
    assert lease.silent_ms(seen._replace(renewed_ms=monotonic_ms() - 5000)) in range(5000, 8000)
    assert lease.silent_ms(seen._replace(process=ELSEWHERE)) is None


def test_only_this_very_process_is_registered(c: sqlite3.Connection) -> None:
    lease.register(c, ME, stuck=lambda _: None)
    assert lease.is_registered(c, ME.pid, ME.started)
    assert not lease.is_registered(c, ME.pid, ME.started + 1)
    assert not lease.is_registered(c, 1, ME.started)


def test_registering_forgets_the_dead(c: sqlite3.Connection) -> None:
    c.execute("INSERT INTO process(pid, started, boot, host) VALUES(?,?,?,?)", DEAD)
    c.execute("INSERT INTO process(pid, started, boot, host) VALUES(?,?,?,?)", ELSEWHERE)
    lease.register(c, ME, stuck=lambda _: None)
    assert c.execute("SELECT count(*) FROM process").fetchone() == (2,)


def test_the_list_of_groups_shows_owner_and_standbys_that_live(c: sqlite3.Connection) -> None:
    take(c)
    lease.stand_by(c, "g", "s", ME, wait_s=1)
    lease.stand_by(c, "g", "d", DEAD, wait_s=1)
    [row] = lease.groups(c)
    assert (row.group, row.epoch, row.pid, row.host, row.alive, row.standby) == ("g", 1, ME.pid, ME.host, True, (ME.pid,))


def test_an_owner_that_is_dead_or_silent_is_not_alive(c: sqlite3.Connection) -> None:
    take(c, "m", DEAD)
    assert [row.alive for row in lease.groups(c)] == [False]
    take(c, "m", ME)
    c.execute("UPDATE lease SET renewed_ms = renewed_ms - 60000")
    assert [row.alive for row in lease.groups(c)] == [False]


def test_the_boot_names_the_namespace_of_pids_too() -> None:
    assert boot_id() == boot_id()
    assert "/" in boot_id()
