"""Every state that a registration can be in, as the status URL and a repeat of the request show it (FLOWS 2).

The table is complete by test: each status with each reason that it can have, stuck or not, suspended or not.
"""

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from agents.runtime.http.idempotency import ANONYMOUS, thing_id
from agents.users.model import Member, MemberStatus, Registration, Status
from gateway import openapi
from gateway.registrations import ROUTE, Standing, status_token_text, status_url
from tests.integration.gateway.described import Description
from tests.integration.gateway.world import Client, ScriptedUsers, World

KEY: Final = "0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa"
THING: Final = thing_id(ANONYMOUS, ROUTE, KEY)
DESCRIPTION: Final = Description(openapi.document())


class Row(NamedTuple):
    """What the store says, and what is shown of it."""

    status: Status | None  # None: the store has never seen it
    reason: str | None
    stuck: bool
    suspended: bool
    shown: str
    shown_reason: str | None
    posted: int
    code: str | None = None  # of the refusal, when the repeat is refused


T, G, D, C, X = Status.TRYING, Status.CONFIRMING, Status.CONFIRMED, Status.CANCELLING, Status.CANCELLED
ROWS: Final = [
    Row(None, None, False, False, "PENDING", None, 202),
    Row(None, None, False, True, "SUSPENDED", None, 202),
    Row(T, None, False, False, "TRYING", None, 202),
    Row(T, None, False, True, "SUSPENDED", None, 202),
    Row(G, None, False, False, "CONFIRMING", None, 202),
    Row(G, None, False, True, "SUSPENDED", None, 202),
    Row(G, None, True, False, "SUSPENDED", None, 202),
    Row(G, None, True, True, "SUSPENDED", None, 202),
    Row(D, None, False, False, "CONFIRMED", None, 201),
    Row(D, None, False, True, "CONFIRMED", None, 201),
    Row(D, None, True, False, "CONFIRMED", None, 201),
    Row(D, None, True, True, "CONFIRMED", None, 201),
    Row(C, "login_name_taken", False, False, "CANCELLING", "login_name_taken", 202),
    Row(C, "login_name_taken", False, True, "SUSPENDED", "login_name_taken", 202),
    Row(C, "login_name_taken", True, False, "SUSPENDED", "login_name_taken", 202),
    Row(C, "login_name_taken", True, True, "SUSPENDED", "login_name_taken", 202),
    Row(C, "mobile_taken", False, False, "CANCELLING", "mobile_taken", 202),
    Row(C, "mobile_taken", False, True, "SUSPENDED", "mobile_taken", 202),
    Row(C, "mobile_taken", True, False, "SUSPENDED", "mobile_taken", 202),
    Row(C, "mobile_taken", True, True, "SUSPENDED", "mobile_taken", 202),
    Row(C, "deadline", False, False, "CANCELLING", "timed_out", 202),
    Row(C, "deadline", False, True, "SUSPENDED", "timed_out", 202),
    Row(C, "deadline", True, False, "SUSPENDED", "timed_out", 202),
    Row(C, "deadline", True, True, "SUSPENDED", "timed_out", 202),
    Row(C, "operator: he asked <b>twice</b>", False, False, "CANCELLING", "operator", 202),
    Row(C, "operator: he asked <b>twice</b>", False, True, "SUSPENDED", "operator", 202),
    Row(C, "operator: he asked <b>twice</b>", True, False, "SUSPENDED", "operator", 202),
    Row(C, "operator: he asked <b>twice</b>", True, True, "SUSPENDED", "operator", 202),
    Row(C, "a reason of a later version", False, False, "CANCELLING", "other", 202),
    Row(C, "a reason of a later version", False, True, "SUSPENDED", "other", 202),
    Row(C, "a reason of a later version", True, False, "SUSPENDED", "other", 202),
    Row(C, "a reason of a later version", True, True, "SUSPENDED", "other", 202),
    Row(X, "login_name_taken", False, False, "CANCELLED", "login_name_taken", 409, "login_name_taken"),
    Row(X, "login_name_taken", False, True, "CANCELLED", "login_name_taken", 409, "login_name_taken"),
    Row(X, "login_name_taken", True, False, "CANCELLED", "login_name_taken", 409, "login_name_taken"),
    Row(X, "login_name_taken", True, True, "CANCELLED", "login_name_taken", 409, "login_name_taken"),
    Row(X, "mobile_taken", False, False, "CANCELLED", "mobile_taken", 409, "mobile_taken"),
    Row(X, "mobile_taken", False, True, "CANCELLED", "mobile_taken", 409, "mobile_taken"),
    Row(X, "mobile_taken", True, False, "CANCELLED", "mobile_taken", 409, "mobile_taken"),
    Row(X, "mobile_taken", True, True, "CANCELLED", "mobile_taken", 409, "mobile_taken"),
    Row(X, "deadline", False, False, "CANCELLED", "timed_out", 409, "registration_timed_out"),
    Row(X, "deadline", False, True, "CANCELLED", "timed_out", 409, "registration_timed_out"),
    Row(X, "deadline", True, False, "CANCELLED", "timed_out", 409, "registration_timed_out"),
    Row(X, "deadline", True, True, "CANCELLED", "timed_out", 409, "registration_timed_out"),
    Row(X, "operator: he asked <b>twice</b>", False, False, "CANCELLED", "operator", 409, "registration_cancelled"),
    Row(X, "operator: he asked <b>twice</b>", False, True, "CANCELLED", "operator", 409, "registration_cancelled"),
    Row(X, "operator: he asked <b>twice</b>", True, False, "CANCELLED", "operator", 409, "registration_cancelled"),
    Row(X, "operator: he asked <b>twice</b>", True, True, "CANCELLED", "operator", 409, "registration_cancelled"),
    Row(X, "a reason of a later version", False, False, "CANCELLED", "other", 409, "registration_cancelled"),
    Row(X, "a reason of a later version", False, True, "CANCELLED", "other", 409, "registration_cancelled"),
    Row(X, "a reason of a later version", True, False, "CANCELLED", "other", 409, "registration_cancelled"),
    Row(X, "a reason of a later version", True, True, "CANCELLED", "other", 409, "registration_cancelled"),
]
UNTIL_DECIDED: Final = {T}  # the second phase alone can be stuck


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path, wait_ms=1) as made:
        yield made


