"""A gateway whose parts can be made to fail, over stores with a story in them, and a person for each operation."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict

from agents.runtime.http.idempotency import ANONYMOUS, HEADER, thing_id
from agents.runtime.sealing import Keyring
from agents.users.model import Member, MemberStatus, Registration, Status
from gateway import app as gateway_app
from gateway.app import make_gateway, serve
from gateway.operations import Operation
from gateway.principals import Principal, not_allowed, not_signed_in
from gateway.registrations import ROUTE, Standing, status_token_text, status_url
from gateway.table import OPERATIONS
from tests.integration.gateway import planted
from tests.integration.gateway.planted import (
    AUDITOR,
    AUTHORIZATION,
    BID,
    BORROWER,
    INVESTOR,
    LOAN,
    OPENING,
    PAYMENT,
    RECHARGE,
    SECOND,
    Planted,
)
from tests.integration.gateway.world import JSON, Answer, Client, ScriptedUsers, World, a_body

KEY: Final = "0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa"
THING: Final = thing_id(ANONYMOUS, ROUTE, KEY)
BODY: Final = json.dumps(a_body()).encode()
BY_NAME: Final = {operation.name: operation for operation in OPERATIONS}

A_LOAN: Final = {
    "title": "a tea shop's stock",
    "amount_fen": 1_000_000,
    "annual_rate": "0.10",
    "investor_rate": "0.08",
    "months": 3,
    "method": "equal_installment",
    "raising_days": 20,
}
BODIES: Final[dict[str, Any]] = {
    "register": a_body(),
    "log_in": {"login_name": "b_one", "password": "correct horse"},
    "open_account": {"name": "林晓", "id_number": "11010519491231002X", "card_number": "4111111111111111"},
    "recharge": {"amount_fen": 700_000},
    "authorize": {"cap_fen": 400_000, "expires_on": "2027-02-28"},
    "publish": A_LOAN,
    "first_audit": {"decision": "pass"},
    "full_audit": {"decision": "pass"},
    "withdraw": {},
    "bid": {"amount_fen": 200_000},
    "pay": {},
}
WHO: Final = {
    "publish": Principal(BORROWER, "borrower"),
    "first_audit": Principal(AUDITOR, "auditor"),
    "full_audit": Principal(SECOND, "auditor"),
    "withdraw": Principal(BORROWER, "borrower"),
    "bid": Principal(INVESTOR, "investor"),
    "list_bids": Principal(INVESTOR, "investor"),
    "look_at_bid": Principal(INVESTOR, "investor"),
    "look_at_receivables": Principal(INVESTOR, "investor"),
}
IDS: Final = {
    "look_at_opening": OPENING,
    "look_at_recharge": RECHARGE,
    "look_at_authorization": AUTHORIZATION,
    "look_at_bid": BID,
    "look_at_payment": PAYMENT,
}


class Stage:
    """One gateway and how one asks it."""

    def __init__(self, world: World, users: ScriptedUsers, stores: Planted, patch: pytest.MonkeyPatch) -> None:
        self.world, self.users, self.stores, self.patch = world, users, stores, patch
        self.behind: Callable[[], Awaitable[None]] | None = None
        self.who: Principal | None = None
        self.forbidden = False
        self.client: Client

    async def doorkeeper(self, request: web.Request, permission: str) -> Principal:
        """Lets in whom the test says."""
        if self.forbidden:
            raise not_allowed()
        if self.who is None:
            raise not_signed_in()
        return self.who

    def principal(self, operation: str) -> Principal:
        """Who does this."""
        return WHO.get(operation, Principal(BORROWER, "borrower"))

    def path(self, operation: str, thing: str | None = None) -> str:
        """Where an operation is."""
        if operation == "look":
            return look_path(self.world.keyring)
        return BY_NAME[operation].path.replace("{id}", thing or IDS.get(operation, LOAN))

    def thing(self, operation: str) -> str:
        """The id of what the operation makes under KEY."""
        return thing_id(self.principal(operation).id, self.path(operation), KEY)

    async def plain(self, operation: str) -> Answer:
        """The operation, as somebody well-behaved asks for it."""
        return await self.posted(operation, BODIES.get(operation))

    async def posted(
        self,
        operation: str,
        body: Any = None,
        *,
        thing: str | None = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        """The operation with this body and these headers besides the usual ones."""
        self.who = self.who or self.principal(operation)
        asked: dict[str, Any] = {}
        if BY_NAME[operation].method == "post":
            asked = {"data": json.dumps(body).encode() if raw is None else raw, "headers": {**JSON, HEADER: KEY, **headers}}
        return await self.client.send(BY_NAME[operation].method.upper(), self.path(operation, thing), **asked)

    async def raw(self, operation: str, *lines: str, body: bytes = b"") -> Answer:
        """The operation with these lines in its head."""
        self.who = self.principal(operation)
        url = urlsplit(self.client.url)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        first = f"{BY_NAME[operation].method.upper()} {self.path(operation)} HTTP/1.1"
        writer.write("\r\n".join([first, "Host: here", "Connection: close", *lines, "", ""]).encode() + body)
        async with asyncio.timeout(10):
            got = await reader.read()
        writer.close()
        answered, _, content = got.partition(b"\r\n\r\n")
        status, *rest = answered.decode().split("\r\n")
        headers = CIMultiDict((name, value) for name, _, value in (line.partition(": ") for line in rest))
        return Answer(int(status.split()[1]), headers, json.loads(content))

    def stands(self, status: Status, *, reason: str | None = None, mac: str | None = None) -> None:
        """The store knows the registration of KEY."""
        member = Member(THING, "investor", self.world.keyring.seal("13800000000", field="mobile"), MemberStatus.UNAVAILABLE, 0)
        self.users.says[THING] = Standing(Registration(THING, "lin_xiao", status, reason, 1, False, 0, 1_500, member), False, mac)


def look_path(keyring: Keyring) -> str:
    """The status URL of the registration of KEY."""
    return status_url(THING, keyring.token(status_token_text(THING)))


def creates(operation: Operation) -> bool:
    """Whether it makes a thing of a signed-in person."""
    return operation.keyed and operation.permission is not None and any(good.status == 201 for good in operation.good)


@asynccontextmanager
async def staged(
    folder: Path, templates: Path, users: ScriptedUsers, patch: pytest.MonkeyPatch, *, work_s_max: float
) -> AsyncIterator[Stage]:
    """A stage in this folder, with the story in its stores; a handler that hangs is given up after `work_s_max`."""
    patch.setattr(gateway_app, "BODY_S_MAX", 0.05)
    patch.setattr(gateway_app, "WORK_S_MAX", work_s_max)
    async with World(folder, wait_ms=1) as world:
        stores = Planted(world.settings, templates)
        stores.story()
        made = Stage(world, users, stores, patch)

        @web.middleware
        async def behind(request: web.Request, handler: Handler) -> web.StreamResponse:
            if made.behind:
                await made.behind()
            return await handler(request)

        app = make_gateway(world.settings, world.bus, world.keyring, users, clock=lambda: 1_700_000_000_000, doorkeeper=made.doorkeeper)
        app.middlewares.append(behind)
        server = serve(world.settings, app)
        await server.start()
        made.client = Client(server.url, await world.session())
        yield made
        await server.stop()


__all__ = ["BID", "BODIES", "BODY", "BY_NAME", "KEY", "LOAN", "PAYMENT", "THING", "Stage", "creates", "look_path", "planted", "staged"]
