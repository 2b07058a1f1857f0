"""How the picture of `lendbus check` is taken: every store read a page at a time, the platform's before the bank's.

In this order what one store calls final was so in the next one before it: trading hears of ends from custody, custody from the bank.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson

from bank import queries as bank
from stores import custody, repayments, trading, users
from tools.reading import ask, exists, store_path
from tools.rules.picture import Bid, Hold, Instalment, Loan, Order, Picture, Plan

if TYPE_CHECKING:
    from config.settings import Settings

PAGE: Final = 2_000
BANK: Final = "bank"
STILL: Final = "HELD"  # a hold that is neither posted nor released


async def pages(settings: "Settings", service: str, question: Callable[..., Awaitable[list[Any]]]) -> AsyncIterator[Any]:
    """Every row of a question that is asked a page at a time; its first column is what the next page comes after."""
    after = ""
    while page := await ask(settings, service, partial(question, after=after, limit=PAGE)):
        for row in page:
            yield row
        after = page[-1][0]


async def of_money(settings: "Settings", *, with_bank: bool | None = None) -> Picture:
    """What repayments, trading, the user centre and custody say, and the bank; unless somebody says, where its books are in this folder."""
    picture = Picture()
    async for row in pages(settings, "users", users.members_page):
        picture.members[row.id] = row.custody_no
    await _repayments(settings, picture)
    await _trading(settings, picture)
    async for row in pages(settings, "custody", custody.orders_page):
        picture.orders[row.id] = Order(row.id, row.kind, row.status, _amount(row))
    if bank_is_here(settings) if with_bank is None else with_bank:
        await _bank(settings, picture)
    return picture


def bank_is_here(settings: "Settings") -> bool:
    """Whether the bank's books can be looked at: a file in the platform's folder. On a server they are an outside company's."""
    own = settings.of_bank()
    return own.db_kind == "sqlite" and exists(store_path(own, BANK))


async def _bank(settings: "Settings", picture: Picture) -> None:
    """The requests of this platform only; the bank may serve others."""
    own, us = settings.of_bank(), platform_of(settings)
    picture.bank = True
    async for row in pages(own, BANK, bank.requests_page):
        if us in (None, row.platform):
            picture.requests[row.id] = Order(row.id, row.kind, row.status, row.amount_fen)
    async for row in pages(own, BANK, bank.holds_page):
        if row.request_no in picture.requests:
            picture.holds[row.request_no] = Hold(row.request_no, row.purpose, row.amount_fen if row.state == STILL else 0)
    async for row in pages(own, BANK, bank.accounts_page):
        picture.accounts[row.custody_no] = row.member_id


def platform_of(settings: "Settings") -> str | None:
    """The name under which this platform is enrolled at the bank; None without credentials."""
    try:
        return str(orjson.loads(settings.bank_credentials_path().read_bytes())["platform"])
    except (OSError, ValueError, KeyError):
        return None


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