@pytest.fixture
async def client(world: World, users: ScriptedUsers) -> Client:
    return await world.gateway(users)


def stored(world: World, row: Row) -> Standing:
    """The row as the store would say it; a cancelled registration has no member any more."""
    if row.status is None:
        return Standing(None, row.suspended)
    mobile = world.keyring.seal("13800000000", field="mobile")
    member = None if row.status == X else Member(THING, "investor", mobile, MemberStatus.UNAVAILABLE, 0)
    return Standing(Registration(THING, "lin_xiao", row.status, row.reason, 1, row.stuck, 0, 1_500, member), row.suspended)


def test_the_table_has_every_state_once() -> None:
    reasons = {row.reason for row in ROWS if row.status == X}
    expected: set[tuple[Status | None, str | None, bool, bool]] = {(None, None, False, suspended) for suspended in (False, True)}
    for status, stuck, suspended in product(Status, (False, True), (False, True)):
        if not (stuck and status in UNTIL_DECIDED):
            expected |= {(status, reason, stuck, suspended) for reason in (reasons if status in (C, X) else {None})}
    assert len(ROWS) == len(expected) and {row[:4] for row in ROWS} == expected


@pytest.mark.parametrize("status", [None, *Status])
async def test_a_state_is_shown_and_a_repeat_is_answered_as_the_table_says(
    world: World, users: ScriptedUsers, client: Client, status: Status | None
) -> None:
    url = status_url(THING, world.keyring.token(status_token_text(THING)))
    for row in [row for row in ROWS if row.status == status]:
        users.says[THING] = stored(world, row)
        seen, again = await client.get(url), await client.register(KEY)
        DESCRIPTION.judge("look", seen)
        DESCRIPTION.judge("register", again)
        assert (seen.status, seen.body["status"], seen.body["reason"]) == (200, row.shown, row.shown_reason), row
        assert (again.status, again.code if row.code else again.body["status"]) == (row.posted, row.code or row.shown), row
        assert "twice" not in str((seen.body, again.body)), row
        if row.status in (T, G, D, C):
            assert (seen.body["mobile"], seen.body["role"], seen.body["login_name"]) == ("138****0000", "investor", "lin_xiao")
        if again.status < 400:
            assert again.headers["Location"] == url and ("Retry-After" in again.headers) == (again.status == 202)
