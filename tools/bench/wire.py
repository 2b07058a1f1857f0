"""Kafka as the bare sides of the benches use it: raw aiokafka, plain sequential code, the producer's promises as ours has them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bus.app import COMMIT_EVERY_S
from bus.kafka.address import parse
from bus.partitioning import partition_of
from bus.record import Outgoing
from tools.bench.place import Place

BATCH_BYTES_MAX: Final = 1024 * 1024
FETCH_WAIT_MS: Final = 100
POLL_MS: Final = 1_000
START_S_MAX: Final = 30.0


@asynccontextmanager
async def producing(place: Place) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that waits for the log and writes nothing twice."""
    address = parse(place.bus_url)
    producer = AIOKafkaProducer(acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES_MAX, **address.client_options())
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def consuming(place: Place, topic: str, group: str = "bare") -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of one topic from its start that commits when it is told to."""
    address = parse(place.bus_url)
    consumer = AIOKafkaConsumer(
        address.outside(topic),
        group_id=address.outside(group),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=BATCH_BYTES_MAX,
        **address.client_options(),
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


class Plain:
    """`bare.Wire`: `getmany` of one topic, `send_batch` to others, offsets committed as often as ours."""

    def __init__(self, place: Place, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        self._outside = parse(place.bus_url).outside
        self._partitions = place.partitions
        self._consumer = consumer
        self._producer = producer
        self._fetched: list[Any] = []
        self._committed = time.monotonic()

    @classmethod
    @asynccontextmanager
    async def opened(cls, place: Place, topic: str, *, filled: bool = True) -> AsyncIterator[Self]:
        """Assigned, and when the topic is `filled` with its first records there, so that no start is measured."""
        async with consuming(place, topic) as consumer, producing(place) as producer:
            wire = cls(place, consumer, producer)
            async with asyncio.timeout(START_S_MAX):
                while not consumer.assignment():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            if filled:
                await wire._fetch(1)
            yield wire

    async def take(self, count: int) -> None:
        """As many records off the topic."""
        await self._fetch(count)
        del self._fetched[:count]
        if time.monotonic() - self._committed >= COMMIT_EVERY_S:
            await self._consumer.commit()
            self._committed = time.monotonic()

    async def say(self, records: Sequence[Outgoing]) -> None:
        """These onto their topics, a batch a partition; acknowledged when it returns."""
        batches: dict[tuple[str, int], Any] = {}
        for record in records:  # their headers are lists, as the driver wants them
            place = record.topic, partition_of(record.key, self._partitions)
            if (batch := batches.get(place)) is None:
                batch = batches[place] = self._producer.create_batch()
            batch.append(key=record.key, value=record.value, timestamp=record.timestamp_ms, headers=record.headers)
        sent = [await self._producer.send_batch(batch, self._outside(topic), partition=n) for (topic, n), batch in batches.items()]
        for each in sent:
            await each

    async def _fetch(self, count: int) -> None:
        while (missing := count - len(self._fetched)) > 0:
            for records in (await self._consumer.getmany(timeout_ms=POLL_MS, max_records=missing)).values():
                self._fetched += records
