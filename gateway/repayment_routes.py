"""The routes of plans, receivables and payments: what is somebody else's is not found."""

from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.runtime.http.door import as_json
from agents.runtime.http.idempotency import command_id
from gateway import payments, plans
from gateway.asking import Standing
from gateway.edge import Edge, Route, not_found, place_id, read, row_of
from gateway.payments import PaymentDocument
from gateway.principals import STAFF, Principal
from stores.repayments import business_date, collection_by_id, instalments_of, plan_by_loan, receivables_of_investor
from stores.standing import is_suspended


def routes(edge: Edge) -> list[Route]:
    """What stands behind the operations of repayments."""
    store = edge.stores.repayments

    async def plan(request: web.Request) -> web.Response:
        who, loan = await edge.who(request, plans.PLAN), place_id(request)

        async def ask(connection: AsyncConnection) -> tuple[Any, list[Any]]:
            return await plan_by_loan(connection, loan), await instalments_of(connection, loan)

        found, instalments = await read(store, ask)
        if found is None or not _may_see(who, found.borrower):
            raise not_found()
        return as_json(plans.plan_shown(found, instalments))

    async def receivables(request: web.Request) -> web.Response:
        who, loan = await edge.who(request, plans.RECEIVABLES), place_id(request)
        after = (loan, *plans.page_after(request.query.get("after", "")))
        most = plans.RECEIVABLES_PAGE_MAX
        rows = await read(store, lambda c: receivables_of_investor(c, who.id, loan=loan, after=after, limit=most))
        return as_json(plans.receivables_shown(loan, rows))

    async def pay(request: web.Request) -> web.Response:
        who, loan = await edge.who(request, payments.PAY), place_id(request)
        asked = edge.asked(request, who, payments.requested(await edge.body(request)))
        found = await read(store, lambda c: plan_by_loan(c, loan))
        if found is None or found.borrower != who.id:
            raise not_found()

        async def look() -> Standing[PaymentDocument]:
            row, suspended, mac = await row_of(store, collection_by_id, asked.id, actor=loan, command=command_id(asked.id))
            return Standing(payments.shown(row, suspended) if row is not None else None, mac)

        message = payments.command(asked.id, loan, who.id)
        return await edge.create(asked, loan, message, look=look, pending=payments.pending(asked.id, loan), place=payments.ROUTE)

    async def look_at_payment(request: web.Request) -> web.Response:
        who, thing = await edge.who(request, payments.LOOK), place_id(request)

        async def ask(connection: AsyncConnection) -> PaymentDocument | None:
            row = await collection_by_id(connection, thing)
            of = None if row is None else await plan_by_loan(connection, row.loan)
            if row is None or of is None or not _may_see(who, of.borrower):
                return None
            return payments.shown(row, await is_suspended(connection, row.loan))

        document = await read(store, ask)
        if document is None and not edge.was_given(request, who):
            raise not_found()
        return as_json(document or payments.pending(thing))

    async def date(request: web.Request) -> web.Response:
        await edge.who(request, plans.BUSINESS_DATE)
        return as_json(plans.BusinessDateDocument(date=await read(store, business_date)))

    return [
        Route(plans.PLAN, plan),
        Route(plans.RECEIVABLES, receivables),
        Route(payments.PAY, pay),
        Route(payments.LOOK, look_at_payment),
        Route(plans.BUSINESS_DATE, date),
    ]


def _may_see(who: Principal, borrower: str) -> bool:
    return who.id == borrower or who.role in STAFF
