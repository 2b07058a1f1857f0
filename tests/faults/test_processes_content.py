"""Real processes and what they are fed: duplicates, poison, behaviours that raise, rows no database takes; full disk, locked files."""

import asyncio
import contextlib
import resource
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.runtime.envelope import MESSAGE_ID
from bus.record import Outgoing
from tests.faults.support import World, a_world, bytecode, locked, until
from tools.bench.load import message
from tools.soak.poison import ODDITIES, POISONS
from tools.soak.stage import REJECTED

__all__ = ["bytecode"]

HELD_S = 3.0
A_BATCH = 500
FILE_BYTES_MAX = 64 * 1024  # what a file may grow to while the disk is full


@pytest.fixture
async def world(tmp_path: Path, bytecode: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, bytecode) as made:
        yield made


def numbered(world: World, actor: str, count: int) -> list[Outgoing]:
    """The next messages of an actor, noted as sent."""
    first = world.producer.sent[actor]
    world.producer.sent[actor] += count
    return [message(actor, n, 0) for n in range(first, first + count)]


async def test_duplicates_in_one_batch_and_long_after_take_effect_once(world: World) -> None:
    await world.start(standby=False)
    actor = world.producer.actors[0]
    rows = numbered(world, actor, 100)
    await world.bus.append([row for row in rows for _ in range(3)])
    await world.arrived(100)
    await world.bus.append(rows)
    await world.bus.append(numbered(world, actor, 1))
    await world.ends_well()
    assert await world.counters() == {actor: (101, 100)}


async def test_poison_of_every_kind_between_good_ones_is_one_dead_letter_each_with_its_own_reason(world: World) -> None:
    actor = world.producer.actors[0]
    rows: list[Outgoing] = []
    for poison in POISONS:
        rows += [*numbered(world, actor, 1), poison.spoil(message(actor, 0, 0))]
    rows += [change(row) for change, row in zip(ODDITIES, numbered(world, actor, len(ODDITIES)), strict=True)]
    world.producer.poison.update(p.reason for p in POISONS)
    await world.bus.append(rows)
    await world.start(standby=False)
    await world.ends_well()
    letters = world.ask("SELECT reason, key, value FROM dead_letter ORDER BY offset")
    spoilt = [poison.spoil(message(actor, 0, 0)) for poison in POISONS]
    assert letters == [(p.reason, s.key, s.value) for p, s in zip(POISONS, spoilt, strict=True)]
    first, *_ = await world.bus.read("bench.second", 0, 0)
    assert dict(first.headers)[MESSAGE_ID]


async def test_a_behaviour_that_raises_for_one_actor_stops_nobody_else_and_a_redrive_heals_it_in_order(world: World) -> None:
    await world.start(standby=False)
    ill, well = world.producer.actors[:2]
    (world.folder / "raises" / ill).touch()
    await world.bus.append([row for pair in zip(numbered(world, ill, 20), numbered(world, well, 20), strict=True) for row in pair])
    await world.suspended(ill, "behaviour_raised", queued=20)
    await world.arrived(20)
    assert await world.counters() == {well: (20, 19)}
    world.ask(f"UPDATE suspended SET next_ms = NULL WHERE actor = '{ill}'")  # its budget is spent
    (world.folder / "raises" / ill).unlink()
    await world.bus.append(numbered(world, ill, 5))
    await until(lambda: world.ask("SELECT count(*) FROM parked") == [(25,)], "the followers queue behind")
    await world.redrive(ill)
    await world.ends_well()


async def test_a_behaviour_that_raises_for_one_actor_is_healed_by_a_restart_with_a_mended_version(world: World) -> None:
    ill, well = world.producer.actors[:2]
    (world.folder / "bugs" / ill).touch()
    owner, _ = await world.start(standby=False)
    await world.bus.append([*numbered(world, ill, 10), *numbered(world, well, 10)])
    await world.suspended(ill, "behaviour_raised", queued=10)
    world.ask(f"UPDATE suspended SET next_ms = next_ms + 3600000 WHERE actor = '{ill}'")  # by itself it is tried again in an hour
    (world.folder / "bugs" / ill).unlink()
    owner.send(signal.SIGTERM)
    assert (await world.ending(owner)).code == 0
    await world.bus.append(numbered(world, ill, 5))
    await world.ends_well()


async def test_a_row_that_the_database_rejects_in_a_batch_of_500_suspends_its_own_actor_only(world: World) -> None:
    actors = world.producer.actors
    rows = [row for actor in actors for row in numbered(world, actor, A_BATCH // len(actors))]
    ill = actors[7]
    at = next(n for n, row in enumerate(rows) if row.key == ill.encode()) + 4
    value = rows[at].value
    assert value is not None
    rows[at] = rows[at]._replace(value=value.replace(b'"x', b'"' + REJECTED.encode(), 1))
    await world.bus.append(rows)
    await world.start(standby=False)
    await world.suspended(ill, "row_rejected", queued=6)
    await world.arrived(A_BATCH - 6)
    each = A_BATCH // len(actors)
    assert await world.counters() == {**dict.fromkeys(actors, (each, each - 1)), ill: (4, 3)}
    (world.folder / "mended").touch()
    await world.redrive(ill)
    await world.ends_well()


async def test_a_full_disk_stops_the_work_and_with_room_it_goes_on(world: World) -> None:
    owner, _ = await world.start(standby=False)
    await world.producer.run(1.0)
    await world.arrived(world.producer.total)
    _, hard = resource.prlimit(owner.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(owner.pid, resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, hard))
    await world.producer.run(1.0)
    await until(lambda: "nothing is lost, asking again" in world.said(owner), "it says that the store is away")
    resource.prlimit(owner.pid, resource.RLIMIT_FSIZE, (hard, hard))
    await world.producer.run(0.2)
    await world.ends_well()
    assert not owner.endings


@pytest.mark.parametrize("name", ["bus.db", "first.db"])
async def test_a_stranger_who_locks_a_file_for_three_leases_ends_nobody_and_work_goes_on(world: World, name: str) -> None:
    owner, standby = await world.start()
    loading = asyncio.create_task(world.producer.run(HELD_S + 1.0))
    await world.arrived(100)
    with locked(world.folder / name):
        held_s = time.monotonic()
        await until(lambda: time.monotonic() - held_s > HELD_S, "the stranger has had enough")
    freed_s = time.monotonic()
    before = world.far.applied
    await world.arrived(before + 1)
    print(f"{name}: work went on {time.monotonic() - freed_s:.3f} s after the lock")
    await loading
    await world.ends_well()
    assert not owner.endings and not standby.endings


async def test_a_vacuum_and_a_checkpoint_by_hand_under_load_disturb_nobody(world: World) -> None:
    owner, standby = await world.start()
    loading = asyncio.create_task(world.producer.run(1.5))
    for count, statement in ((100, "VACUUM"), (200, "PRAGMA wal_checkpoint(TRUNCATE)")):
        await world.arrived(count)
        for name in ("bus.db", "first.db"):
            await asyncio.to_thread(by_hand, world.folder / name, statement)
    await loading
    await world.ends_well()
    assert not owner.endings and not standby.endings


def by_hand(path: Path, statement: str) -> None:
    """What a person types into sqlite3, until it is done."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=HELD_S)) as stranger:
        stranger.execute(statement).fetchall()
