"""The seam to Faust (FAUST 1): a run is acknowledged after its COMMIT, never without it, and what ends a partition is reported."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from faust.types import TP

from agents.runtime import mailbox as mailbox_module
from agents.runtime.mailbox import Mailbox
from agents.runtime.ownership import LostEpoch
from agents.runtime.partition import Terms
from bus.errors import LostLease, RunMissing
from bus.record import Fence, Record, Run
from config import faults
from stores.runtime import inbox, outbox, owner, position
from tests.integration.stores.world import HORIZON_MS, TOPIC, Box, Do, FakeBus, World, until

T0, T1 = TP(TOPIC, 0), TP(TOPIC, 1)
FENCE = Fence("boxes", 1)


class Event:
    """A run of records as Faust hands it over."""

    def __init__(self, *run: Record, tp: TP = T0, begins: int | None = None) -> None:
        self.value = list(run) if begins is None else Run(run, begins)
        self.message = type("Message", (), {"tp": tp})()
        self.acked = False

    def ack(self) -> None:
        self.acked = True


@dataclass
class Post:
    """A mailbox over a real store and a bus in memory."""

    world: World
    bus: FakeBus
    mailbox: Mailbox

    async def assign(self, *tps: TP) -> dict[TP, int]:
        return dict(await self.mailbox.assigned(set(tps or (T0,)), FENCE))


@pytest.fixture
async def post(world: World) -> AsyncIterator[Post]:
    bus = FakeBus(end=10)
    mailbox = Mailbox(world.service, world.store, bus, Terms(HORIZON_MS, 500, lambda: world.now_ms))  # type: ignore[arg-type]
    yield Post(world, bus, mailbox)
    await mailbox.close()
    if mailbox.failed.done():
        mailbox.failed.exception()


async def test_an_assignment_takes_the_partition_over_and_says_where_to_read_on(post: Post) -> None:
    assert await post.assign() == {T0: 0}
    assert post.mailbox.assigned_once.is_set()
    assert [row[:2] for row in await post.world.rows(owner)] == [(0, 2)]
    await post.mailbox.handle(Event(post.world.record("a"), post.world.record("a")))
    await post.mailbox.idle()
    assert await post.assign() == {T0: 2}, "the position in the store, not the group's"


async def test_a_run_behind_one_that_never_came_is_not_handled_and_the_position_stays(post: Post) -> None:
    await post.assign()
    first, _, third = (post.world.record("a", Do(number=n)) for n in range(3))
    await post.mailbox.handle(Event(first, begins=0))
    await post.mailbox.idle()
    before = await post.world.box("a")
    behind = Event(third, begins=2)
    await post.mailbox.handle(behind)
    with pytest.raises(RunMissing, match="begins at 2, the one before it ended at 1"):
        await asyncio.wait_for(post.mailbox.failed, 5)
    assert not behind.acked and await post.world.box("a") == before
    assert (await post.world.rows(position))[0][1] == 1


async def test_offsets_that_nobody_can_read_are_no_missing_run(post: Post) -> None:
    await post.assign()
    first, *_, last = (post.world.record("a", Do(number=n)) for n in range(4))
    events = [Event(first, begins=0), Event(last, begins=1)]
    for event in events:
        await post.mailbox.handle(event)
    await post.mailbox.idle()
    assert all(event.acked for event in events)
    assert (await post.world.rows(position))[0][1] == last.offset + 1


async def test_a_run_is_acknowledged_after_its_commit(post: Post) -> None:
    await post.assign()
    event = Event(post.world.record("a", Do(number=1)))
    order: list[str] = []
    with faults.installed(order.append):
        await post.mailbox.handle(event)
        await post.mailbox.idle()
    assert event.acked and await post.world.box("a") == Box("a", 1, "x ")
    assert order.index("loop.commit.after") < order.index("loop.ack.before")


async def test_a_run_that_cannot_be_committed_is_never_acknowledged_and_the_reason_is_reported(post: Post) -> None:
    await post.assign()
    await post.world.take_over()
    event = Event(post.world.record("a"))
    await post.mailbox.handle(event)
    with pytest.raises(LostEpoch):
        await asyncio.shield(post.mailbox.failed)
    assert not event.acked
    assert await post.world.rows(inbox) == []


async def test_a_relay_that_ends_ends_the_worker(post: Post) -> None:
    await post.assign()
    post.bus.failures = [LostLease("somebody else")]
    await post.mailbox.handle(Event(post.world.record("a", Do(what="say", number=1))))
    with pytest.raises(LostLease):
        await asyncio.wait_for(asyncio.shield(post.mailbox.failed), 5)


async def test_a_scanner_that_ends_ends_the_worker(post: Post) -> None:
    await post.assign()
    await post.world.take_over()
    post.mailbox.owned()[0].wake.set()
    with pytest.raises(LostEpoch):
        await asyncio.wait_for(asyncio.shield(post.mailbox.failed), 5)


async def test_the_first_reason_is_the_one_that_is_told(post: Post) -> None:
    post.mailbox.fail(KeyError("first"))
    post.mailbox.fail(KeyError("second"))
    with pytest.raises(KeyError, match="first"):
        await post.mailbox.failed


async def test_what_is_revoked_is_worked_no_more_and_that_is_no_failure(post: Post) -> None:
    await post.assign(T0, T1)
    assert len(post.mailbox.owned()) == 2
    await post.mailbox.revoked({T1})
    assert [p.tenure.partition for p in post.mailbox.owned()] == [0]
    await post.mailbox.revoked({T0, T1})
    assert post.mailbox.owned() == [] and not post.mailbox.failed.done()


async def emptied(post: Post) -> bool:
    return await post.world.rows(outbox) == []


async def test_to_pause_is_to_take_nothing_more_and_to_let_everything_leave(post: Post) -> None:
    await post.assign()
    await post.mailbox.handle(Event(post.world.record("a", Do(what="say", number=3))))
    await post.mailbox.pause(5)
    assert len(post.bus.records) == 3
    await until(lambda: emptied(post))  # a scanner that was in its transaction may have taken the rows along
    late = Event(post.world.record("a"))
    waiting = asyncio.create_task(post.mailbox.handle(late))
    await asyncio.sleep(0)
    assert not waiting.done() and not late.acked
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_pause_waits_only_so_long_for_a_bus_that_hangs_and_the_rows_stay(post: Post) -> None:
    await post.assign()
    post.bus.open.clear()
    await post.mailbox.handle(Event(post.world.record("a", Do(what="say", number=1))))
    await post.mailbox.pause(0.05)
    assert post.bus.records == [] and len(await post.world.rows(outbox)) == 1
    post.bus.open.set()


async def test_what_a_paused_owner_left_is_sent_by_the_next(post: Post) -> None:
    await post.assign()
    post.bus.open.clear()
    await post.mailbox.handle(Event(post.world.record("a", Do(what="say", number=2, word="w"))))
    await post.mailbox.idle()
    await post.mailbox.close()
    post.bus.open.set()
    await post.assign()
    await until(lambda: len(post.bus.records) == 2)
    assert [key for key, _ in post.bus.words()] == ["w0", "w1"]


async def test_another_log_is_noticed_at_the_assignment(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(mailbox_module.log, "error", lambda event, **fields: said.append(f"{event}: {fields['note']}"), raising=False)
    await post.assign()
    post.world.incarnation = "log-0"
    await post.world.take_over()
    await post.world.run(post.world.record("a"), post.world.record("a"))
    assert await post.assign() == {T0: 0}
    assert len(said) == 1 and said[0].startswith("log alarm") and "another log" in said[0]


async def test_a_run_of_a_partition_that_was_revoked_is_left_to_its_next_owner_and_is_no_failure(post: Post) -> None:
    await post.assign()
    await post.mailbox.revoked({T0})
    event = Event(post.world.record("a"))
    await post.mailbox.handle(event)
    await post.mailbox.idle()
    assert not event.acked and not post.mailbox.failed.done()
    assert await post.world.rows(inbox) == []
