"""Faust's consumer over the log file: membership instead of a coordinator, runs of records instead of records.

One event is one partition's run. The committable offset of a partition is the end of the longest acked prefix of its
delivered runs; that replaces Faust's arithmetic of acked offsets and gaps (faust 312, 316, 606).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from faust.transport.consumer import Consumer as BaseConsumer
from faust.types import TP, ConsumerMessage, Message
from mode.utils.futures import notify

from bus.errors import BusAway, BusError, LostLease
from bus.log import READ_BYTES_MAX, READ_LIMIT
from bus.partitioning import partition_of
from bus.record import Fence, Record, Run
from bus.sqlite import read
from bus.sqlite.bus import SqliteBus
from bus.sqlite.membership import Membership

if TYPE_CHECKING:
    from bus.sqlite.transport import Transport

FETCH_WAIT_S = 1.0
AWAY_WAIT_S = 0.25  # the file cannot be read just now

log = logging.getLogger("lendbus.bus")


class Consumer(BaseConsumer):
    """The one consumer of an App: joins the group of the app's id and delivers its topics."""

    consumer_stopped_errors: ClassVar[tuple[type[BaseException], ...]] = ()
    run_records_max: ClassVar[int] = READ_LIMIT
    run_bytes_max: ClassVar[int] = READ_BYTES_MAX

    def __post_init__(self) -> None:
        self._bus: SqliteBus = cast("Transport", self.transport).bus()
        self._membership: Membership | None = None
        self._joining: asyncio.Future[None] | None = None
        self._ids: dict[TP, int] = {}  # of what is assigned
        self._counts: dict[str, int] = {}
        self._positions: dict[TP, int] = {}  # what is delivered next
        self._runs: dict[TP, deque[Message]] = {}  # delivered, in order, up to the first that is not acked
        self._done: dict[TP, int] = {}  # the end of the acked prefix
        self._sought: Fence | None = None  # the assignment whose positions have been asked for

    async def on_start(self) -> None:
        """Open the log."""
        await self._bus.open()
        await super().on_start()

    async def on_stop(self) -> None:
        """Commit what is acked, give the lease back, close the log."""
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.wait([self._joining])
        try:
            await super().on_stop()
        finally:
            if self._membership is not None:
                await self._membership.leave()
            await self._bus.close()

    # membership

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for these topics; the first call counts, topics are not changed under way."""
        if self._joining is None:
            self._joining = self.add_future(self._join(sorted(set(topics))))

    async def _join(self, topics: list[str]) -> None:
        try:
            await self._assign(topics)
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # noqa: BLE001  (whatever it is, the App must not sit there deaf)
            await self.crash(exc)

    async def _assign(self, topics: list[str]) -> None:
        await self._declare(topics)
        membership = self._membership = self._bus.member(self.app.conf.id)
        if not getattr(self.app, "standby_ok", True) and (owner := await membership.owner()) is not None:
            assert owner.process is not None, "an owner is a process"
            raise BusError(f"group {membership.group!r} is run by process {owner.process.pid} on {owner.process.host} already")
        await membership.join(self._on_lost)
        self.app.on_rebalance_start()
        self.app.consumer_generation_id += 1
        await self.on_partitions_assigned(set(self._ids), self.app.consumer_generation_id)

    async def _declare(self, topics: list[str]) -> None:
        for topic in topics:
            numbers = await self._bus.partitions(topic)
            if not numbers:
                raise BusError(f"group {self.app.conf.id!r} wants the topic {topic!r}, which is not declared")
            self._counts[topic] = len(numbers)
            self._ids.update({TP(topic, number): id_ for number, id_ in numbers.items()})
        while True:
            try:
                return await self._bus.declare_group(self.app.conf.id, topics)
            except BusAway as exc:
                log.warning("group %s: %s; trying on", self.app.conf.id, exc)

    def _on_lost(self, reason: BaseException) -> None:
        """The lease is somebody else's: nothing more is delivered, the runtime stops at once, the App is crashed."""
        if self.should_stop:
            return
        self.stop_flow()
        log.debug("%s", reason)  # the worker that waits as standby now says it
        self.add_future(self._give_up(reason))

    async def _give_up(self, reason: BaseException) -> None:
        try:
            if (positions := getattr(self.app, "positions", None)) is not None:
                await positions.revoked(set(self._ids))
        finally:
            await self.crash(reason)

    async def crash(self, reason: BaseException) -> None:
        """End the App. That somebody else has the group is no failure: mode would log it as an error with a traceback."""
        if isinstance(reason, LostLease):
            self._crash(reason)
            cast(Any, self.app)._crash(reason)
        else:
            await super().crash(reason)

    # positions

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """After an assignment, before anything is read: the positions of the app's store, or the group's offsets without one."""
        membership = self._membership
        assert membership is not None and membership.fence is not None, "seeking comes after joining"
        if self._sought != membership.fence:
            self._positions = await self._ask_positions(membership.fence)
            self._done = dict(self._positions)
            self._sought = membership.fence
        return dict(self._positions)

    async def _ask_positions(self, fence: Fence) -> dict[TP, int]:
        committed = {TP(*tp): offset for tp, offset in (await self._bus.offsets(fence.group)).items()}
        asked = getattr(self.app, "positions", None)
        wanted = dict(await asked.assigned(set(self._ids), fence)) if asked is not None else {tp: committed.get(tp, 0) for tp in self._ids}
        positions = {tp: at for tp, at in wanted.items() if tp in self._ids}
        await self._follow(fence, {tp: at for tp, at in positions.items() if at != committed.get(tp, 0)})
        return positions

    async def _follow(self, fence: Fence, moved: dict[TP, int]) -> None:
        """The group's offset follows the store's position, also back (a reset): the store is the truth (DESIGN 1)."""
        if not moved:
            return
        try:
            await self._bus.commit_offsets(fence, {(tp.topic, tp.partition): at for tp, at in moved.items()}, exactly=True)
        except BusAway as exc:
            log.warning("group %s: its offsets follow later: %s", fence.group, exc)

    # delivering

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's fetcher runs this: every partition delivers for itself, so that a full one holds up no other."""
        await self.wait(cast(Any, self.can_resume_flow) if not self.flow_active else asyncio.sleep(0))
        drains = [asyncio.ensure_future(self._drain(tp, id_)) for tp, id_ in self._ids.items() if tp in self._positions]
        try:
            await asyncio.gather(*drains)
        finally:
            for drain in drains:
                drain.cancel()
            await asyncio.gather(*drains, return_exceptions=True)

    async def _drain(self, tp: TP, id_: int) -> None:
        while not self.should_stop:
            if not self.flow_active:
                await self.wait(cast(Any, self.can_resume_flow))
                continue
            for message in await self._fetch(tp, id_):
                await self.callback(message)  # waits while the agent's buffer is full

    async def _fetch(self, tp: TP, id_: int) -> list[ConsumerMessage]:
        """The next run, waited for, as a delivery; nothing when there is none for a while."""
        file, position = self._bus.file, self._positions[tp]
        news = file.news
        if file.ends.get(id_, 0) <= position:
            await file.changed(news, FETCH_WAIT_S)
            return []
        try:
            run = await file.ask(read.read, tp.topic, tp.partition, position, self.run_records_max, self.run_bytes_max, id_)
        except BusAway as exc:
            log.warning("%s/%d cannot be read just now: %s", tp.topic, tp.partition, exc)
            await asyncio.sleep(AWAY_WAIT_S)
            return []
        if not run or not self.flow_active or self._positions[tp] != position:
            return []
        self._positions[tp] = run[-1].offset + 1
        self.app.monitor.track_tp_end_offset(tp, file.ends.get(id_, 0))
        return [self._deliver(tp, Run(run, position))]

    def _deliver(self, tp: TP, run: list[Record]) -> ConsumerMessage:
        last = run[-1]
        message = ConsumerMessage(
            tp.topic, tp.partition, last.offset, last.timestamp_ms / 1000, 0, None, None, cast(Any, run), None, 0, 0, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip
        self._runs.setdefault(tp, deque()).append(message)
        return message

    # acknowledging

    def ack(self, message: Message) -> bool:
        """The run is done; the group's offset may follow."""
        if message.acked and message not in self._unacked_messages:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        self._n_acked += 1
        notify(self._waiting_for_ack)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._runs) if topics is None or tp in topics or tp.topic in topics)

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        committable = {}
        for tp in tps:
            runs = self._runs.get(tp)
            while runs and runs[0].acked:
                self._done[tp] = runs.popleft().offset + 1
            if (end := self._done.get(tp)) is not None and end > (self._committed_offset[tp] or 0):
                committable[tp] = end
        return committable

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        if not offsets or not await self._commit(offsets):
            return False
        self._committed_offset.update(offsets)  # only now: faust 316
        self.app.monitor.on_tp_commit(dict(offsets))
        return True

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        if self._membership is None or self._membership.fence is None:
            return False
        try:
            await self._bus.commit_offsets(self._membership.fence, {(tp.topic, tp.partition): offset for tp, offset in offsets.items()})
        except LostLease as exc:
            self._on_lost(exc)
            return False
        except BusAway as exc:
            log.warning("group %s: offsets are committed later: %s", self.app.conf.id, exc)
            return False
        return True

    # what Faust asks beside

    def assignment(self) -> set[TP]:
        """What is assigned."""
        return set(self._ids) if self._membership is not None and self._membership.fence is not None else set()

    def highwater(self, tp: TP) -> int:
        """The end of a partition, as last heard of."""
        return self._bus.file.ends.get(self._ids.get(tp, -1), 0)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The ends of partitions."""
        return {tp: (await self._bus.ends(tp.topic))[tp.partition][1] for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """The starts of partitions."""
        return {tp: (await self._bus.ends(tp.topic))[tp.partition][0] for tp in partitions}

    async def position(self, tp: TP) -> int | None:
        """What is delivered next."""
        return self._positions.get(tp)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Deliver from there on; used by Faust's tables only, which Lendbus has none of."""
        self._positions.update(partitions)

    async def _seek(self, partition: TP, offset: int) -> None:
        self._positions[partition] = offset

    def topic_partitions(self, topic: str) -> int | None:
        """How many partitions a topic of the group has."""
        return self._counts.get(topic)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """Where a key goes."""
        return partition if partition is not None else partition_of(key, self._counts.get(topic, 1))

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        """Topics are declared by the application (`Bus.declare`), never by Faust: does nothing."""

    def on_buffer_full(self, tp: TP) -> None:
        """A full buffer makes the delivery wait; nothing is paused (faust sleeps a second when all is)."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See `on_buffer_full`."""

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        return self._deliver(tp, [record])

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        raise NotImplementedError("runs are delivered by _drain_messages")
