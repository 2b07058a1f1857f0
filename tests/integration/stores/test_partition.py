"""An owned partition: runs in transactions of bounded size, halved to the rejected message, repeated while the store is away."""

import asyncio
from typing import Any

import pytest

from agents.runtime import position
from agents.runtime.ownership import LostEpoch
from agents.runtime.partition import Partition, Terms, take_over
from agents.runtime.position import Position
from bus.record import Fence
from config import faults
from stores.engine import StoreAway
from stores.runtime import inbox, outbox, parked, suspended
from tests.integration.stores.world import HORIZON_MS, Box, Do, FakeBus, World, until


async def owned(world: World, bus: FakeBus, *, batch_max: int = 500) -> tuple[Partition, Position | None]:
    terms = Terms(HORIZON_MS, batch_max, lambda: world.now_ms)
    partition, known = await take_over(world.service, world.store, bus, Fence("boxes", 1), 0, terms)  # type: ignore[arg-type]
    world.tenure = partition.tenure
    return partition, known


class Commits:
    """Counts the commits of each operation, and fails those that it is told to."""

    def __init__(self, **fail: BaseException) -> None:
        self.counts: dict[str, int] = {}
        self.fail = fail

    def __call__(self, point: str) -> None:
        self.counts[point] = self.counts.get(point, 0) + 1
        if exc := self.fail.pop(point.replace(".", "_"), None):
            raise exc


async def test_a_take_over_sends_what_was_left_behind_and_tells_where_the_old_owner_was(world: World) -> None:
    await world.run(world.record("a", Do(what="say", number=2, word="p")))
    bus = FakeBus()
    partition, known = await owned(world, bus)
    assert [key for key, _ in bus.words()] == ["p0", "p1"]
    assert known is not None and known.next_offset == 1
    assert partition.tenure.epoch == 2 and await world.rows(outbox) == []


async def test_a_fresh_partition_has_no_position(world: World) -> None:
    _, known = await owned(world, FakeBus())
    assert known is None


async def test_a_long_run_is_handled_in_transactions_of_bounded_size(world: World) -> None:
    partition, _ = await owned(world, FakeBus(), batch_max=4)
    commits = Commits()
    with faults.installed(commits):
        await partition.apply([world.record("a", Do(number=1)) for _ in range(10)])
    assert commits.counts["loop.commit.after"] == 3
    assert await world.box("a") == Box("a", 10, "x " * 10)


async def test_a_run_is_halved_until_the_rejected_message_is_alone_and_order_is_kept(world: World) -> None:
    partition, _ = await owned(world, FakeBus())
    run = [world.record(actor, Do(number=1, word=f"w{n}")) for n in range(4) for actor in "ab"]
    run[3] = world.record("b", Do(what="big"))._replace(offset=3)
    await partition.apply(run)
    assert await world.box("a") == Box("a", 4, "w0 w1 w2 w3 ")
    assert await world.box("b") == Box("b", 1, "w0 "), "what came before it stands, what came after queues behind"
    assert await world.column(parked.c.offset) == [3, 5, 7]
    assert await world.column(suspended.c.reason) == ["row_rejected"]
    reached = await world.store.transaction("loop.commit", position.read, 0)
    assert reached is not None and reached.next_offset == 8


async def test_two_rejected_messages_of_one_actor_are_two_in_its_queue(world: World) -> None:
    partition, _ = await owned(world, FakeBus())
    await partition.apply([world.record("a", Do(what="big")) for _ in range(2)])
    assert await world.column(parked.c.offset) == [0, 1]
    assert len(await world.rows(suspended)) == 1


async def test_rows_reach_the_relay_in_the_order_of_their_commits(world: World) -> None:
    bus = FakeBus()
    partition, _ = await owned(world, bus)
    relay = asyncio.create_task(partition.relay.run())
    runs = [[world.record("a", Do(what="say", number=1, word=f"w{n}-"))] for n in range(20)]
    await asyncio.gather(*(partition.apply(run) for run in runs))
    assert await partition.relay.drain(5)
    relay.cancel()
    await asyncio.gather(relay, return_exceptions=True)
    assert [key for key, _ in bus.words()] == [f"w{n}-0" for n in range(20)]


async def test_a_transaction_takes_along_what_the_bus_has_acknowledged(world: World) -> None:
    bus = FakeBus()
    partition, _ = await owned(world, bus)
    await partition.apply([world.record("a", Do(what="say", number=2))])
    relay = asyncio.create_task(partition.relay.run())
    await until(lambda: len(bus.records) == 2)
    await partition.apply([world.record("a", Do(number=1))])
    relay.cancel()
    await asyncio.gather(relay, return_exceptions=True)
    assert await world.rows(outbox) == []


async def test_a_store_that_is_away_is_asked_again_and_the_run_has_effect_once(world: World) -> None:
    partition, _ = await owned(world, FakeBus())
    commits = Commits(loop_commit_before=StoreAway("locked"))
    with faults.installed(commits):
        await partition.apply([world.record("a", Do(number=1))])
    assert commits.counts["loop.commit.before"] == 2
    assert await world.box("a") == Box("a", 1, "x ")


async def test_a_failed_transaction_gives_back_what_it_would_have_deleted(world: World) -> None:
    partition, _ = await owned(world, FakeBus())
    await partition.apply([world.record("a", Do(what="say", number=1))])
    partition.relay.give_back([1])

    def fails(tx: Any, batch: Any) -> Any:
        raise KeyError(batch.sent[0])

    with pytest.raises(KeyError, match="1"):
        await partition.transaction("loop.commit", fails)
    assert partition.relay.take_sent() == [1] and len(await world.rows(outbox)) == 1


async def test_a_partition_that_was_taken_over_says_so_and_writes_nothing(world: World) -> None:
    partition, _ = await owned(world, FakeBus())
    await world.take_over()
    before = await world.everything()
    with pytest.raises(LostEpoch):
        await partition.apply([world.record("a", Do(what="say", number=1))])
    assert await world.everything() == before and len(partition.relay) == 0


async def test_a_suspension_wakes_the_scanner(world: World) -> None:
    partition, _ = await owned(world, FakeBus())
    await partition.apply([world.record("a")])
    assert not partition.wake.is_set(), "nothing for it"
    world.weather.broken = {"boom"}
    await partition.apply([world.record("a", Do(word="boom"))])
    assert partition.wake.is_set()


@pytest.mark.parametrize("what", ["timer", "attempt"])
async def test_a_new_timer_or_attempt_wakes_the_scanner(world: World, what: str) -> None:
    partition, _ = await owned(world, FakeBus())
    await partition.apply([world.record("a", Do(what=what, number=1))])
    assert partition.wake.is_set()


async def test_dying_before_the_commit_leaves_nothing_and_after_it_everything(world: World) -> None:
    partition, _ = await owned(world, FakeBus())
    record = world.record("a", Do(what="say", number=1))
    before = await world.everything()
    with faults.installed(Commits(loop_commit_before=faults.InjectedFault())), pytest.raises(faults.InjectedFault):
        await partition.apply([record])
    assert await world.everything() == before
    with faults.installed(Commits(loop_commit_after=faults.InjectedFault())), pytest.raises(faults.InjectedFault):
        await partition.apply([record])
    assert len(await world.rows(inbox)) == len(await world.rows(outbox)) == 1
    bus = FakeBus()
    await owned(world, bus)
    assert len(bus.records) == 1, "the next owner sends what the dead one has committed"
