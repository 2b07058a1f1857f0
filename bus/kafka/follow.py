"""Following topics without a group: a consumer of its own with its own connections, so that a fetch may wait at the broker."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from bus.errors import BusAway
from bus.kafka import read
from bus.kafka.cluster import REQUEST_S, Cluster, client_id, within
from bus.kafka.pacing import paced
from bus.log import READ_BYTES_MAX, READ_LIMIT
from bus.record import Record

FETCH_WAIT_MS = 100  # measured: ADR 8; data ends the wait at once
LOOK_EVERY_S = 1.0
AWAY_S = 0.25
STOP_S_MAX = 2.0
START_S_MAX = 10.0

Place = tuple[str, int]

log = logging.getLogger("lendbus.bus")


async def follow(cluster: Cluster, topics: Sequence[str], start: Mapping[Place, int] | None = None) -> AsyncGenerator[list[Record], None]:
    """See `Bus.follow`."""
    reached: dict[Place, int] | None = None
    away = False
    while True:
        try:
            if reached is None:
                reached = await _beginning(cluster, topics, start or {})
            async with contextlib.aclosing(_runs(cluster, reached)) as runs:
                async for run in runs:
                    away = False
                    yield run
        except (BusAway, KafkaError, OSError, TimeoutError) as exc:
            if not away:
                log.warning("following %s: %s; trying on", ", ".join(topics), exc or type(exc).__name__)
            away = True
            await asyncio.sleep(AWAY_S)


async def _beginning(cluster: Cluster, topics: Sequence[str], given: Mapping[Place, int]) -> dict[Place, int]:
    reached = {}
    for topic in topics:
        for number, (_, end) in (await read.ends(cluster, topic)).items():
            reached[topic, number] = given.get((topic, number), end)
    return reached


async def _runs(cluster: Cluster, reached: dict[Place, int]) -> AsyncGenerator[list[Record], None]:
    """Runs from `reached` on, which moves along; ends with an error of Kafka's when something has to be begun anew."""
    consumer = AIOKafkaConsumer(
        client_id=client_id(),
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=READ_BYTES_MAX,
        request_timeout_ms=int(REQUEST_S * 1000),
        **cluster.address.client_options(),
    )
    paced(consumer._client)
    try:
        async with asyncio.timeout(START_S_MAX):
            await consumer.start()
        places = {TopicPartition(cluster.address.outside(topic), number): (topic, number) for topic, number in reached}
        consumer.assign(list(places))
        for tp, place in places.items():
            consumer.seek(tp, reached[place])
        while True:
            await fetched(consumer._fetcher, LOOK_EVERY_S)
            for tp in waiting(consumer._fetcher):
                async for run in _taken(cluster, consumer, tp, places[tp], reached):
                    yield run
    finally:
        await within(STOP_S_MAX, consumer.stop(), "ending a follower")


async def _taken(
    cluster: Cluster, consumer: AIOKafkaConsumer, tp: TopicPartition, place: Place, reached: dict[Place, int]
) -> AsyncGenerator[list[Record], None]:
    """What has come of one partition, in runs."""
    try:
        found = [read.to_record(place[0], each) for each in await take(consumer._fetcher, tp)]
    except OffsetOutOfRangeError:
        reached[place] = await _nearest(cluster, place, reached[place])
        consumer.seek(tp, reached[place])
        return
    except UnicodeDecodeError:
        found = await read.read(cluster, *place, reached[place], READ_LIMIT, READ_BYTES_MAX)
        consumer.seek(tp, found[-1].offset + 1 if found else reached[place])
    for run in runs_of(found):
        reached[place] = run[-1].offset + 1
        yield run


async def _nearest(cluster: Cluster, place: Place, at: int) -> int:
    start, end = (await read.ends(cluster, place[0]))[place[1]]
    log.warning("%s/%d has no offset %d, only %d to %d: going on at %d", *place, at, start, end, start)
    return start


def runs_of(records: Sequence[Record]) -> list[list[Record]]:
    """Cut into runs as the contract has them."""
    runs: list[list[Record]] = []
    at = 0
    while at < len(records):
        run = read.cut(records[at:], READ_LIMIT, READ_BYTES_MAX)
        runs.append(run)
        at += len(run)
    return runs


# the fetcher, a partition at a time: `getmany` loses what it has already taken of others when one partition raises


def waiting(fetcher: Fetcher) -> list[TopicPartition]:
    """Of which partitions something has been fetched and not taken."""
    return list(fetcher._records)


async def fetched(fetcher: Fetcher, timeout_s: float) -> None:
    """Wait until something has been fetched, or the time is over. Raises what ended the fetching."""
    if fetcher._records:
        await asyncio.sleep(0)
        return
    if fetcher.error_future.done():
        fetcher.error_future.result()
    waiter = fetcher._create_fetch_waiter()
    await asyncio.wait([waiter], timeout=timeout_s)
    if waiter.done():
        waiter.result()  # the coordinator's errors come this way too
    else:
        waiter.cancel()


async def take(fetcher: Fetcher, tp: TopicPartition, limit: int | None = None) -> list[object]:
    """What has been fetched of one partition. Raises what is wrong with it; seek then, or the records before it are passed over."""
    found = await fetcher.fetched_records([tp], timeout=0, max_records=limit)
    return found.get(tp) or []
