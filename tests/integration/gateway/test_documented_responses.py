"""Each response that /openapi.json promises is had here once, and is what the description says in every respect.

The table is complete by test: a code that is added to the description needs a way to reach it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict

from agents.runtime.http import bodies, hashing
from agents.runtime.http import server as gateway_server
from agents.runtime.http.idempotency import ANONYMOUS, thing_id
from agents.runtime.sealing import Keyring
from agents.users.model import Member, MemberStatus, Registration, Status
from bus.errors import BusAway
from gateway import app as gateway_app
from gateway import openapi
from gateway.app import make_gateway, serve
from gateway.registrations import ROUTE, Standing, status_token_text, status_url
from tests.integration.gateway.described import Description
from tests.integration.gateway.world import JSON, Answer, Client, ScriptedUsers, World, a_body

KEY = "0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa"
THING = thing_id(ANONYMOUS, ROUTE, KEY)
BODY = json.dumps(a_body()).encode()
METHODS = {"register": "POST", "look": "GET", "describe": "GET", "live": "GET", "ready": "GET"}
PROMISED = sorted(Description(openapi.document()).promised())


class Stage:
    """A gateway whose parts can be made to fail, and how one asks it."""

    def __init__(self, client: Client, world: World, users: ScriptedUsers, patch: pytest.MonkeyPatch) -> None:
        self.client, self.world, self.users, self.patch = client, world, users, patch
        self.behind: Callable[[], Awaitable[None]] | None = None

    def path(self, operation: str) -> str:
        """Where an operation is."""
        paths = {"describe": "/openapi.json", "live": "/livez", "ready": "/readyz", "register": ROUTE}
        return paths.get(operation) or look_path(self.world.keyring)

    async def plain(self, operation: str) -> Answer:
        """The operation, as somebody well-behaved asks for it."""
        if operation == "register":
            return await self.client.register(KEY)
        return await self.client.get(self.path(operation))

    async def raw(self, operation: str, *lines: str, body: bytes = b"") -> Answer:
        """The operation with these lines in its head."""
        url = urlsplit(self.client.url)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        head = [f"{METHODS[operation]} {self.path(operation)} HTTP/1.1", "Host: here", "Connection: close", *lines, "", ""]
        writer.write("\r\n".join(head).encode() + body)
        async with asyncio.timeout(10):
            got = await reader.read()
        writer.close()
        answered, _, content = got.partition(b"\r\n\r\n")
        first, *rest = answered.decode().split("\r\n")
        headers = CIMultiDict((name, value) for name, _, value in (line.partition(": ") for line in rest))
        return Answer(int(first.split()[1]), headers, json.loads(content))

    def stands(self, status: Status, *, reason: str | None = None, mac: str | None = None) -> None:
        """The store knows the registration of KEY."""
        member = Member(THING, "investor", self.world.keyring.seal("13800000000", field="mobile"), MemberStatus.UNAVAILABLE, 0)
        self.users.says[THING] = Standing(Registration(THING, "lin_xiao", status, reason, 1, False, 0, 1_500, member), False, mac)


def look_path(keyring: Keyring) -> str:
    """The status URL of the registration of KEY."""
    return status_url(THING, keyring.token(status_token_text(THING)))


@pytest.fixture
async def stage(tmp_path: Path, users: ScriptedUsers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(gateway_app, "BODY_S_MAX", 0.05)
    monkeypatch.setattr(gateway_app, "WORK_S_MAX", 0.05)
    async with World(tmp_path, wait_ms=1) as world:
        made: Stage

        @web.middleware
        async def behind(request: web.Request, handler: Handler) -> web.StreamResponse:
            if made.behind:
                await made.behind()
            return await handler(request)

        app = make_gateway(world.settings, world.bus, world.keyring, users, clock=lambda: 1_700_000_000_000)
        app.middlewares.append(behind)
        server = serve(world.settings, app)
        await server.start()
        made = Stage(Client(server.url, await world.session()), world, users, monkeypatch)
        yield made
        await server.stop()


async def good(stage: Stage, operation: str) -> Answer:
    return await stage.plain(operation)


async def registered(stage: Stage, operation: str) -> Answer:
    stage.stands(Status.CONFIRMED)
    return await stage.plain(operation)


def cancelled(reason: str) -> Callable[[Stage, str], Awaitable[Answer]]:
    async def ask(stage: Stage, operation: str) -> Answer:
        stage.stands(Status.CANCELLED, reason=reason)
        return await stage.plain(operation)

    return ask


def posted(body: bytes = BODY, key: str = KEY, **headers: str) -> Callable[[Stage, str], Awaitable[Answer]]:
    async def ask(stage: Stage, _: str) -> Answer:
        return await stage.client.post(body, key, **headers)

    return ask


def raw(*lines: str, body: bytes = b"") -> Callable[[Stage, str], Awaitable[Answer]]:
    async def ask(stage: Stage, operation: str) -> Answer:
        return await stage.raw(operation, *lines, body=body)

    return ask


async def another_method(stage: Stage, operation: str) -> Answer:
    return await stage.client.send("PATCH", stage.path(operation))


async def broken(stage: Stage, operation: str) -> Answer:
    async def fail() -> None:
        raise ZeroDivisionError

    stage.behind = fail
    return await stage.plain(operation)


async def hanging(stage: Stage, operation: str) -> Answer:
    stage.behind = asyncio.Event().wait  # type: ignore[assignment]
    return await stage.plain(operation)


async def without_key(stage: Stage, _: str) -> Answer:
    return await stage.client.send("POST", ROUTE, data=BODY, headers=JSON)


async def slow_body(stage: Stage, operation: str) -> Answer:
    stage.patch.setattr(bodies, "BODY_S_MAX", 0.02)
    stage.patch.setattr(gateway_server, "LINGER_S", 0.02)
    return await stage.raw(operation, "Content-Type: application/json", f"Idempotency-Key: {KEY}", "Content-Length: 9")


async def other_content(stage: Stage, operation: str) -> Answer:
    stage.stands(Status.TRYING, mac="that of another body")
    return await stage.plain(operation)


async def no_room(stage: Stage, operation: str) -> Answer:
    stage.patch.setattr(hashing, "HASHES_WAITING_MAX", 0)
    return await stage.plain(operation)


async def bus_away(stage: Stage, operation: str) -> Answer:
    async def append(*_: Any) -> None:
        raise BusAway("as the test wants it")

    stage.patch.setattr(stage.world.bus, "append", append)
    return await stage.plain(operation)


async def store_away(stage: Stage, operation: str) -> Answer:
    stage.users.away = True
    return await stage.plain(operation)


async def wrong_token(stage: Stage, operation: str) -> Answer:
    return await stage.client.get(stage.path(operation) + "x")


EVERYWHERE: dict[str, Callable[[Stage, str], Awaitable[Answer]]] = {
    "200": good,
    "bad_request": raw("no colon"),
    "method_not_allowed": another_method,
    "headers_too_large": raw("X: " + "a" * 20_000),
    "internal_error": broken,
    "timed_out": hanging,
}
WAYS: dict[tuple[str, str], Callable[[Stage, str], Awaitable[Answer]]] = {
    **{(operation, code): way for operation in METHODS for code, way in EVERYWHERE.items() if (operation, code) != ("register", "200")},
    ("register", "201"): registered,
    ("register", "202"): good,
    ("register", "malformed_body"): posted(b"{"),
    ("register", "missing_idempotency_key"): without_key,
    ("register", "bad_idempotency_key"): posted(key="1"),
    ("register", "body_timeout"): slow_body,
    ("register", "login_name_taken"): cancelled("login_name_taken"),
    ("register", "mobile_taken"): cancelled("mobile_taken"),
    ("register", "registration_timed_out"): cancelled("deadline"),
    ("register", "registration_cancelled"): cancelled("operator: by mistake"),
    ("register", "body_too_large"): posted(b" " * 70_000),
    ("register", "unsupported_media_type"): posted(BODY, KEY, **{"Content-Type": "text/plain"}),
    ("register", "unsupported_content_encoding"): raw(
        "Content-Type: application/json", f"Idempotency-Key: {KEY}", "Content-Encoding: gzip", "Content-Length: 2", body=b"{}"
    ),
    ("register", "expectation_failed"): raw(
        "Content-Type: application/json", f"Idempotency-Key: {KEY}", "Expect: a wonder", "Content-Length: 2", body=b"{}"
    ),
    ("register", "invalid_body"): posted(b"{}"),
    ("register", "idempotency_key_reused"): other_content,
    ("register", "busy"): no_room,
    ("register", "unavailable"): bus_away,
    ("look", "not_found"): wrong_token,
    ("look", "unavailable"): store_away,
    ("ready", "not_ready"): store_away,
}


def test_every_promise_has_a_way_here_and_no_way_is_without_a_promise() -> None:
    assert sorted(WAYS) == PROMISED


@pytest.mark.parametrize(("operation", "code"), PROMISED, ids=[":".join(pair) for pair in PROMISED])
async def test_a_promised_answer_is_given_and_is_as_it_is_described(stage: Stage, operation: str, code: str) -> None:
    answer = await WAYS[operation, code](stage, operation)
    assert code == (str(answer.status) if code.isdigit() else answer.code)
    (await described(stage)).judge(operation, answer)


async def described(stage: Stage) -> Description:
    """The description, from the gateway itself."""
    stage.behind = None
    return await Description.of(stage.client)


@pytest.mark.parametrize("operation", METHODS)
async def test_allow_names_exactly_what_is_described(stage: Stage, operation: str) -> None:
    allowed = {"HEAD", "GET"} if METHODS[operation] == "GET" else {"POST"}
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        answer = await stage.client.send(method, stage.path(operation), headers={"Idempotency-Key": KEY})
        if method in allowed:
            assert answer.status != 405
        else:
            assert (answer.status, set(answer.headers["Allow"].split(","))) == (405, allowed)
