"""Workers in processes of their own: standby, take-over after kill -9, and a frozen owner that wakes up (CASES B34, D3)."""

import asyncio
import contextlib
import json
import signal
import sys
from functools import partial

import aiohttp
import pytest

from stores.process import FROZEN_STATES, process_state
from tests.e2e.world import Running, World, base, people, until
from tools.check import pictured
from tools.consistency import broken


async def _pair_and_gateway(world: World) -> tuple[Running, Running, str]:
    first = await world.start("worker", "accounts", "users")
    await world_has_owner(world, first)
    second = await world.start("worker", "accounts", "users")
    gateway = await world.start("gateway", "--port", "0")
    url = base(await gateway.where())
    for service in ("accounts", "users"):
        await second.says(f"group {service}: waiting as standby, pid {first.pid} has it")
    return first, second, url


async def world_has_owner(world: World, process: Running) -> None:
    """Wait for the bus to exist, then for its owner."""
    await process.says("partition taken over")
    await world.owned_by(process, "accounts", "users")


async def test_a_standby_takes_over_from_a_killed_owner_and_ends_what_was_pending(world: World) -> None:
    first, second, url = await _pair_and_gateway(world)
    async with people(url) as crowd:
        burst = asyncio.create_task(crowd.register(30))
        await crowd.answers(3)
        first.send(signal.SIGKILL)
        await world.owned_by(second, "accounts", "users")
        await burst
        await crowd.all_members()
        await world.agrees(crowd)


async def test_a_frozen_owner_that_wakes_up_doubles_nothing(world: World) -> None:
    first, second, url = await _pair_and_gateway(world)
    async with people(url) as crowd:
        burst = asyncio.create_task(crowd.register(30))
        await crowd.answers(3)
        first.send(signal.SIGSTOP)
        await world.owned_by(second, "accounts", "users")
        with contextlib.suppress(ProcessLookupError):  # ended by the waiter
            first.send(signal.SIGCONT)
        await crowd.register(5)
        await burst
        await crowd.all_members()
        await world.agrees(crowd)
        await _is_standby_or_was_ended(world, first, second)


async def _is_standby_or_was_ended(world: World, first: Running, second: Running) -> None:
    """Frozen inside a write transaction it was ended by whoever waited for the file, a gateway too (DESIGN 1); else it is a standby."""
    waiting = [f"group {service}: waiting as standby, pid {second.pid} has it" for service in ("accounts", "users")]

    async def settled() -> bool:
        return first.process.returncode is not None or all(words in first.said() for words in waiting)

    await until(settled, f"process {first.pid} waits for both services or was ended")
    if any(f"ended process {first.pid}" in each.said() for each in world.running):
        assert await first.ended() == -signal.SIGKILL
        return
    assert first.process.returncode is None, first.said()
    first.send(signal.SIGTERM)
    assert await first.ended() == 0, first.said()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc/locks and pidfd are Linux's")
async def test_a_gateway_that_waits_for_the_bus_ends_the_worker_that_froze_with_it(world: World) -> None:
    frozen = await world.start("worker", "accounts", "users", LENDBUS_FAULT="bus.append.before:freeze:1")
    async with people(base(await (await world.start("gateway", "--port", "0", LENDBUS_WAIT_MS="0")).where())) as crowd:
        await crowd.register(1)
        await until(partial(_is_frozen, frozen), "the worker stands still inside an append")
        await crowd.register(1)
        assert await frozen.ended() == -signal.SIGKILL
        await world.start("worker", "accounts", "users")
        await crowd.all_members()
        await world.agrees(crowd)


async def _is_frozen(process: Running) -> bool:
    return process_state(process.pid) in FROZEN_STATES


async def test_a_worker_says_where_its_metrics_are(world: World) -> None:
    worker = await world.start("worker", "accounts", LENDBUS_METRICS_PORT="0", LENDBUS_LOG_FORMAT="json")
    await worker.says("metrics are served")
    [line] = [said for said in map(json.loads, worker.said().splitlines()) if said["event"] == "metrics are served"]
    async with aiohttp.ClientSession() as http, http.get(line["url"]) as answer:
        assert answer.status == 200 and "lendbus_" in await answer.text()


async def test_a_worker_beside_up_is_standby_and_takes_over(world: World) -> None:
    whole = await world.start("up", "--port", "0")
    await whole.where()
    beside = await world.start("worker", "accounts")
    await beside.says(f"group accounts: waiting as standby, pid {whole.pid} has it")
    whole.send(signal.SIGTERM)
    assert await whole.ended() == 0
    await world.owned_by(beside, "accounts")
    beside.send(signal.SIGTERM)
    assert await beside.ended() == 0


async def test_a_coordinator_that_died_during_try_finds_its_registration_and_ends_it(world: World) -> None:
    """CASES D3: the participant freezes, the coordinator dies, and stays away for longer than the try deadline."""
    accounts = await world.start("worker", "accounts")
    users = await world.start("worker", "users", LENDBUS_TRY_DEADLINE_MS="300")
    async with people(base(await (await world.start("gateway", "--port", "0", LENDBUS_WAIT_MS="0")).where())) as crowd:
        await accounts.says("partition taken over")
        await users.says("partition taken over")
        accounts.send(signal.SIGSTOP)
        await crowd.register(3)
        assert await crowd.states() == ["TRYING"] * 3
        users.send(signal.SIGKILL)
        assert await users.ended() == -signal.SIGKILL
        accounts.send(signal.SIGCONT)
        await world.start("worker", "users")
        assert len(await crowd.ends()) == 1, "each by its deadline, or each by its Tried"
        assert broken(await pictured(world.settings)) == []


async def test_a_coordinator_killed_while_it_decides_decides_again(world: World) -> None:
    await world.start("worker", "accounts")
    users = await world.start("worker", "users", LENDBUS_FAULT="loop.commit.before:kill:2")
    async with people(base(await (await world.start("gateway", "--port", "0", LENDBUS_WAIT_MS="0")).where())) as crowd:
        await crowd.register(1)
        assert await users.ended() == -signal.SIGKILL
        await world.start("worker", "users")
        await crowd.all_members()
        await world.agrees(crowd)
