"""Real processes: killed, frozen, frozen at points inside transactions, ended in a batch, started twice; counted at the far end."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.errors import BusError
from tests.e2e.world import World as Platform
from tests.faults.support import World, a_world, bytecode, until

__all__ = ["bytecode"]

LEASES_S = 3.0  # three leases
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc/locks and pidfd are Linux's")


@pytest.fixture
async def world(tmp_path: Path, bytecode: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path, bytecode) as made:
        yield made


async def test_owners_of_both_stages_are_killed_under_load_and_nothing_is_lost_doubled_or_reordered(tmp_path: Path, bytecode: Path) -> None:
    async with a_world(tmp_path, bytecode, 1, 2) as world:
        await world.start()
        loading = asyncio.create_task(world.producer.run(2.0))
        for stage, count in ((1, 150), (2, 300)):
            await world.arrived(count)
            owner, standby = await world.pair(stage)
            killed_s = time.monotonic()
            owner.send(signal.SIGKILL)
            await world.owns(standby)
            print(f"stage {stage}: take-over after kill -9: {world.watch.owners[stage][-1].at_s - killed_s:.3f} s", file=sys.stderr)
        await loading
        await world.ends_well()


async def test_a_frozen_owner_wakes_up_after_three_leases_and_finds_itself_replaced(world: World) -> None:
    owner, standby = await world.start()
    loading = asyncio.create_task(world.producer.run(1.0))
    await world.arrived(100)
    frozen = owner.pid
    owner.send(signal.SIGSTOP)
    await world.owns(standby)
    await loading
    await world.producer.run(LEASES_S)
    owner.send(signal.SIGCONT)
    await world.waits(1, owner)  # the woken one, or its successor where it was frozen with a lock and had to be ended
    assert owner.pid == frozen or owner.endings[0].by_waiter
    await world.ends_well()
    assert [change.pid for change in world.watch.owners[1]] == [frozen, standby.pid]


@linux
@pytest.mark.parametrize("point", ["loop.commit.before:freeze:5", "bus.append.before:freeze:5", "bus.offsets.before:freeze:1"])
async def test_an_owner_frozen_inside_a_transaction_is_ended_by_who_waits(world: World, point: str) -> None:
    owner, standby = await world.start(fault=point)
    loading = asyncio.create_task(world.producer.run(2.0))
    await until(owner.is_frozen, f"it stands still at {point}")
    ending = await world.ending(owner)
    assert ending.by_waiter, ending
    await world.owns(standby)
    await loading
    await world.ends_well()


@linux
async def test_an_owner_frozen_inside_its_take_over_is_ended_by_who_waits(world: World) -> None:
    owner, standby = await world.start(fault="takeover.commit.before:freeze:1")
    loading = asyncio.create_task(world.producer.run(1.0))
    await until(owner.is_frozen, "it stands still in its take-over")
    ending = await world.ending(owner)
    assert ending.by_waiter, ending
    await world.owns(standby)
    await loading
    await world.ends_well()


@linux
@pytest.mark.parametrize("point", ["relay.append.before:freeze:5", "loop.commit.after:freeze:5", "takeover.commit.after:freeze:1"])
async def test_an_owner_frozen_between_transactions_is_replaced_and_wakes_up_as_standby(world: World, point: str) -> None:
    owner, standby = await world.start(fault=point)
    frozen = owner.pid
    loading = asyncio.create_task(world.producer.run(1.5))
    await until(owner.is_frozen, f"it stands still at {point}")
    await world.owns(standby)
    await loading
    await world.producer.run(0.5)
    owner.send(signal.SIGCONT)
    await world.waits(1, owner)
    assert owner.pid == frozen
    await world.ends_well()


async def test_sigterm_in_a_batch_is_a_clean_end_and_the_standby_goes_on(world: World) -> None:
    owner, standby = await world.start()
    loading = asyncio.create_task(world.producer.run(1.5))
    await world.arrived(200)
    owner.send(signal.SIGTERM)
    assert (await world.ending(owner)).code == 0
    await world.owns(standby)
    await loading
    await world.ends_well()


async def test_two_that_start_at_once_are_one_owner_and_one_standby(tmp_path: Path) -> None:
    platform = Platform(tmp_path, {})
    try:
        one, other = await asyncio.gather(platform.start("worker", "accounts"), platform.start("worker", "accounts"))

        async def settled() -> bool:
            try:
                groups = await platform.groups()
            except BusError:  # it is just being made
                return False
            return any({g.pid, *g.standby} == {one.pid, other.pid} and g.epoch == 1 for g in groups)

        await until(settled, "one owns accounts in epoch 1 and the other waits")
        assert one.process.returncode is None and other.process.returncode is None
    finally:
        await platform.end_all()
