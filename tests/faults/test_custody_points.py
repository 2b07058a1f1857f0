"""Custody's smallest flow through every fault point that it passes: the worker stops there once; each order is put, ended and told once.

The bank is a script that answers like docs/bank-api.md; it loses the first answer to every question after it has acted on it.
"""

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agents.custody import agent
from agents.custody.messages import (
    SAYS,
    TOPIC,
    AskDate,
    Closed,
    CloseOrder,
    DateAnswered,
    DateRolled,
    Notice,
    OrderAwaiting,
    OrderEnded,
    PlaceOrder,
    Queried,
    Registered,
)
from agents.custody.model import Order, Status
from agents.runtime.calendar import KEY
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, decode, encode
from agents.runtime.worker import House, Surroundings, Worker
from bus.connect import connect
from bus.log import Bus, TopicSpec
from config import faults
from config.custody import Policy
from config.retry import Schedule
from stores import custody as tables
from stores.engine import Store
from stores.inspection import attempts_of
from stores.migrate import migrate
from tests.faults.probe import KEEP
from tests.faults.support import until
from tests.faults.test_bank_points import Nth

OPERATIONS = ("loop.commit", "loop.ack", "relay.append", "timers.commit", "attempts.call", "attempts.commit", "takeover.commit")
POINTS = [point for point in faults.points() if point.startswith(OPERATIONS)]
TOPICS = [TopicSpec(name) for name in (TOPIC, "users.commands", "trading.commands", "repayments.commands")]
ANSWERS = {kind.type: kind for kind in SAYS}
QUICK = Policy(result=Schedule(first_ms=20, factor=2, cap_ms=100, budget=1_000), date_every_ms=50)
PAGE, DIRECT, GIVEN_UP = (str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in ("page", "direct", "given up"))
FINAL = ("SUCCEEDED", "REFUSED", "CLOSED")
DAYS = ("2026-02-27", "2026-02-28", "2026-03-01")


class Lost(Exception):
    """The bank has heard it, and nobody hears the bank."""


@dataclass
class Bank:
    """Requests by number: AWAITING or ACCEPTED, then an end; what is confirmed or direct is executed when it is asked about again."""

    requests: dict[str, str] = field(default_factory=dict)
    executed: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    day: int = 0

    async def register(self, number: str, asked: Mapping[str, Any]) -> Message:
        key = asked["request_no"]
        self.requests.setdefault(key, "AWAITING" if asked["page"] else "ACCEPTED")
        self.lose(number)
        return Registered(id=key, page_url="http://bank/p", **self.said(key))

    async def query(self, number: str, asked: Mapping[str, Any]) -> Message:
        key = asked["request_no"]
        if self.requests.get(key) == "ACCEPTED":
            self.requests[key] = "SUCCEEDED"
            self.executed[key] += 1
        self.lose(number)
        return Queried(id=key, asked=asked["asked"], kind=None, page_url="http://bank/p", **self.said(key))

    async def close(self, number: str, asked: Mapping[str, Any]) -> Message:
        key = asked["request_no"]
        if self.requests.get(key) not in FINAL:
            self.requests[key] = "CLOSED"
        self.lose(number)
        return Closed(id=key, **self.said(key))

    async def date(self, number: str, _: Mapping[str, Any]) -> Message:
        self.lose(number)
        return DateAnswered(id=KEY, date=DAYS[self.day])

    def lose(self, number: str) -> None:
        self.heard[number] += 1
        if self.heard[number] == 1 and not number.startswith("date:"):
            raise Lost(number)

    def said(self, key: str) -> dict[str, Any]:
        status = self.requests.get(key, "UNKNOWN")
        return {
            "status": status,
            "amount_fen": 500,
            "booked_date": DAYS[0] if status == "SUCCEEDED" else None,
            "reason": None,
            "details": {},
        }

    def house(self) -> House:
        """Custody with this bank behind its attempts, which are repeated quickly."""
        callers = {"register": self.register, "query": self.query, "close": self.close, "date": self.date}
        made = agent.service(QUICK, callers)
        quick = Schedule(first_ms=10, factor=2, cap_ms=40, budget=1_000)
        return House(type(made)(**{**vars(made), "attempts": quick}), agent.listen, opens=((KEY, AskDate(id=KEY)),))


