"""The log: what is appended is what is read, in order, all or nothing."""

import asyncio

import pytest

from bus.connect import connect
from bus.errors import BusError, LostLease, RecordRefused
from bus.log import Bus, TopicSpec
from bus.record import Fence, Headers, Outgoing
from tests.contract.world import ROOT, content, numbered, outgoing, read_all, until

ODD: list[bytes | None] = [None, b"", b"\x00\xff\xfe", b"line\r\nline\xe2\x80\xa8", b"aGVsbG8=", "标的".encode(), b"x" * 3000]
ODD_HEADERS: list[Headers] = [
    (),
    (("", b""),),
    (("id", b"1"), ("id", b"2"), ("id", None)),
    (("名", b"\xff"), ("empty", b""), ("null", None)),
    tuple((f"h{n}", None if n % 3 else bytes([n % 256]) * n) for n in range(300)),
    (("long", b"v" * 700),),
    (("n" * 300, b"v"),),
]


async def test_bytes_nulls_and_headers_come_back_as_they_went(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    sent = [outgoing("t", value, key=key) for key in ODD for value in ODD] + [outgoing("t", headers=headers) for headers in ODD_HEADERS]
    await bus.append(sent)
    assert [content(record) for record in await read_all(bus, "t")] == [content(record) for record in sent]


async def test_offsets_count_up_and_the_answer_says_where_each_record_is(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", partitions=3), TopicSpec("u")])
    placed = await bus.append([outgoing("t", partition=1), outgoing("u"), outgoing("t", partition=1), outgoing("t", partition=2)])
    assert placed == [(1, 0), (0, 0), (1, 1), (2, 0)]
    assert await bus.append([outgoing("t", partition=1)]) == [(1, 2)]
    assert await bus.ends("t") == {0: (0, 0), 1: (0, 3), 2: (0, 1)}


async def test_a_key_always_goes_to_the_partition_that_kafkas_java_client_would_choose(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", partitions=8)])
    keys = [b"21", b"foobar", b"a-little-bit-long-string", b"abc"]  # murmur2 by Kafka's own UtilsTest
    hashes = [-973932308, -790332482, -985981536, 479470107]
    placed = await bus.append([outgoing("t", key=key) for key in keys])
    assert [partition for partition, _ in placed] == [(h & 0x7FFFFFFF) % 8 for h in hashes]


async def test_a_call_with_one_impossible_record_writes_nothing_of_the_call(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", max_bytes=1000)])
    for impossible in (
        outgoing("t", b"x" * 1001),
        outgoing("unknown"),
        outgoing("t", partition=1),
        outgoing("t", headers=(("h", b"x" * 999),)),
    ):
        with pytest.raises(RecordRefused):
            await bus.append([outgoing("t"), impossible])
    assert await bus.ends("t") == {0: (0, 0)}


async def test_callers_that_append_together_do_not_fail_each_other(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", max_bytes=100)])
    calls = [bus.append([outgoing("t", str(n).encode()), outgoing("t", b"x" * 200 if n % 3 == 0 else b"y")]) for n in range(30)]
    calls.append(bus.append([outgoing("t")], fence=Fence("nobody", 1)))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers.pop(), LostLease)
    assert [isinstance(answer, RecordRefused) for answer in answers] == [n % 3 == 0 for n in range(30)]
    kept = [record.value for record in await read_all(bus, "t") if record.value != b"y"]
    assert sorted(int(value or b"") for value in kept) == [n for n in range(30) if n % 3]


async def test_a_cancelled_append_has_ended_when_the_caller_goes_on(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    for ticks in range(20):
        call = asyncio.create_task(bus.append([outgoing("t")]))
        for _ in range(ticks):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        before = await bus.ends("t")
        await bus.append([outgoing("t")])
        assert (await bus.ends("t"))[0][1] == before[0][1] + 1


async def test_calls_under_way_at_the_same_time_do_not_overtake_each_other(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", 2)])
    calls = [asyncio.create_task(bus.append(numbered("t", 7, first=7 * n))) for n in range(60)]
    await asyncio.gather(*calls)
    for partition in (0, 1):
        values = [int(record.value or b"") for record in await read_all(bus, "t") if record.partition == partition]
        assert values == sorted(values) and len(set(values)) == len(values)


async def test_who_follows_gets_every_run_from_where_it_began_and_no_other_topics(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", 2), TopicSpec("u"), TopicSpec("other")])
    await bus.append([outgoing("t", b"old", partition=0), outgoing("t", b"kept", partition=1), outgoing("u", b"old")])
    following = bus.follow(["t", "u"], {("t", 1): 0})
    values = [record.value for record in await asyncio.wait_for(anext(following), 20)]
    assert values == [b"kept"]
    await bus.append([outgoing("other"), outgoing("t", b"1", partition=0), outgoing("u", b"2")])
    while len(values) < 3:
        values += [record.value for record in await asyncio.wait_for(anext(following), 20)]
    assert sorted(values, key=str) == [b"1", b"2", b"kept"]
    await following.aclose()


async def test_a_run_has_an_end_in_records_and_in_bytes_but_at_least_one_record(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.append([outgoing("t", b"x" * 1000) for _ in range(20)])
    assert len(await bus.read("t", 0, 0, 7)) == 7
    assert len(await bus.read("t", 0, 5, 500, 3500)) == 3
    assert len(await bus.read("t", 0, 5, 500, 10)) == 1
    assert await bus.read("t", 0, 20) == []
    assert [record.offset for record in await bus.read("t", 0, -5, 2)] == [0, 1]


async def test_a_topic_keeps_its_number_of_partitions_for_life(bus: Bus) -> None:
    await bus.declare([TopicSpec("t", partitions=2)])
    await bus.declare([TopicSpec("t", partitions=2, max_bytes=10)])
    with pytest.raises(BusError, match="2 partitions"):
        await bus.declare([TopicSpec("new"), TopicSpec("t", partitions=3)])
    assert await bus.topics() == [TopicSpec("t", partitions=2, max_bytes=10)]


async def test_the_offset_of_an_instant_is_found_by_the_time_of_appending(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    assert await bus.offset_at("t", 0, 0) is None
    await bus.append([outgoing("t"), outgoing("t")])
    first = (await bus.read("t", 0, 0))[0].appended_ms
    await until(lambda: _appended_later(bus, first))
    last = (await read_all(bus, "t"))[-1]
    assert await bus.offset_at("t", 0, first) == 0
    assert await bus.offset_at("t", 0, last.appended_ms) == last.offset
    assert await bus.offset_at("t", 0, last.appended_ms + 1) is None


async def _appended_later(bus: Bus, instant_ms: int) -> bool:
    if (await read_all(bus, "t"))[-1].appended_ms > instant_ms:
        return True
    await bus.append([outgoing("t")])
    return False


async def test_two_connections_see_one_log_and_it_outlives_them(bus_url: str) -> None:
    one, two = connect(bus_url), connect(bus_url)
    await one.open()
    await two.open()
    await one.declare([TopicSpec("t")])
    await one.append([outgoing("t", b"1")])
    await two.append([outgoing("t", b"2")])
    identity = await one.incarnation()
    await one.close()
    assert [record.value for record in await read_all(two, "t")] == [b"1", b"2"]
    await two.close()
    again = connect(bus_url)
    await again.open()
    assert [record.value for record in await read_all(again, "t")] == [b"1", b"2"]
    assert await again.incarnation() == identity
    await again.close()


async def test_who_waits_is_woken_by_an_append_here(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.wait(0)
    waiting = asyncio.create_task(_woken(bus))
    await until(lambda: bus.append([outgoing("t")]))
    await asyncio.wait_for(waiting, 10)


async def test_an_append_between_looking_and_waiting_is_not_slept_over(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    await bus.wait(0)
    await bus.append([outgoing("t")])
    await asyncio.wait_for(bus.wait(60), 10)


async def test_who_waits_is_woken_by_an_append_of_another_process(bus_url: str, bus: Bus) -> None:
    import sys

    await bus.declare([TopicSpec("t")])
    await bus.wait(0)
    waiting = asyncio.create_task(_woken(bus))
    script = (
        "import asyncio, sys\n"
        "from bus.connect import connect\n"
        "from tests.contract.world import outgoing\n"
        "async def main():\n"
        "    bus = connect(sys.argv[1]); await bus.open(); await bus.append([outgoing('t')]); await bus.close()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, bus_url, cwd=ROOT)
    assert await process.wait() == 0
    await asyncio.wait_for(waiting, 10)


async def _woken(bus: Bus) -> None:
    while (await bus.ends("t"))[0][1] == 0:
        await bus.wait(60)


async def test_a_fence_of_an_epoch_that_never_was_appends_nothing(bus: Bus) -> None:
    await bus.declare([TopicSpec("t")])
    with pytest.raises(LostLease):
        await bus.append([outgoing("t")], fence=Fence("g", 7))
    assert await bus.ends("t") == {0: (0, 0)}


def test_outgoing_records_need_no_partition() -> None:
    assert Outgoing("t", None, None, (), 0).partition is None
