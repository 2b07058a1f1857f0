"""Appending: for each destination partition one lane, which sends one batch after another, so that nothing overtakes.

What several callers append to a partition goes into one batch. aiokafka would send the next batch of a partition while an earlier one
is being refused, and a broker that does not know the producer yet takes it: so the next one is built only after the answer.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.errors import (
    CorruptRecordException,
    InvalidTimestampError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnknownError,
    UnsupportedForMessageFormatError,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from bus.errors import BusAway, BusError, RecordRefused
from bus.headers import Headers, pack_headers, unpack_headers
from bus.kafka import fences
from bus.kafka.cluster import Cluster
from bus.kafka.limits import Limit, Limits
from bus.kafka.producer import Sender
from bus.kafka.protocol import reason
from bus.kafka.times import with_own_time
from bus.partitioning import partition_of
from bus.record import Fence, Outgoing

UNCOMPRESSED = 0
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
# Only these say that this record can never be taken; an error that is no more than final for a producer or a right that is missing
# says nothing about a record: whoever sends waits. (`UnknownError` is also what aiokafka makes of a code that it does not know.)
OF_THE_RECORD = (
    *TOO_LARGE,
    CorruptRecordException,
    InvalidTimestampError,
    InvalidTopicError,
    PolicyViolationError,
    UnknownError,
    UnsupportedForMessageFormatError,
)
SIZE_TRIES = 3  # a limit that is lowered again and again

log = logging.getLogger("lendbus.bus")


class Entry(NamedTuple):
    """One record on its way: its place in the call, and what travels."""

    number: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(eq=False, slots=True)
class Part:
    """What one call appends to one partition."""

    entries: list[Entry]
    fence: Fence | None
    done: asyncio.Future[None]
    offsets: list[int] = field(default_factory=list)  # of the entries that are in the log
    taken: bool = False


class Lane:
    """One destination partition."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.waiting: deque[Part] = deque()
        self.task: asyncio.Task[None] | None = None


