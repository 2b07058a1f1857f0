"""Faust's consumer on Kafka: the group, the assignment and the life cycle are Faust's and the broker's, the delivery is ours.

One event is one partition's run. The committable offset of a partition is the end of the longest acked prefix of its
delivered runs; that replaces Faust's arithmetic of acked offsets and gaps (faust 312, 316, 606).
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ConsumerStoppedError, KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition
from faust.transport.consumer import Consumer as BaseConsumer
from faust.types import TP, ConsumerMessage, Message
from mode import Service
from mode.utils.futures import notify

from bus.errors import BusAway, BusError, LogMadeAnew
from bus.kafka import alarms, fences, membership, read
from bus.kafka.bus import KafkaBus
from bus.kafka.follow import runs_of, take
from bus.kafka.lane import Lane
from bus.kafka.listener import Listener
from bus.kafka.protocol import reason
from bus.kafka.standing import Standing
from bus.log import READ_BYTES_MAX, READ_LIMIT
from bus.partitioning import partition_of
from bus.record import Fence, Record, Run

if TYPE_CHECKING:
    from bus.kafka.transport import Transport

WATCH_EVERY_S = 0.25
FETCHED_S_MAX = 1.0

log = logging.getLogger("lendbus.bus")


class Consumer(BaseConsumer):
    """The one consumer of an App."""

    consumer_stopped_errors: ClassVar[tuple[type[BaseException], ...]] = (ConsumerStoppedError,)

    def __post_init__(self) -> None:
        self._bus: KafkaBus = cast("Transport", self.transport).bus()
        self._kafka: AIOKafkaConsumer | None = None
        self._topics: frozenset[str] = frozenset()
        self._counts: dict[str, int] = {}
        self._assigned: set[TP] = set()
        self._lanes: dict[TP, Lane] = {}
        self._fence: Fence | None = None  # of the present assignment
        self._sought: Fence | None = None  # the one whose positions have been asked for
        self._asking: asyncio.Task[None] | None = None
        self._behind = False  # offsets could not be committed
        self._store = ""  # whose positions they are, noted beside them

    async def on_start(self) -> None:
        """Connect. Raises BusAway when no broker answers."""
        await self._bus.open()
        self._kafka = await membership.connected(self._bus.cluster, self.app.conf.id)
        await super().on_start()

    async def on_stop(self) -> None:
        """Commit what is acked, leave the group, close."""
        try:
            await self._stop_delivering()
            await super().on_stop()
        finally:
            self._fall()
            if self._kafka is not None:
                await membership.end(self._kafka)
            await self._bus.close()

    @property
    def kafka(self) -> AIOKafkaConsumer:
        """aiokafka's consumer, once started."""
        assert self._kafka is not None, "the consumer has started"
        return self._kafka

    # membership

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for these topics."""
        wanted = frozenset(topics)
        if wanted == self._topics:
            return
        try:
            for topic in sorted(wanted):
                self._counts[topic] = await self._count(topic)
        except BusError as exc:
            await self.crash(exc)
            return
        self._topics = wanted
        self.kafka.subscribe(topics=[self._bus.address.outside(topic) for topic in sorted(wanted)], listener=Listener(self))

    async def _count(self, topic: str) -> int:
        count = await self._bus.cluster.partitions(topic)
        if count is None:
            raise BusError(f"group {self.app.conf.id!r} wants the topic {topic!r}, which is not declared")
        return count

    def rejoin(self) -> None:
        """Ask for a new assignment."""
        if self._kafka is not None and self._kafka._coordinator is not None:
            self._kafka._coordinator.request_rejoin()

    async def give_up(self) -> None:
        """Everything is revoked: deliver nothing more, let the runtime end what it does, commit what is acked."""
        self.app.on_rebalance_start()
        revoked = set(self._assigned)
        try:
            self.stop_flow()
            await self._stop_delivering()
            if revoked and (positions := getattr(self.app, "positions", None)) is not None:
                await positions.revoked(revoked)
            await self._commit(self._filter_committable_offsets(self._lanes))  # Faust would not in an App that is stopping
            await self.on_partitions_revoked(revoked)
        except Exception as exc:  # noqa: BLE001  (aiokafka would only log it, and the App would sit there deaf)
            await self.crash(exc)
        finally:
            self._fall()
            self._lanes.clear()
            self._assigned.clear()

    async def receive(self, assigned: Iterable[TopicPartition]) -> None:
        """A new assignment; its positions are asked for when Faust seeks (`seek_to_committed`). Nothing is read before."""
        generation = self.kafka._coordinator.generation
        self.app.consumer_generation_id = generation
        self._assigned = {self._inside(tp) for tp in assigned}
        for tp in assigned:
            self.kafka.seek(tp, 0)
            self.kafka.pause(tp)
        if self._assigned:
            self._fence = Fence(self.app.conf.id, generation)
            fences.stand(self._bus.cluster.key, self._fence)
        log.info("group %s: generation %d, %d partitions", self.app.conf.id, generation, len(self._assigned))
        try:
            await self.on_partitions_assigned(set(self._assigned), generation)
        except Exception as exc:  # noqa: BLE001  (as above)
            await self.crash(exc)

    async def _stop_delivering(self) -> None:
        if (asking := self._asking) is not None:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        for lane in self._lanes.values():
            await lane.stop()

    def _fall(self) -> None:
        fence, self._fence = self._fence, None
        if fence is not None:
            fences.fall(self._bus.cluster.key, fence)

    @Service.task
    async def _watch(self) -> None:
        """Ask the coordinator how it is, and whether a log ends before what was read of it."""
        standing = Standing(self.kafka, self.app.conf.id)
        while not self.should_stop:
            reason_ = (
                standing.trouble()
                or alarms.log_made_anew(self._lanes, self.highwater)
                or alarms.topic_grown(self._counts, self.kafka._client.cluster, self._bus.address)
            )
            if reason_ is not None:
                self.stop_flow()
                await self.crash(reason_)
                return
            await self.sleep(WATCH_EVERY_S)

    # positions

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """After an assignment, before anything is read: the positions of the app's store, or the group's offsets without one."""
        fence = self._fence
        if fence is not None and fence != self._sought and not self.should_stop:
            self.stop_flow()  # nothing is delivered before Faust resumes it: an earlier rebalance may have done so too late
            self.app.flow_control.suspend()
            asking = self._asking = asyncio.ensure_future(self._begin(fence))
            try:
                await asyncio.wait([asking])
            except asyncio.CancelledError:
                asking.cancel()
                raise
            finally:
                self._asking = None
            if not asking.cancelled() and (exc := asking.exception()) is not None:
                await self.crash(exc)
        return {tp: lane.taken for tp, lane in self._lanes.items()}

    async def _begin(self, fence: Fence) -> None:
        """Ask for the positions of every assigned partition, and deliver from there; one that is left out is not delivered."""
        tps = set(self._assigned)
        asked = getattr(self.app, "positions", None)
        noted = await self._bus.noted(fence.group)
        self._store = await asked.identity() if asked is not None else ""
        alarms.check_store(fence.group, self._store, {store for _, store in noted.values()})
        wanted = dict(await asked.assigned(tps, fence)) if asked is not None else {tp: noted.get(tp, (0, ""))[0] for tp in tps}
        positions = {tp: at for tp, at in wanted.items() if tp in tps}
        for tp, at in positions.items():
            self._lanes[tp] = Lane(tp, at, self.callback)
            self.kafka.seek(self._outside(tp), at)
            self.kafka.resume(self._outside(tp))
        self._sought = fence
        await self._commit(positions)  # the group's offset follows the store's position, also back (a reset): the store is the truth

    # delivering

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's fetcher runs this: what has been fetched goes to the lanes, which deliver each for itself."""
        while not self.should_stop:
            if not self.flow_active:
                await self.wait(cast(Any, self.can_resume_flow))
                continue
            if not await self._distribute():
                await self._fetched()

    async def _distribute(self) -> bool:
        """Take one run of each partition whose lane has room; whether there was any."""
        any_ = False
        for outside in list(self.kafka._fetcher._records):
            lane = self._lanes.get(self._inside(outside))
            if lane is not None and lane.has_room and self.flow_active:
                any_ = True
                await self._take(outside, lane)
        if any_:
            await asyncio.sleep(0)
        return any_

    async def _take(self, outside: TopicPartition, lane: Lane) -> None:
        tp, fence = lane.tp, self._fence
        try:
            found = [read.to_record(tp.topic, each) for each in await take(self.kafka._fetcher, outside, READ_LIMIT)]
        except OffsetOutOfRangeError:
            await self.crash(LogMadeAnew(f"{tp.topic}/{tp.partition} has no offset {lane.taken}: it was made anew, or retention took it"))
            return
        except UnicodeDecodeError:  # a header's name; aiokafka gives up
            found = await self._read_again(lane)
        except KafkaError as exc:
            log.warning("%s/%d cannot be read just now: %s", tp.topic, tp.partition, reason(exc))
            self.kafka.seek(outside, lane.taken)  # else what was read before the fault is passed over
            await asyncio.sleep(WATCH_EVERY_S)
            return
        if self._fence is not fence or self._lanes.get(tp) is not lane or not found:
            return
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        for run in runs_of(found):
            lane.put(self._message(tp, Run(run, lane.taken)))
            lane.taken = run[-1].offset + 1

    async def _read_again(self, lane: Lane) -> list[Record]:
        try:
            found = await self._bus.read(*lane.tp, lane.taken, READ_LIMIT, READ_BYTES_MAX)
        except BusAway as exc:
            log.warning("%s", exc)
            found = []
        if self._lanes.get(lane.tp) is lane:
            self.kafka.seek(self._outside(lane.tp), found[-1].offset + 1 if found else lane.taken)
        return found

    async def _fetched(self) -> None:
        """Wait until something has been fetched, or a lane that was full has room again."""
        fetcher = self.kafka._fetcher
        if fetcher.error_future.done():
            await self.crash(BusAway(f"group {self.app.conf.id!r}: the fetching has ended ({fetcher.error_future.exception()!r})"))
            return
        waiter = fetcher._create_fetch_waiter()
        rooms = [lane.room() for lane in self._lanes.values() if not lane.has_room]
        await asyncio.wait([waiter, *rooms], timeout=FETCHED_S_MAX, return_when=asyncio.FIRST_COMPLETED)
        if waiter.done() and not waiter.cancelled():
            waiter.exception()  # the coordinator's: `_watch` is told it too
        waiter.cancel()

    def _message(self, tp: TP, run: list[Record]) -> ConsumerMessage:
        last = run[-1]
        return ConsumerMessage(
            tp.topic, tp.partition, last.offset, last.timestamp_ms / 1000, 1, None, None, cast(Any, run), None, 0, 0, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

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
        return (tp for tp in list(self._lanes) if topics is None or tp in topics or tp.topic in topics)

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        lanes = {tp: lane for tp in tps if (lane := self._lanes.get(tp)) is not None}
        return {tp: done for tp, lane in lanes.items() if (done := lane.acked_to()) != lane.committed}

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        if done := bool(offsets) and await self._commit(offsets):
            self.app.monitor.on_tp_commit(dict(offsets))
        return done

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit these offsets exactly, with the generation beside them; what does not work now is committed later."""
        fence = self._fence
        if fence is None or not offsets:
            return False
        try:
            await membership.write_offsets(self.kafka, {self._outside(tp): at for tp, at in offsets.items()}, fence, self._store)
        except BusAway as exc:
            log.log(logging.DEBUG if self._behind else logging.WARNING, "%s", exc)  # said once
            self._behind = True
            return False
        except BusError as exc:
            await self.crash(exc)
            return False
        self._behind = False
        for tp, at in offsets.items():
            if (lane := self._lanes.get(tp)) is not None:
                lane.committed = at  # only now: faust 316
                self._committed_offset[tp] = at
        return True

    # what Faust asks beside

    def _outside(self, tp: TP) -> TopicPartition:
        return TopicPartition(self._bus.address.outside(tp.topic), tp.partition)

    def _inside(self, tp: TopicPartition) -> TP:
        return TP(self._bus.address.inside(tp.topic) or tp.topic, tp.partition)

    def assignment(self) -> set[TP]:
        """What is assigned."""
        return set(self._assigned)

    def highwater(self, tp: TP) -> int:
        """The end of a partition, as last heard of."""
        outside = self._outside(tp)
        return (self.kafka.highwater(outside) or 0) if outside in self.kafka.assignment() else 0

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The ends of partitions."""
        return {tp: (await self._bus.ends(tp.topic))[tp.partition][1] for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """The starts of partitions."""
        return {tp: (await self._bus.ends(tp.topic))[tp.partition][0] for tp in partitions}

    async def position(self, tp: TP) -> int | None:
        """What is delivered next."""
        lane = self._lanes.get(tp)
        return lane.delivered if lane is not None else None

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Used by Faust's tables only, which Lendbus has none of."""

    async def _seek(self, partition: TP, offset: int) -> None:
        self.kafka.seek(self._outside(partition), offset)

    def topic_partitions(self, topic: str) -> int | None:
        """How many partitions a topic of the group has."""
        return self._counts.get(topic)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """Where a key goes."""
        return partition if partition is not None else partition_of(key, self._counts.get(topic, 1))

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        """Topics are declared by the application (`Bus.declare`), never by Faust: does nothing."""

    def on_buffer_full(self, tp: TP) -> None:
        """A full buffer makes its lane wait; nothing is paused (faust sleeps a second when all is)."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See `on_buffer_full`."""

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        return self._message(tp, [record])

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        raise NotImplementedError("runs are delivered by lanes")
