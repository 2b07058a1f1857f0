"""A PostgreSQL of the tests' own is stopped, killed, frozen and made read-only under load; workers wait for it, and lose nothing."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests import postgresql_server
from tests.faults.real import a_real_world, both, passes, shared, under_load
from tests.faults.support import World, bytecode, until
from tests.postgresql_server import Server, sql

__all__ = ["bytecode"]

BACK_S_MAX = 60.0
AWAY_S = 1.0
FROZEN_S = 4.0
READ_ONLY_S = 3.0  # CASES D39, in seconds instead of minutes
READ_ONLY = "ALTER SYSTEM SET default_transaction_read_only = {}"

Hurt = Callable[[Server], Awaitable[None]]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.campaign, pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    with postgresql_server.server() as own:
        yield own


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory, bytecode: Path, kafka_server: str, server: Server) -> AsyncIterator[World]:
    async with a_real_world(tmp_path_factory.mktemp("postgresql"), bytecode, kafka_server, server.address) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def world(started: World) -> World:
    """Both workers share the partitions, whatever the test before has left behind."""
    for actor in started.troupe.actors:
        actor.closing = False
    await both(started)
    return started


async def stopped(server: Server) -> None:
    """As an administrator does, who does not wait for transactions."""
    await asyncio.to_thread(server.stop, signal.SIGINT)
    await passes(AWAY_S)
    await asyncio.to_thread(server.start)


async def crashed(server: Server) -> None:
    """Immediate shutdown: every backend drops everything."""
    await asyncio.to_thread(server.stop, signal.SIGQUIT)
    await asyncio.to_thread(server.start)


async def killed(server: Server) -> None:
    """kill -9 of everything."""
    await asyncio.to_thread(server.kill)
    await passes(AWAY_S)
    await asyncio.to_thread(server.start)


async def frozen(server: Server) -> None:
    """It takes connections and answers nothing."""
    server.freeze()
    await passes(FROZEN_S)
    server.thaw()


async def made_read_only(server: Server) -> None:
    """Every transaction that begins is refused its writes (CASES D39)."""
    await asyncio.to_thread(sql, server.address, READ_ONLY.format("on"), "SELECT pg_reload_conf()")
    await passes(READ_ONLY_S)
    off = ("SET default_transaction_read_only = off", READ_ONLY.format("off"), "SELECT pg_reload_conf()")
    await asyncio.to_thread(sql, server.address, *off)


@pytest.mark.parametrize("hurt", [stopped, crashed, killed, frozen, made_read_only])
async def test_a_database_that_goes_away_under_load_and_comes_back_costs_nothing_and_ends_no_worker(
    world: World, server: Server, hurt: Hurt
) -> None:
    before = [len(actor.endings) for actor in world.troupe.actors]
    async with under_load(world):
        await hurt(server)
    await world.ends_well(within_s=BACK_S_MAX)
    assert [len(actor.endings) for actor in world.troupe.actors] == before, "nobody had to be started again"


async def test_a_worker_that_is_stopped_while_the_database_is_away_ends_in_time_and_its_next_one_waits_for_it(
    world: World, server: Server
) -> None:
    one, _ = await shared(world)
    endings = len(one.endings)
    async with under_load(world):
        await asyncio.to_thread(server.stop)
        asked_s = time.monotonic()
        one.send(signal.SIGTERM)
        ending = await world.ending(one, endings)
        print(f"SIGTERM while PostgreSQL is away: ended after {time.monotonic() - asked_s:.3f} s")
        assert ending.code == 0
        await until(lambda: one.pid, "its successor has been started while the database is away")
        await passes(AWAY_S)
        await asyncio.to_thread(server.start)
        await shared(world)
    await world.ends_well(within_s=BACK_S_MAX)
    assert len(one.endings) == endings + 1, "the start waits for the database and does not fail"
