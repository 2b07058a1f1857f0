"""The bank's smallest flow through every fault point that it passes: ledger and notifier stop there once, and the money moves once."""

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.runtime.worker import House, Surroundings, Worker
from bank import agent, notifier
from bank.check import broken
from bank.notifier_model import State
from bank.notifier_store import counts_by_state, notices_page, tries_of
from bank.queries import balances_of, request_by_id
from bus.connect import connect
from bus.log import Bus, TopicSpec
from bus.record import Outgoing
from config import faults
from config.bank import Terms
from config.retry import Schedule
from stores.engine import Store
from stores.migrate import migrate
from tests.faults.probe import KEEP
from tests.faults.support import until
from tests.integration.bank.world import DATE, confirmation, instruct, number, opening
from tools.bank_check import read
from topics import BANK_TOPICS

OPERATIONS = ("loop.commit", "loop.ack", "relay.append", "timers.commit", "attempts.call", "attempts.commit", "takeover.commit")
POINTS = [point for point in faults.points() if point.startswith(OPERATIONS)]
TOPICS = [TopicSpec(topic.name) for topic in BANK_TOPICS]
SHORT = Schedule(first_ms=10, factor=2, cap_ms=40, budget=50)


@dataclass
class Nth:
    """A hook that raises at one point, the n-th time that it is reached."""

    point: str
    nth: int
    hits: int = 0

    def __call__(self, reached: str) -> None:
        if reached == self.point:
            self.hits += 1
            if self.hits == self.nth:
                raise faults.InjectedFault(reached)


@dataclass
class Bank:
    """Ledger and notifier over files, each built anew whenever it ends; a platform that refuses every first try."""

    folder: Path
    told: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bus_url = f"sqlite:///{self.folder}/bus.db"
        self.urls = {name: f"sqlite:///{self.folder}/{name}.db" for name in ("bank", "notifier")}
        for name, url in self.urls.items():
            migrate(name, url)

    async def post(self, platform: str, webhook_id: str, body: bytes) -> int:
        self.told.append((webhook_id, body))
        return 200 if sum(told == webhook_id for told, _ in self.told) > 1 else 503

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stopping, current = asyncio.Event(), dict[str, Worker]()

        async def supervise(name: str, house: Callable[[], House]) -> None:
            while not stopping.is_set():
                current[name] = Worker(house(), Surroundings(self.bus_url, self.urls[name], TOPICS, KEEP))
                with contextlib.suppress(faults.InjectedFault):
                    await current[name].run()

        tasks = [
            asyncio.create_task(supervise("bank", lambda: agent.house(Terms(5, 4), DATE))),
            asyncio.create_task(supervise("notifier", lambda: notifier.house(self.post, SHORT))),
        ]
        try:
            yield
        finally:
            stopping.set()
            for worker in current.values():
                worker.request_stop()
            async with asyncio.timeout(20):
                await asyncio.gather(*tasks)

    async def asks(self, service: str, question: Callable[..., Awaitable[Any]], *args: Any, **named: Any) -> Any:
        store = await Store.open(service, self.urls[service])
        try:
            async with store.reading() as connection:
                return await question(connection, *args, **named)
        finally:
            await store.close()

    async def ended(self, name: object) -> Any:
        """How a request has ended, as soon as it has."""

        async def final() -> Any:
            found = await self.asks("bank", request_by_id, number(name))
            return found if found is not None and found.status.is_final else None

        return await until(final, f"{name} ends")


def record(actor: str, message: Message) -> Outgoing:
    """One message, under the same id however often it is sent."""
    identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{actor}{message.type}"))
    return encode(message, key=actor, message_id=identity, origin=Origin(identity, actor, "test"), now_ms=time.time_ns() // 1_000_000)


async def say(bus: Bus, actor: str, message: Message) -> None:
    """As a client that repeats what it was not answered."""
    try:
        await bus.append([record(actor, message)])
    except faults.InjectedFault:
        await bus.append([record(actor, message)])


@pytest.mark.parametrize("nth", [1, 4])
@pytest.mark.parametrize("point", POINTS)
async def test_money_moves_once_and_the_platform_is_told_although_everything_stops_once_at(point: str, nth: int, tmp_path: Path) -> None:
    bank, hook = Bank(tmp_path), Nth(point, nth)
    bus = connect(bank.bus_url)
    await bus.open()
    await bus.declare(TOPICS)
    with faults.installed(hook):
        async with bank.running():
            account = opening("lin")
            for message in (account, confirmation(account)):
                await say(bus, account.id, message)
            custody_no = (await bank.ended("open lin")).details["custody_no"]
            paid = instruct("pay", "recharge", {"custody_no": custody_no, "amount_fen": 1990}, page=True)
            for message in (paid, confirmation(paid)):
                await say(bus, paid.id, message)
            assert (await bank.ended("pay")).amount_fen == 1990

            async def all_told() -> bool:
                return bool((await bank.asks("notifier", counts_by_state)) == {State.ACKNOWLEDGED.value: 2})

            await until(all_told, "both notices are acknowledged")
    await bus.close()
    assert await bank.asks("bank", balances_of, custody_no) == (1990, 0)
    assert broken(await bank.asks("bank", read)) == []
    for notice in await bank.asks("notifier", notices_page, after="", limit=10):
        rows = await bank.asks("notifier", tries_of, notice.id)
        assert [row.n for row in rows] == list(range(1, notice.tries + 1)) and rows[-1].status == 200
        assert {body for webhook_id, body in bank.told if webhook_id == notice.webhook_id} == {notice.body.encode()}
    kinds = Counter(orjson.loads(body)["data"]["kind"] for _, body in bank.told)
    assert kinds.keys() == {"open_account", "recharge"}
    assert hook.hits >= 1