@dataclass
class Platform:
    """Custody's worker over files, built anew whenever it ends."""

    folder: Path
    bank: Bank = field(default_factory=Bank)

    def __post_init__(self) -> None:
        self.bus_url, self.store_url = (f"sqlite:///{self.folder}/{name}.db" for name in ("bus", "custody"))
        migrate("custody", self.store_url)
        self.bus: Bus = connect(self.bus_url)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stopping, current = asyncio.Event(), list[Worker]()

        async def supervise() -> None:
            while not stopping.is_set():
                current.append(Worker(self.bank.house(), Surroundings(self.bus_url, self.store_url, TOPICS, KEEP)))
                with contextlib.suppress(faults.InjectedFault):
                    await current[-1].run()

        task = asyncio.create_task(supervise())
        try:
            yield
        finally:
            stopping.set()
            current[-1].request_stop()
            async with asyncio.timeout(20):
                await task

    async def say(self, key: str, message: Message, name: str = "") -> None:
        """As a service that repeats, under the same id, what the bus did not take."""
        identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{key}{message.type}{name}"))
        origin = Origin(identity, key, "test")
        for _ in range(2):
            with contextlib.suppress(faults.InjectedFault):
                now_ms = time.time_ns() // 1_000_000
                await self.bus.append([encode(message, key=key, message_id=identity, origin=origin, now_ms=now_ms)])
                return

    async def place(self, key: str, kind: str, *, page: bool) -> None:
        content = {"amount_fen": 500}
        to = {"reply_topic": "users.commands", "reply_key": "somebody"}
        await self.say(key, PlaceOrder(id=key, kind=kind, content=content, page=page, amount_fen=500, **to))

    async def reads(self, query: Any, *args: Any) -> Any:
        store = await Store.open("custody", self.store_url)
        try:
            async with store.reading() as connection:
                return await query(connection, *args)
        finally:
            await store.close()

    async def stands(self, key: str, *states: Status) -> None:
        """Return when an order is in one of these states."""

        async def is_there() -> bool:
            found: Order | None = await self.reads(tables.order_by_id, key)
            return found is not None and found.status in states

        await until(is_there, f"{key} is {' or '.join(states)}")

    async def told(self, topic: str) -> list[Any]:
        """What was said to these services, each message once."""
        found, at = dict[str, Any](), 0
        while run := await self.bus.read(topic, 0, at):
            for delivery in (decode(record, ANSWERS) for record in run):
                found.setdefault(delivery.id, delivery.message)
            at = run[-1].offset + 1
        return list(found.values())


@pytest.mark.parametrize(("point", "nth"), [(point, n) for point in POINTS for n in ([1] if point.startswith("takeover") else [1, 5])])
async def test_every_order_ends_once_as_it_did_at_the_bank_although_everything_stops_once_at(point: str, nth: int, tmp_path: Path) -> None:
    here, hook = Platform(tmp_path), Nth(point, nth)
    await here.bus.open()
    await here.bus.declare(TOPICS)
    with faults.installed(hook):
        async with here.running():
            await here.place(PAGE, "recharge", page=True)
            await here.place(DIRECT, "establish_project", page=False)
            await here.place(GIVEN_UP, "recharge", page=True)
            for key in (PAGE, GIVEN_UP):
                await here.stands(key, Status.AWAITING_MEMBER)
            await here.say(GIVEN_UP, CloseOrder(id=GIVEN_UP))
            here.bank.requests[PAGE] = "SUCCEEDED"  # the member has confirmed, and the bank has executed it
            here.bank.executed[PAGE] += 1
            await until(lambda: here.told("repayments.commands"), "the first day is told")
            here.bank.day = 2
            notice = Notice(
                id=PAGE, webhook_id="w1", body="{}", kind="recharge", status="SUCCEEDED", amount_fen=500, booked_date=DAYS[0]
            )  # fmt: skip
            for _ in range(2):
                await here.say(PAGE, notice)
            await here.stands(PAGE, Status.SUCCEEDED)
            await here.stands(DIRECT, Status.SUCCEEDED)
            await here.stands(GIVEN_UP, Status.CLOSED)

            async def quiet() -> bool:
                days = [m.date for m in await here.told("repayments.commands") if isinstance(m, DateRolled)]
                told = [m for m in await here.told("users.commands") if isinstance(m, OrderEnded)]
                return days == list(DAYS) and len(told) == 3 and not await here.reads(attempts_of, [PAGE, DIRECT, GIVEN_UP])

            await until(quiet, "everything is answered and told")
    said = await here.told("users.commands")
    await here.bus.close()
    assert {m.id: m.result for m in said if isinstance(m, OrderEnded)} == {PAGE: "succeeded", DIRECT: "succeeded", GIVEN_UP: "closed"}
    assert sorted(m.id for m in said if isinstance(m, OrderAwaiting)) == sorted((PAGE, GIVEN_UP))
    assert here.bank.executed == {PAGE: 1, DIRECT: 1} and len(said) == 5
    assert [row.webhook_id for row in await here.reads(tables.notices_of, PAGE)] == ["w1"]
    assert await here.reads(tables.breaks) == []
    assert hook.hits >= nth
