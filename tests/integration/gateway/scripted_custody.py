"""Custody as a test plays it: it reads its topic on the real bus and answers as FLOWS 3 says, with no bank behind it."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from agents.custody.messages import REPAYMENTS, TOPIC, TRADING, CloseOrder, DateRolled, OrderAwaiting, OrderEnded, PlaceOrder
from agents.runtime.calendar import KEY
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, decode, encode
from bus.log import Bus
from tests.integration.gateway.world import until

PAGE = "http://bank.example/pages/"
REGISTRY: dict[str, type[Message]] = {PlaceOrder.type: PlaceOrder, CloseOrder.type: CloseOrder}


@dataclass
class ScriptedCustody:
    """Direct orders succeed at once; page orders wait until the test confirms, refuses, or they are closed."""

    bus: Bus
    today: date = date(2026, 1, 31)
    orders: dict[str, PlaceOrder] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    async def confirm(self, page_url: str, **details: Any) -> None:
        """The member confirms on the page."""
        order = self.orders[page_url.removeprefix(PAGE)]
        await self._end(order, "succeeded", details=details)

    async def refuse(self, page_url: str, reason: str) -> None:
        """The bank refuses what the page asks for."""
        await self._end(self.orders[page_url.removeprefix(PAGE)], "refused", reason=reason)

    async def roll(self, days: int = 1) -> None:
        """The business date, a day at a time; the first call says the first date."""
        for _ in range(days):
            self.today += timedelta(days=1)
            await self.tell_date()

    async def tell_date(self) -> None:
        """Both dated services hear the date."""
        for topic in (TRADING, REPAYMENTS):
            await self._say(DateRolled(id=KEY, date=self.today.isoformat()), KEY, topic)

    async def follow(self) -> None:
        """Read the topic until cancelled."""
        async with contextlib.aclosing(self.bus.follow([TOPIC], {(TOPIC, 0): 0})) as runs:
            async for run in runs:
                for record in run:
                    await self._take(decode(record, REGISTRY).message)

    async def _take(self, message: Message) -> None:
        match message:
            case PlaceOrder(page=True) if message.id not in self.orders:
                self.orders[message.id] = message
                await self._say(OrderAwaiting(id=message.id, page_url=PAGE + message.id), message.reply_key, message.reply_topic)
            case PlaceOrder() if message.id not in self.orders:
                self.orders[message.id] = message
                if message.kind == "collect":
                    await self._end(message, "refused", reason="not_authorized")
                else:
                    await self._end(message, "succeeded")
            case CloseOrder() if message.id not in self.ended:
                await self._end(self.orders[message.id], "closed")

    async def _end(self, order: PlaceOrder, result: str, *, reason: str | None = None, details: dict[str, Any] | None = None) -> None:
        self.ended.add(order.id)
        amount_fen = order.amount_fen or int(order.content.get("due_fen", 0))
        said = OrderEnded(
            id=order.id,
            kind=order.kind,
            result=result,
            reason=reason,
            booked_date=self.today.isoformat(),
            amount_fen=amount_fen if result == "succeeded" else 0,
            details=details or {},
        )
        await self._say(said, order.reply_key, order.reply_topic)

    async def _say(self, message: Message, key: str, topic: str) -> None:
        identity = str(uuid.uuid4())
        record = encode(message, key=key, message_id=identity, origin=Origin(identity, identity, "custody"), now_ms=1, topic=topic)
        await self.bus.append([record])


@asynccontextmanager
async def custody(bus: Bus) -> AsyncIterator[ScriptedCustody]:
    """It listens for the length of the block; what goes wrong in it is raised."""
    made = ScriptedCustody(bus)
    task = asyncio.create_task(made.follow(), name="scripted custody")
    try:
        yield made
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


__all__ = ["PAGE", "ScriptedCustody", "custody", "until"]
