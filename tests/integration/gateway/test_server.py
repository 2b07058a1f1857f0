"""Start, stop, health, the description, and what is logged (CASES B37 without its streams)."""

import asyncio
import io
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from agents.runtime.http import bodies
from agents.runtime.http.store_reader import StoreUnreadable
from bus.errors import BusError
from bus.sqlite import file
from config import logs
from gateway import asking
from gateway.openapi import document
from gateway.problems import KINDS
from gateway.registrations import ROUTE
from gateway.users_reader import UsersReader
from stores.migrate import migrate
from tests.faults.support import locked
from tests.integration.gateway.test_bad_input import post
from tests.integration.gateway.world import Client, ScriptedUsers, World, until

KEY = "0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa"


async def test_a_stop_answers_who_waits_closes_who_idles_and_leaves_the_port(tmp_path: Path, users: ScriptedUsers) -> None:
    async with World(tmp_path, wait_ms=60_000) as world:
        server = await world.server(users)
        url, session = urlsplit(server.url), await world.session()
        client = Client(server.url, session)
        idle = [await asyncio.open_connection(url.hostname, url.port) for _ in range(5)]
        waiting = [asyncio.create_task(client.register(KEY)) for _ in range(3)]
        await until(lambda: server.waiting == 3)
        while len(await world.commands_of_people()) < 3:
            await world.bus.wait(1)
        await server.stop()
        answers = await asyncio.gather(*waiting)
        assert {(a.status, a.body["status"]) for a in answers} == {(202, "PENDING")}
        assert [await reader.read() for reader, _ in idle] == [b""] * 5
        for _, writer in idle:
            writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(url.hostname, url.port)


async def test_a_slow_sender_is_answered_during_a_stop(tmp_path: Path, users: ScriptedUsers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_S_MAX", 0.3)
    async with World(tmp_path) as world:
        server = await world.server(users)
        url = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(post(b"", f"Idempotency-Key: {KEY}", "Content-Length: 100", "Expect: 100-continue", length=False))
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        await server.stop()
        assert b"body_timeout" in await reader.read()
        writer.close()


async def test_a_gateway_may_be_started_again_on_the_same_bus(tmp_path: Path, users: ScriptedUsers) -> None:
    async with World(tmp_path, wait_ms=0) as world:
        ids = []
        for _ in range(3):
            server = await world.server(users)
            ids.append((await Client(server.url, await world.session()).register(KEY)).body["id"])
            await server.stop()
        assert len(set(ids)) == 1


async def test_a_bus_without_its_topics_ends_the_start(tmp_path: Path, users: ScriptedUsers) -> None:
    world = World(tmp_path)
    await world.bus.open()
    with pytest.raises(BusError, match=r"gateway\.replies"):
        await world.server(users)
    await world.bus.close()


async def test_ready_says_which_part_is_not(lone: World, client: Client, users: ScriptedUsers) -> None:
    assert (await client.get("/readyz")).body == {"status": "ok"}
    users.away = True
    answer = await client.get("/readyz")
    assert (answer.status, answer.code, [e["part"] for e in answer.body["errors"]]) == (503, "not_ready", ["users_store"])
    await lone.bus.close()
    parts = [e["part"] for e in (await client.get("/readyz")).body["errors"]]
    assert "bus" in parts
    assert (await client.get("/livez")).status == 200
    await lone.bus.open()
    users.away = False
    await until(lambda: _is_ready(client))


async def test_a_bus_that_takes_no_records_is_not_ready_until_it_takes_one_again(
    lone: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "APPEND_WAIT_S", 0.1)
    with locked(lone.settings.data / "bus.db"):
        assert (await client.get("/readyz")).status == 200, "nobody has tried yet"
        assert (await client.register(KEY)).status == 503
        answer = await client.get("/readyz")
        assert (answer.status, answer.code, [e["part"] for e in answer.body["errors"]]) == (503, "not_ready", ["bus"])
    assert (await client.get("/readyz")).status == 503
    assert (await client.register(KEY)).status == 202
    assert (await client.get("/readyz")).status == 200


async def test_some_time_after_a_failed_append_the_bus_may_be_tried_again(
    lone: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "APPEND_WAIT_S", 0.1)
    with locked(lone.settings.data / "bus.db"):
        assert (await client.register(KEY)).status == 503
        assert (await client.get("/readyz")).status == 503
        monkeypatch.setattr(asking, "APPEND_FAILED_S", 0.0)
        assert (await client.get("/readyz")).status == 200


async def _is_ready(client: Client) -> bool:
    return (await client.get("/readyz")).status == 200


async def test_the_users_reader_waits_for_a_store_that_is_not_there_and_makes_none(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/a folder/users.db"
    reader = UsersReader(url)
    with pytest.raises(StoreUnreadable):
        await reader.ping()
    assert not list(tmp_path.iterdir())
    migrate("users", url)
    await reader.ping()
    assert (await reader.standing(KEY)).registration is None
    await reader.close()


async def test_the_description_is_valid_openapi_and_names_every_problem(client: Client) -> None:
    served = (await client.get("/openapi.json")).body
    assert served == document()
    OpenAPIV31SpecValidator(served).validate()
    said = json.dumps(served["paths"])
    assert [code for code in KINDS if f"`{code}`" not in said] == []


async def test_every_answer_is_described(client: Client) -> None:
    paths = (await client.get("/openapi.json")).body["paths"]
    accepted = await client.register()
    seen = await client.get(accepted.headers["Location"])
    schema = (await client.get("/openapi.json")).body["components"]["schemas"]["RegistrationDocument"]
    assert str(accepted.status) in paths[ROUTE]["post"]["responses"]
    assert set(accepted.body) == set(seen.body) == set(schema["properties"])


async def test_a_request_is_one_line_with_its_trace_and_nothing_secret(client: Client) -> None:
    stream = io.StringIO()
    logs.configure(format="json", stream=stream)
    accepted = await client.register(password="very secret indeed")
    await client.get(accepted.headers["Location"])
    await client.register(mobile="0")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(r["method"], r["status"], r.get("trace")) for r in requests] == [
        ("POST", 202, accepted.body["id"]), ("GET", 200, accepted.body["id"]), ("POST", 422, None),
    ]  # fmt: skip
    assert requests[0]["request_id"] == accepted.headers["X-Request-Id"]
    token = urlsplit(accepted.headers["Location"]).query.removeprefix("token=")
    assert not [secret for secret in ("very secret", "13800000000", token, "Idempotency") if secret in stream.getvalue()]
