"""Loans at the edge, pure (FLOWS 4): applying for one, deciding about one, and how they are shown."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from agents.repayments.schedule import Method
from agents.runtime.http.problems import Fault
from agents.trading.messages import ApproveFull, PassFirstAudit, Publish, RefuseFirstAudit, RefuseFull, Withdraw
from gateway import fields
from gateway.members import Account
from gateway.operations import AFTER, TOKEN, Query, acting, creating, looking
from gateway.principals import STAFF, Principal
from gateway.problems import Refusal
from gateway.things import DATE, ID, PENDING, Thing, instant, public_reason

ROUTE: Final = "/api/v1/loans"
LOAN: Final = f"{ROUTE}/{{id}}"
PAGE_MAX: Final = 100
TITLE_CHARS_MAX: Final = 60
REASON_CHARS_MAX: Final = 200
MONTHS_MAX: Final = 360
RAISING_DAYS_MAX: Final = 366
DECISIONS: Final = ("pass", "refuse")
NOT_PUBLIC: Final = frozenset({"DRAFT", "ESTABLISHING", "REFUSED"})  # for its borrower and who works here

Decision = Literal["pass", "refuse"]


class LoanRequest(BaseModel):
    """What a borrower wants to borrow, and how it is to be repaid."""

    title: str
    amount_fen: int = Field(gt=0)
    annual_rate: str = Field(description="what the borrower pays, an exact decimal: 0.12")
    investor_rate: str = Field(description="what the investors get of it, not more than annual_rate")
    months: int = Field(ge=1, le=MONTHS_MAX)
    method: Literal["equal_installment", "equal_principal", "interest_only", "bullet"]
    raising_days: int = Field(ge=1, le=RAISING_DAYS_MAX)


class AuditRequest(BaseModel):
    """What an auditor decides; a refusal says why."""

    decision: Decision
    reason: str | None = None


class WithdrawalRequest(BaseModel):
    """The listing is withdrawn: there is nothing more to say."""


class LoanDocument(Thing):
    """A loan as somebody who may see it sees it."""

    FINAL: ClassVar[frozenset[str]] = frozenset({"REFUSED", "FAILED", "SETTLED"})
    status: str = Field(
        description="PENDING: accepted, not begun. DRAFT: waits for its first audit. ESTABLISHING: the bank makes its project. RAISING:"
        " takes bids. FULL: waits for its second audit. DISBURSING, REPAYING, SETTLED. REFUSED: never public. FAILING, FAILED: given back."
        " SUSPENDED: waits for an operator."
    )
    borrower_id: str | None = Field(None, json_schema_extra=ID)
    title: str | None = None
    amount_fen: int | None = None
    accepted_fen: int | None = Field(None, description="what the bank holds of accepted bids")
    annual_rate: str | None = None
    investor_rate: str | None = None
    months: int | None = None
    method: str | None = None
    raising_days: int | None = None
    raising_until: str | None = Field(None, description="its last day of raising", json_schema_extra=DATE)

    @property
    def is_made(self) -> bool:
        """The application is there, or refused."""
        return self.status not in (PENDING, "SUSPENDED")

    @property
    def is_settled(self) -> bool:
        """What is asked of a loan is answered at once."""
        return self.status != PENDING


class LoansDocument(BaseModel):
    """A page of loans."""

    loans: list[LoanDocument]
    next: str | None = Field(None, description="`after` of the next page; null: there is none")


PUBLISH: Final = creating("publish", ROUTE, "Apply for a loan.", "publish_loan", takes=LoanRequest, gives=LoanDocument)
LIST: Final = looking(
    "list_loans",
    ROUTE,
    "Loans that take bids, or of another status.",
    "see_loans",
    LoansDocument,
    Query("status", "RAISING when it is not given"),
    AFTER,
)
LOOK: Final = looking("look_at_loan", LOAN, "A loan as it stands.", "see_loans", LoanDocument, TOKEN)
FIRST_AUDIT: Final = acting(
    "first_audit", f"{LOAN}/first-audit", "Let a loan go public, or refuse it.", "audit_loan", takes=AuditRequest, gives=LoanDocument
)
FULL_AUDIT: Final = acting(
    "full_audit",
    f"{LOAN}/full-audit",
    "Let a full loan be disbursed, or fail it; by another person than the first auditor.",
    "audit_loan",
    takes=AuditRequest,
    gives=LoanDocument,
)
WITHDRAW: Final = acting(
    "withdraw", f"{LOAN}/withdrawal", "Withdraw a listing that is not full.", "withdraw_loan", takes=WithdrawalRequest, gives=LoanDocument
)

_FIELDS: Final[fields.Fields] = {
    "title": fields.text(TITLE_CHARS_MAX),
    "amount_fen": fields.amount,
    "annual_rate": fields.rate,
    "investor_rate": fields.rate,
    "months": fields.whole("months", 1, MONTHS_MAX),
    "method": fields.one_of("unknown_method", "a method", [*Method]),
    "raising_days": fields.whole("raising days", 1, RAISING_DAYS_MAX),
}
_AUDIT: Final[fields.Fields] = {
    "decision": fields.one_of("unknown_decision", "a decision", DECISIONS),
    "reason": fields.text(REASON_CHARS_MAX),
}


def requested(body: Any) -> LoanRequest:
    """An application in its canonical form. Raises Problem."""
    return LoanRequest(**fields.read(body, _FIELDS))


def audited(body: Any) -> AuditRequest:
    """A decision in its canonical form; a refusal without a reason is none. Raises Problem."""
    asked = AuditRequest(**fields.read(body, _AUDIT, optional=frozenset({"reason"})))
    if asked.decision == "refuse" and asked.reason is None:
        raise fields.invalid([Fault(code="missing", detail="a refusal says why", pointer="/reason")])
    return asked


def withdrawn(body: Any) -> WithdrawalRequest:
    """A withdrawal. Raises Problem."""
    return WithdrawalRequest(**fields.read(body, {}))


def publish(thing: str, borrower: str, account: Account, asked: LoanRequest) -> Publish:
    """What the trading centre is asked; who has no account at the bank is refused there, and it leaves a row."""
    return Publish(id=thing, borrower=borrower, person_lookup=account.person_lookup, custody_no=account.custody_no, **asked.model_dump())


def first_audit(loan: str, auditor: str, asked: AuditRequest) -> PassFirstAudit | RefuseFirstAudit:
    """The decision that makes a draft public, or not."""
    if asked.decision == "pass":
        return PassFirstAudit(id=loan, auditor=auditor)
    return RefuseFirstAudit(id=loan, auditor=auditor, reason=asked.reason or "")


def full_audit(loan: str, auditor: str, asked: AuditRequest) -> ApproveFull | RefuseFull:
    """The decision that disburses a full loan, or fails it."""
    if asked.decision == "pass":
        return ApproveFull(id=loan, auditor=auditor)
    return RefuseFull(id=loan, auditor=auditor, reason=asked.reason or "")


def withdrawal(loan: str, borrower: str) -> Withdraw:
    """The borrower wants it no longer."""
    return Withdraw(id=loan, borrower=borrower)


def pending(thing: str, asked: LoanRequest | None = None) -> LoanDocument:
    """What can be said before the trading centre has said anything."""
    return LoanDocument(id=thing, status=PENDING, **(asked.model_dump() if asked else {}))


def shown(row: Any, suspended: bool) -> LoanDocument:
    """A loan from its row; that its actor waits for an operator is not seen while it has not ended its business."""
    return LoanDocument(
        id=row.id,
        status=row.status,
        reason=public_reason(row.reason),
        borrower_id=row.borrower,
        title=row.title,
        amount_fen=row.amount_fen,
        accepted_fen=row.accepted_fen,
        annual_rate=row.annual_rate,
        investor_rate=row.investor_rate,
        months=row.months,
        method=row.method,
        raising_days=row.raising_days,
        raising_until=row.raising_until,
        created_at=instant(row.created_ms),
        changed_at=instant(row.changed_ms),
    )


def page_shown(rows: Sequence[Any], who: Principal) -> LoansDocument:
    """A page of loans, without those that are not for this person."""
    return LoansDocument(
        loans=[shown(row, False) for row in rows if may_see(row, who)], next=rows[-1].id if len(rows) == PAGE_MAX else None
    )


def may_see(row: Any, who: Principal) -> bool:
    """A listing is for everybody who is signed in; before that it is its borrower's and of those who decide about it."""
    return bool(row.status not in NOT_PUBLIC or who.id == row.borrower or who.role in STAFF)


def first_audit_stands(row: Any, auditor: str, asked: AuditRequest) -> bool:
    """Whether the loan has this decision, whatever the bus has told us: a repeat is judged alike."""
    if asked.decision == "refuse":
        return (row.status, row.reason) == ("REFUSED", f"audit: {asked.reason}")
    return bool(row.first_auditor == auditor)


def full_audit_stands(row: Any, auditor: str, asked: AuditRequest) -> bool:
    """Whether the loan has this decision."""
    if asked.decision == "refuse":
        return bool(row.status in ("FAILING", "FAILED") and row.reason == f"audit: {asked.reason}")
    return bool(row.second_auditor == auditor)


def withdrawal_stands(row: Any) -> bool:
    """Whether the listing was withdrawn."""
    return bool(row.reason == "withdrawn")


def why_not(row: Any) -> str:
    """The stable code of a decision that the loan does not have: its own reason where that is a code, e.g. `rate_above_cap`."""
    reason = str(row.reason or "")
    return reason if reason.replace("_", "").isalpha() else "not_now"


def refused(code: str) -> Refusal:
    """What a loan does not take, with the stable code of the reason."""
    detail = f"The loan does not take this: {code}."
    return Refusal("refused", detail, (Fault(code=code, detail=detail),))
