"""Custody between a real bank and a real bus: the worker, a gateway that receives the notices, and whoever places orders, by hand."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.custody.messages import SAYS, CloseOrder, OrderEnded, PlaceOrder
from agents.custody.model import Order
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, decode, encode
from agents.runtime.worker import utc_now_ms
from bank.enrolment import write_private
from gateway.notices import ROUTE
from stores import custody as tables
from tests.integration.bank_http.world import BankWorld, until
from tests.integration.gateway.world import Client, ScriptedUsers, World
from tools.bank_place import platforms_of
from tools.reading import ask

REPLIES = "users.commands"
ANSWERS = {kind.type: kind for kind in SAYS}


@dataclass
class Sides:
    """Platform and bank."""

    bank: BankWorld
    world: World
    client: Client

    async def enrol(self, url: str | None = None) -> None:
        """From now on notices go to this gateway, or elsewhere."""
        enrolled = platforms_of(self.bank.own).enrol("lendbus", url or f"{self.client.url}{ROUTE}")
        write_private(self.world.settings.bank_credentials_path(), enrolled.credentials(self.bank.url))

    async def say(self, message: Message, key: str) -> None:
        """Put a message into custody's mailbox."""
        identity = str(uuid.uuid4())
        await self.world.bus.append(
            [encode(message, key=key, message_id=identity, origin=Origin(identity, key, "test"), now_ms=utc_now_ms())]
        )

    async def place(self, kind: str, content: dict[str, Any], *, page: bool, **changes: Any) -> str:
        """An order under a new number."""
        said: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "kind": kind,
            "content": content,
            "page": page,
            "amount_fen": content.get("amount_fen", 0),
            "reply_topic": REPLIES,
            "reply_key": "somebody",
            **changes,
        }
        await self.say(PlaceOrder(**said), said["id"])
        return str(said["id"])

    async def give_up(self, order: str) -> None:
        """Whoever placed it gives it up."""
        await self.say(CloseOrder(id=order), order)

    async def said(self, topic: str = REPLIES) -> list[Any]:
        """What custody has told the services of this mailbox, in order."""
        run, at = [], 0
        while found := await self.world.bus.read(topic, 0, at):
            run += found
            at = found[-1].offset + 1
        return [decode(record, ANSWERS).message for record in run if (dict(record.headers).get("type") or b"").decode() in ANSWERS]

    async def told(self, order: str, kind: type[Message] = OrderEnded) -> Any:
        """The first answer of this kind about an order, when it has come."""

        async def found() -> Any:
            said: list[Any] = await self.said()
            return next((m for m in said if m.type == kind.type and m.id == order), None)

        return await until(found, f"{kind.__name__} of {order}")

    async def order(self, order: str) -> Order:
        """It as the store has it."""
        found = await ask(self.world.settings, "custody", lambda connection: tables.order_by_id(connection, order))
        assert found is not None
        return found


@asynccontextmanager
async def sides(folder: Path, **given: Any) -> AsyncIterator[Sides]:
    """Everything but custody's worker, which a test starts by `world.services("custody")`."""
    async with BankWorld(folder / "there") as bank, World(folder / "here", **{"bank_asked_every_ms": 200, **given}) as world:
        made = Sides(bank, world, await world.gateway(ScriptedUsers()))
        await made.enrol()
        yield made
