"""Two workers share a stage's partitions on a real Kafka and PostgreSQL: frozen, killed, there and back; counted at the far end."""

import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.real import SESSIONS_S, a_real_world, away, back, both, has_all, passes, shared, under_load
from tests.faults.support import World, bytecode, until
from tools.soak.troupe import Actor

__all__ = ["bytecode"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.campaign, pytest.mark.timeout(150)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(
    tmp_path_factory: pytest.TempPathFactory, bytecode: Path, kafka_server: str, postgresql_address: str
) -> AsyncIterator[World]:
    async with a_real_world(tmp_path_factory.mktemp("members"), bytecode, kafka_server, postgresql_address) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def world(started: World) -> World:
    """Both workers awake and in the group, whatever the test before has left behind."""
    for actor in started.troupe.actors:
        actor.closing = False
        actor.send(signal.SIGCONT)
    await both(started)
    return started


async def next_meets(world: World, actor: Actor, fault: str) -> int:
    """End the place's process; the next one's pid, which meets the fault."""
    starts, actor.next_fault = actor.starts, fault
    actor.send(signal.SIGTERM)
    await until(lambda: actor.starts > starts and actor.pid, "the next process has been started")
    return actor.pid


async def test_a_worker_frozen_for_three_sessions_under_load_wakes_up_and_changes_nothing(world: World) -> None:
    """CASES B9."""
    frozen, other = await shared(world)
    pid = frozen.pid
    async with under_load(world):
        frozen.send(signal.SIGSTOP)
        await has_all(world, other)
        await passes(SESSIONS_S)
        frozen.send(signal.SIGCONT)
        await shared(world)
    await world.ends_well()
    assert frozen.pid == pid, "it has noticed by itself and joined again"


async def test_a_worker_frozen_for_less_than_a_session_loses_nothing_and_nobody_takes_over(world: World) -> None:
    frozen, _ = await shared(world)
    before = len(world.watch.owners[1])
    async with under_load(world):
        frozen.send(signal.SIGSTOP)
        await passes(0.5)
        frozen.send(signal.SIGCONT)
    await world.ends_well()
    assert len(world.watch.owners[1]) == before


async def test_a_partition_that_goes_there_and_back_twice_is_where_its_store_says(world: World) -> None:
    """CASES B10."""
    stays, comes = await shared(world)
    await away(world, comes)
    await has_all(world, stays)
    async with under_load(world):
        for _ in range(2):
            back(world, comes)
            await shared(world)
            await away(world, comes)
            await has_all(world, stays)
    await world.ends_well()
    repeats = world.far.repeats
    stays.send(signal.SIGTERM)
    await has_all(world, stays)
    await world.producer.run(0.5)
    await world.ends_well()
    assert world.far.repeats == repeats, "a restart says nothing again"
    assert "log alarm" not in world.said(stays)


async def test_a_killed_workers_partitions_go_to_the_other_one(world: World) -> None:
    killed, other = await shared(world)
    async with under_load(world):
        killed.closing = True  # its place stays empty for now
        killed_s = time.monotonic()
        killed.send(signal.SIGKILL)
        await has_all(world, other)
        print(f"take-over after kill -9: {time.monotonic() - killed_s:.3f} s", file=sys.stderr)
    await world.ends_well()
    back(world, killed)
    await shared(world)


async def test_sigterm_under_load_is_a_clean_end_and_the_other_one_goes_on(world: World) -> None:
    stopped, other = await shared(world)
    endings = len(stopped.endings)
    async with under_load(world):
        await away(world, stopped)
        await has_all(world, other)
    await world.ends_well()
    assert [ending.code for ending in stopped.endings[endings:]] == [0]
    back(world, stopped)
    await shared(world)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("loop.commit.before:freeze:5", id="inside a transaction"),
        pytest.param("loop.commit.after:freeze:5", id="between COMMIT and relay"),
        pytest.param("relay.append.before:freeze:5", id="before the relay's append"),
        pytest.param("takeover.commit.before:freeze:2", id="inside a take-over"),
        pytest.param("takeover.commit.after:freeze:2", id="between take-over and resending"),
    ],
)
async def test_a_worker_that_stands_still_at_a_point_is_followed_and_nothing_overtakes(world: World, point: str) -> None:
    frozen, other = await shared(world)
    async with under_load(world):
        pid = await next_meets(world, frozen, point)
        await until(frozen.is_frozen, f"it stands still at {point}")
        await has_all(world, other)
        frozen.send(signal.SIGCONT)
        await shared(world)
    await world.ends_well()
    assert frozen.pid == pid or frozen.endings[-1].pid == pid, "it is itself or its own successor"
