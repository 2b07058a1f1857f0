"""Appending to a real broker: refusals, producers that are replaced, strangers on our topics."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber
from aiokafka.structs import TopicPartition

from bus.connect import connect
from bus.errors import BusAway, RecordRefused
from bus.kafka.bus import Shared
from bus.kafka.limits import FRAME_BYTES
from bus.kafka.producer import Sender
from bus.log import Bus, TopicSpec
from bus.partitioning import partition_of
from tests.contract.kafka_world import delete_topic, kafka, set_topic, strangers
from tests.contract.world import outgoing, read_all, until


@pytest.fixture
async def bus(kafka_url: str) -> AsyncIterator[Bus]:
    """A bus on Kafka, open."""
    opened = connect(kafka_url)
    await opened.open()
    yield opened
    await opened.close()


def sender(bus: Bus) -> Sender:
    """What sends for this bus."""
    return Shared.of(kafka(bus).cluster).appender.sender


async def test_a_batch_is_split_by_what_the_topic_takes(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", max_bytes=2000)])
    placed = await bus.append([outgoing("t", bytes([n]) * 1000) for n in range(50)])
    assert placed == [(0, n) for n in range(50)]
    assert [record.value for record in await read_all(bus, "t")] == [bytes([n]) * 1000 for n in range(50)]
    assert sender(bus).replaced == 0


async def test_after_a_limit_was_lowered_the_refused_producer_is_replaced_and_what_fits_goes_on(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", partitions=2)])
    await bus.append([outgoing("t", partition=0), outgoing("t", partition=1)])
    await set_topic(bus, "t", max_message_bytes=str(2000 + FRAME_BYTES))
    await bus.append([outgoing("t", b"x" * 1500, partition=0) for _ in range(10)])  # refused as one batch, taken in smaller ones
    assert sender(bus).replaced == 1
    with pytest.raises(RecordRefused, match="at most 2000 bytes"):
        await bus.append([outgoing("t", b"x" * 5000, partition=1)])
    assert await bus.append([outgoing("t", partition=0), outgoing("t", partition=1)]) == [(0, 11), (1, 1)]


async def test_one_record_that_the_broker_refuses_fails_its_own_caller_only(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append([outgoing("t")])
    await set_topic(bus, "t", max_message_bytes=str(2000 + FRAME_BYTES))
    calls = [bus.append([outgoing("t", b"x" * (5000 if n == 5 else 10))]) for n in range(10)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) is RecordRefused for answer in answers] == [n == 5 for n in range(10)]
    assert (await bus.ends("t"))[0][1] == 10


async def test_an_error_that_ends_a_producer_says_nothing_of_a_record(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The producer is replaced, and the relay asks again: no actor is suspended for it."""
    await bus.declare([TopicSpec("t")])
    await bus.append([outgoing("t")])
    producer = sender(bus)._producer
    assert producer is not None

    async def broken(*_: object, **__: object) -> None:
        raise OutOfOrderSequenceNumber

    monkeypatch.setattr(producer, "send_batch", broken)
    with pytest.raises(BusAway, match="OutOfOrder"):
        await bus.append([outgoing("t")])
    assert await bus.append([outgoing("t")]) == [(0, 1)]
    assert sender(bus)._producer is not producer


async def test_what_a_time_out_left_in_a_producer_never_follows_what_is_sent_later(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append([outgoing("t", b"0")])
    old = sender(bus)._producer
    assert old is not None
    muted = old._sender._muted_partitions
    muted.add(kafka_tp := next(iter([_tp(bus)])))  # it holds back whatever it is given, as while a leader is away
    monkeypatch.setattr("bus.kafka.producer.SEND_S_MAX", 0.2)
    with pytest.raises(BusAway):
        await bus.append([outgoing("t", b"1")])
    monkeypatch.setattr("bus.kafka.producer.SEND_S_MAX", 10.0)
    muted.discard(kafka_tp)
    assert await bus.append([outgoing("t", b"1"), outgoing("t", b"2")]) == [(0, 1), (0, 2)]
    await until(lambda: not sender(bus)._ending)
    assert [record.value for record in await read_all(bus, "t")] == [b"0", b"1", b"2"]


async def test_a_time_out_in_one_partition_is_no_refusal_in_another(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have a batch in the producer that is abandoned."""
    await bus.declare([TopicSpec("t", partitions=2)])
    await bus.append([outgoing("t", partition=0), outgoing("t", partition=1)])
    producer = sender(bus)._producer
    assert producer is not None
    muted = producer._sender._muted_partitions
    muted.update(TopicPartition(kafka(bus).address.outside("t"), number) for number in (0, 1))  # as while their leader is away
    monkeypatch.setattr("bus.kafka.producer.SEND_S_MAX", 0.3)
    calls = [asyncio.create_task(bus.append([outgoing("t", partition=0)]))]
    await until(lambda: producer._message_accumulator._batches)
    monkeypatch.setattr("bus.kafka.producer.SEND_S_MAX", 10.0)  # of the second one, which fails with the first one's producer
    calls.append(asyncio.create_task(bus.append([outgoing("t", partition=1)])))
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(answer, BusAway), repr(answer)
    assert [partition for partition, _ in await bus.append([outgoing("t", partition=0), outgoing("t", partition=1)])] == [0, 1]


def _tp(bus: Bus) -> object:
    return TopicPartition(kafka(bus).address.outside("t"), 0)


async def test_a_topic_that_was_deleted_is_an_unknown_one(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    await bus.declare([TopicSpec("t"), TopicSpec("u")])
    await bus.append([outgoing("t")])
    await delete_topic(bus, "t")
    monkeypatch.setattr("bus.kafka.producer.SEND_S_MAX", 1.0)
    with pytest.raises(BusAway):
        await bus.append([outgoing("t")])
    with pytest.raises(RecordRefused, match="declare it first"):
        await bus.append([outgoing("t")])
    assert await bus.append([outgoing("u")]) == [(0, 0)]


async def test_a_stranger_with_kafkas_partitioner_finds_our_partitions_and_another_one_does_not(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", partitions=8)])
    keys = [f"key-{n}".encode() for n in range(40)]
    ours = {key: partition_of(key, 8) for key in keys}
    assert await strangers(bus, "t", keys, partitioner="murmur2_random") == ours
    assert await strangers(bus, "t", keys) != ours
    records = await read_all(bus, "t")
    assert len(records) == 80
    assert all(record.timestamp_ms == record.appended_ms and record.headers == () for record in records)


async def test_settings_that_an_operator_has_made_survive_a_declaration(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await set_topic(bus, "t", min_insync_replicas="1", file_delete_delay_ms="1234", retention_ms="777")
    await bus.declare([TopicSpec("t")])
    found = (await kafka(bus).cluster.topic_configs(["t"]))["t"]
    assert (found["file.delete.delay.ms"], found["retention.ms"]) == ("1234", str(TopicSpec("t").retention_ms))
    assert found["message.timestamp.type"] == "LogAppendTime"
    assert int(found["segment.ms"]) * 10 == int(found["retention.ms"])
