"""Logging in over real HTTP, with accounts that the real services have made."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from agents.runtime.http.hashing import Hasher
from gateway import logging_in
from gateway.logging_in import ROUTE
from stores import accounts
from tests.integration.gateway.planted import AN_ACCOUNT, Planted
from tests.integration.gateway.world import JSON, Answer, Client, World

PASSWORD = "correct horse"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path) as made:
        yield made


@pytest.fixture
async def client(tmp_path: Path, templates: Path) -> AsyncIterator[Client]:
    """A gateway over a store in which one account is open, one is not, and one has a hash that does not open."""
    async with World(tmp_path) as world:
        stores = Planted(world.settings, templates)
        argon2id = PasswordHasher(1, 8192, 1)  # as the settings of these tests have it
        sealed = world.keyring.seal(argon2id.hash(PASSWORD), field="password_hash")
        stores.put("accounts", accounts.account, AN_ACCOUNT, password_hash=sealed)
        stores.put("accounts", accounts.account, AN_ACCOUNT, id="2", login_name="not_yet", password_hash=sealed, status="UNAVAILABLE")
        stores.put("accounts", accounts.account, AN_ACCOUNT, id="3", login_name="broken", password_hash="s1.k9.AAAA")
        yield await world.gateway()


async def log_in(client: Client, name: str = "b_one", password: str = PASSWORD) -> Answer:
    return await client.send("POST", ROUTE, data=json.dumps({"login_name": name, "password": password}).encode(), headers=JSON)


async def ask(client: Client, token: str, method: str = "GET", path: str = "/api/v1/me", **options: Any) -> Answer:
    return await client.send(method, path, headers={"Authorization": f"Bearer {token}", **JSON}, **options)


@pytest.mark.parametrize("name", ["Lin_Xiao", "13800000000", "+86 138-0000-0000"])
async def test_a_member_logs_in_by_name_or_number_and_is_who_he_is(world: World, name: str) -> None:
    client = await world.gateway()
    async with world.services("accounts", "users"):
        member = (await client.register(role="borrower")).body["id"]
        session = await log_in(client, name)
        assert (session.status, session.body["account"], session.body["role"]) == (201, member, "borrower")
        seen = await ask(client, session.body["token"])
    assert (seen.status, seen.body["id"], seen.body["role"], seen.body["custody_no"]) == (200, member, "borrower", None)


async def test_another_gateway_knows_the_session_and_one_that_logged_out_lets_nobody_in(client: Client) -> None:
    first, second = [(await log_in(client)).body["token"] for _ in range(2)]
    ended = await ask(client, first, "DELETE", ROUTE)
    assert (ended.status, ended.body) == (200, {"status": "ENDED"})
    assert (await ask(client, first)).code == "not_signed_in"
    assert (await ask(client, first, "DELETE", ROUTE)).code == "not_signed_in"
    assert (await ask(client, second)).status == 200


async def test_nothing_tells_which_accounts_there_are(client: Client) -> None:
    """The same answer to the letter, the same headers, and one hash of the same parameters each time."""
    answers = [
        await log_in(client, *who) for who in (("b_one", "wrong horse"), ("nobody_here",), ("13900000000",), ("not_yet",), ("broken",))
    ]
    assert {answer.code for answer in answers} == {"login_refused"}
    assert all(answer.headers["WWW-Authenticate"] == "Bearer" for answer in answers)
    said = [{name: value for name, value in answer.body.items() if name != "instance"} for answer in answers]
    assert said == [said[0]] * len(said)


async def test_every_log_in_costs_one_hash_of_the_same_parameters(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    verify = Hasher.verify

    async def spy(self: Hasher, password_hash: str, password: str) -> bool:
        seen.append(password_hash.rsplit("$", 2)[0])
        return await verify(self, password_hash, password)

    monkeypatch.setattr(Hasher, "verify", spy)
    for name in ("b_one", "nobody_here", "13900000000", "not_yet", "broken"):
        await log_in(client, name, "wrong horse")
    assert len(seen) == 5 and len(set(seen)) == 1 and seen[0].startswith("$argon2id$")


async def test_who_fails_too_often_waits_also_with_the_right_password_and_the_others_do_not(client: Client) -> None:
    for _ in range(logging_in.FAILURES_MAX):
        assert (await log_in(client, "b_one", "wrong horse")).code == "login_refused"
    refused = await log_in(client)
    assert refused.code == "too_many_attempts"
    assert 0 < int(refused.headers["Retry-After"]) <= logging_in.WINDOW_MS // 1_000
    assert (await log_in(client, "nobody_here")).code == "login_refused"


async def test_an_address_that_tries_many_names_waits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging_in, "FAILURES_OF_ADDRESS_MAX", 3)
    for n in range(3):
        assert (await log_in(client, f"name_{n}")).code == "login_refused"
    assert (await log_in(client)).code == "too_many_attempts"


async def test_who_knows_his_password_may_come_as_often_as_he_likes(client: Client) -> None:
    for _ in range(logging_in.FAILURES_MAX + 1):
        assert (await log_in(client)).status == 201


@pytest.mark.parametrize(("name", "password"), [("", PASSWORD), ("a b", PASSWORD), (1, PASSWORD), ("b_one", "short"), ("b_one", None)])
async def test_what_can_be_nobodys_name_or_password_is_said(client: Client, name: Any, password: Any) -> None:
    answer = await log_in(client, name, password)
    assert answer.code == "invalid_body"
    assert answer.pointers == {"/password" if name == "b_one" else "/login_name"}


async def test_each_role_may_what_the_table_says_and_nothing_more(client: Client) -> None:
    token = (await log_in(client)).body["token"]
    assert (await ask(client, token, "POST", "/api/v1/loans/0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa/bids", data=b"{}")).code == "not_allowed"
    assert (await client.send("GET", "/api/v1/me")).code == "not_signed_in"