class Appender:
    """All lanes of a cluster; what `KafkaBus.append` is made of."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lanes: dict[tuple[str, int], Lane] = {}
        self.limits = Limits(cluster)
        self.sender = Sender(cluster)

    async def append(self, records: Sequence[Outgoing], fence: Fence | None) -> list[tuple[int, int]]:
        """See `Bus.append`: what can be seen beforehand is refused whole."""
        fences.check(self._cluster.key, fence)
        limits = await self.limits.of(record.topic for record in records)
        parts: dict[tuple[str, int], Part] = {}
        places: list[int] = []
        loop = asyncio.get_running_loop()
        for index, record in enumerate(records):
            partition, headers = _check(record, limits[record.topic])
            if (part := parts.get((record.topic, partition))) is None:
                part = parts[record.topic, partition] = Part([], fence, loop.create_future())
            part.entries.append(Entry(index, record.key, record.value, with_own_time(headers, record.timestamp_ms)))
            places.append(partition)
        for (topic, partition), part in parts.items():
            self._put(topic, partition, part)
        await self._ended(parts)
        found = {entry.number: offset for part in parts.values() for entry, offset in zip(part.entries, part.offsets, strict=True)}
        return [(partition, found[index]) for index, partition in enumerate(places)]

    async def close(self) -> None:
        """Wait for what is being appended."""
        if running := [lane.task for lane in self._lanes.values() if lane.task is not None]:
            await asyncio.wait(running)
        await self.sender.close()

    def _put(self, topic: str, partition: int, part: Part) -> None:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = Lane(topic, partition)
        lane.waiting.append(part)
        if lane.task is None:
            lane.task = asyncio.create_task(self._run(lane), name=f"append to {topic}/{partition}")

    async def _ended(self, parts: dict[tuple[str, int], Part]) -> None:
        """Wait until every part has ended; raise what the call has to know: a refusal before what passes."""
        ends = [part.done for part in parts.values()]
        try:
            await asyncio.wait(ends)
        except asyncio.CancelledError:
            await self._withdraw(parts)
            raise
        errors = [exc for end in ends if (exc := end.exception()) is not None]
        for exc in sorted(errors, key=lambda exc: isinstance(exc, BusAway)):
            raise exc

    async def _withdraw(self, parts: dict[tuple[str, int], Part]) -> None:
        """A cancelled caller: take back what is not being sent, wait until the rest has ended."""
        for place, part in parts.items():
            if not part.taken and not part.done.done():
                self._lanes[place].waiting.remove(part)
                part.done.set_result(None)
        await asyncio.wait([part.done for part in parts.values()])
        for part in parts.values():
            part.done.exception()  # seen: nobody else asks

    # one lane

    async def _run(self, lane: Lane) -> None:
        try:
            while lane.waiting:
                self._drop_fenced(lane)
                if lane.waiting:
                    await self._step(lane, len(lane.waiting))
        except BaseException as exc:
            _fail(
                lane.waiting, exc if isinstance(exc, BusError) else BusError(f"appending to {lane.topic}/{lane.partition} ended: {exc!r}")
            )
            raise
        finally:
            lane.task = None

    def _drop_fenced(self, lane: Lane) -> None:
        for part in list(lane.waiting):
            try:
                fences.check(self._cluster.key, part.fence)
            except BusError as exc:
                lane.waiting.remove(part)
                part.done.set_exception(exc)

    async def _step(self, lane: Lane, parts_max: int) -> None:
        """Send one batch from the head of the lane; after a refusal part by part, so that nobody fails for another."""
        what = f"appending to {lane.topic}/{lane.partition}"
        refusal: KafkaError | None = None
        for _ in range(SIZE_TRIES):
            try:
                limit = (await self.limits.of([lane.topic]))[lane.topic]
                if limit is None:
                    return _fail(lane.waiting, RecordRefused(f"unknown topic {lane.topic!r}: declare it first"))
                batch, count = _batch(lane.waiting, limit, parts_max)
                if count == 0:
                    return _fail_first(lane, RecordRefused(f"a record for {lane.topic!r} is too large: at most {limit.record_bytes} bytes"))
                offset = await self.sender.send(batch, lane.topic, lane.partition)
            except TOO_LARGE as exc:
                self.limits.forget(lane.topic)  # its operator has lowered it
                refusal = exc
                continue
            except (KafkaError, TimeoutError, OSError) as exc:
                return await self._refused(lane, parts_max, exc, what)
            except BusError as exc:
                return _fail(lane.waiting, exc)
            return _placed(lane.waiting, offset, count)
        assert refusal is not None, "every other way out has returned"
        return await self._refused(lane, parts_max, refusal, what)

    async def _refused(self, lane: Lane, parts_max: int, exc: BaseException, what: str) -> None:
        self.limits.forget(lane.topic)
        if not isinstance(exc, OF_THE_RECORD):
            return _fail(lane.waiting, BusAway(f"{what}: Kafka cannot do it just now ({reason(exc)})"))
        if parts_max > 1 and len(lane.waiting) > 1:
            return await self._step(lane, 1)
        return _fail_first(lane, RecordRefused(f"{what}: Kafka refuses ({reason(exc)})"))


def _check(record: Outgoing, limit: Limit | None) -> tuple[int, Headers]:
    """The partition and the headers of a record. Raises RecordRefused for one that can never be appended."""
    if limit is None:
        raise RecordRefused(f"unknown topic {record.topic!r}: declare it first")
    if record.partition is not None and not 0 <= record.partition < limit.partitions:
        raise RecordRefused(f"topic {record.topic!r} has no partition {record.partition}, only 0 to {limit.partitions - 1}")
    blob = record.packed or pack_headers(record.headers)
    size = len(record.key or b"") + len(record.value or b"") + len(blob)
    if size > limit.record_bytes:
        raise RecordRefused(f"a record of {size} bytes for {record.topic!r}: at most {limit.record_bytes} bytes")
    headers = unpack_headers(record.packed) if record.packed else record.headers
    for name, _ in headers:
        if not name.isascii() and any("\ud800" <= char <= "\udfff" for char in name):
            raise RecordRefused(f"a header of a record for {record.topic!r} has a name that is no text: {name!r}")
    return partition_of(record.key, limit.partitions) if record.partition is None else record.partition, headers


def _batch(parts: deque[Part], limit: Limit, parts_max: int) -> tuple[BatchBuilder, int]:
    """As much of the head of the lane as one batch holds, and how many records that are; none: the first is too large."""
    batch = BatchBuilder(limit.batch_bytes, UNCOMPRESSED, is_transactional=False, key_serializer=None, value_serializer=None)
    now_ms = time.time_ns() // 1_000_000
    count = 0
    for part in list(parts)[:parts_max]:
        for entry in part.entries[len(part.offsets) :]:
            if batch.append(timestamp=now_ms, key=entry.key, value=entry.value, headers=list(entry.headers)) is None:
                return batch, count
            if count == 0 and batch.size() > limit.batch_bytes:  # the first record is always let in
                return batch, 0
            part.taken = True
            count += 1
    return batch, count


def _placed(parts: deque[Part], offset: int, count: int) -> None:
    while count:
        part = parts[0]
        fitting = min(count, len(part.entries) - len(part.offsets))
        part.offsets += range(offset, offset + fitting)
        offset, count = offset + fitting, count - fitting
        if len(part.offsets) == len(part.entries):
            parts.popleft()
            part.done.set_result(None)


def _fail(parts: deque[Part], error: BaseException) -> None:
    while parts:
        parts.popleft().done.set_exception(error)


def _fail_first(lane: Lane, error: BaseException) -> None:
    lane.waiting.popleft().done.set_exception(error)
