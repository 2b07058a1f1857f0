"""A gateway on a free port over a real bus, with the real services or with a script in their place."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
from multidict import CIMultiDict

from agents.runtime.decision import Message
from agents.runtime.envelope import Delivery, decode
from agents.runtime.http.server import HttpServer
from agents.runtime.http.store_reader import StoreUnreadable
from agents.runtime.sealing import Keyring
from agents.runtime.waiting import reply
from agents.runtime.worker import House, Worker, utc_now_ms
from agents.users.messages import Register
from bus.connect import connect
from bus.log import Bus
from config.keys import generate
from config.settings import Settings, load
from gateway.app import make_gateway, serve
from gateway.principals import Doorkeeper
from gateway.registrations import ROUTE, Standing
from gateway.users_reader import Users, UsersReader
from stores.migrate import migrate
from tools.assemble import houses, specs, surroundings

PATIENCE_S = 20.0
JSON = {"Content-Type": "application/json"}


def settings_of(folder: Path, **given: Any) -> Settings:
    """Quick hashes, a free port, everything in one folder."""
    quick = {"argon2_memory_kib": 8192, "argon2_time_cost": 1, "port": 0, "wait_ms": 10_000, "stop_timeout_ms": 5_000}
    return load(data=folder, **{**quick, **given})


def a_body(**fields: Any) -> dict[str, Any]:
    """A registration that nobody has a reason to refuse."""
    return {"login_name": "lin_xiao", "mobile": "13800000000", "password": "correct horse", "role": "investor", **fields}


async def until(holds: Callable[[], Any]) -> Any:
    """Wait for a condition, which may be asynchronous; its value."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = holds()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s"
        await asyncio.sleep(0.005)


@dataclass
class Answer:
    """A response, read to its end."""

    status: int
    headers: CIMultiDict[str]
    body: Any

    @property
    def code(self) -> str:
        """The code of a problem, which must be one in every respect."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        assert self.body["type"] == f"urn:lendbus:problem:{self.body['code']}" and self.body["status"] == self.status
        assert self.body["instance"] == f"urn:uuid:{self.headers['X-Request-Id']}"
        return str(self.body["code"])

    @property
    def pointers(self) -> set[str]:
        """Which places of the body are meant."""
        return {error["pointer"] for error in self.body["errors"]}


def _refuse(constant: str) -> None:
    raise AssertionError(f"an answer has the value {constant}")


class Client:
    """Speaks HTTP to one gateway."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def send(self, method: str, path: str, **options: Any) -> Answer:
        """One request."""
        async with self.session.request(method, f"{self.url}{path}", **options) as response:
            raw = await response.read()
            assert b"Traceback" not in raw
            assert response.headers["X-Content-Type-Options"] == "nosniff" and "Access-Control-Allow-Origin" not in response.headers
            return Answer(response.status, response.headers.copy(), json.loads(raw, parse_constant=_refuse) if raw else None)

    async def register(self, key: str | None = None, **fields: Any) -> Answer:
        """POST a registration under a key of its own."""
        return await self.post(json.dumps(a_body(**fields)).encode(), key)

    async def post(self, body: bytes, key: str | None = None, **headers: str) -> Answer:
        """POST these bytes."""
        sent = {**JSON, "Idempotency-Key": key or str(uuid.uuid4()), **headers}
        return await self.send("POST", ROUTE, data=body, headers=sent)

    async def get(self, path: str) -> Answer:
        """GET a path, or what a Location says."""
        return await self.send("GET", path)


@dataclass
class Asked:
    """A command of a person, as the users service gets it."""

    id: str
    actor: str
    trace: str
    principal: str
    mac: str | None
    message: Register
    delivery: Delivery


class World:
    """Everything that one test stands on; `async with` starts and ends it."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.settings = settings_of(folder, **given)
        self.keyring = Keyring.from_keys(generate())
        self.bus: Bus = connect(self.settings.bus_url())
        self._ends = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.bus.open()
        self._ends.push_async_callback(self.bus.close)
        await self.bus.declare(specs(self.settings))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ends.aclose()

    async def gateway(self, users: Users | None = None, doorkeeper: Doorkeeper | None = None) -> Client:
        """One more gateway process, as far as this one can be several."""
        server = await self.server(users, doorkeeper)
        self._ends.push_async_callback(server.stop)
        return Client(server.url, await self.session())

    async def server(self, users: Users | None = None, doorkeeper: Doorkeeper | None = None) -> HttpServer:
        """A gateway that the test ends itself."""
        reader = users or UsersReader(self.settings.store_url("users"))
        self._ends.push_async_callback(reader.close)
        app = make_gateway(self.settings, self.bus, self.keyring, reader, clock=utc_now_ms, doorkeeper=doorkeeper)
        server = serve(self.settings, app)
        await server.start()
        return server

    async def session(self) -> aiohttp.ClientSession:
        """A client's connections."""
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S))
        return await self._ends.enter_async_context(session)

    @asynccontextmanager
    async def services(self, *names: str, instead: Iterable[House] = ()) -> AsyncIterator[None]:
        """The real workers, for the length of the block."""
        running = [self._worker(houses(self.settings)[name]) for name in names] + [self._worker(house) for house in instead]
        async with AsyncExitStack() as stack:
            for worker in running:
                await worker.start()
                stack.push_async_callback(worker.stop)
                await worker.wait_until_owner(PATIENCE_S)
            yield

    def _worker(self, house: House) -> Worker:
        name = house.service.name
        migrate(name, self.settings.store_url(name))
        return Worker(house, surroundings(self.settings, name))

    async def commands_of_people(self) -> list[Asked]:
        """What the users service has been asked by gateways."""
        run = await self.bus.read("users.commands", 0, 0)
        found = [decode(record, {Register.type: Register}) for record in run if ("type", Register.type.encode()) in record.headers]
        return [Asked(d.id, d.actor, d.trace, d.principal, d.mac, d.message, d) for d in found if isinstance(d.message, Register)]

    async def answer(self, to: Asked, message: Message) -> None:
        """Play the users service: answer one request."""
        assert to.delivery.reply_to is not None
        await self.bus.append([reply(message, to.delivery.reply_to, caused_by=to.delivery, now_ms=utc_now_ms())])


@dataclass
class ScriptedUsers:
    """A users store that says what the test wants."""

    says: dict[str, Standing] = field(default_factory=dict)
    away: bool = False

    async def standing(self, thing: str) -> Standing:
        """What was written for it."""
        await self.ping()
        return self.says.get(thing, Standing())

    async def ping(self) -> None:
        """Whether it can be read."""
        if self.away:
            raise StoreUnreadable("away, as the test wants it")

    async def close(self) -> None:
        """Nothing to close."""
