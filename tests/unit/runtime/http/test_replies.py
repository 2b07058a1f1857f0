"""The reader of answers: it starts at the end, survives a bus that is away, and says when it has ended."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import cast

import pytest

from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.runtime.http import replies
from agents.runtime.http.problems import Problem
from agents.runtime.http.replies import Replies, Subject, Ticket
from agents.runtime.messages import Known, Suspended
from agents.users.messages import RegistrationEnded
from bus.errors import BusAway
from bus.following import follow
from bus.log import Bus
from bus.record import Record
from config import retry

ID = "04484baa-3aaa-5913-a335-04d36d3dfc06"
SUBJECT, OTHER = Subject(ID, "mac 1"), Subject(ID, "mac 2")
SOON_S = 10.0


class ScriptedBus:
    """A bus of one topic with two partitions; `breaks` are raised by the next reads, in order."""

    def __init__(self) -> None:
        self.logs: dict[int, list[Record]] = {0: [], 1: []}
        self.breaks: list[Exception] = []
        self.news = asyncio.Event()
        self.asked: list[tuple[int, int]] = []

    async def ends(self, _: str) -> dict[int, tuple[int, int]]:
        """Where the next records will stand."""
        return {partition: (0, len(log)) for partition, log in self.logs.items()}

    async def read(self, _: str, partition: int, offset: int) -> list[Record]:
        """One record at a time."""
        self.asked.append((partition, offset))
        if self.breaks:
            raise self.breaks.pop(0)
        return self.logs[partition][offset : offset + 1]

    async def wait(self, _: float) -> None:
        """Until something is appended."""
        await self.news.wait()
        self.news.clear()

    def follow(self, topics: list[str], start: Mapping[tuple[str, int], int]) -> AsyncGenerator[list[Record], None]:
        """As the embedded bus does."""
        return follow(cast(Bus, self), topics, start)

    def append(self, message: Message, reply_to: str, partition: int = 0) -> None:
        """As a service answers."""
        key = reply_to.partition("/")[0]
        record = encode(message, key=key, message_id=ID, origin=Origin(ID, ID, "anonymous"), now_ms=0, reply_to=reply_to)
        log = self.logs[partition]
        log.append(Record(record.topic, partition, len(log), 0, 0, record.key, record.value, record.headers))
        self.news.set()


@pytest.fixture
def bus() -> ScriptedBus:
    return ScriptedBus()


@pytest.fixture
async def reader(bus: ScriptedBus) -> AsyncIterator[Replies]:
    made = Replies(cast("Bus", bus))
    yield made
    await made.stop()


@pytest.fixture
def ticket(reader: Replies) -> Iterator[Ticket]:
    with reader.expect(SUBJECT) as made:
        yield made


async def told(ticket: Ticket) -> Message | None:
    """What it is told, soon."""
    return await ticket.next(asyncio.get_running_loop().time() + SOON_S)


async def test_an_answer_reaches_its_ticket_from_any_partition(bus: ScriptedBus, reader: Replies, ticket: Ticket) -> None:
    await reader.start()
    for partition in (0, 1, 0):
        bus.append(Known(id=ID), ticket.reply_to, partition)
        assert await told(ticket) == Known(id=ID)


async def test_what_stood_there_before_the_start_is_not_read(bus: ScriptedBus, reader: Replies, ticket: Ticket) -> None:
    bus.append(Known(id=ID), ticket.reply_to)
    await reader.start()
    bus.append(Suspended(id=ID), ticket.reply_to)
    assert await told(ticket) == Suspended(id=ID)
    assert (0, 0) not in bus.asked


async def test_a_bus_that_is_away_is_read_on_where_it_was_left(
    bus: ScriptedBus, reader: Replies, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "STORE_AWAY", retry.Schedule(1, 2, 2, 100))
    await reader.start()
    bus.breaks = [BusAway("locked")] * 3
    bus.append(Known(id=ID), ticket.reply_to)
    assert await told(ticket) == Known(id=ID)
    assert reader.alive


async def test_a_reader_that_ended_by_surprise_is_not_alive(bus: ScriptedBus, reader: Replies) -> None:
    await reader.start()
    assert reader.alive
    bus.breaks = [ZeroDivisionError()]
    bus.news.set()
    with pytest.raises(ZeroDivisionError):
        await reader.watch()
    assert not reader.alive


async def test_a_reader_that_was_stopped_ends_the_watch_quietly(reader: Replies) -> None:
    await reader.start()
    watching = asyncio.create_task(reader.watch())
    await reader.stop()
    await watching
    assert not reader.alive


async def test_an_end_is_told_to_all_who_ask_for_the_same(bus: ScriptedBus, reader: Replies, ticket: Ticket) -> None:
    await reader.start()
    end = RegistrationEnded(id=ID, status="CONFIRMED")
    with reader.expect(SUBJECT) as same, reader.expect(OTHER) as other:
        bus.append(end, ticket.reply_to)
        assert [await told(t) for t in (ticket, same)] == [end, end]
        bus.append(Known(id=ID), ticket.reply_to)
        assert await told(ticket) == Known(id=ID)
        assert [await t.next(0) for t in (same, other)] == [None, None]


async def test_a_place_is_given_back_and_late_answers_are_nobodys(bus: ScriptedBus, reader: Replies, ticket: Ticket) -> None:
    await reader.start()
    with reader.expect(OTHER) as gone:
        assert reader.waiting == 2
    bus.append(RegistrationEnded(id=ID, status="CONFIRMED"), gone.reply_to)
    bus.append(Known(id=ID), ticket.reply_to)
    assert await told(ticket) == Known(id=ID)
    assert reader.waiting == 1


async def test_places_are_limited(reader: Replies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "WAITING_MAX", 1)
    with reader.expect(SUBJECT):
        with pytest.raises(Problem) as refused, reader.expect(OTHER):
            pass
        assert refused.value.code == "busy"
    with reader.expect(OTHER):
        assert reader.waiting == 1


async def test_when_waiting_ends_nobody_waits_not_even_who_comes_later(reader: Replies, ticket: Ticket) -> None:
    reader.end_waiting()
    assert await told(ticket) is None
    with reader.expect(OTHER) as late:
        assert await told(late) is None


async def test_two_gateways_never_have_the_same_address(bus: ScriptedBus) -> None:
    with Replies(cast("Bus", bus)).expect(SUBJECT) as one, Replies(cast("Bus", bus)).expect(SUBJECT) as two:
        assert one.reply_to.partition("/")[0] != two.reply_to.partition("/")[0]
