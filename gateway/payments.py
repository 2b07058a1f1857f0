"""A borrower's payment at the edge, pure: what may be asked for, the command, and how a collection is shown (FLOWS 5)."""

from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from agents.repayments.messages import Pay
from gateway import fields
from gateway.operations import TOKEN, creating, looking
from gateway.things import DATE, PENDING, SUSPENDED, Thing, instant, page_of, public_reason

ROUTE: Final = "/api/v1/payments"

Status = Literal["PENDING", "OPEN", "FROZEN", "BOOKING", "BOOKED", "NOTHING", "SUSPENDED", "RELEASING", "RELEASED"]


class PaymentRequest(BaseModel):
    """What is due is what is paid: nothing is asked."""


class PaymentDocument(Thing):
    """A payment as its borrower may see it."""

    FINAL: ClassVar[frozenset[str]] = frozenset({"BOOKED", "NOTHING", "RELEASED"})
    status: Status = Field(
        description="PENDING: accepted, not begun. OPEN: the bank is asked. FROZEN: the bank holds the money. BOOKING: it is"
        " being given on. BOOKED: paid. NOTHING: nothing was collected. RELEASING, RELEASED: given back. SUSPENDED: waits for an operator."
    )
    loan_id: str | None = None
    due_fen: int | None = Field(None, description="what was due when it was asked for")
    amount_fen: int | None = Field(None, description="what the bank holds, or has given on")
    valid_on: str | None = Field(None, description="the business date that it was priced for", json_schema_extra=DATE)
    booked_date: str | None = Field(None, json_schema_extra=DATE)
    open_id: str | None = Field(None, description="the payment that was open already, when this one was not begun for it")


PAY: Final = creating(
    "pay",
    "/api/v1/loans/{id}/payments",
    "Pay what is due of a loan, on the bank's page.",
    "pay",
    takes=PaymentRequest,
    gives=PaymentDocument,
    codes=("not_found",),
)
LOOK: Final = looking("look_at_payment", f"{ROUTE}/{{id}}", "A payment as it stands.", "pay", PaymentDocument, TOKEN)


def requested(body: Any) -> PaymentRequest:
    """The request in its canonical form. Raises Problem."""
    return PaymentRequest(**fields.read(body, {}))


def command(thing: str, loan: str, borrower: str) -> Pay:
    """What the repayment service is asked."""
    return Pay(id=thing, loan=loan, borrower=borrower)


def pending(thing: str, loan: str | None = None) -> PaymentDocument:
    """What can be said before the repayment service has said anything."""
    return PaymentDocument(id=thing, status=PENDING, loan_id=loan)


def shown(row: Any, suspended: bool) -> PaymentDocument:
    """A payment from its row."""
    waits = suspended and row.status not in PaymentDocument.FINAL
    return PaymentDocument(
        id=row.id,
        status=SUSPENDED if waits else row.status,
        page_url=page_of(row.status, PaymentDocument.FINAL | {"FROZEN", "BOOKING", "RELEASING"}, row.page_url),
        reason=public_reason(row.reason),
        loan_id=row.loan,
        due_fen=row.due_fen,
        amount_fen=row.amount_fen,
        valid_on=row.valid_on or None,
        booked_date=row.booked_date,
        open_id=row.open_id,
        created_at=instant(row.created_ms),
        changed_at=instant(row.changed_ms),
    )
