"""A registration through real HTTP, a real bus, real agents and real stores (FLOWS 2; CASES D9, D11, D14)."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.runtime.worker import House
from agents.users import agent as users_agent
from config import faults
from tests.integration.gateway.world import Answer, Client, World, a_body, until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path) as made:
        yield made


async def test_a_person_is_registered_and_sees_it_under_location(world: World) -> None:
    client = await world.gateway()
    async with world.services("accounts", "users"):
        made = await client.register(login_name="Lin_Xiao", mobile="+86 138-0000-0000")
        seen = await client.get(made.headers["Location"])
    assert (made.status, made.body["status"]) == (201, "CONFIRMED")
    assert (seen.status, seen.body) == (200, made.body)
    assert (seen.body["login_name"], seen.body["mobile"], seen.body["role"]) == ("lin_xiao", "138****0000", "investor")
    assert seen.body["created_at"].endswith("Z") and seen.headers["Cache-Control"] == "no-store"


async def test_nothing_secret_is_open_on_the_bus_or_in_the_stores(world: World, tmp_path: Path) -> None:
    client = await world.gateway()
    async with world.services("accounts", "users"):
        assert (await client.register(password="a password that nobody else has", mobile="13912345678")).status == 201
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not [name for name in (b"a password that", b"13912345678", b"$argon2") if any(name in content for content in files)]


async def test_the_hash_that_travels_is_argon2id_with_the_parameters_of_the_settings(world: World) -> None:
    client = await world.gateway()
    async with world.services("accounts", "users"):
        await client.register()
    (asked,) = await world.commands_of_people()
    assert world.keyring.open(asked.message.password_hash, field="password_hash").startswith("$argon2id$v=19$m=8192,t=1,p=1$")
    assert asked.principal == "anonymous" and asked.trace == asked.actor == asked.message.id


async def test_taken_names_are_refused_with_a_pointer_and_a_refused_registration_gives_every_name_back(world: World) -> None:
    """CASES D9."""
    client = await world.gateway()
    async with world.services("accounts", "users"):
        assert (await client.register(mobile="19912340001", login_name="qiu_a")).status == 201
        mobile = await client.register(mobile="19912340001", login_name="qiu_b")
        assert (await client.register(mobile="19912340002", login_name="qiu_b")).status == 201
        name = await client.register(mobile="19912340003", login_name="qiu_a")
        assert (await client.register(mobile="19912340003", login_name="qiu_c")).status == 201
    assert (mobile.status, mobile.code, mobile.pointers) == (409, "mobile_taken", {"/mobile"})
    assert (name.status, name.code, name.pointers) == (409, "login_name_taken", {"/login_name"})


async def test_a_refusal_is_the_same_answer_for_the_same_key(world: World) -> None:
    client, key = await world.gateway(), str(uuid.uuid4())
    async with world.services("accounts", "users"):
        await client.register()
        answers = [await client.register(key, mobile="13800000001") for _ in range(3)]
    assert [(a.status, a.code) for a in answers] == [(409, "login_name_taken")] * 3


@pytest.mark.parametrize(("first", "others"), [
    ("lin_xiao", ["Lin_Xiao", "ｌｉｎ＿ｘｉａｏ", "lin_xiao ", "lin_xiao\u200b"]),
    ("j\u00fcrgen", ["ju\u0308rgen"]),
    ("\ufb01n_chen", ["fin_chen"]),
    ("\u0130lke", ["ilke"]),
])  # fmt: skip
async def test_one_login_name_in_other_letters_is_the_same_name(world: World, first: str, others: list[str]) -> None:
    """CASES D11."""
    client = await world.gateway()
    async with world.services("accounts", "users"):
        assert (await client.register(login_name=first)).status == 201
        again = [await client.register(login_name=name, mobile=f"1380000001{n}") for n, name in enumerate(others)]
    assert {a.status for a in again} <= {409, 422}
    assert all(a.pointers == {"/login_name"} for a in again)


async def test_same_key_other_body_is_refused_while_the_first_is_still_running_and_after(tmp_path: Path) -> None:
    """CASES D14."""
    async with World(tmp_path, wait_ms=400) as world:
        client, key = await world.gateway(), str(uuid.uuid4())
        async with world.services("users"):
            pending = await _four(client, key)
            assert [a.status for a in pending] == [202, 422, 202, 202]
            assert pending[1].code == "idempotency_key_reused"
            assert [pending[n].body["status"] for n in (0, 2, 3)] == ["TRYING"] * 3
            async with world.services("accounts"):
                await until(lambda: _confirmed(client, pending[0]))
                ended = await _four(client, key)
                assert [a.status for a in ended] == [201, 422, 201, 201]
        assert len({a.body["id"] for a in (*pending, *ended) if a.status != 422}) == 1


async def _four(client: Client, key: str) -> list[Answer]:
    first, other = a_body(), a_body(mobile="13800000009")
    reordered = json.dumps(dict(reversed(first.items())), indent=3).encode()
    return [
        await client.register(key, **first),
        await client.register(key, **other),
        await client.register(key, **first),
        await client.post(reordered, key),
    ]


async def _confirmed(client: Client, accepted: Answer) -> bool:
    return bool((await client.get(accepted.headers["Location"])).body["status"] == "CONFIRMED")


async def test_twenty_at_once_with_one_key_are_one_registration(world: World) -> None:
    client, key = await world.gateway(), str(uuid.uuid4())
    async with world.services("accounts", "users"):
        answers = await asyncio.gather(*(client.register(key) for _ in range(20)))
    assert {a.status for a in answers} == {201}
    assert len({a.body["id"] for a in answers}) == 1
    assert len({d.id for d in await world.commands_of_people()}) == 1


async def test_twenty_at_once_while_accounts_is_away_are_all_answered_honestly(tmp_path: Path) -> None:
    """The loop keeps eight of them; the others read the store at the end of their wait."""
    async with World(tmp_path, wait_ms=600) as world:
        clients, key = [await world.gateway(), await world.gateway()], str(uuid.uuid4())
        async with world.services("users"):
            answers = await asyncio.gather(*(clients[n % 2].register(key) for n in range(20)))
            assert {(a.status, a.body["status"]) for a in answers} == {(202, "TRYING")}
            assert len({a.headers["Location"] for a in answers}) == 1
            async with world.services("accounts"):
                await until(lambda: _confirmed(clients[0], answers[0]))


async def test_more_requests_than_the_loop_answers_end_together_when_they_wait_for_the_same(world: World) -> None:
    client, key = await world.gateway(), str(uuid.uuid4())
    async with world.services("users"):
        waiting = [asyncio.create_task(client.register(key)) for _ in range(20)]
        await until(lambda: _handled(world, 20))
        async with world.services("accounts"):
            answers = await asyncio.gather(*waiting)
    assert {a.status for a in answers} == {201}


async def _handled(world: World, count: int) -> bool:
    return len(await world.commands_of_people()) == count


async def test_while_the_user_centre_is_away_the_answer_is_pending_and_the_status_url_works_at_once(tmp_path: Path) -> None:
    async with World(tmp_path, wait_ms=50) as world:
        client, key = await world.gateway(), str(uuid.uuid4())
        accepted = await client.register(key)
        seen = await client.get(accepted.headers["Location"])  # not even the store is there
        assert (accepted.status, accepted.body["status"], accepted.headers["Retry-After"]) == (202, "PENDING", "1")
        assert (seen.status, seen.code) == (503, "unavailable")
        async with world.services("users"):
            await until(lambda: _status(client, accepted, "TRYING"))
            async with world.services("accounts"):
                await until(lambda: _confirmed(client, accepted))
                assert (await client.register(key)).status == 201


async def _status(client: Client, accepted: Answer, status: str) -> bool:
    seen = await client.get(accepted.headers["Location"])
    assert seen.status == 200
    return bool(seen.body["status"] == status)


async def test_another_gateway_shows_and_repeats_what_the_first_one_made(world: World) -> None:
    first, second, key = await world.gateway(), await world.gateway(), str(uuid.uuid4())
    async with world.services("accounts", "users"):
        made = await first.register(key)
        again = await second.register(key)
        seen = await second.get(made.headers["Location"])
    assert made.body == again.body == seen.body
    assert made.headers["Location"] == again.headers["Location"]


async def test_a_registration_that_was_not_tried_in_time_is_a_conflict_and_leaves_nothing(tmp_path: Path) -> None:
    async with World(tmp_path, try_deadline_ms=1, wait_ms=50) as world:
        client, key = await world.gateway(), str(uuid.uuid4())
        async with world.services("users"):
            accepted = await client.register(key)
            await until(lambda: _status(client, accepted, "CANCELLING"))
            async with world.services("accounts"):
                await until(lambda: _status(client, accepted, "CANCELLED"))
                ended, seen = await client.register(key), await client.get(accepted.headers["Location"])
    assert (accepted.status, ended.status, ended.code) == (202, 409, "registration_timed_out")
    assert (seen.body["reason"], seen.body["mobile"], seen.body["login_name"]) == ("timed_out", None, "lin_xiao")


async def test_a_suspended_registration_is_shown_as_such_and_never_404(tmp_path: Path) -> None:
    async with World(tmp_path) as world:
        client, key = await world.gateway(), str(uuid.uuid4())
        async with world.services("accounts", instead=[_raising(world)]):
            first, again = await client.register(key), await client.register(key)
            seen = await client.get(first.headers["Location"])
        assert [(a.status, a.body["status"]) for a in (first, again, seen)] == [(202, "SUSPENDED"), (202, "SUSPENDED"), (200, "SUSPENDED")]
        async with world.services("accounts", "users"):  # a mended version heals it at its start
            await until(lambda: _confirmed(client, first))


def _raising(world: World) -> House:
    house = users_agent.house(world.settings.registration())

    def behave(*_: Any) -> Any:
        raise ZeroDivisionError

    return House(replace(house.service, behave=behave), house.listen)


@pytest.mark.parametrize("point", ["gateway.send.before", "gateway.send.after"])
async def test_a_fault_around_the_sending_is_an_answer_and_the_repeat_ends_it(world: World, point: str) -> None:
    client, key = await world.gateway(), str(uuid.uuid4())
    async with world.services("accounts", "users"):
        with faults.installed(faults.parse(f"{point}:raise")):
            assert (await client.register(key)).code == "internal_error"
            assert (await client.register(key)).status == 201
    assert len({d.id for d in await world.commands_of_people()}) == 1
