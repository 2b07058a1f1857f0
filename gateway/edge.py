"""What every route of a signed-in person stands on: who asks, under which key, for which thing; asking for it, and looking at it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final, NamedTuple, Self, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.runtime.canonical import Unacceptable, uuid_text
from agents.runtime.canonical_json import canonical_bytes
from agents.runtime.decision import Message
from agents.runtime.http.bodies import read_json
from agents.runtime.http.door import TRACE, as_json
from agents.runtime.http.idempotency import HEADER, anonymous_key, command_id, thing_id
from agents.runtime.http.problems import RETRY_AFTER_S, Problem, away
from agents.runtime.http.store_reader import StoreReader, StoreUnreadable
from agents.runtime.sealing import Keyring
from config import logs
from config.settings import Settings
from gateway.asking import Asking, Look, Outcome, Question
from gateway.members import Account
from gateway.operations import Operation
from gateway.principals import Doorkeeper, Principal
from gateway.things import Thing
from stores.standing import is_suspended, mac_of

T = TypeVar("T", bound=Thing)
R = TypeVar("R")
Shown = Callable[[Any, bool], R]  # a row, and whether its actor waits for an operator

SHANGHAI: Final = timezone(timedelta(hours=8), "Asia/Shanghai")

log = logs.get("gateway")


class Stores(NamedTuple):
    """One reader a service whose store the gateway looks into."""

    accounts: StoreReader
    users: StoreReader
    trading: StoreReader
    repayments: StoreReader

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The stores of these settings; each may come into being later."""
        return cls(*(StoreReader(settings.store_url(name)) for name in cls._fields))

    async def close(self) -> None:
        """Close the connections; the process does not exit before."""
        for store in self:
            await store.close()


class Route(NamedTuple):
    """An operation and what answers it."""

    operation: Operation
    handler: Handler


class Asked(NamedTuple):
    """A POST of a signed-in person: who, what for, and the canonical body's content-mac. `id` is the id of what it creates."""

    who: Principal
    id: str
    mac: str


@dataclass(frozen=True)
class Edge:
    """The parts that routes use."""

    asking: Asking
    stores: Stores
    keyring: Keyring
    doorkeeper: Doorkeeper
    account: Callable[[Principal], Awaitable[Account]]  # may raise Problem
    today: Callable[[], date]
    body_max_bytes: int

    async def who(self, request: web.Request, operation: Operation) -> Principal:
        """Who asks, who may. Raises Problem."""
        assert operation.permission is not None, "an open operation asks nobody"
        return await self.doorkeeper(request, operation.permission)

    async def body(self, request: web.Request) -> Any:
        """The JSON body. Raises Problem."""
        return await read_json(request, self.body_max_bytes)

    def asked(self, request: web.Request, who: Principal, body: BaseModel) -> Asked:
        """Which thing this request makes, or has made. Raises Problem."""
        key = anonymous_key(request.headers.getall(HEADER, ()))
        thing = request[TRACE] = thing_id(who.id, request.path, key)
        return Asked(who, thing, self.keyring.mac(canonical_bytes(body.model_dump())))

    async def create(self, asked: Asked, actor: str, message: Message, *, look: Look[T], pending: T, place: str) -> web.Response:
        """Ask for a thing whose id is the request's, and answer with it. Raises Problem."""
        question = Question(asked.id, actor, command_id(asked.id), asked.who.id, asked.mac, message)
        with logs.bind_trace(asked.id):
            document = (await self.asking.ask(question, look, pending)).document
        headers = {"Location": self.location(asked.who, f"{place}/{asked.id}")}
        if document.is_made:
            return as_json(document, status=201, headers=headers)
        return as_json(document, status=202, headers={**headers, "Retry-After": str(RETRY_AFTER_S)})

    async def act(self, asked: Asked, thing: str, message: Message, *, look: Look[T], pending: T) -> Outcome[T]:
        """Do something to a thing that is there. Raises Problem."""
        question = Question(thing, thing, command_id(asked.id), asked.who.id, asked.mac, message)
        with logs.bind_trace(thing):
            return await self.asking.ask(question, look, pending)

    def location(self, who: Principal, path: str) -> str:
        """Where a thing is looked at; the token tells its person's own gateway that it was asked for, before any store knows it."""
        return f"{path}?token={self.keyring.token(_token_text(who, path))}"

    def was_given(self, request: web.Request, who: Principal) -> bool:
        """Whether this URL is one that was given to this person."""
        tokens = request.query.getall("token", [])
        return len(tokens) == 1 and self.keyring.token_fits(tokens[0], _token_text(who, request.path))


class Row(NamedTuple):
    """What a store has of a thing: its row, whether its actor waits for an operator, and the content-mac of its command."""

    row: Any | None
    suspended: bool
    mac: str | None


async def row_of(
    store: StoreReader, query: Callable[[AsyncConnection, str], Awaitable[Any | None]], thing: str, *, actor: str, command: str
) -> Row:
    """Read a thing in one transaction. Raises StoreUnreadable."""
    async with store.reading() as connection:
        return Row(await query(connection, thing), await is_suspended(connection, actor), await mac_of(connection, command))


async def read(store: StoreReader, ask: Callable[[AsyncConnection], Awaitable[R]]) -> R:
    """Ask a store for somebody who looks. Raises Problem when it cannot be read."""
    try:
        async with store.reading() as connection:
            return await ask(connection)
    except StoreUnreadable as exc:
        log.warning("a store cannot be read", why=str(exc))
        raise away("This cannot be looked up just now.") from None


def place_id(request: web.Request, name: str = "id") -> str:
    """The id that the path names; what is none is not found. Raises Problem."""
    try:
        thing = request[TRACE] = uuid_text(request.match_info[name])
    except Unacceptable:
        raise not_found() from None
    return thing


def not_found() -> Problem:
    """One answer for an id that is none, one that nobody has, and what belongs to somebody else."""
    return Problem("not_found", "There is no such thing, or it is not yours to see.")


def today_of(clock: Callable[[], int]) -> Callable[[], date]:
    """The day in Shanghai, by a clock of milliseconds UTC: for ages, not for what a contract speaks of."""
    return lambda: datetime.fromtimestamp(clock() / 1000, SHANGHAI).date()


def _token_text(who: Principal, path: str) -> str:
    return f"{who.id}\n{path}"
