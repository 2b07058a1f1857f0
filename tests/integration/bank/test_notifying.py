"""The notifier as its worker runs it, over a real bus and both databases: every try a row, whatever befalls (CASES D31, D39)."""

import asyncio
import socket
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.runtime.worker import Surroundings, Worker
from bank import notifier
from bank.messages import DayBegan, Ended
from bank.notifier_model import State
from bank.notifier_store import counts_by_state, notice_by_id, notices_of_state, notices_page, tries_of
from bus.connect import connect
from bus.log import Bus, TopicSpec
from config.retry import Schedule
from stores.engine import Store
from tests.faults.probe import KEEP
from tests.integration.bank.world import PLATFORM, number
from tests.integration.stores.world import until
from topics import BANK_TOPICS

TRIES = 15
SHORT = Schedule(first_ms=20, factor=2, cap_ms=20, budget=TRIES)
TOPICS = [TopicSpec(topic.name) for topic in BANK_TOPICS]
HOLDS = "hold"  # an answer: none until it is let go

Answer = int | Exception | str


@dataclass
class Outside:
    """A platform's receiver: what it answers, by notice, and what it was told."""

    answers: Callable[[str, int], Answer] = lambda _, __: 200
    told: list[tuple[str, str, bytes]] = field(default_factory=list)
    at_once: Counter[str] = field(default_factory=Counter)
    overlaps: int = 0
    holding: asyncio.Event = field(default_factory=asyncio.Event)

    async def post(self, platform: str, webhook_id: str, body: bytes) -> int:
        self.told.append((platform, webhook_id, body))
        self.at_once[webhook_id] += 1
        self.overlaps += self.at_once[webhook_id] > 1
        try:
            answer = self.answers(orjson.loads(body)["data"].get("request_no", ""), self.count(webhook_id))
            if answer == HOLDS:
                self.holding.set()
                await asyncio.Event().wait()
            if isinstance(answer, Exception):
                raise answer
            assert isinstance(answer, int)
            return answer
        finally:
            self.at_once[webhook_id] -= 1

    def count(self, webhook_id: str) -> int:
        """How often this notice was told."""
        return sum(told[1] == webhook_id for told in self.told)


@dataclass
class Post:
    """The bank's bus and the notifier's store, and a notifier that can be started anew."""

    bus: Bus
    bus_url: str
    store_url: str
    outside: Outside = field(default_factory=Outside)
    schedule: Schedule = SHORT

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Worker]:
        """A notifier at work for the block."""
        worker = Worker(notifier.house(self.outside.post, self.schedule), Surroundings(self.bus_url, self.store_url, TOPICS, KEEP))
        running = asyncio.create_task(worker.run())
        try:
            await worker.wait_until_owner(20)
            yield worker
        finally:
            worker.request_stop()
            await running

    async def say(self, *said: Message) -> None:
        """What the ledger says."""
        now_ms = time.time_ns() // 1_000_000
        records = []
        for message in said:
            key, identity = message.id, str(uuid.uuid4())  # type: ignore[attr-defined]
            records.append(encode(message, key=key, message_id=identity, origin=Origin(identity, key, "bank"), now_ms=now_ms))
        await self.bus.append(records)

    async def asks(self, question: Callable[..., Any], *args: Any, **named: Any) -> Any:
        store = await Store.open("notifier", self.store_url)
        try:
            async with store.reading() as connection:
                return await question(connection, *args, **named)
        finally:
            await store.close()

    async def ended(self, state: State, count: int) -> None:
        """Until so many notices are in this state."""

        async def there() -> bool:
            found: dict[str, int] = await self.asks(counts_by_state)
            return found.get(state.value, 0) >= count

        await until(there)


@pytest.fixture
async def post(tmp_path: Path, store_urls: dict[str, str]) -> AsyncIterator[Post]:
    bus_url = f"sqlite:///{tmp_path}/bus.db"
    bus = connect(bus_url)
    await bus.open()
    await bus.declare(TOPICS)
    yield Post(bus, bus_url, store_urls["notifier"])
    await bus.close()


def ended(name: object, **changes: Any) -> Ended:
    fields: dict[str, Any] = {
        "id": number(name), "platform": PLATFORM, "kind": "recharge", "status": "SUCCEEDED", "amount_fen": 1990,
        "booked_date": "2026-03-02", "reason": None, "details": {"name": "你好 ‐ \u2028 emoji 🙂"},
    }  # fmt: skip
    return Ended(**{**fields, **changes})


