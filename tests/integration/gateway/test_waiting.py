"""Waiting for an answer, with a script in the place of the user centre: which answer makes which response, and what happens without one."""

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from agents.runtime.decision import Message
from agents.runtime.http import hashing, replies
from agents.runtime.messages import GATEWAY_REPLIES, Known, Mismatch, Suspended
from agents.users.messages import RegistrationEnded
from agents.users.model import Member, MemberStatus, Registration, Status
from bus.record import Outgoing
from bus.sqlite import file as log_file
from gateway.registrations import ROUTE, Standing
from tests.integration.gateway.world import Answer, Asked, Client, ScriptedUsers, World, until

KEY = "0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Nobody gives up waiting in these tests unless the test says so."""
    async with World(tmp_path, wait_ms=20_000) as made:
        yield made


@pytest.fixture
async def client(world: World, users: ScriptedUsers) -> Client:
    return await world.gateway(users)


async def asked(world: World, count: int = 1) -> list[Asked]:
    """Wait until so many commands have come."""
    while len(found := await world.commands_of_people()) < count:
        await world.bus.wait(1)
    return found


def standing(world: World, of: Asked, status: Status, **changes: object) -> Standing:
    """What a store would say of this command's registration."""
    member = Member(of.actor, of.message.role, of.message.mobile, MemberStatus.UNAVAILABLE, 0)
    registration = Registration(of.actor, of.message.login_name, status, None, 1, False, 1_700_000_000_000, 1_700_000_000_001, member)
    return Standing(replace(registration, **changes), False, of.mac)  # type: ignore[arg-type]


async def replied(world: World, client: Client, *answers: Message) -> Answer:
    """Register, answer with these, and read the response."""
    waiting = asyncio.create_task(client.register(KEY))
    (command,) = await asked(world)
    for answer in answers:
        await world.answer(command, answer.model_copy(update={"id": command.actor}))
    return await waiting


async def test_the_end_is_told_even_when_the_store_cannot_be_read(world: World, client: Client, users: ScriptedUsers) -> None:
    users.away = True
    answer = await replied(world, client, RegistrationEnded(id="", status="CONFIRMED"))
    assert (answer.status, answer.body["status"], answer.body["mobile"]) == (201, "CONFIRMED", "138****0000")


async def test_a_refusal_is_told_even_when_the_store_cannot_be_read(world: World, client: Client, users: ScriptedUsers) -> None:
    users.away = True
    answer = await replied(world, client, RegistrationEnded(id="", status="CANCELLED", reason="mobile_taken"))
    assert (answer.status, answer.code) == (409, "mobile_taken")


async def test_what_an_operator_wrote_is_not_for_the_person(world: World, client: Client) -> None:
    answer = await replied(world, client, RegistrationEnded(id="", status="CANCELLED", reason="operator: she shouted at me"))
    assert (answer.status, answer.code) == (409, "registration_cancelled") and "shouted" not in str(answer.body)


async def test_other_content_under_the_key_is_a_mismatch(world: World, client: Client) -> None:
    answer = await replied(world, client, Mismatch(id=""))
    assert (answer.status, answer.code, answer.body["errors"][0]["header"]) == (422, "idempotency_key_reused", "Idempotency-Key")


async def test_suspended_is_accepted_with_that_state(world: World, client: Client) -> None:
    answer = await replied(world, client, Suspended(id=""))
    assert (answer.status, answer.body["status"]) == (202, "SUSPENDED") and answer.headers["Location"].startswith(f"{ROUTE}/")


async def test_known_and_ended_is_shown_as_it_is_now(world: World, client: Client, users: ScriptedUsers) -> None:
    waiting = asyncio.create_task(client.register(KEY))
    (command,) = await asked(world)
    users.says[command.actor] = standing(world, command, Status.CONFIRMED)
    await world.answer(command, Known(id=command.actor))
    answer = await waiting
    assert (answer.status, answer.body["created_at"]) == (201, "2023-11-14T22:13:20.000Z")


async def test_known_and_unfinished_goes_on_waiting_for_the_end(world: World, client: Client, users: ScriptedUsers) -> None:
    waiting = asyncio.create_task(client.register(KEY))
    (command,) = await asked(world)
    users.says[command.actor] = standing(world, command, Status.TRYING)
    await world.answer(command, Known(id=command.actor))
    await world.answer(command, Known(id=command.actor))
    users.says[command.actor] = standing(world, command, Status.CANCELLED, reason="login_name_taken", member=None)
    await world.answer(command, RegistrationEnded(id=command.actor, status="CANCELLED", reason="login_name_taken"))
    assert (await waiting).code == "login_name_taken"


