"""Several partitions of one service in one process: beside each other, lost one by one, taken over anew at each assignment."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from faust.types import TP

from agents.runtime import ownership
from agents.runtime.mailbox import Mailbox
from agents.runtime.ownership import LostEpoch
from agents.runtime.partition import Partition, Terms
from bus.errors import BusAway, LostLease
from bus.record import Fence, Record, Run
from config import faults
from stores.engine import OutcomeUnknown, StoreAway
from stores.runtime import outbox, owner, position
from tests.integration.stores.world import DAY_MS, HORIZON_MS, TOPIC, Do, FakeBus, World, ids, until

TPS = [TP(TOPIC, number) for number in range(4)]


class Event:
    """A run of records as Faust hands it over."""

    def __init__(self, tp: TP, *run: Record, acks: list[Any] | None = None) -> None:
        self.value = [record._replace(partition=tp.partition) for record in run]
        self.message = type("Message", (), {"tp": tp})()
        self.acked = False
        self._acks = [] if acks is None else acks

    def ack(self) -> None:
        self.acked = True
        self._acks.append((self.message.tp.partition, self.value[-1].offset))


@dataclass
class ManyBus(FakeBus):
    """A bus whose topic has several partitions; `away` raises from its questions, so many times."""

    away: int = 0
    hangs: dict[str, asyncio.Event] = field(default_factory=dict)  # an append that has a record with this key waits

    async def append(self, records: Any, *, fence: Fence | None = None) -> list[tuple[int, int]]:
        for record in records:
            if (gate := self.hangs.get((record.key or b"").decode())) is not None:
                await gate.wait()
        return await super().append(records, fence=fence)

    async def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        if self.away:
            self.away -= 1
            raise BusAway("away")
        return dict.fromkeys(range(len(TPS)), (self.first, self.end))


@dataclass
class Post:
    """A mailbox of several partitions, which may ask for a new assignment."""

    world: World
    bus: ManyBus
    mailbox: Mailbox
    rejoined: int = 0
    epoch: int = 0

    async def assign(self, *numbers: int) -> dict[int, int]:
        self.epoch += 1
        starts = await self.mailbox.assigned({TPS[n] for n in numbers}, Fence("boxes", self.epoch))
        return {tp.partition: at for tp, at in starts.items()}

    async def steal(self, number: int) -> None:
        """Another process takes one partition over."""
        await self.world.store.transaction("takeover.commit", ownership.take_over, number, now_ms=self.world.now_ms)

    def event(self, number: int, *records: Record, acks: list[Any] | None = None) -> Event:
        return Event(TPS[number], *(records or (self.world.record(f"a{number}"),)), acks=acks)

    def owned(self) -> list[int]:
        return sorted(p.tenure.partition for p in self.mailbox.owned())

    def partition(self, number: int) -> Partition:
        """One of them; which was taken over first is chance."""
        return next(p for p in self.mailbox.owned() if p.tenure.partition == number)

    async def epochs(self) -> dict[int, int]:
        return {row[0]: row[1] for row in await self.world.rows(owner)}

    def rejoin(self) -> None:
        self.rejoined += 1


@pytest.fixture
async def post(world: World) -> AsyncIterator[Post]:
    bus = ManyBus(end=1_000)
    mailbox = Mailbox(world.service, world.store, bus, Terms(HORIZON_MS, 500, lambda: world.now_ms))  # type: ignore[arg-type]
    made = Post(world, bus, mailbox)
    mailbox.rejoin = made.rejoin
    yield made
    await mailbox.close()


async def test_a_missing_run_gives_up_its_partition_alone_and_the_next_assignment_reads_it(post: Post) -> None:
    assert await post.assign(0, 1) == {0: 0, 1: 0}
    records = [post.world.record("a0") for _ in range(2)]
    hole, other = post.event(0, records[1]), post.event(1)
    hole.value = Run(hole.value, records[1].offset)
    await post.mailbox.handle(hole)
    await post.mailbox.handle(other)
    await until(lambda: post.rejoined == 1)
    await post.mailbox.idle()
    assert other.acked and not hole.acked and not post.mailbox.failed.done()
    assert (await post.assign(0, 1))[0] == 0


async def test_every_assignment_takes_every_partition_over_anew_and_ends_what_is_not_in_it(post: Post) -> None:
    before = await post.epochs()
    assert await post.assign(0, 1, 2, 3) == {0: 0, 1: 0, 2: 0, 3: 0}
    first = await post.epochs()
    assert await post.assign(1, 2) == {1: 0, 2: 0}
    assert post.owned() == [1, 2]
    await post.assign(0, 1, 2, 3)
    last = await post.epochs()
    assert {n: last[n] - before.get(n, 0) for n in range(4)} == {0: 2, 1: 3, 2: 3, 3: 2}
    assert all(first[n] < last[n] for n in range(4))
    assert not post.mailbox.failed.done() and post.rejoined == 0


async def test_runs_of_every_partition_are_applied_and_acknowledged_in_the_order_of_their_partition(post: Post) -> None:
    await post.assign(0, 1, 2, 3)
    acks: list[tuple[int, int]] = []
    events = [post.event(n, post.world.record(f"a{n}", Do(number=1, word=str(k))), acks=acks) for k in range(5) for n in range(4)]
    for event in events:
        await post.mailbox.handle(event)
    await post.mailbox.idle()
    for n in range(4):
        assert [at for number, at in acks if number == n] == [e.value[-1].offset for e in events if e.value[0].partition == n]
        box = await post.world.box(f"a{n}")
        assert box is not None and box.log == "0 1 2 3 4 "
    positions = {row[0]: row[1] for row in await post.world.rows(position)}
    assert positions == {n: events[16 + n].value[-1].offset + 1 for n in range(4)}


async def test_a_partition_whose_outbox_cannot_leave_holds_up_no_other(post: Post) -> None:
    await post.assign(0, 1)
    post.bus.hangs["slow0"] = asyncio.Event()
    await post.mailbox.handle(post.event(0, post.world.record("a0", Do(what="say", number=1, word="slow"))))
    await post.mailbox.handle(post.event(1, post.world.record("a1", Do(what="say", number=1, word="quick"))))
    await until(lambda: [key for key, _ in post.bus.words()] == ["quick0"])
    post.bus.hangs["slow0"].set()
    await until(lambda: len(post.bus.records) == 2)


async def test_a_partition_that_somebody_else_has_taken_is_dropped_and_the_others_go_on(post: Post) -> None:
    await post.assign(0, 1)
    await post.steal(1)
    lost, kept = post.event(1), post.event(0)
    await post.mailbox.handle(lost)
    await until(lambda: post.owned() == [0])
    await post.mailbox.handle(kept)
    await post.mailbox.idle()
    assert kept.acked and not lost.acked
    assert post.rejoined == 1 and not post.mailbox.failed.done()


async def test_an_idle_partition_that_was_taken_is_found_by_its_scanner(post: Post) -> None:
    await post.assign(0, 1)
    await post.steal(0)
    post.partition(0).wake.set()
    await until(lambda: post.owned() == [1])
    assert post.rejoined == 1 and not post.mailbox.failed.done()


async def test_where_the_group_has_one_owner_a_lost_partition_ends_the_worker(post: Post) -> None:
    post.mailbox.rejoin = None
    await post.assign(0, 1)
    await post.steal(1)
    await post.mailbox.handle(post.event(1))
    with pytest.raises(LostEpoch):
        await asyncio.wait_for(asyncio.shield(post.mailbox.failed), 5)


async def test_an_assignment_that_is_over_ends_its_partition_without_asking_for_another(post: Post) -> None:
    await post.assign(0, 1)
    post.bus.failures = [LostLease("generation 1 is over")]
    await post.mailbox.handle(post.event(0, post.world.record("a0", Do(what="say", number=1))))
    await until(lambda: post.owned() == [1])
    assert post.rejoined == 0 and not post.mailbox.failed.done()


async def test_a_commit_that_nobody_knows_of_gives_up_its_partition_which_is_asked_for_anew(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post.assign(0, 1)

    async def prepared(*_: Any) -> Any:
        raise OutcomeUnknown("the connection was lost during COMMIT")

    monkeypatch.setattr(post.world.store, "prepared", prepared)
    event = post.event(1)
    await post.mailbox.handle(event)
    await until(lambda: post.owned() == [0])
    assert (event.acked, post.rejoined, post.mailbox.failed.done()) == (False, 1, False)


async def test_a_bug_in_one_partition_ends_the_worker(post: Post) -> None:
    await post.assign(0, 1)

    def hook(point: str) -> None:
        if point == "loop.ack.before":
            raise faults.InjectedFault(point)

    with faults.installed(hook):
        await post.mailbox.handle(post.event(1))
        with pytest.raises(faults.InjectedFault):
            await asyncio.wait_for(asyncio.shield(post.mailbox.failed), 5)


async def test_a_run_revoked_while_it_waits_or_works_is_never_acknowledged_and_nobody_hangs(post: Post) -> None:
    await post.assign(0, 1)
    post.bus.hangs["w0"] = asyncio.Event()
    relay = post.partition(0).relay
    relay._room.clear()  # the run in work waits for the relay, one waits behind it, and one at the door
    events = [post.event(0) for _ in range(3)]
    handling = [asyncio.create_task(post.mailbox.handle(event)) for event in events]
    await asyncio.sleep(0)
    idle = asyncio.create_task(post.mailbox.idle())
    await post.mailbox.revoked({TPS[0]})
    await asyncio.wait_for(asyncio.gather(*handling, idle), 5)
    assert not any(event.acked for event in events)
    kept = post.event(1)
    await post.mailbox.handle(kept)
    await post.mailbox.idle()
    assert kept.acked and post.owned() == [1] and not post.mailbox.failed.done()


async def test_a_run_that_commits_while_its_partition_is_revoked_is_not_acknowledged_and_is_known_to_the_next_owner(post: Post) -> None:
    await post.assign(0)
    event = post.event(0, post.world.record("a0", Do(number=1)))
    revoking: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()
    begun = threading.Event()

    def hook(point: str) -> None:
        if point == "loop.commit.before" and not revoking:  # inside the transaction, which may have a thread of its own
            if threading.current_thread() is threading.main_thread():
                begin()
            else:
                loop.call_soon_threadsafe(begin)
                begun.wait()

    def begin() -> None:
        revoking.append(loop.create_task(post.mailbox.revoked({TPS[0]})))
        loop.call_soon(loop.call_soon, begun.set)

    with faults.installed(hook):
        await post.mailbox.handle(event)
        await until(lambda: revoking and revoking[0].done())
    assert not event.acked and post.owned() == []
    start = event.value[0].offset
    assert await post.assign(0) == {0: start + 1}, "it was committed all the same"
    again = post.event(0, *event.value)
    await post.mailbox.handle(again)
    await post.mailbox.idle()
    assert again.acked
    box = await post.world.box("a0")
    assert box is not None and box.total == 1


async def test_a_run_from_before_the_assignment_does_not_turn_the_position_back(post: Post) -> None:
    await post.assign(0)
    old, new = post.event(0), post.event(0)
    for event in (old, new, post.event(0, *old.value)):
        await post.mailbox.handle(event)
    await post.mailbox.idle()
    assert (await post.world.rows(position))[0][1] == new.value[-1].offset + 1


async def test_a_revocation_ends_a_take_over_that_waits_for_its_bus(post: Post) -> None:
    post.bus.away = 1_000_000
    assigning = asyncio.create_task(post.assign(0, 1))
    await until(lambda: post.mailbox._taking)
    await post.mailbox.revoked({TPS[0], TPS[1]})
    assert await asyncio.wait_for(assigning, 5) == {}
    assert post.owned() == [] and not post.mailbox.failed.done()


async def test_a_bus_or_a_store_that_is_away_delays_a_take_over_and_ends_nobody(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.bus.away = 3
    real, failures = post.world.store.transaction, [StoreAway("away")] * 3

    async def transaction(*args: Any, **kwargs: Any) -> Any:
        if failures:
            raise failures.pop()
        return await real(*args, **kwargs)

    monkeypatch.setattr(post.world.store, "transaction", transaction)
    assert await post.assign(0, 1, 2) == {0: 0, 1: 0, 2: 0}
    assert post.owned() == [0, 1, 2]


async def test_a_partition_that_is_taken_while_we_take_it_over_is_left_out_and_asked_for_again(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = post.world.store.transaction
    stolen: list[int] = []

    async def transaction(operation: str, *args: Any, **kwargs: Any) -> Any:
        if operation == "takeover.resend" and not stolen:
            stolen.append(2)
            await real("takeover.commit", ownership.take_over, 2, now_ms=post.world.now_ms)
        return await real(operation, *args, **kwargs)

    monkeypatch.setattr(post.world.store, "transaction", transaction)
    assert await post.assign(2) == {}
    assert post.owned() == [] and post.rejoined == 1 and not post.mailbox.failed.done()


async def test_fresh_records_of_a_topic_made_anew_in_the_same_cluster_are_not_called_expired(post: Post) -> None:
    """Kafka's incarnation is the cluster's id: it does not change when a topic is made anew."""
    await post.assign(0)
    await post.mailbox.handle(post.event(0, *(post.world.record("a0") for _ in range(5))))
    await post.mailbox.idle()
    post.bus.end, post.world.offset = 3, 0  # the new topic is shorter than the position
    assert await post.assign(0) == {0: 0}
    assert (await post.world.rows(position))[0][1:5] == (0, 0, None, None)
    assert await post.assign(0) == {0: 0}, "it is written down: another crash changes nothing"
    old = post.world.record("late", Do(number=7), message_id=ids(1, "fresh")[0])._replace(
        appended_ms=post.world.now_ms - HORIZON_MS - DAY_MS
    )
    await post.mailbox.handle(post.event(0, old))
    await post.mailbox.idle()
    box = await post.world.box("late")
    assert box is not None and box.total == 7


async def test_what_a_partition_left_behind_is_sent_by_its_next_owner_and_nobody_elses(post: Post) -> None:
    await post.assign(0, 1)
    gates = {f"w{n}0": asyncio.Event() for n in (0, 1)}
    post.bus.hangs.update(gates)
    for n in (0, 1):
        await post.mailbox.handle(post.event(n, post.world.record(f"a{n}", Do(what="say", number=1, word=f"w{n}"))))
    await post.mailbox.idle()
    await post.mailbox.close()
    post.bus.hangs.clear()
    await post.assign(1)
    await until(lambda: [key for key, _ in post.bus.words()] == ["w10"])
    left = [row for row in await post.world.rows(outbox) if row[1] == 0]
    assert len(left) == 1
