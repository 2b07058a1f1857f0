"""The routes of members: who I am, and what I ask of the bank; everything here is one's own."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.runtime.decision import Message
from agents.runtime.http.door import as_json
from agents.runtime.http.idempotency import command_id
from gateway import authorizations, members, openings, recharges
from gateway.asking import Standing
from gateway.edge import Asked, Edge, Route, not_found, place_id, read, row_of
from gateway.members import MeDocument
from gateway.operations import Operation
from gateway.principals import STAFF
from gateway.things import Thing
from stores.standing import is_suspended
from stores.users import authorization_by_id, member_by_id, opening_by_id, transfer_by_id

T = TypeVar("T", bound=Thing)
Find = Callable[[AsyncConnection, str], Awaitable[Any | None]]
Balance = Callable[[str], Awaitable[members.BalanceDocument | None]]


def routes(edge: Edge, balance: Balance) -> list[Route]:
    """What stands behind the operations of members."""

    async def me(request: web.Request) -> web.Response:
        who = await edge.who(request, members.ME)
        if who.role in STAFF:
            return as_json(MeDocument(id=who.id, role=who.role))
        found = await read(edge.stores.users, lambda c: member_by_id(c, who.id))
        if found is None:  # the account came after it: only a store of another time does not have it
            return as_json(MeDocument(id=who.id, role=who.role))
        number = found.custody_no
        money = await balance(number) if number else None
        return as_json(MeDocument(id=who.id, role=who.role, status=found.status.value, custody_no=number, card=found.card, balance=money))

    async def submit(request: web.Request) -> web.Response:
        who = await edge.who(request, openings.SUBMIT)
        body = openings.requested(await edge.body(request), today=edge.today())
        asked = edge.asked(request, who, body)
        message = openings.command(asked.id, who.id, body, edge.keyring)
        return await _created(edge, asked, message, opening_by_id, openings.shown, openings.pending(asked.id), openings.ROUTE)

    async def recharge(request: web.Request) -> web.Response:
        who = await edge.who(request, recharges.RECHARGE)
        body = recharges.requested(await edge.body(request))
        asked = edge.asked(request, who, body)
        message = recharges.command(asked.id, who.id, body)
        return await _created(edge, asked, message, transfer_by_id, recharges.shown, recharges.pending(asked.id, body), recharges.ROUTE)

    async def authorize(request: web.Request) -> web.Response:
        who = await edge.who(request, authorizations.AUTHORIZE)
        body = authorizations.requested(await edge.body(request))
        asked = edge.asked(request, who, body)
        message = authorizations.command(asked.id, who.id, body)
        pending = authorizations.pending(asked.id, body)
        return await _created(edge, asked, message, authorization_by_id, authorizations.shown, pending, authorizations.ROUTE)

    return [
        Route(members.ME, me),
        Route(openings.SUBMIT, submit),
        _looking(edge, openings.LOOK, opening_by_id, openings.shown, openings.pending),
        Route(recharges.RECHARGE, recharge),
        _looking(edge, recharges.LOOK, transfer_by_id, recharges.shown, recharges.pending),
        Route(authorizations.AUTHORIZE, authorize),
        _looking(edge, authorizations.LOOK, authorization_by_id, authorizations.shown, authorizations.pending),
    ]


async def _created(
    edge: Edge, asked: Asked, message: Message, find: Find, shown: Callable[[Any, bool], T], pending: T, place: str
) -> web.Response:
    """Ask the user centre for something of the member, and answer with it."""
    member = asked.who.id

    async def look() -> Standing[T]:
        row, suspended, mac = await row_of(edge.stores.users, find, asked.id, actor=member, command=command_id(asked.id))
        return Standing(shown(row, suspended) if row is not None else None, mac)

    return await edge.create(asked, member, message, look=look, pending=pending, place=place)


def _looking(edge: Edge, operation: Operation, find: Find, shown: Callable[[Any, bool], T], pending: Callable[[str], T]) -> Route:
    """Look at something of the member who asks."""

    async def look(request: web.Request) -> web.Response:
        who, thing = await edge.who(request, operation), place_id(request)

        async def ask(connection: AsyncConnection) -> T | None:
            row = await find(connection, thing)
            return shown(row, await is_suspended(connection, who.id)) if row is not None and row.member == who.id else None

        document = await read(edge.stores.users, ask)
        if document is None and not edge.was_given(request, who):
            raise not_found()
        return as_json(document or pending(thing))

    return Route(operation, look)
