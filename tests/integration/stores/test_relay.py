"""The relay: in order, a refused row stops its own actor only, a bus that is away loses nothing, what was sent goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agents.runtime.batch import Done
from agents.runtime.ownership import LostEpoch
from agents.runtime.relay import Relay
from bus.errors import BusAway, LostLease
from bus.record import Fence
from config import faults
from config.limits import RELAY_BATCH_MAX, RELAY_QUEUE_MAX
from config.retry import HEALING
from stores.runtime import outbox, suspended
from tests.integration.stores.world import Do, FakeBus, World, until


def a_relay(world: World, bus: FakeBus) -> Relay:
    return Relay(bus, world.store, Fence("boxes", world.tenure.epoch), world.tenure, lambda: world.now_ms)  # type: ignore[arg-type]


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(relay.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def speak(world: World, *said: tuple[str, str, int]) -> Done:
    """Each of these actors tells `number` others."""
    return await world.run(*(world.record(actor, Do(what="say", word=word, number=number)) for actor, word, number in said))


def refusing(*keys: str) -> FakeBus:
    return FakeBus(refuses=lambda r: f"{(r.key or b'').decode()} is too large" if (r.key or b"").decode() in keys else None)


def keys(bus: FakeBus) -> list[str]:
    return [key for key, _ in bus.words()]


async def test_rows_leave_in_order_and_are_deleted_when_the_bus_has_them(world: World) -> None:
    bus = FakeBus()
    relay = a_relay(world, bus)
    async with running(relay):
        relay.hand((await speak(world, ("a", "p", 3))).leaving)
        relay.hand((await speak(world, ("b", "q", 2))).leaving)
        assert await relay.drain(5)
    assert keys(bus) == ["p0", "p1", "p2", "q0", "q1"]
    assert await world.rows(outbox) == []


async def test_an_idle_relay_deletes_what_was_sent_by_itself(world: World) -> None:
    bus = FakeBus()
    relay = a_relay(world, bus)
    async with running(relay):
        relay.hand((await speak(world, ("a", "p", 1))).leaving)
        await until(lambda: _is_empty(world))


async def test_while_a_transaction_of_the_partition_is_on_its_way_what_was_sent_is_left_to_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.runtime.relay.OUTBOX_DELETE_DELAY_S", 0.001)
    asked = 0

    def in_work() -> bool:
        nonlocal asked
        asked += 1
        return asked < 5

    bus = FakeBus()
    relay = a_relay(world, bus)
    relay.in_work = in_work
    async with running(relay):
        relay.hand((await speak(world, ("a", "p", 1))).leaving)
        await until(lambda: _is_empty(world))
    assert asked == 5, "it looked again after each wait, and deleted when the partition was idle"


async def _is_empty(world: World) -> bool:
    return await world.rows(outbox) == []


async def test_more_rows_than_one_append_takes_go_in_several(world: World) -> None:
    bus = FakeBus()
    relay = a_relay(world, bus)
    async with running(relay):
        relay.hand((await speak(world, ("a", "p", RELAY_BATCH_MAX + 1))).leaving)
        assert await relay.drain(5)
    assert bus.calls == [RELAY_BATCH_MAX, 1]


async def test_halving_finds_the_one_refused_row_and_only_its_actor_stops(world: World) -> None:
    bus = refusing("bad0")
    relay = a_relay(world, bus)
    done = await speak(world, ("a", "p", 2), ("x", "bad", 1), ("b", "q", 2), ("x", "later", 2), ("c", "r", 1))
    async with running(relay):
        relay.hand(done.leaving)
        assert await relay.drain(5)
    assert keys(bus) == ["p0", "p1", "q0", "q1", "r0"]
    ((actor, _, reason, error, *_),) = await world.rows(suspended)
    assert (actor, reason, error) == ("x", "unsendable", "bad0 is too large")
    first, *behind = await world.column(outbox.c.refused)
    assert first == "bad0 is too large" and len(behind) == 2
    assert set(behind) == {f"behind row {done.leaving[2].id}: bad0 is too large"}


async def test_rows_that_come_after_the_refusal_stay_behind_it(world: World) -> None:
    bus = refusing("bad0")
    relay = a_relay(world, bus)
    first = await speak(world, ("x", "bad", 1), ("x", "early", 1))
    later = await speak(world, ("x", "late", 1), ("a", "p", 1))  # committed before the relay has noticed
    async with running(relay):
        relay.hand(first.leaving)
        await until(lambda: _refused(world, 2))
        relay.hand(later.leaving)
        assert await relay.drain(5)
        assert keys(bus) == ["p0"] and await _refused(world, 3)


async def _refused(world: World, count: int) -> bool:
    return len([why for why in await world.column(outbox.c.refused) if why]) == count


async def test_a_healed_actors_rows_leave_oldest_first(world: World) -> None:
    bus = refusing("bad0")
    relay = a_relay(world, bus)
    async with running(relay):
        relay.hand((await speak(world, ("x", "bad", 1), ("x", "late", 2))).leaving)
        assert await relay.drain(5)
        await speak(world, ("x", "queued", 1))
        bus.refuses = lambda _: None
        healed = await world.heal("x")
        relay.hand(healed.leaving)
        relay.unblock("x")
        assert await relay.drain(5)
    assert keys(bus) == ["bad0", "late0", "late1", "queued0"]
    assert not healed.released, "whether the bus takes them shows at the next try"
    assert (await world.heal("x", tries=1)).released
    assert await world.rows(suspended) == []


async def test_a_row_that_is_refused_again_and_again_spends_the_budget_of_its_actor(world: World) -> None:
    bus = refusing("bad0")
    relay = a_relay(world, bus)
    async with running(relay):
        relay.hand((await speak(world, ("x", "bad", 1))).leaving)
        assert await relay.drain(5)
        for tries in range(HEALING.budget):
            healed = await world.heal("x", tries=tries)
            assert healed.stuck == (tries + 1 == HEALING.budget)
            relay.hand(healed.leaving)
            relay.unblock("x")
            assert await relay.drain(5)
    assert await world.column(suspended.c.next_ms) == [None]
    assert await world.column(outbox.c.refused) == ["bad0 is too large"]


async def test_a_new_owner_holds_back_what_stands_behind_a_refused_row(world: World) -> None:
    """The old owner died between refusing the first row and marking the others."""
    bus = refusing("bad0")
    done = await speak(world, ("x", "bad", 1), ("x", "late", 1), ("a", "p", 1))
    relay = a_relay(world, bus)
    with faults.installed(_dies_after_refusing), pytest.raises(faults.InjectedFault):
        await relay._deliver(done.leaving)
    assert await _refused(world, 1)
    await world.take_over()
    assert await a_relay(world, bus).resend() == 2
    assert keys(bus) == ["p0"] and await _refused(world, 2)


def _dies_after_refusing(point: str) -> None:
    if point == "relay.commit.after":
        raise faults.InjectedFault(point)


async def test_a_bus_that_is_away_is_asked_again_and_nothing_is_lost_or_overtaken(world: World) -> None:
    bus = FakeBus(failures=[BusAway("locked"), BusAway("full")])
    relay = a_relay(world, bus)
    async with running(relay):
        relay.hand((await speak(world, ("a", "p", 2))).leaving)
        relay.hand((await speak(world, ("a", "q", 1))).leaving)
        assert await relay.drain(5)
    assert keys(bus) == ["p0", "p1", "q0"] and bus.calls == [2, 2, 2, 1]


async def test_what_was_left_behind_is_sent_oldest_first_before_anything_new(world: World) -> None:
    bus = FakeBus()
    await speak(world, ("a", "p", RELAY_BATCH_MAX), ("b", "q", 1))
    relay = a_relay(world, bus)
    assert await relay.resend() == RELAY_BATCH_MAX + 1
    async with running(relay):
        relay.hand((await speak(world, ("a", "new", 1))).leaving)
        assert await relay.drain(5)
    assert keys(bus) == [*(f"p{n}" for n in range(RELAY_BATCH_MAX)), "q0", "new0"]
    assert await world.rows(outbox) == []


async def test_nothing_left_behind_is_nothing_sent(world: World) -> None:
    bus = FakeBus()
    assert await a_relay(world, bus).resend() == 0
    assert bus.calls == []


async def test_a_lost_lease_ends_the_relay_and_the_rows_stay(world: World) -> None:
    bus = FakeBus(failures=[LostLease("somebody else")])
    relay = a_relay(world, bus)
    async with running(relay) as task:
        relay.hand((await speak(world, ("a", "p", 1))).leaving)
        with pytest.raises(LostLease):
            await task
    assert len(await world.rows(outbox)) == 1 and bus.records == []


async def test_a_relay_of_a_lost_epoch_deletes_marks_and_resends_nothing(world: World) -> None:
    bus = refusing("bad0")
    done = await speak(world, ("a", "p", 1), ("x", "bad", 1))
    relay = a_relay(world, bus)
    await world.take_over()
    before = await world.everything()
    with pytest.raises(LostEpoch):
        await relay._deliver(done.leaving)
    with pytest.raises(LostEpoch):
        await relay._delete_sent()
    with pytest.raises(LostEpoch):
        await relay.resend()
    assert await world.everything() == before


async def test_a_relay_that_is_cancelled_in_the_moment_in_which_it_gets_rows_ends(world: World) -> None:
    bus = FakeBus()
    relay = a_relay(world, bus)
    done = await speak(world, ("a", "p", 1), ("a", "q", 1))
    async with running(relay) as task:
        relay.hand(done.leaving[:1])
        await until(lambda: bus.records)
        relay.hand(done.leaving[1:])
        task.cancel()
        ended, _ = await asyncio.wait([task], timeout=5)
        assert ended and task.cancelled()


async def test_draining_waits_for_a_bus_that_hangs_only_so_long(world: World) -> None:
    bus = FakeBus()
    bus.open.clear()
    relay = a_relay(world, bus)
    async with running(relay):
        relay.hand((await speak(world, ("a", "p", 1))).leaving)
        assert not await relay.drain(0.05)
        bus.open.set()
        assert await relay.drain(5)
    assert keys(bus) == ["p0"]


async def test_what_was_taken_to_be_deleted_is_given_back_in_front_when_its_transaction_fails(world: World) -> None:
    bus = FakeBus()
    relay = a_relay(world, bus)
    done = await speak(world, ("a", "p", 2))
    await relay._deliver(done.leaving[:1])
    sent = relay.take_sent()
    assert sent == [done.leaving[0].id] and relay.take_sent() == []
    await relay._deliver(done.leaving[1:])
    relay.give_back(sent)
    assert relay.take_sent() == [p.id for p in done.leaving]


async def test_the_loop_waits_while_too_many_rows_wait(world: World) -> None:
    bus = FakeBus()
    bus.open.clear()
    relay = a_relay(world, bus)
    row = (await speak(world, ("a", "p", 1))).leaving[0]
    async with running(relay):
        relay.hand([row] * (RELAY_QUEUE_MAX + 1 + RELAY_BATCH_MAX))
        waiting = asyncio.create_task(relay.room())
        await until(lambda: bus.open.is_set() or len(relay) <= RELAY_QUEUE_MAX + 1)
        assert not waiting.done()
        bus.open.set()
        await asyncio.wait_for(waiting, 5)
        assert len(relay) <= RELAY_QUEUE_MAX // 2
