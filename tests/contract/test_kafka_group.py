"""Groups on a real broker: partitions that move, logs made anew, records that are gone, coordinators that refuse."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from bus.app import make_app
from bus.connect import connect
from bus.errors import BusAway, BusError, LogMadeAnew
from bus.kafka import membership
from bus.kafka.bus import Shared
from bus.log import Bus, TopicSpec
from tests.contract.kafka_world import (
    SharedStore,
    agent_of,
    append_odd_name,
    delete_group,
    delete_records,
    grow_topic,
    kafka,
    renew_topic,
    transaction,
)
from tests.contract.world import Reader, Remembered, numbered, outgoing, until

T0 = TP("t", 0)


@pytest.fixture
def bus_url(kafka_url: str) -> str:
    """Kafka only."""
    return kafka_url


@pytest.fixture
async def bus(bus_url: str) -> AsyncIterator[Bus]:
    """The bus of `bus_url`, open."""
    opened = connect(bus_url)
    await opened.open()
    yield opened
    await opened.close()


async def test_partitions_go_from_a_to_b_and_back_and_every_run_begins_where_the_last_one_ended(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t", partitions=4)])
    store = SharedStore(*(TP("t", number) for number in range(4)))
    members = {name: store.member(name) for name in "ab"}
    apps = {name: make_app("g", bus_url, members[name]) for name in "ab"}
    for name, app in apps.items():
        agent_of(app, "t", lambda event, name=name: store.handled(name, event))  # type: ignore[misc]
    total = 0

    async def more() -> None:
        nonlocal total
        for _ in range(20):
            await bus.append(numbered("t", 20, first=total))
            total += 20

    await apps["a"].start()
    try:
        await until(lambda: set(store.owner.values()) == {"a"} and len(store.owner) == 4)
        await more()
        await apps["b"].start()
        try:
            await more()
            await until(lambda: sorted(store.owner.values()) == ["a", "a", "b", "b"])
            await until(lambda: _members(bus, [2, 2]))
            await more()
        finally:
            await apps["b"].stop()
        await until(lambda: sorted(store.owner.values()) == ["a"] * 4)
        await more()
        await until(lambda: len(store.values) >= total)
    finally:
        await apps["a"].stop()
    assert store.wrong == []
    assert sorted(int(value or b"") for value in store.values) == list(range(total))
    epochs = [fence.epoch for fence in members["a"].fences]
    assert epochs == sorted(set(epochs)) and [len(owned) for owned in members["a"].owned] == [4, 2, 4]
    assert sum((await bus.lag("g", ["t"])).values()) == 0


async def _members(bus: Bus, counts: list[int]) -> bool:
    [row] = await bus.groups()
    return sorted(len(member.partitions) for member in row.members) == counts and row.alive and not row.standby


async def test_a_partition_that_the_store_leaves_out_is_not_delivered_and_nothing_is_committed_for_it(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t", partitions=2)])

    class OnlyOne(Remembered):
        async def assigned(self, tps: set[TP], fence: Any) -> dict[TP, int]:
            await super().assigned(tps, fence)
            return {TP("t", 1): 0}

    async with Reader(bus_url, "g", "t", positions=OnlyOne()).running() as reader:
        await bus.append([outgoing("t", b"0", partition=0), outgoing("t", b"1", partition=1)])
        await until(lambda: reader.values == [b"1"])
        await reader.app.consumer.commit()
    assert await bus.offsets("g") == {("t", 1): 1}


async def test_an_app_that_asks_for_a_new_assignment_takes_over_anew(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    async with Reader(bus_url, "g", "t").running() as reader:
        await until(lambda: reader.positions.fences)
        reader.app.rejoin()  # type: ignore[attr-defined]
        await until(lambda: len(reader.positions.fences) == 2)
        assert reader.positions.lost == [{T0}]
        await bus.append([outgoing("t", b"after")])
        await until(lambda: reader.values == [b"after"])


async def test_an_app_whose_client_has_lost_a_task_ends_instead_of_going_deaf(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    async with Reader(bus_url, "g", "t").running() as reader:
        await until(lambda: reader.positions.fences)
        reader.app.consumer.kafka._client._sync_task.cancel()  # type: ignore[attr-defined]
        await until(lambda: reader.app.crashed)
        assert isinstance(reader.app.crash_reason, BusAway) and "has ended" in str(reader.app.crash_reason)


async def test_a_topic_made_anew_while_it_runs_makes_the_app_ask_again(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append(numbered("t", 10))
    async with Reader(bus_url, "g", "t").running() as reader:
        await until(lambda: len(reader.records) == 10)
        asked = len(reader.positions.fences)
        await renew_topic(bus, TopicSpec("t"))
        await bus.append([outgoing("t", b"new")])
        await until(lambda: reader.app.crashed or len(reader.positions.fences) > asked)
        if reader.app.crashed:
            assert isinstance(reader.app.crash_reason, LogMadeAnew)


@pytest.mark.parametrize("position", [11, 10**9])
async def test_a_position_beyond_the_end_is_no_silent_reset(bus_url: str, bus: Bus, position: int) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append(numbered("t", 10))
    async with Reader(bus_url, "g", "t", positions=Remembered({T0: position})).running() as reader:
        await until(lambda: reader.app.crashed)
        assert isinstance(reader.app.crash_reason, LogMadeAnew) and "t/0" in str(reader.app.crash_reason)
        assert reader.records == []


async def test_deleted_records_are_no_silent_reset_and_what_is_left_can_be_read(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append(numbered("t", 10))
    await delete_records(bus, "t", 0, 6)
    await until(lambda: _starts_at(bus, 6))
    assert [record.offset for record in await bus.read("t", 0, 2)] == [6, 7, 8, 9]
    async with Reader(bus_url, "g", "t", positions=Remembered({T0: 3})).running() as reader:
        await until(lambda: reader.app.crashed)
        assert isinstance(reader.app.crash_reason, LogMadeAnew)
    async with Reader(bus_url, "g", "t", positions=Remembered({T0: 6})).running() as reader:
        await until(lambda: reader.values == [b"6", b"7", b"8", b"9"])


async def _starts_at(bus: Bus, offset: int) -> bool:
    return (await bus.ends("t"))[0][0] == offset


async def test_aborted_records_are_never_delivered_and_markers_are_holes(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await transaction(bus, "t", [b"1", b"2"])
    await transaction(bus, "t", [b"never"] * 3, abort=True)
    await transaction(bus, "t", [b"3"])
    await bus.append([outgoing("t", b"4")])
    async with Reader(bus_url, "g", "t").running() as reader:
        await until(lambda: reader.values == [b"1", b"2", b"3", b"4"])
    end = (await bus.ends("t"))[0][1]
    assert reader.records[-1].offset + 1 == end == 10 > len(reader.records)
    assert await bus.offsets("g") == {("t", 0): 10} and await bus.lag("g", ["t"]) == {("t", 0): 0}
    assert [record.value for record in await bus.read("t", 0, 0)] == [b"1", b"2", b"3", b"4"]
    assert [record.value for record in await bus.read("t", 0, 3, 1)] == [b"3"]


async def test_a_groups_offsets_that_were_deleted_follow_the_store_again(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append(numbered("t", 10))
    async with Reader(bus_url, "g", "t").running() as reader:
        await until(lambda: len(reader.records) == 10)
    assert await bus.offsets("g") == {("t", 0): 10}
    await delete_group(bus, "g")
    assert await bus.offsets("g") == {} and await bus.groups() == []
    async with Reader(bus_url, "g", "t", positions=Remembered({T0: 8})).running() as reader:
        await until(lambda: reader.values == [b"8", b"9"])
    assert await bus.offsets("g") == {("t", 0): 10}


async def test_a_header_name_that_is_no_text_stops_nobody(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await append_odd_name(bus, "t")
    await bus.append([outgoing("t", b"4")])
    found = await bus.read("t", 0, 0)
    assert [record.value for record in found] == [b"1", b"2", b"3", b"4"]
    assert found[1].headers == (("\udcffname", b"v"),)
    async with Reader(bus_url, "g", "t").running() as reader:
        await until(lambda: reader.values == [b"1", b"2", b"3", b"4"])
    following = bus.follow(["t"], {("t", 0): 0})
    values: list[bytes | None] = []
    while len(values) < 4:
        values += [record.value for record in await anext(following)]
    await following.aclose()
    assert values == reader.values


async def test_a_coordinator_that_refuses_ends_the_app_with_a_sentence(
    bus_url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def shorter(_: object) -> int:
        return 100

    monkeypatch.setattr(membership, "session_ms", shorter)
    await bus.declare([TopicSpec("t")])
    async with Reader(bus_url, "g", "t").running() as reader:
        await until(lambda: reader.app.crashed)
        assert isinstance(reader.app.crash_reason, BusError)
        assert "group.min.session.timeout.ms" in str(reader.app.crash_reason)


async def test_a_member_with_another_store_is_refused_before_it_takes_anything_over(bus_url: str, bus: Bus) -> None:
    await bus.declare([TopicSpec("t", partitions=2)])
    await bus.append([outgoing("t", partition=number) for number in (0, 1)])
    ours = Reader(bus_url, "g", "t", positions=Remembered({TP("t", 0): 0, TP("t", 1): 0}))
    ours.positions.store = "ours"
    async with ours.running():
        await until(lambda: len(ours.records) == 2)
        stranger = Reader(bus_url, "g", "t", positions=Remembered({TP("t", 0): 0, TP("t", 1): 0}))
        stranger.positions.store = "theirs"
        async with stranger.running():
            await until(lambda: stranger.app.crashed)
            assert isinstance(stranger.app.crash_reason, BusError)
            assert "works on another store (ours) than this process (theirs)" in str(stranger.app.crash_reason)
            assert not stranger.positions.fences and not stranger.records
        await bus.append([outgoing("t", partition=number) for number in (0, 1)])
        await until(lambda: len({(r.partition, r.offset) for r in ours.records}) == 4)


async def test_a_topic_that_has_grown_ends_the_app_and_takes_nothing_more(bus_url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "METADATA_MS_MAX", 500)
    await bus.declare([TopicSpec("t", partitions=2)])
    await bus.append([outgoing("t", partition=0)])
    async with Reader(bus_url, "g", "t", positions=Remembered({TP("t", 0): 0, TP("t", 1): 0})).running() as reader:
        await until(lambda: len(reader.records) == 1)
        await grow_topic(bus, "t", 3)
        await until(lambda: reader.app.crashed)
        assert "has 3 partitions now and had 2" in str(reader.app.crash_reason)
    Shared.of(kafka(bus).cluster).appender.limits.forget("t")
    with pytest.raises(BusAway, match="has 3 partitions now and had 2"):
        await bus.append([outgoing("t")])
