"""How the picture of `lendbus check` is taken: every store read a page at a time, the platform's before the bank's.

In this order what one store calls final was so in the next one before it: trading hears of ends from custody, custody from the bank.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson

from stores import custody, repayments, trading
from tools.reading import ask
from tools.rules.picture import Bid, Instalment, Loan, Order, Picture, Plan

if TYPE_CHECKING:
    from config.settings import Settings

PAGE: Final = 2_000


async def pages(settings: "Settings", service: str, question: Callable[..., Awaitable[list[Any]]]) -> AsyncIterator[Any]:
    """Every row of a question that is asked a page at a time; its first column is what the next page comes after."""
    after = ""
    while page := await ask(settings, service, partial(question, after=after, limit=PAGE)):
        for row in page:
            yield row
        after = page[-1][0]


async def of_money(settings: "Settings") -> Picture:
    """What trading, repayments and custody say."""
    picture = Picture()
    await _repayments(settings, picture)
    await _trading(settings, picture)
    async for row in pages(settings, "custody", custody.orders_page):
        picture.orders[row.id] = Order(row.id, row.kind, row.status, _amount(row))
    return picture


async def _trading(settings: "Settings", picture: Picture) -> None:
    async for row in pages(settings, "trading", trading.bids_page):
        picture.bids[row.id] = Bid(row.id, row.loan, row.status, row.amount_fen)
    async for row in pages(settings, "trading", trading.loans_page):
        picture.loans[row.id] = Loan(row.id, row.status, row.amount_fen, row.accepted_fen)


async def _repayments(settings: "Settings", picture: Picture) -> None:
    async for row in pages(settings, "repayments", repayments.sums_page):
        picture.plans[row.id] = Plan(
            id=row.id,
            status=row.status,
            amount_fen=row.amount_fen,
            outstanding_fen=row.outstanding_fen,
            bids_fen=row.plan_bid_amount_fen,
            principal_fen=row.instalment_principal_fen,
            pool_fen=row.instalment_pool_fen,
            principal_paid_fen=row.instalment_principal_paid_fen,
            shares_principal_fen=row.receivable_principal_fen,
            shares_interest_fen=row.receivable_interest_fen,
            busy=row.collection is not None,
        )
    for row in await ask(settings, "repayments", repayments.unequal_instalments):
        picture.instalments.append(
            Instalment(
                plan=row.loan,
                number=row.number,
                planned_fen=(row.principal_fen, row.pool_fen),
                shares_fen=(row.principal, row.interest),
                paid_fen=(row.principal_paid_fen, row.pool_paid_fen),
                shares_paid_fen=(row.principal_paid, row.interest_paid),
            )
        )


def _amount(row: Any) -> int:
    """What the bank said has moved; what was ordered, as long as it has said nothing."""
    return int(orjson.loads(row.result)["amount_fen"]) if row.result else int(row.amount_fen)
