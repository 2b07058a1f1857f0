"""What only tests of the Kafka transport do: speak to the broker past the bus, as an operator or a stranger would."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.structs import TopicPartition
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from faust.types import TP

from bus.kafka.bus import KafkaBus
from bus.kafka.protocol import AlterTopicConfigs, check
from bus.log import Bus, TopicSpec
from bus.record import Fence
from tests.contract.world import until

BATCH_BYTES = 100_000


def kafka(bus: Bus) -> KafkaBus:
    """The bus as what it is."""
    assert isinstance(bus, KafkaBus)
    return bus


def server(bus: Bus) -> str:
    """host:port of the broker."""
    return kafka(bus).address.servers[0]


def outside(bus: Bus, name: str) -> str:
    """What a topic or group is called there."""
    return kafka(bus).address.outside(name)


async def delete_topic(bus: Bus, topic: str) -> None:
    """Delete a topic; returns when the broker knows it no more."""
    admin = AIOKafkaAdminClient(bootstrap_servers=server(bus))
    await admin.start()
    try:
        await admin.delete_topics([outside(bus, topic)])

        async def gone() -> bool:
            return outside(bus, topic) not in await admin.list_topics()

        await until(gone)
    finally:
        await admin.close()


async def renew_topic(bus: Bus, spec: TopicSpec) -> None:
    """Make a topic anew."""
    await delete_topic(bus, spec.name)
    await bus.declare([spec])


async def grow_topic(bus: Bus, topic: str, count: int) -> None:
    """Give a topic more partitions, as an administrator may."""
    admin = AIOKafkaAdminClient(bootstrap_servers=server(bus))
    await admin.start()
    try:
        await admin.create_partitions({outside(bus, topic): NewPartitions(total_count=count)})
    finally:
        await admin.close()


async def delete_records(bus: Bus, topic: str, partition: int, before: int) -> None:
    """Delete the records before an offset, as an operator does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=server(bus))
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(outside(bus, topic), partition): RecordsToDelete(before_offset=before)})
    finally:
        await admin.close()


async def set_topic(bus: Bus, topic: str, **settings: str) -> None:
    """Change settings of a topic behind the bus' back."""
    changes = {outside(bus, topic): {name.replace("_", "."): value for name, value in settings.items()}}
    answer = await kafka(bus).cluster.ask(AlterTopicConfigs(changes))
    for code, message, *_ in answer.responses:
        check(code, message)


async def delete_group(bus: Bus, group: str) -> None:
    """Delete an empty group with its offsets."""
    admin = AdminClient({"bootstrap.servers": server(bus)})
    futures = admin.delete_consumer_groups([outside(bus, group)])
    for future in futures.values():
        await asyncio.to_thread(future.result)


async def transaction(bus: Bus, topic: str, values: list[bytes], *, abort: bool = False) -> None:
    """Append in a transaction that is committed or aborted; either leaves a marker, which is an offset without a record."""
    producer = AIOKafkaProducer(bootstrap_servers=server(bus), transactional_id=outside(bus, "stranger"))
    await producer.start()
    try:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(outside(bus, topic), value, partition=0)
        await (producer.abort_transaction() if abort else producer.commit_transaction())
    finally:
        await producer.stop()


class OddName(str):
    """A header's name that is no UTF-8 on the wire, which no client's API lets through."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff" + super().encode(encoding, errors)


async def append_odd_name(bus: Bus, topic: str) -> None:
    """Three records, the middle one with such a header."""
    producer = AIOKafkaProducer(bootstrap_servers=server(bus))
    await producer.start()
    try:
        batch = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(2, 0, False, -1, -1, 0, BATCH_BYTES)
        for value, headers in ((b"1", []), (b"2", [(OddName("name"), b"v")]), (b"3", [])):
            assert batch.append(timestamp=1, key=b"k", value=value, headers=headers) is not None
        await (await producer.send_batch(batch, outside(bus, topic), partition=0))
    finally:
        await producer.stop()


async def strangers(bus: Bus, topic: str, keys: list[bytes], **settings: str) -> dict[bytes, int]:
    """librdkafka produces one record a key; where each went."""
    found: dict[bytes, int] = {}

    def delivered(error: Any, message: Any) -> None:
        assert error is None
        found[message.key()] = message.partition()

    def produce() -> None:
        producer = Producer({"bootstrap.servers": server(bus), **settings})
        for key in keys:
            producer.produce(outside(bus, topic), key=key, value=b"stranger", on_delivery=delivered)
        producer.flush(20)

    await asyncio.to_thread(produce)
    return found


class SharedStore:
    """One store of several members: positions that every handled run moves, and a note of every run that did not begin there."""

    def __init__(self, *tps: TP) -> None:
        self.next = dict.fromkeys(tps, 0)
        self.owner: dict[TP, str] = {}
        self.values: list[bytes | None] = []
        self.wrong: list[str] = []

    def member(self, name: str) -> "MemberOfStore":
        """One member's view."""
        return MemberOfStore(self, name)

    def handled(self, name: str, event: Any) -> None:
        """A run was handled by a member."""
        first, last = event.value[0], event.value[-1]
        tp = TP(first.topic, first.partition)
        if self.owner.get(tp) != name or first.offset != self.next[tp]:
            self.wrong.append(f"{name} had {first.offset} of {tp}, which {self.owner.get(tp)} owns at {self.next[tp]}")
        self.next[tp] = last.offset + 1
        self.values += [record.value for record in event.value]
        event.ack()


class MemberOfStore:
    """Positions of one member."""

    def __init__(self, store: SharedStore, name: str) -> None:
        self.store = store
        self.name = name
        self.fences: list[Fence] = []
        self.owned: list[set[TP]] = []

    async def identity(self) -> str:
        """Nobody needs to know."""
        return ""

    async def assigned(self, tps: set[TP], fence: Fence) -> Mapping[TP, int]:
        """Take these over."""
        assert tps, "never called with none"
        self.fences.append(fence)
        self.owned.append(set(tps))
        self.store.owner.update(dict.fromkeys(tps, self.name))
        return {tp: self.store.next[tp] for tp in tps}

    async def revoked(self, tps: set[TP]) -> None:
        """Own these no more."""
        for tp in tps:
            if self.store.owner.get(tp) == self.name:
                del self.store.owner[tp]


def agent_of(app: Any, topic: str, handle: Callable[[Any], None]) -> None:
    """Show an App one agent that handles each run at once."""

    async def take(stream: Any) -> None:
        async for event in stream.noack().events():
            handle(event)

    channel = app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    app.agent(channel, name=f"{topic}.agent", concurrency=1)(take)