async def test_a_stuck_registration_is_shown_as_suspended(world: World, client: Client, users: ScriptedUsers) -> None:
    waiting = asyncio.create_task(client.register(KEY))
    (command,) = await asked(world)
    users.says[command.actor] = standing(world, command, Status.CONFIRMING, stuck=True)
    await world.answer(command, Known(id=command.actor))
    assert ((await waiting).status, (await waiting).body["status"]) == (202, "SUSPENDED")


async def test_without_any_answer_the_store_is_read_before_the_client_is_told_to_come_again(tmp_path: Path, users: ScriptedUsers) -> None:
    async with World(tmp_path, wait_ms=200) as world:
        client = await world.gateway(users)
        first = asyncio.create_task(client.register(KEY))
        (command,) = await asked(world)
        users.says[command.actor] = standing(world, command, Status.CONFIRMED)
        assert (await first).status == 201
        other = await client.register(KEY, mobile="13800000001")  # the inbox knows another content, though nobody has said so
        assert (other.status, other.code) == (422, "idempotency_key_reused")


async def test_an_end_is_for_everybody_with_the_same_content_and_for_nobody_else(world: World, client: Client) -> None:
    same = [asyncio.create_task(client.register(KEY)) for _ in range(3)]
    other = asyncio.create_task(client.register(KEY, mobile="13800000001"))
    found = await asked(world, 4)
    (odd,) = [one for one in found if sum(one.mac == two.mac for two in found) == 1]
    one_of_the_same = next(one for one in found if one is not odd)
    await world.answer(one_of_the_same, RegistrationEnded(id=odd.actor, status="CONFIRMED"))
    assert {answer.status for answer in await asyncio.gather(*same)} == {201}
    await world.answer(odd, Mismatch(id=odd.actor))
    assert (await other).status == 422


async def test_answers_for_others_and_what_is_no_answer_are_passed_over(world: World, client: Client) -> None:
    waiting = asyncio.create_task(client.register(KEY))
    (command,) = await asked(world)
    assert command.delivery.reply_to is not None
    ours = command.delivery.reply_to.partition("/")[0].encode()
    odd = [
        Outgoing(GATEWAY_REPLIES, key, value, (), 0) for key in (None, b"", b"\xff", b"other", ours) for value in (None, b"", b"{", b"\xff")
    ]
    await world.bus.append(odd)
    elsewhere = command.delivery._replace(reply_to=f"{ours.decode()}/999")
    await world.answer(replace(command, delivery=elsewhere), RegistrationEnded(id=command.actor, status="CANCELLED"))
    await world.answer(command, RegistrationEnded(id=command.actor, status="CONFIRMED"))
    assert (await waiting).status == 201


async def test_a_gateway_that_starts_later_reads_from_the_end(world: World, client: Client, users: ScriptedUsers) -> None:
    await world.bus.append([Outgoing(GATEWAY_REPLIES, b"old", b"{}", (), 0) for _ in range(50)])
    later = await world.gateway(users)
    waiting = asyncio.create_task(later.register(KEY))
    (command,) = await asked(world)
    await world.answer(command, RegistrationEnded(id=command.actor, status="CONFIRMED"))
    assert (await waiting).status == 201


async def test_a_bus_that_is_away_is_503_and_nothing_was_done(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(log_file, "APPEND_WAIT_S", 0.05)
    stranger = sqlite3.connect(tmp_path / "bus.db", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    refused = await client.register(KEY)
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "unavailable", "1")
    stranger.execute("ROLLBACK")
    stranger.close()
    assert await world.commands_of_people() == []
    assert (await replied(world, client, RegistrationEnded(id="", status="CONFIRMED"))).status == 201


async def test_when_too_many_wait_the_next_one_is_told_to_come_again(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "WAITING_MAX", 1)
    waiting = asyncio.create_task(client.register(KEY))
    (command,) = await asked(world)
    second = await client.register()
    assert (second.status, second.code, second.headers["Retry-After"]) == (503, "busy", "1")
    await world.answer(command, RegistrationEnded(id=command.actor, status="CONFIRMED"))
    assert (await waiting).status == 201


async def test_when_too_many_passwords_wait_nothing_is_sent(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "HASHES_WAITING_MAX", 0)
    refused = await client.register()
    assert (refused.status, refused.code) == (503, "busy")
    assert await world.commands_of_people() == []


async def test_a_client_that_goes_away_leaves_no_place_taken(world: World, users: ScriptedUsers) -> None:
    server = await world.server(users)
    session = await world.session()
    waiting = asyncio.create_task(Client(server.url, session).register(str(uuid.uuid4())))
    (command,) = await asked(world)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await world.answer(command, RegistrationEnded(id=command.actor, status="CONFIRMED"))
    await until(lambda: server.waiting == 0)
    await server.stop()
