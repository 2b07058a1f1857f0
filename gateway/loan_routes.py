"""The routes of loans and bids: who may not see something is told that it is not there."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.runtime.decision import Message
from agents.runtime.http.door import as_json
from agents.runtime.http.idempotency import command_id
from agents.runtime.http.problems import RETRY_AFTER_S
from agents.trading.messages import LoanChanged
from gateway import bids, loans
from gateway.asking import Standing
from gateway.bids import BidDocument
from gateway.edge import Asked, Edge, Route, not_found, place_id, read, row_of
from gateway.loans import AuditRequest, LoanDocument
from gateway.principals import STAFF
from stores.standing import is_suspended
from stores.trading import bid_by_id, bids_of_loan, loan_by_id
from stores.trading import loans as loans_by_key


def loan_routes(edge: Edge) -> list[Route]:
    """Applying for loans and looking at them."""
    store = edge.stores.trading

    async def publish(request: web.Request) -> web.Response:
        who = await edge.who(request, loans.PUBLISH)
        body = loans.requested(await edge.body(request))
        asked = edge.asked(request, who, body)
        account = await edge.account(who)

        async def look() -> Standing[LoanDocument]:
            row, suspended, mac = await row_of(store, loan_by_id, asked.id, actor=asked.id, command=command_id(asked.id))
            return Standing(loans.shown(row, suspended) if row is not None else None, mac)

        message = loans.publish(asked.id, who.id, account, body)
        return await edge.create(asked, asked.id, message, look=look, pending=loans.pending(asked.id, body), place=loans.ROUTE)

    async def listed(request: web.Request) -> web.Response:
        who = await edge.who(request, loans.LIST)
        status, after = request.query.get("status", "RAISING"), request.query.get("after", "")
        rows = await read(store, lambda c: loans_by_key(c, status=status, after=after, limit=loans.PAGE_MAX))
        return as_json(loans.page_shown(rows, who))

    async def look_at_loan(request: web.Request) -> web.Response:
        who, loan = await edge.who(request, loans.LOOK), place_id(request)
        row = await read(store, lambda c: loan_by_id(c, loan))
        if row is None and edge.was_given(request, who):
            return as_json(loans.pending(loan))
        if row is None or not loans.may_see(row, who):
            raise not_found()
        return as_json(loans.shown(row, False))

    return [Route(loans.PUBLISH, publish), Route(loans.LIST, listed), Route(loans.LOOK, look_at_loan)]


def decision_routes(edge: Edge) -> list[Route]:
    """What people decide about a loan."""

    async def first_audit(request: web.Request) -> web.Response:
        who, loan = await edge.who(request, loans.FIRST_AUDIT), place_id(request)
        body = loans.audited(await edge.body(request))
        await _loan(edge, loan)
        message = loans.first_audit(loan, who.id, body)
        return await _decided(edge, edge.asked(request, who, body), message, lambda row: loans.first_audit_stands(row, who.id, body))

    async def full_audit(request: web.Request) -> web.Response:
        who, loan = await edge.who(request, loans.FULL_AUDIT), place_id(request)
        body: AuditRequest = loans.audited(await edge.body(request))
        await _loan(edge, loan)
        message = loans.full_audit(loan, who.id, body)
        return await _decided(edge, edge.asked(request, who, body), message, lambda row: loans.full_audit_stands(row, who.id, body))

    async def withdraw(request: web.Request) -> web.Response:
        who, loan = await edge.who(request, loans.WITHDRAW), place_id(request)
        body = loans.withdrawn(await edge.body(request))
        if (await _loan(edge, loan)).borrower != who.id:
            raise not_found()
        return await _decided(edge, edge.asked(request, who, body), loans.withdrawal(loan, who.id), loans.withdrawal_stands)

    return [Route(loans.FIRST_AUDIT, first_audit), Route(loans.FULL_AUDIT, full_audit), Route(loans.WITHDRAW, withdraw)]


def bid_routes(edge: Edge) -> list[Route]:
    """Bidding, and looking at bids."""
    store = edge.stores.trading

    async def bid(request: web.Request) -> web.Response:
        who, loan = await edge.who(request, bids.BID), place_id(request)
        body = bids.requested(await edge.body(request))
        asked = edge.asked(request, who, body)
        if not loans.may_see(await _loan(edge, loan), who):
            raise not_found()
        account = await edge.account(who)

        async def look() -> Standing[BidDocument]:
            row, suspended, mac = await row_of(store, bid_by_id, asked.id, actor=loan, command=command_id(asked.id))
            return Standing(bids.shown(row, suspended) if row is not None else None, mac)

        message = bids.command(asked.id, loan, who.id, account, body)
        return await edge.create(asked, loan, message, look=look, pending=bids.pending(asked.id, loan, body), place=bids.ROUTE)

    async def listed(request: web.Request) -> web.Response:
        who, loan = await edge.who(request, bids.LIST), place_id(request)
        after = bids.page_after(request.query.get("after", ""))

        async def ask(connection: AsyncConnection) -> tuple[Any, list[Any]]:
            return await loan_by_id(connection, loan), await bids_of_loan(connection, loan, after=after, limit=bids.PAGE_MAX)

        row, rows = await read(store, ask)
        if row is None or not loans.may_see(row, who):
            raise not_found()
        return as_json(bids.page_shown(rows, for_whom=who, borrower=row.borrower))

    async def look_at_bid(request: web.Request) -> web.Response:
        who, thing = await edge.who(request, bids.LOOK), place_id(request)

        async def ask(connection: AsyncConnection) -> BidDocument | None:
            row = await bid_by_id(connection, thing)
            if row is None or not (row.investor == who.id or who.role in STAFF):
                return None
            return bids.shown(row, await is_suspended(connection, row.loan))

        document = await read(store, ask)
        if document is None and not edge.was_given(request, who):
            raise not_found()
        return as_json(document or bids.pending(thing))

    return [Route(bids.BID, bid), Route(bids.LIST, listed), Route(bids.LOOK, look_at_bid)]


async def _loan(edge: Edge, loan: str) -> Any:
    row = await read(edge.stores.trading, lambda c: loan_by_id(c, loan))
    if row is None:
        raise not_found()
    return row


async def _decided(edge: Edge, asked: Asked, message: Message, stands: Callable[[Any], bool]) -> web.Response:
    """Ask, and judge by what the store has at the end: several people may have decided about one loan in one moment."""
    loan: str = message.model_dump()["id"]
    before = await _loan(edge, loan)
    latest = before

    async def look() -> Standing[LoanDocument]:
        nonlocal latest
        row, suspended, mac = await row_of(edge.stores.trading, loan_by_id, loan, actor=loan, command=command_id(asked.id))
        latest = row or latest
        return Standing(loans.shown(latest, suspended), mac)

    document, answer = await edge.act(asked, loan, message, look=look, pending=loans.shown(before, False))
    if stands(latest) or (latest is before and isinstance(answer, LoanChanged) and answer.refused is None):
        return as_json(document)
    if answer is None or answer.type == "runtime.Suspended":
        return as_json(document, status=202, headers={"Retry-After": str(RETRY_AFTER_S)})
    raise loans.refused(getattr(answer, "refused", None) or loans.why_not(latest))
