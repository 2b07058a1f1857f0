"""One producer at a time, replaced when it may be broken (FAUST 1).

An idempotent producer of aiokafka numbers its batches: after a refused one every later batch of that partition fails with
OutOfOrderSequenceNumber, and one that is not answered is sent again for ever, before everything that comes later. So
after a refusal the producer is retired (what other partitions have in it may end), and after a time-out it is abandoned (what it
holds fails at once, as BusAway: it may or may not be in the log). The next send has a new one.
"""

import asyncio
import logging
from contextvars import Context
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder

from bus.errors import BusError
from bus.kafka.cluster import REQUEST_S, Cluster, client_id, within
from bus.kafka.pacing import paced
from bus.kafka.protocol import passes
from config import faults

SEND_S_MAX = 10.0  # a batch with all its repetitions; then it is BusAway
START_S_MAX = 10.0
STOP_S_MAX = 5.0

log = logging.getLogger("lendbus.bus")


class Sender:
    """Sends batches through the present producer."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False
        self.replaced = 0  # producers that were given up

    async def send(self, batch: BatchBuilder, topic: str, partition: int) -> int:
        """The offset of the batch's first record, once it is durable. Raises Kafka's error or TimeoutError: the producer is given up."""
        producer = await self._ready()
        try:
            async with asyncio.timeout(SEND_S_MAX):
                with faults.around("bus.append"):
                    done = await (await producer.send_batch(batch, self._cluster.address.outside(topic), partition=partition))
        except (TimeoutError, KafkaError) as exc:
            self._give_up(producer, abandon=passes(exc))
            raise
        offset: int = done.offset
        return offset

    async def close(self) -> None:
        """Let what is under way end, but not for long."""
        self._closed = True
        if self._producer is not None:
            self._give_up(self._producer, abandon=False)
        if self._ending:
            await asyncio.wait(self._ending, timeout=2 * STOP_S_MAX)

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._closed:
                raise BusError(f"the bus {self._cluster.address} is not open")
            if self._producer is None:
                # in a context of its own: what it says is not said of the request that happened to be the first
                self._producer = await asyncio.create_task(self._started(), context=Context())
            return self._producer

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            client_id=client_id(),
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=int(REQUEST_S * 1000),
            **self._cluster.address.client_options(),
        )
        paced(producer.client)
        try:
            async with asyncio.timeout(START_S_MAX):
                await producer.start()
        except BaseException:
            await within(STOP_S_MAX, _abandon(producer), "giving up a producer that did not start")
            raise
        return producer

    def _give_up(self, producer: AIOKafkaProducer, *, abandon: bool) -> None:
        if self._producer is producer:
            self._producer = None
            self.replaced += 0 if self._closed else 1
        elif not abandon:
            return  # is being retired already
        task = asyncio.ensure_future(_abandon(producer) if abandon else _retire(producer))
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.warning("a producer did not end well: %s", str(exc) or type(exc).__name__)


class _Forgiving(set[Any]):
    """The batches under way of an abandoned producer: failed under its hands, they are put back and taken out once more."""

    def remove(self, batch: Any) -> None:
        """As `discard`."""
        self.discard(batch)


async def _retire(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(SEND_S_MAX):
            await producer.stop()
    except (TimeoutError, KafkaError):
        await _abandon(producer)


async def _abandon(producer: AIOKafkaProducer) -> None:
    """End a producer without waiting for the broker: first its connections, so that nothing waits for an answer."""
    gone = KafkaTimeoutError("the producer was given up")
    producer._closed = True
    waiting = producer._message_accumulator
    waiting._pending_batches = _Forgiving(waiting._pending_batches)
    left = [*waiting._pending_batches, *(batch for batches in waiting._batches.values() for batch in batches)]
    waiting.fail_all(gone)
    for batch in left:
        for future in (batch.future, batch._drain_waiter):
            future.exception() if future.done() else None  # seen: who waited has gone, or is told
    await within(STOP_S_MAX, producer.client.close(), "closing a producer's connections")
    await within(STOP_S_MAX, _end_sender(producer._sender), "ending a producer")


async def _end_sender(sender: Any) -> None:
    await sender.close()
