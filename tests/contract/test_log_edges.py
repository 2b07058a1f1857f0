"""The log's edges, which hold for every transport: what is asked of nothing, beyond the end, twice, or by many at once."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.connect import connect, is_kafka
from bus.errors import BusError, LostLease, RecordRefused
from bus.log import Bus, TopicSpec
from bus.record import Fence, Outgoing, pack_headers
from tests.contract.world import content, outgoing, read_all

TIMES_MS = [-1, 0, 1, 1_700_000_000_000, 1_700_000_000_000_000, 253_402_300_800_000]  # CASES B16: also microseconds and year 10000


async def test_nothing_appended_is_nothing_written_also_under_a_wrong_fence(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    assert await bus.append([]) == []
    assert await bus.append([], fence=Fence("nobody", 1)) == []
    assert await bus.ends("t") == {0: (0, 0)}


@pytest.mark.parametrize("topic", ["unknown", "", "T", "t "])
async def test_a_topic_that_was_never_declared_is_named(bus: Bus, topic: str) -> None:
    await bus.declare([TopicSpec("t")])
    with pytest.raises(BusError, match="declare it first"):
        await bus.ends(topic)
    with pytest.raises(BusError, match="declare it first"):
        await bus.read(topic, 0, 0)
    with pytest.raises(BusError, match="declare it first"):
        await bus.offset_at(topic, 0, 0)
    with pytest.raises(RecordRefused, match="declare it first"):
        await bus.append([outgoing(topic)])


@pytest.mark.parametrize("partition", [-1, 2, 10**6])
async def test_a_partition_that_the_topic_has_not_is_refused(bus: Bus, partition: int) -> None:
    await bus.declare([TopicSpec("t", partitions=2)])
    with pytest.raises(BusError, match=f"no partition {partition}"):
        await bus.read("t", partition, 0)
    with pytest.raises(RecordRefused, match=f"no partition {partition}"):
        await bus.append([outgoing("t", partition=partition)])


@pytest.mark.parametrize("offset", [3, 4, 10**12])
async def test_beyond_the_end_there_is_nothing_and_no_error(bus: Bus, offset: int) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append([outgoing("t")] * 3)
    assert await bus.read("t", 0, offset) == []
    await bus.append([outgoing("t", b"new")])
    assert [record.value for record in await bus.read("t", 0, offset)] == ([b"new"] if offset == 3 else [])


@pytest.mark.parametrize("timestamp_ms", TIMES_MS)
async def test_a_records_own_time_is_kept_and_means_nothing_to_the_log(bus: Bus, timestamp_ms: int) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append([outgoing("t"), outgoing("t")._replace(timestamp_ms=timestamp_ms), outgoing("t")])
    records = await read_all(bus, "t")
    assert records[1].timestamp_ms == timestamp_ms
    assert [record.appended_ms for record in records] == sorted(record.appended_ms for record in records)
    assert await bus.offset_at("t", 0, records[0].appended_ms) == 0


@pytest.mark.parametrize("count", [1, 8, 9, 64, 65, 500, 501])
async def test_one_call_of_any_length_is_in_order_and_whole(bus: Bus, count: int) -> None:
    await bus.declare([TopicSpec("t")])
    placed = await bus.append([outgoing("t", str(n).encode()) for n in range(count)])
    assert placed == [(0, n) for n in range(count)]
    assert [record.value for record in await read_all(bus, "t")] == [str(n).encode() for n in range(count)]


@pytest.mark.parametrize("size", [-1, 0, 1])
async def test_the_largest_record_counts_key_value_and_headers(bus: Bus, size: int) -> None:
    headers = (("id", b"x" * 36), ("none", None))
    await bus.declare([TopicSpec("t", max_bytes=200)])
    room = 200 - len(b"key") - len(pack_headers(headers))
    record = outgoing("t", b"v" * (room + size), key=b"key", headers=headers)
    if size > 0:
        with pytest.raises(RecordRefused, match="201 bytes for 't': at most 200 bytes"):
            await bus.append([record])
    else:
        assert await bus.append([record]) == [(0, 0)]


async def test_headers_that_are_packed_already_are_read_like_others(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    headers = (("id", b"1"), ("id", None), ("名", b"\xff"))
    await bus.append([outgoing("t", headers=headers), outgoing("t")._replace(packed=pack_headers(headers))])
    assert [record.headers for record in await read_all(bus, "t")] == [headers, headers]


async def test_declaring_again_changes_what_may_change_and_keeps_the_records(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", 2), TopicSpec("a")])
    await bus.append([outgoing("t", partition=1)])
    for spec in (TopicSpec("t", 2, None, 77), TopicSpec("t", 2, 5, 500), TopicSpec("t", 2, 5, 500)):
        await bus.declare([spec])
        assert await bus.topics() == [TopicSpec("a"), spec]
    assert await bus.ends("t") == {0: (0, 0), 1: (0, 1)}


@pytest.mark.parametrize(("partitions", "max_bytes"), [(0, 1), (-1, 1), (1, 0), (1, -5)])
async def test_a_topic_without_room_is_not_made_nor_are_its_neighbours(bus: Bus, partitions: int, max_bytes: int) -> None:
    with pytest.raises(BusError, match="at least 1"):
        await bus.declare([TopicSpec("good"), TopicSpec("t", partitions, None, max_bytes)])
    assert await bus.topics() == []


async def test_a_group_that_has_read_nothing_has_no_offsets_and_all_the_lag(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t", 2), TopicSpec("u")])
    await bus.declare_group("g", ["t"])
    await bus.append([outgoing("t", partition=1)] * 3)
    assert await bus.offsets("g") == {}
    assert await bus.lag("g", ["t", "u"]) == {("t", 0): 0, ("t", 1): 3, ("u", 0): 0}
    assert await bus.lag("nobody", ["u"]) == {("u", 0): 0}
    assert [row.group for row in await bus.groups()] == ([] if is_kafka(bus_url) else ["g"])  # Kafka knows groups by members and offsets
    with pytest.raises(BusError, match="unknown"):
        await bus.lag("g", ["unknown"])


async def test_a_group_is_nobodys_before_it_has_a_member(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.declare_group("g", ["t"])
    for row in await bus.groups():
        assert (row.epoch, row.pid, row.host, row.since_ms, row.alive, row.standby) == (0, None, None, None, False, ())
    for epoch in (0, 1):
        with pytest.raises(LostLease):
            await bus.append([outgoing("t")], fence=Fence("g", epoch))


async def test_opening_and_closing_again_changes_nothing(bus_url: str) -> None:
    bus = connect(bus_url)
    await asyncio.gather(bus.open(), bus.open())
    await bus.open()
    await bus.declare([TopicSpec("t")])
    await bus.close()
    await bus.close()
    with pytest.raises(BusError):
        await bus.append([outgoing("t")])


async def test_many_who_append_at_once_get_places_of_their_own_and_keep_their_own_order(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", 3)])
    calls = [[outgoing("t", f"{who}:{n}".encode(), key=str(who).encode()) for n in range(who % 5 + 1)] for who in range(60)]
    answers = await asyncio.gather(*(bus.append(call) for call in calls))
    places = [place for answer in answers for place in answer]
    assert len(set(places)) == len(places) == sum(map(len, calls))
    where = {(record.partition, record.offset): record.value for record in await read_all(bus, "t")}
    for call, answer in zip(calls, answers, strict=True):
        assert [where[place] for place in answer] == [record.value for record in call]
        assert answer == sorted(answer) and answer[-1][1] - answer[0][1] == len(answer) - 1


records = st.builds(
    Outgoing,
    st.just("t"),
    st.none() | st.binary(max_size=20),
    st.none() | st.binary(max_size=50),
    st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=300)), max_size=4).map(tuple),
    st.integers(-1, 10**15),
    st.sampled_from([0, 1, 2]),
    st.none(),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.lists(records, max_size=6), max_size=4), limit=st.integers(1, 4))
async def test_whatever_is_appended_is_read_back_in_runs_of_any_length(bus_url: str, calls: list[list[Outgoing]], limit: int) -> None:
    bus = connect(bus_url)
    await bus.open()
    try:
        await bus.declare([TopicSpec("t", 3)])
        before = {partition: end for partition, (_, end) in (await bus.ends("t")).items()}
        for call in calls:
            await bus.append(call)
        for partition, at in before.items():
            found = []
            while run := await bus.read("t", partition, at, limit):
                assert [record.offset for record in run] == list(range(at, at + len(run))) and len(run) <= limit
                found += run
                at += len(run)
            wanted = [record for call in calls for record in call if record.partition == partition]
            assert [content(record) for record in found] == [content(record) for record in wanted]
    finally:
        await bus.close()
