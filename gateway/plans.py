"""How a loan is repaid, as its borrower sees it (the plan) and as an investor sees it (the receivables); pure."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from agents.repayments.model import PlanStatus
from gateway.operations import AFTER, looking
from gateway.things import DATE, ID

RECEIVABLES_PAGE_MAX: Final = 500

PLAN_PATH: Final = "/api/v1/loans/{id}/plan"


class InstalmentDocument(BaseModel):
    """One instalment of the borrower."""

    number: int
    due_date: str = Field(json_schema_extra=DATE)
    principal_fen: int
    interest_fen: int = Field(description="the investors' part and the platform's fee")
    paid_fen: int = Field(description="what has been paid of it, penalty included")
    balance_fen: int = Field(description="principal that is owed after it")
    status: Literal["PLANNED", "PARTLY_PAID", "OVERDUE", "PAID"]
    paid_on: str | None = Field(None, json_schema_extra=DATE)


class PlanDocument(BaseModel):
    """A repayment plan."""

    loan_id: str = Field(json_schema_extra=ID)
    status: Literal["RECEIVING", "MAKING", "REPAYING", "SETTLED"] = Field(description="RECEIVING, MAKING: it is not there yet, whole")
    amount_fen: int
    outstanding_fen: int
    start_date: str = Field(json_schema_extra=DATE)
    next_due: str | None = Field(None, json_schema_extra=DATE)
    instalments: list[InstalmentDocument]


class ReceivableDocument(BaseModel):
    """An investor's part of one instalment."""

    number: int
    bid_id: str = Field(json_schema_extra=ID)
    due_date: str = Field(json_schema_extra=DATE)
    principal_fen: int
    interest_fen: int
    principal_paid_fen: int
    interest_paid_fen: int
    penalty_paid_fen: int


class ReceivablesDocument(BaseModel):
    """What an investor gets of a loan, instalment by instalment."""

    loan_id: str = Field(json_schema_extra=ID)
    receivables: list[ReceivableDocument]
    next: str | None = Field(None, description="`after` of the next page; null: there is none")


class BusinessDateDocument(BaseModel):
    """The date on which contracts stand (Asia/Shanghai)."""

    date: str | None = Field(json_schema_extra=DATE, description="null before the bank has said one")


PLAN: Final = looking("look_at_plan", PLAN_PATH, "A loan's repayment plan.", "see_plan", PlanDocument)
RECEIVABLES: Final = looking(
    "look_at_receivables",
    "/api/v1/loans/{id}/receivables",
    "What I get of a loan.",
    "see_receivables",
    ReceivablesDocument,
    AFTER,
)
BUSINESS_DATE: Final = looking(
    "look_at_date", "/api/v1/business-date", "The business date on which repayments stand.", "see_me", BusinessDateDocument
)


def plan_shown(plan: Any, instalments: Sequence[Any]) -> PlanDocument:
    """A plan from its rows; its instalments when they are there, whole."""
    return PlanDocument(
        loan_id=plan.id,
        status=plan.status,
        amount_fen=plan.amount_fen,
        outstanding_fen=plan.outstanding_fen,
        start_date=plan.start_date,
        next_due=plan.next_due,
        instalments=[_instalment(row) for row in instalments] if PlanStatus(plan.status).is_made else [],
    )


def receivables_shown(loan: str, rows: Sequence[Any]) -> ReceivablesDocument:
    """A page of receivables."""
    last = rows[-1] if len(rows) == RECEIVABLES_PAGE_MAX else None
    return ReceivablesDocument(
        loan_id=loan, receivables=[_receivable(row) for row in rows], next=f"{last.number}-{last.place}" if last is not None else None
    )


def page_after(text: str) -> tuple[int, int]:
    """Instalment and place after which a page begins; what is no cursor begins at the beginning."""
    number, _, place = text.partition("-")
    plain = all(part.isascii() and part.isdigit() and len(part) <= 9 for part in (number, place))
    return (int(number), int(place)) if plain else (0, -1)


def _instalment(row: Any) -> InstalmentDocument:
    return InstalmentDocument(
        number=row.number,
        due_date=row.due_date,
        principal_fen=row.principal_fen,
        interest_fen=row.pool_fen + row.fee_fen,
        paid_fen=row.principal_paid_fen + row.pool_paid_fen + row.fee_paid_fen + row.penalty_paid_fen,
        balance_fen=row.balance_fen,
        status=row.status,
        paid_on=row.paid_on,
    )


def _receivable(row: Any) -> ReceivableDocument:
    return ReceivableDocument(
        number=row.number,
        bid_id=row.bid,
        due_date=row.due_date,
        principal_fen=row.principal_fen,
        interest_fen=row.interest_fen,
        principal_paid_fen=row.principal_paid_fen,
        interest_paid_fen=row.interest_paid_fen,
        penalty_paid_fen=row.penalty_paid_fen,
    )
