"""A group over real Faust Apps: runs, acks, offsets, positions, one active member."""

import asyncio
import os

import pytest
from faust.types import TP

from bus.app import make_app
from bus.errors import BusError, LostLease
from bus.log import Bus, TopicSpec
from bus.record import Outgoing
from tests.contract.world import Reader, Remembered, content, numbered, outgoing, read_all, until

T0 = TP("t", 0)


async def delivered(reader: Reader, count: int, *, what: str = "events") -> None:
    """Wait until the agent has had so many."""
    await until(lambda: len(getattr(reader, what)) == count)


async def acquired(positions: Remembered, times: int) -> None:
    """Wait until the group has been ours so often."""
    await until(lambda: len(positions.fences) == times)


async def test_an_agent_gets_runs_of_one_partition_in_order(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t", partitions=3)])
    await bus.append(numbered("t", 1300))
    async with Reader(bus_url, "g", "t").running() as reader:
        await until(lambda: len(reader.records) == 1300)
    for event in reader.events:
        assert len({(record.topic, record.partition) for record in event.value}) == 1 and len(event.value) <= 500
    for partition in range(3):
        offsets = [record.offset for record in reader.records if record.partition == partition]
        assert offsets == list(range(len(offsets)))


async def test_null_and_odd_records_reach_the_loop_as_they_are(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    sent = [
        outgoing("t", None, key=None),
        outgoing("t", b"", key=b""),
        outgoing("t", b"\xff", key=b"\x00", headers=(("h", None), ("h", b"\xff"), ("", b""))),
    ]
    async with Reader(bus_url, "g", "t").running() as reader:
        await bus.append(sent)
        await until(lambda: len(reader.records) == 3)
    assert [content(record) for record in reader.records] == [content(record) for record in sent]


async def test_the_groups_offset_follows_the_acks_while_it_runs_and_at_the_stop(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append(numbered("t", 10))
    async with Reader(bus_url, "g", "t").running() as reader:
        assert await bus.lag("g", ["t"]) == {("t", 0): 10}
        await until(lambda: _is(bus, 10))
        await bus.append(numbered("t", 5))
        await until(lambda: len(reader.records) == 15)
    assert await bus.offsets("g") == {("t", 0): 15}
    assert await bus.lag("g", ["t"]) == {("t", 0): 0}


async def _is(bus: Bus, offset: int) -> bool:
    return (await bus.offsets("g")).get(("t", 0)) == offset


async def test_the_offset_never_steps_over_a_run_that_is_not_acked(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    async with Reader(bus_url, "g", "t", acks=False).running() as reader:
        for n in range(4):
            await bus.append(numbered("t", 1, first=n))
            await delivered(reader, n + 1)
        reader.events[0].ack()
        reader.events[2].ack()
        reader.events[3].ack()
        await reader.app.consumer.commit()
        assert await bus.offsets("g") == {("t", 0): 1}
    assert await bus.offsets("g") == {("t", 0): 1}
    again = Reader(bus_url, "g", "t", positions=Remembered({T0: 1}))
    async with again.running():
        await until(lambda: again.values == [b"1", b"2", b"3"])


async def test_acks_in_another_order_count_when_the_gap_is_closed(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    async with Reader(bus_url, "g", "t", acks=False).running() as reader:
        for n in range(3):
            await bus.append(numbered("t", 1, first=n))
            await delivered(reader, n + 1)
        for index in (1, 2, 0):
            reader.events[index].ack()
        await reader.app.consumer.commit()
        assert await bus.offsets("g") == {("t", 0): 3}


async def test_reading_begins_where_the_store_says_and_the_groups_offset_follows_it_there(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append(numbered("t", 10))
    for position in (7, 2, 0):
        reader = Reader(bus_url, "g", "t", positions=Remembered({T0: position}), acks=False)
        async with reader.running():
            await delivered(reader, 10 - position, what="records")
            assert (await bus.offsets("g")).get(("t", 0), 0) == position
        assert reader.records[0].offset == position


async def test_each_member_has_an_epoch_of_its_own_and_asks_for_its_positions_once(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    positions = Remembered()
    for epoch in (1, 2, 3):
        async with Reader(bus_url, "g", "t", positions=positions).running():
            await acquired(positions, epoch)
            [row] = await bus.groups()
            assert (row.group, row.alive, row.epoch) == ("g", True, positions.fences[-1].epoch)
    epochs = [fence.epoch for fence in positions.fences]
    assert epochs == sorted(set(epochs))  # Kafka counts the emptied group too
    assert [(row.alive, row.pid) for row in await bus.groups()] == [(False, None)]


async def test_the_second_member_waits_and_takes_over_when_the_first_one_stops(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    first, second = Reader(bus_url, "g", "t"), Reader(bus_url, "g", "t")
    async with first.running():
        await until(lambda: first.positions.fences)
        async with second.running():
            await until(lambda: _standbys(bus))
            await bus.append(numbered("t", 20))
            await until(lambda: len(first.records) == 20)
            assert not second.positions.fences and not second.records
            await first.app.stop()
            await until(lambda: second.positions.fences)
            await bus.append(numbered("t", 5, first=20))
            await until(lambda: b"24" in second.values)
    assert {*first.values, *second.values} == {str(n).encode() for n in range(25)}


async def _standbys(bus: Bus) -> bool:
    return any(row.standby for row in await bus.groups())


@pytest.mark.parametrize("bus_url", ["sqlite"], indirect=True)  # members of a group on Kafka share its partitions, nobody waits
async def test_a_member_that_may_not_wait_ends_with_the_owners_name(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    async with Reader(bus_url, "g", "t").running() as first:
        await until(lambda: first.positions.fences)
        second = Reader(bus_url, "g", "t", standby_ok=False)
        async with second.running():
            await until(lambda: second.app.crashed)
            assert isinstance(second.app.crash_reason, BusError)
            assert str(os.getpid()) in str(second.app.crash_reason)
        assert not first.app.crashed


async def test_an_app_of_an_undeclared_topic_ends_with_a_sentence(bus_url: str, bus: Bus) -> None:
    async with Reader(bus_url, "g", "nowhere").running() as reader:
        await until(lambda: reader.app.crashed)
        assert "nowhere" in str(reader.app.crash_reason)


async def test_a_stopped_members_fence_appends_nothing_more(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t"), TopicSpec("out")])
    async with Reader(bus_url, "g", "t").running() as reader:
        await until(lambda: reader.positions.fences)
        await bus.append([outgoing("out", b"mine")], fence=reader.positions.fences[0])
    with pytest.raises(LostLease):
        await bus.append([outgoing("out", b"late")], fence=reader.positions.fences[0])
    assert [record.value for record in await read_all(bus, "out")] == [b"mine"]


async def test_a_full_agent_holds_up_the_fetching_and_no_other_agent(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t"), TopicSpec("u")])
    app = make_app("g", bus_url, Remembered())
    gate, seen = asyncio.Event(), {"t": 0, "u": 0}

    def agent(name: str) -> None:
        async def take(stream: object) -> None:
            async for event in stream.noack().events():  # type: ignore[attr-defined]
                if name == "t":
                    await gate.wait()
                seen[name] += len(event.value)
                event.ack()

        app.agent(app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"), name=name)(take)

    agent("t")
    agent("u")
    await app.start()
    try:
        for first in range(0, 10_000, 500):
            await bus.append(numbered("t", 500, first=first) + numbered("u", 500, first=first))
        await until(lambda: seen["u"] == 10_000)
        assert (await app.consumer.position(T0) or 0) < 7_000  # at most 8 runs wait, one is held, one is on its way
        gate.set()
        await until(lambda: seen["t"] == 10_000)
    finally:
        await app.stop()


async def test_a_flow_that_is_resumed_once_more_loses_none_of_what_waits_for_the_agent(bus_url: str, bus: Bus) -> None:
    """A rebalance that overtakes the one before makes Faust resume twice."""
    await bus.declare([TopicSpec("t")])
    app = make_app("g", bus_url, Remembered())
    gate, seen, begins = asyncio.Event(), list[bytes | None](), list[tuple[int, int]]()

    async def take(stream: object) -> None:
        async for event in stream.noack().events():  # type: ignore[attr-defined]
            await gate.wait()
            seen.extend(record.value for record in event.value)
            begins.append((event.value.begins, event.value[-1].offset + 1))
            event.ack()

    app.agent(app.topic("t", key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"), name="t")(take)
    await app.start()
    try:
        for first in range(0, 2_000, 100):
            await bus.append(numbered("t", 100, first=first))
        await until(lambda: app.consumer.unacked)
        app.flow_control.resume()
        app.consumer.resume_flow()
        gate.set()
        await until(lambda: len(seen) >= 2_000)
    finally:
        await app.stop()
    assert seen == [b"%d" % number for number in range(2_000)]
    assert [begin for begin, _ in begins] == [0, *(end for _, end in begins[:-1])], "each run says that it follows on the one before"


async def test_fausts_own_producer_appends_too(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    reader = Reader(bus_url, "g", "t")
    async with reader.running():
        topic = reader.app.topic("t", key_serializer="raw", value_serializer="raw")
        done = await (await topic.send(key=b"k", value=b"v", headers=[("h", b"1")]))
        assert (done.partition, done.offset) == (0, 0)
        await until(lambda: reader.values == [b"v"])
    assert reader.records[0].headers == (("h", b"1"),)


def test_it_runs_on_uvloop_as_well(bus_url: str) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        from bus.connect import connect

        bus = connect(bus_url)
        await bus.open()
        await bus.declare([TopicSpec("t")])
        async with Reader(bus_url, "g", "t").running() as reader:
            await bus.append([Outgoing("t", None, b"v", (), 0)])
            await until(lambda: reader.values == [b"v"])
        await bus.close()

    uvloop.run(main())
