"""Reading a partition from an offset on, without a group: one FetchRequest at a time, which never waits at the broker."""

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import OffsetOutOfRangeError, UnknownTopicOrPartitionError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from bus.errors import BusError
from bus.kafka.cluster import Cluster
from bus.kafka.lenient import LenientRecords
from bus.kafka.protocol import check
from bus.kafka.times import own_time
from bus.record import Record

FETCH_BYTES_MIN = 64 * 1024
RECORD_OVERHEAD_BYTES = 100
EARLIEST, LATEST = -2, -1
UNCOMMITTED = 0
CLIENT = -1

log = logging.getLogger("lendbus.bus")


def to_record(topic: str, found: Any) -> Record:
    """aiokafka's record as ours; `topic` is its name inside the namespace."""
    timestamp_ms, headers = own_time(tuple(found.headers), found.timestamp)
    return Record(topic, found.partition, found.offset, timestamp_ms, found.timestamp, found.key, found.value, headers)


def record_bytes(record: Record) -> int:
    """What a record counts for, against a limit in bytes."""
    size = len(record.key or b"") + len(record.value or b"")
    for name, value in record.headers:
        size += len(name) + len(value or b"") + 2
    return size


def cut(run: Iterable[Record], limit: int, max_bytes: int) -> list[Record]:
    """The beginning of a run: at most `limit` records, and no more than `max_bytes` beyond the first."""
    kept: list[Record] = []
    size = 0
    for record in run:
        size += record_bytes(record)
        if len(kept) == limit or (size > max_bytes and kept):
            break
        kept.append(record)
    return kept


async def read(cluster: Cluster, topic: str, partition: int, offset: int, limit: int, max_bytes: int) -> list[Record]:
    """See `Bus.read`; aborted transactions are passed over, holes too."""
    await check_partition(cluster, topic, partition)
    at = max(offset, 0)
    while True:
        fetch = partial(_fetch, cluster, topic, partition, at, limit, max_bytes)
        found, following = await cluster.patiently(f"reading {topic}/{partition}", fetch)
        if found or following <= at:
            return cut(found, limit, max_bytes)
        at = following  # nothing but transaction markers and aborted records so far


async def check_partition(cluster: Cluster, topic: str, partition: int) -> None:
    """Raise BusError when there is no such topic or partition."""
    count = await cluster.declared(topic)
    if not 0 <= partition < count:
        raise BusError(f"topic {topic!r} has no partition {partition}, only 0 to {count - 1}: declare it first")


async def _fetch(cluster: Cluster, topic: str, partition: int, offset: int, limit: int, max_bytes: int) -> tuple[list[Record], int]:
    """What stands at the offset, and the offset to go on from."""
    wanted = max(max_bytes, FETCH_BYTES_MIN)
    outside = cluster.address.outside(topic)
    request = FetchRequest(0, 0, wanted, READ_COMMITTED, [(outside, [(partition, offset, wanted)])], rack_id="")
    answer = await cluster.ask(request, cluster.leader(topic, partition))
    [(_, [(_, code, _, *rest)])] = answer.topics
    if code == OffsetOutOfRangeError.errno:
        start = (await _offsets(cluster, topic, {partition: EARLIEST}))[partition]
        return await _fetch(cluster, topic, partition, start, limit, max_bytes) if offset < start else ([], offset)
    check(code)
    aborted = rest[2] if answer.API_VERSION >= 11 else rest[-2]
    batches = _records(TopicPartition(outside, partition), rest[-1], aborted, offset)
    found: list[Record] = []
    size = 0
    for each in batches:
        found.append(record := to_record(topic, each))
        size += record_bytes(record)
        if len(found) > limit or size > max_bytes:
            break
    return found, batches.next_fetch_offset


def _records(tp: TopicPartition, data: bytes, aborted: Any, offset: int) -> PartitionRecords:
    return PartitionRecords(tp, LenientRecords(data), aborted, offset, None, None, True, READ_COMMITTED)


async def _offsets(cluster: Cluster, topic: str, wanted: dict[int, int]) -> dict[int, int]:
    """The offset of each partition for an instant, or EARLIEST, or LATEST; -1 where there is none. Raises Kafka's errors."""
    outside = cluster.address.outside(topic)
    by_leader: dict[int, list[tuple[int, int]]] = {}
    for partition, instant in wanted.items():
        by_leader.setdefault(cluster.leader(topic, partition), []).append((partition, instant))
    found = {}
    for node, questions in by_leader.items():
        answer = await cluster.ask(OffsetRequest(CLIENT, UNCOMMITTED, [(outside, questions)]), node)
        for _, partitions in answer.topics:
            for partition, code, *rest in partitions:
                check(code)
                found[partition] = rest[-1]
    return found


async def ends(cluster: Cluster, topic: str) -> dict[int, tuple[int, int]]:
    """See `Bus.ends`."""

    async def ask() -> dict[int, tuple[int, int]]:
        starts = await _offsets(cluster, topic, dict.fromkeys(range(count), EARLIEST))
        lasts = await _offsets(cluster, topic, dict.fromkeys(range(count), LATEST))
        return {partition: (starts[partition], lasts[partition]) for partition in range(count)}

    count = await cluster.declared(topic)
    try:
        return await cluster.patiently(f"looking for the ends of {topic}", ask)
    except BusError as exc:
        if isinstance(exc.__cause__, UnknownTopicOrPartitionError):
            raise BusError(f"unknown topic {topic!r}: declare it first") from exc
        raise


async def offset_at(cluster: Cluster, topic: str, partition: int, instant_ms: int) -> int | None:
    """See `Bus.offset_at`."""
    await check_partition(cluster, topic, partition)
    found = await cluster.patiently(
        f"looking for an instant in {topic}/{partition}", lambda: _offsets(cluster, topic, {partition: max(instant_ms, 0)})
    )
    return found[partition] if found[partition] >= 0 else None