async def test_a_result_is_told_once_with_the_bytes_that_are_stored(post: Post) -> None:
    async with post.running():
        await post.say(ended("r"), DayBegan(id=number("d"), platform="another", date="2026-03-03"))
        await post.ended(State.ACKNOWLEDGED, 2)
    rows = {row.id: row for row in await post.asks(notices_page, after="", limit=10)}
    assert Counter(told[0] for told in post.outside.told) == {PLATFORM: 1, "another": 1}
    for platform, webhook_id, body in post.outside.told:
        row = next(r for r in rows.values() if r.webhook_id == webhook_id)
        assert (row.platform, row.body.encode(), row.tries) == (platform, body, 1)
    said = orjson.loads(rows[number("r")].body)
    assert said["data"]["details"]["name"] == "你好 ‐ \u2028 emoji 🙂" and said["type"] == "order.ended"
    (row,) = await post.asks(tries_of, number("r"))
    assert (row.n, row.status, row.error) == (1, 200, None) and row.at_ms > 0 and row.took_ms >= 0


FAILURES: dict[str, Answer] = {
    "forbidden": 403,
    "redirected": 302,
    "away": 503,
    "refused": ConnectionRefusedError(111, "refused"),
    "no name": socket.gaierror(-2, "Name or service not known"),
    "reset": aiohttp.ClientOSError(104, "reset by peer"),
    "garbage": aiohttp.ClientPayloadError("not HTTP"),
    "late": TimeoutError(),
}


async def test_every_failure_counts_and_the_last_try_is_made_whatever_is_started_anew_meanwhile(post: Post) -> None:
    names = {number(name): answer for name, answer in FAILURES.items()}
    restarts = [3, 9, 14]

    def answers(request_no: str, times: int) -> Answer:
        if restarts and request_no == number("away") and times >= restarts[0]:
            restarts.pop(0)
            return HOLDS
        return names[request_no]

    post.outside.answers = answers
    await post.say(*(ended(name) for name in FAILURES))
    while restarts:
        post.outside.holding.clear()
        async with post.running():
            await asyncio.wait_for(post.outside.holding.wait(), 20)
    async with post.running():
        await post.ended(State.GIVEN_UP, len(FAILURES))
        await post.say(ended("control"))
        names[number("control")] = 200
        await post.ended(State.ACKNOWLEDGED, 1)
    for name, answer in FAILURES.items():
        rows = await post.asks(tries_of, number(name))
        assert [row.n for row in rows] == list(range(1, TRIES + 1)), name
        assert {row.status for row in rows} == {answer if isinstance(answer, int) else None}
        assert all(row.error is None if isinstance(answer, int) else type(answer).__name__ in row.error for row in rows)
        bodies = {told[2] for told in post.outside.told if orjson.loads(told[2])["data"]["request_no"] == number(name)}
        assert len(bodies) == 1
    assert post.outside.overlaps == 0


async def test_what_is_gone_is_told_no_more_and_others_are(post: Post) -> None:
    post.outside.answers = lambda request_no, _: 410 if request_no == number("gone") else 200
    async with post.running():
        await post.say(ended("gone"), ended("good"))
        await post.ended(State.GONE, 1)
        await post.ended(State.ACKNOWLEDGED, 1)
    assert (await post.asks(notice_by_id, number("gone"))).tries == 1
    assert [row.id for row in await post.asks(notices_of_state, State.GONE, limit=5)] == [number("gone")]


async def test_what_was_said_while_the_notifier_was_away_is_told_once_each(post: Post) -> None:
    async with post.running():
        await post.say(ended("first"))
        await post.ended(State.ACKNOWLEDGED, 1)
    await post.say(*(ended(n) for n in range(60)))
    async with post.running():
        await post.ended(State.ACKNOWLEDGED, 61)
    assert len(post.outside.told) == len({told[1] for told in post.outside.told}) == 61


async def test_a_receiver_that_comes_back_is_told_what_it_has_missed(post: Post) -> None:
    away = [True]
    post.outside.answers = lambda _, __: 503 if away[0] else 200
    post.schedule = Schedule(first_ms=20, factor=2, cap_ms=40, budget=1_000)
    async with post.running():
        await post.say(*(ended(n) for n in range(5)))
        await until(lambda: len(post.outside.told) >= 15)
        away[0] = False
        await post.ended(State.ACKNOWLEDGED, 5)
    tried: Sequence[Any] = await post.asks(tries_of, number(0))
    assert [row.status for row in tried][-1] == 200 and {row.status for row in tried[:-1]} == {503}
    assert post.outside.overlaps == 0


async def test_of_two_notifiers_one_tells(post: Post) -> None:
    post.outside.answers = lambda _, times: 200 if times > 3 else 500
    async with post.running():
        second = Worker(notifier.house(post.outside.post, SHORT), Surroundings(post.bus_url, post.store_url, TOPICS, KEEP))
        standby = asyncio.create_task(second.run())
        await post.say(*(ended(n) for n in range(10)))
        await post.ended(State.ACKNOWLEDGED, 10)
        second.request_stop()
        await standby
    assert len(post.outside.told) == 40 and post.outside.overlaps == 0
