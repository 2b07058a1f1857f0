"""Bids at the edge, pure (FLOWS 4): what may be asked for, the command, and how a bid is shown."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from agents.trading.messages import PlaceBid
from gateway import fields
from gateway.members import Account
from gateway.operations import AFTER, TOKEN, creating, looking
from gateway.principals import STAFF, Principal
from gateway.things import ID, PENDING, SUSPENDED, Thing, instant, page_of, public_reason

ROUTE: Final = "/api/v1/bids"
OF_LOAN: Final = "/api/v1/loans/{id}/bids"
PAGE_MAX: Final = 500
CURSOR_DIGITS_MAX: Final = 9


class BidRequest(BaseModel):
    """How much an investor wants to lend."""

    amount_fen: int = Field(gt=0)


class BidDocument(Thing):
    """A bid as its investor, its loan's borrower, or who works here may see it."""

    FINAL: ClassVar[frozenset[str]] = frozenset({"ACCEPTED", "REFUSED", "RELEASED"})
    status: Literal["PENDING", "ACCEPTED", "REFUSED", "RELEASING", "RELEASED", "SUSPENDED"] = Field(
        description="PENDING: room is reserved, the bank or the investor is asked. ACCEPTED: the bank holds the money; it is lent"
        " once its loan is repaying. REFUSED: it came to nothing. RELEASING, RELEASED: given back. SUSPENDED: waits for an operator."
    )
    loan_id: str | None = Field(None, json_schema_extra=ID)
    investor: str | None = Field(None, description="member", json_schema_extra=ID)
    amount_fen: int | None = None


class BidsDocument(BaseModel):
    """A page of a loan's bids."""

    bids: list[BidDocument]
    next: str | None = Field(None, description="`after` of the next page; null: there is none")


BID: Final = creating(
    "bid", OF_LOAN, "Bid for a loan, on the bank's page.", "bid", takes=BidRequest, gives=BidDocument, codes=("not_found",)
)
LIST: Final = looking(
    "list_bids", OF_LOAN, "A loan's bids: an investor's own; all for its borrower and who works here.", "see_loans", BidsDocument, AFTER
)
LOOK: Final = looking("look_at_bid", f"{ROUTE}/{{id}}", "A bid as it stands.", "see_loans", BidDocument, TOKEN)


def requested(body: Any) -> BidRequest:
    """The request in its canonical form. Raises Problem."""
    return BidRequest(**fields.read(body, {"amount_fen": fields.amount}))


def command(thing: str, loan: str, investor: str, account: Account, asked: BidRequest) -> PlaceBid:
    """What the trading centre is asked; who has no account at the bank is refused there, and it leaves a row."""
    return PlaceBid(
        id=thing,
        loan=loan,
        investor=investor,
        person_lookup=account.person_lookup,
        custody_no=account.custody_no,
        amount_fen=asked.amount_fen,
    )


def pending(thing: str, loan: str | None = None, asked: BidRequest | None = None) -> BidDocument:
    """What can be said before the trading centre has said anything."""
    return BidDocument(id=thing, status=PENDING, loan_id=loan, amount_fen=asked.amount_fen if asked else None)


def shown(row: Any, suspended: bool) -> BidDocument:
    """A bid from its row."""
    waits = suspended and row.status not in BidDocument.FINAL
    return BidDocument(
        id=row.id,
        status=SUSPENDED if waits else row.status,
        page_url=page_of(row.status, BidDocument.FINAL, row.page_url),
        reason=public_reason(row.reason),
        loan_id=row.loan,
        investor=row.investor,
        amount_fen=row.amount_fen,
        created_at=instant(row.created_ms),
        changed_at=instant(row.changed_ms),
    )


def page_shown(rows: Sequence[Any], *, for_whom: Principal, borrower: str) -> BidsDocument:
    """A page of bids; an investor sees his own ones only, and nobody but the investor sees the bank's page."""
    everybodys = for_whom.id == borrower or for_whom.role in STAFF
    seen = [shown(row, False) for row in rows if everybodys or row.investor == for_whom.id]
    documents = [bid if bid.investor == for_whom.id else bid.model_copy(update={"page_url": None}) for bid in seen]
    return BidsDocument(bids=documents, next=str(rows[-1].place) if len(rows) == PAGE_MAX else None)


def page_after(text: str) -> int:
    """The place after which a page begins; what is no cursor begins at the beginning."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= CURSOR_DIGITS_MAX else 0
