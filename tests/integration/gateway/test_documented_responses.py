"""Each response that /openapi.json promises is had here once, and is what the description says in every respect.

The table is complete by test: a code that is added to the description needs a way to reach it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pytest
from argon2 import PasswordHasher

from agents.runtime.decision import Message
from agents.runtime.http import bodies, hashing, replies
from agents.runtime.http import server as http_server
from agents.runtime.http.replies import Ticket
from agents.trading.messages import LoanChanged
from agents.users.model import Status
from bus.errors import BusAway
from gateway import logging_in, openapi
from gateway.operations import Operation
from gateway.table import OPERATIONS
from stores import accounts, repayments, trading, users
from tests.integration.gateway.described import Description
from tests.integration.gateway.planted import (
    A_BID,
    A_LOAN,
    A_PAYMENT,
    A_RECHARGE,
    AN_ACCOUNT,
    AN_AUTHORIZATION,
    AN_OPENING,
    AUDITOR,
    NOBODY,
    SECOND,
)
from tests.integration.gateway.stage import BODIES, BY_NAME, KEY, LOAN, Stage, creates
from tests.integration.gateway.world import JSON, Answer

PROMISED: Final = sorted(Description(openapi.document()).promised())
Way = Callable[[Stage, str], Awaitable[Answer]]
DEALINGS: Final = ("open_account", "recharge", "authorize")
DECISIONS: Final = ("first_audit", "full_audit", "withdraw")
STORE_OF: Final = {**dict.fromkeys(("publish", "bid", *DECISIONS), "trading"), "pay": "repayments", **dict.fromkeys(DEALINGS, "users")}


async def good(stage: Stage, operation: str) -> Answer:
    return await stage.plain(operation)


async def registered(stage: Stage, operation: str) -> Answer:
    stage.stands(Status.CONFIRMED)
    return await stage.plain(operation)


def cancelled(reason: str) -> Way:
    async def ask(stage: Stage, operation: str) -> Answer:
        stage.stands(Status.CANCELLED, reason=reason)
        return await stage.plain(operation)

    return ask


def posted(body: bytes | None = None, headers: Mapping[str, str] = MappingProxyType({})) -> Way:
    async def ask(stage: Stage, operation: str) -> Answer:
        return await stage.posted(operation, BODIES.get(operation), raw=body, headers=headers)

    return ask


def raw(*lines: str, body: bytes = b"") -> Way:
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


async def without_key(stage: Stage, operation: str) -> Answer:
    stage.who = stage.principal(operation)
    return await stage.client.send("POST", stage.path(operation), json=BODIES[operation], headers=JSON)


async def slow_body(stage: Stage, operation: str) -> Answer:
    stage.patch.setattr(bodies, "BODY_S_MAX", 0.02)
    stage.patch.setattr(http_server, "LINGER_S", 0.02)
    return await stage.raw(operation, "Content-Type: application/json", f"Idempotency-Key: {KEY}", "Content-Length: 9")


async def other_content(stage: Stage, operation: str) -> Answer:
    if operation == "register":
        stage.stands(Status.TRYING, mac="that of another body")
    else:
        stage.stores.handled(STORE_OF[operation], stage.thing(operation), "that of another body")
    return await stage.plain(operation)


async def no_room(stage: Stage, operation: str) -> Answer:
    stage.patch.setattr(hashing, "HASHES_WAITING_MAX", 0)
    stage.patch.setattr(replies, "WAITING_MAX", 0)
    return await stage.plain(operation)


async def bus_away(stage: Stage, operation: str) -> Answer:
    async def append(*_: Any) -> None:
        raise BusAway("as the test wants it")

    stage.patch.setattr(stage.world.bus, "append", append)
    return await stage.plain(operation)


async def store_away(stage: Stage, operation: str) -> Answer:
    stage.users.away = True
    stage.stores.away()
    return await stage.plain(operation)


async def wrong_token(stage: Stage, operation: str) -> Answer:
    return await stage.client.get(stage.path(operation) + "x")


async def another_thing(stage: Stage, operation: str) -> Answer:
    nothing = "none" if operation == "look_at_receivables" else NOBODY  # of a loan that one has no part of there is an empty page
    return await stage.posted(operation, BODIES.get(operation), thing=nothing)


async def not_signed_in(stage: Stage, operation: str) -> Answer:
    method = BY_NAME[operation].method.upper()
    return await stage.client.send(method, stage.path(operation), headers=JSON, data=b"{" if method == "POST" else None)


async def not_allowed(stage: Stage, operation: str) -> Answer:
    stage.forbidden = True
    return await stage.plain(operation)


async def logged_in(stage: Stage, operation: str) -> Answer:
    argon2id = PasswordHasher(1, 8192, 1)
    sealed = stage.world.keyring.seal(argon2id.hash(BODIES[operation]["password"]), field="password_hash")
    stage.stores.put("accounts", accounts.account, AN_ACCOUNT, password_hash=sealed)
    return await stage.plain(operation)


async def too_often(stage: Stage, operation: str) -> Answer:
    stage.patch.setattr(logging_in, "FAILURES_MAX", 1)
    await stage.plain(operation)
    return await stage.plain(operation)


async def made(stage: Stage, operation: str) -> Answer:
    thing = stage.thing(operation)
    match operation:
        case "open_account":
            stage.stores.put("users", users.opening, AN_OPENING, id=thing)
        case "recharge":
            stage.stores.put("users", users.transfer, A_RECHARGE, id=thing)
        case "authorize":
            stage.stores.put("users", users.authorization, AN_AUTHORIZATION, id=thing)
        case "publish":
            stage.stores.put("trading", trading.loan, A_LOAN, id=thing, status="DRAFT")
        case "bid":
            stage.stores.put("trading", trading.bid, A_BID, id=thing)
        case "pay":
            stage.stores.put("repayments", repayments.collection, A_PAYMENT, id=thing)
        case _:
            raise AssertionError(operation)
    return await stage.plain(operation)


async def done(stage: Stage, operation: str) -> Answer:
    ends = {"first_audit": ("ESTABLISHING", None), "full_audit": ("DISBURSING", None), "withdraw": ("FAILING", "withdrawn")}
    status, reason = ends[operation]
    stage.stores.put("trading", trading.loan, A_LOAN, status=status, reason=reason, first_auditor=AUDITOR, second_auditor=SECOND)
    return await stage.plain(operation)


async def refused(stage: Stage, operation: str) -> Answer:
    async def next_(*_: Any) -> Message:
        return LoanChanged(id=LOAN, status="RAISING", refused="not_now")

    stage.patch.setattr(Ticket, "next", next_)
    return await stage.plain(operation)


EVERYWHERE: Final[dict[str, Way]] = {
    "200": good,
    "bad_request": raw("no colon"),
    "method_not_allowed": another_method,
    "headers_too_large": raw("X: " + "a" * 20_000),
    "internal_error": broken,
    "timed_out": hanging,
    "unavailable": store_away,
    "not_signed_in": not_signed_in,
    "not_allowed": not_allowed,
}
SENT: Final = ("Content-Type: application/json", f"Idempotency-Key: {KEY}")
OF_POST: Final[dict[str, Way]] = {
    "202": good,
    "malformed_body": posted(b"{"),
    "missing_idempotency_key": without_key,
    "bad_idempotency_key": posted(headers={"Idempotency-Key": "1"}),
    "body_timeout": slow_body,
    "body_too_large": posted(b" " * 70_000),
    "unsupported_media_type": posted(headers={"Content-Type": "text/plain"}),
    "unsupported_content_encoding": raw(*SENT, "Content-Encoding: gzip", "Content-Length: 2", body=b"{}"),
    "expectation_failed": raw(*SENT, "Expect: a wonder", "Content-Length: 2", body=b"{}"),
    "invalid_body": posted(b'{"unknown": 1}'),
    "idempotency_key_reused": other_content,
    "busy": no_room,
    "unavailable": bus_away,
}
OF_REGISTRATION: Final[dict[str, Way]] = {
    "201": registered,
    "login_name_taken": cancelled("login_name_taken"),
    "mobile_taken": cancelled("mobile_taken"),
    "registration_timed_out": cancelled("deadline"),
    "registration_cancelled": cancelled("operator: by mistake"),
}


def ways(operation: Operation) -> dict[str, Way]:
    """How each answer of an operation is had, as far as there is a way."""
    own: dict[str, Way] = dict(EVERYWHERE) | ({"not_found": another_thing} if operation.permission else {"not_found": wrong_token})
    if operation.request is not None:
        own |= OF_POST
        own |= {"201": made} if creates(operation) else {"200": done, "refused": refused}
    if operation.name == "register":
        own |= OF_REGISTRATION
    if operation.name == "log_in":
        own |= {"201": logged_in, "login_refused": good, "too_many_attempts": too_often, "unavailable": store_away}
    if operation.name == "ready":
        own["not_ready"] = store_away
    return own


WAYS: Final = {operation.name: ways(operation) for operation in OPERATIONS}


def test_every_promise_has_a_way_here() -> None:
    assert [(operation, code) for operation, code in PROMISED if code not in WAYS[operation]] == []


@pytest.mark.parametrize(("operation", "code"), PROMISED, ids=[":".join(pair) for pair in PROMISED])
async def test_a_promised_answer_is_given_and_is_as_it_is_described(stage: Stage, operation: str, code: str) -> None:
    answer = await WAYS[operation][code](stage, operation)
    assert code == (str(answer.status) if code.isdigit() else answer.code)
    (await described(stage)).judge(operation, answer)


async def described(stage: Stage) -> Description:
    """The description, from the gateway itself."""
    stage.behind = None
    return await Description.of(stage.client)


@pytest.mark.parametrize("path", sorted({operation.path for operation in OPERATIONS}))
async def test_allow_names_exactly_what_is_described(stage: Stage, path: str) -> None:
    methods = {operation.method.upper() for operation in OPERATIONS if operation.path == path}
    allowed = methods | ({"HEAD"} if "GET" in methods else set())
    url = path.replace("{id}", LOAN)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        answer = await stage.client.send(method, url, headers={"Idempotency-Key": KEY})
        if method in allowed:
            assert answer.status != 405
        else:
            assert (answer.status, set(answer.headers["Allow"].split(","))) == (405, allowed)
