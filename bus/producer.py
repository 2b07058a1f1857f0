"""Faust's producer over `Bus.append`. The App wants one; what must leave with a state goes by the relay, not by this."""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, cast

from faust.transport.producer import Producer as BaseProducer
from faust.types import TP, RecordMetadata

from bus.log import Bus, TopicSpec
from bus.partitioning import partition_of
from bus.record import Headers, Outgoing


class HasBus(Protocol):
    """A transport of ours."""

    def bus(self) -> Bus:
        """A bus of its own."""
        ...


class Producer(BaseProducer):
    """Each `send` is an append; what is sent together is committed together."""

    def __post_init__(self) -> None:
        self._bus = cast(HasBus, self.transport).bus()
        self._sending: set[asyncio.Task[RecordMetadata]] = set()
        self._counts: dict[str, int] = {}

    async def on_start(self) -> None:
        """Open the log."""
        await self._bus.open()
        self._counts = {spec.name: spec.partitions for spec in await self._bus.topics()}
        await super().on_start()

    async def on_stop(self) -> None:
        """Wait for what is being sent, close the log."""
        try:
            await self.flush()
            await super().on_stop()
        finally:
            await self._bus.close()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """Begin to append one record; the answer is awaited by the caller."""
        at_ms = time.time_ns() // 1_000_000 if timestamp is None else int(timestamp * 1000)
        task = asyncio.ensure_future(self._send(Outgoing(topic, key, value, _pairs(headers), at_ms, partition)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    async def _send(self, record: Outgoing) -> RecordMetadata:
        [(partition, offset)] = await self._bus.append([record])
        return RecordMetadata(record.topic, partition, TP(record.topic, partition), offset, record.timestamp_ms, 0)

    async def send_and_wait(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> RecordMetadata:
        """Append one record."""
        return await (await self.send(topic, key, value, partition, timestamp, headers))

    async def flush(self) -> None:
        """Wait until everything that was sent is in the log, or has failed."""
        await self.buffer.flush()
        if self._sending:
            await asyncio.wait(list(self._sending))

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        """Declare a topic."""
        await self._bus.declare([TopicSpec(topic, partitions)])

    def key_partition(self, topic: str, key: bytes | None) -> TP:
        """Where a key goes."""
        return TP(topic, partition_of(key, self._counts.get(topic, 1)))

    def supports_headers(self) -> bool:
        """Headers are kept as they are."""
        return True


def _pairs(headers: Any) -> Headers:
    if not headers:
        return ()
    return tuple(headers.items() if isinstance(headers, Mapping) else headers)
