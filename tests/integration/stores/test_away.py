"""A bus or a store that is away is waited for, also at a take-over and by the pruner (CASES B31: longer than any one wait)."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from agents.runtime import partition, pruning
from agents.runtime.mailbox import Mailbox
from agents.runtime.partition import Terms
from bus.errors import BusAway
from bus.record import Fence
from config.retry import Schedule
from stores.engine import StoreAway
from tests.integration.stores.test_mailbox import T0
from tests.integration.stores.test_pruning import KEEP
from tests.integration.stores.world import HORIZON_MS, FakeBus, World

FENCE = Fence("boxes", 1)
AWAY = 3


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again soon."""
    monkeypatch.setattr("agents.runtime.patience.STORE_AWAY", Schedule(1, 2, 2, 1000))


def away_at_first(call: Callable[..., Any], away: Exception) -> tuple[Callable[..., Any], list[int]]:
    """The call, which is away the first times; and how often it was made."""
    calls: list[int] = []

    async def asked(*args: Any, **kwargs: Any) -> Any:
        calls.append(len(calls))
        if len(calls) <= AWAY:
            raise away
        return await call(*args, **kwargs)

    return asked, calls


async def test_a_take_over_waits_for_a_store_that_somebody_has_locked_for_longer_than_one_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, calls = away_at_first(world.store.transaction, StoreAway("locked for 30 s"))
    monkeypatch.setattr(world.store, "transaction", asked)
    taken, _ = await partition.take_over(world.service, world.store, FakeBus(), FENCE, 0, Terms(HORIZON_MS, 500, lambda: world.now_ms))  # type: ignore[arg-type]
    assert taken.tenure.epoch == world.tenure.epoch + 1, "no epoch was wasted on what did not happen"
    assert len(calls) > AWAY


async def test_an_assignment_waits_for_a_bus_that_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = FakeBus(end=10)
    asked, calls = away_at_first(bus.ends, BusAway("recovering"))
    monkeypatch.setattr(bus, "ends", asked)
    mailbox = Mailbox(world.service, world.store, bus, Terms(HORIZON_MS, 500, lambda: world.now_ms))  # type: ignore[arg-type]
    assert dict(await mailbox.assigned({T0}, FENCE)) == {T0: 0}
    assert len(calls) > AWAY and not mailbox.failed.done()
    await mailbox.close()


async def test_a_bus_that_cannot_be_pruned_just_now_is_pruned_at_a_later_turn(world: World) -> None:
    pruned = asyncio.Event()

    async def prune(_: int) -> int:
        pruned.set()
        return 0

    bus = FakeBus()
    asked, calls = away_at_first(prune, BusAway("locked"))
    bus.prune = asked  # type: ignore[attr-defined]
    mailbox = Mailbox(world.service, world.store, bus, Terms(HORIZON_MS, 500, lambda: world.now_ms))  # type: ignore[arg-type]
    often = dataclasses.replace(KEEP, every_s=0.001)
    pruner = asyncio.create_task(pruning.run(mailbox, bus, often, lambda: world.now_ms))  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        await asyncio.wait([pruner, asyncio.create_task(pruned.wait())], return_when=asyncio.FIRST_COMPLETED)
    assert not pruner.done() and len(calls) == AWAY + 1
    pruner.cancel()
    await asyncio.gather(pruner, return_exceptions=True)
