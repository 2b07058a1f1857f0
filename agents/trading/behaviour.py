"""A loan (标的), from the borrower's application until nothing is owed (FLOWS 4).

(none) ──publish──► DRAFT ──first audit──► ESTABLISHING ──► RAISING ──► FULL ──second audit──► DISBURSING ──► REPAYING ──► SETTLED
            │         │                        │               └────────┴─────────┬────────────────┘
            └─────────┴───── REFUSED ◄─────────┘                               FAILING ──► FAILED

What the bank refuses where nobody expected it, or says in two ways, makes it SUSPENDED: an operator lets it go on or fail.
Bids are in `behaviour_bids`, the money's way to the borrower in `behaviour_disbursing`, its way back in `behaviour_failing`, and
what stops and resumes a loan in `behaviour_suspension`.
"""

from datetime import date
from typing import Any

from agents.custody.messages import DateRolled, OrderAwaiting, OrderDisputed, OrderEnded
from agents.repayments.messages import PlanMissing, PlanReady, PlanSettled, PrincipalRepaid
from agents.runtime import calendar
from agents.runtime.decision import Context, Decision, Message
from agents.trading import behaviour_bids, behaviour_disbursing, behaviour_failing, behaviour_listing, behaviour_suspension
from agents.trading.behaviour_listing import moved, stand
from agents.trading.messages import (
    ApproveFull,
    BidDeadline,
    FailListing,
    FailStep,
    PassFirstAudit,
    PlaceBid,
    PlanCheck,
    PlanStep,
    Publish,
    RaisingEnded,
    RefuseFirstAudit,
    RefuseFull,
    ResumeLoan,
    RetryDisbursement,
    ScanLoans,
    Withdraw,
)
from agents.trading.model import Loan, Status, may_fail, may_resume


def behave(state: Any, command: Message, context: Context) -> Decision[Any]:
    """What becomes of the loan, or of the calendar. A command that does not fit the state is answered with how it stands."""
    match command:
        case DateRolled():
            return calendar.rolled(state, date.fromisoformat(command.date), _scan)
        case ScanLoans():
            day = command.date
            return calendar.stepped(state, date.fromisoformat(day), command.after, _scan, lambda key: RaisingEnded(id=key, date=day))
        case Publish():
            return behaviour_listing.publish(state, command, context)
    if not isinstance(state, Loan):
        return _nobody(command)
    match command:
        case OrderAwaiting() | OrderEnded() | OrderDisputed():
            return _of_order(state, command, context)
        case PlaceBid():
            return behaviour_bids.place(state, command, context)
        case BidDeadline():
            return behaviour_bids.deadline(state, command)
        case PlanReady() | PlanMissing() | PlanCheck() | PlanStep() | PrincipalRepaid() | PlanSettled():
            return behaviour_disbursing.of_plan(state, command, context)
        case FailStep():
            return behaviour_failing.step(state, command, context)
        case RaisingEnded() if state.status is Status.RAISING and state.raising_until is not None and state.raising_until < command.date:
            return behaviour_failing.fail(state, context, "not_full")
        case RaisingEnded():
            return Decision.stay(state)
    return _by_person(state, command, context)


def _by_person(loan: Loan, command: Message, context: Context) -> Decision[Loan]:
    match command, loan.status:
        case PassFirstAudit(), Status.DRAFT:
            return behaviour_listing.pass_first_audit(loan, command, context)
        case ((RefuseFirstAudit() | RefuseFull()), _) if command.auditor == loan.borrower:
            return stand(loan, refused="own_loan")
        case RefuseFirstAudit(), Status.DRAFT:
            return behaviour_listing.refuse(loan, context, f"audit: {command.reason}")
        case ApproveFull(), Status.FULL:
            return behaviour_disbursing.approve(loan, command, context)
        case RefuseFull(), Status.FULL:
            return behaviour_failing.fail(loan, context, f"audit: {command.reason}")
        case Withdraw(), _ if command.borrower != loan.borrower:
            return stand(loan, refused="not_the_borrower")
        case Withdraw(), Status.DRAFT:
            return behaviour_listing.refuse(loan, context, "withdrawn")
        case Withdraw(), Status.RAISING:
            return behaviour_failing.fail(loan, context, "withdrawn")
        case _, Status.SUSPENDED:
            return _by_operator(loan, command, context)
        case _:
            return stand(loan, refused=_already(loan, command))


def _by_operator(loan: Loan, command: Message, context: Context) -> Decision[Loan]:
    resumes = may_resume(loan.stood, loan.confirm_no)
    match command:
        case ResumeLoan() if resumes:
            return behaviour_suspension.resume(loan, context)
        case RetryDisbursement() if resumes and loan.where is Status.DISBURSING:
            return behaviour_disbursing.disburse(loan, context)
        case FailListing() if may_fail(loan.stood, loan.confirm_no):
            return behaviour_failing.fail(loan, context, f"operator: {command.reason}")
        case _:
            return stand(loan, refused=_already(loan, command))


def _already(loan: Loan, command: Message) -> str | None:
    """None where the command has had its effect before; else why it has none now."""
    match command:
        case PassFirstAudit() if loan.first_auditor == command.auditor and loan.status is not Status.DRAFT:
            return None
        case ApproveFull() if loan.second_auditor == command.auditor:
            return None
        case Withdraw() if loan.reason == "withdrawn":
            return None
        case _:
            return "not_now"


def _of_order(loan: Loan, command: OrderAwaiting | OrderEnded | OrderDisputed, context: Context) -> Decision[Loan]:
    """The bank's word about one of the loan's own orders, or about a bid's."""
    if isinstance(command, OrderDisputed):
        return behaviour_suspension.disputed(loan, command, context)
    if command.id in loan.seen:
        return behaviour_bids.of_hold(loan, loan.seen[command.id], command, context)
    if isinstance(command, OrderAwaiting):
        return Decision.stay(loan)
    if (bid := next((b for b in loan.seen.values() if b.release_no == command.id), None)) is not None:
        return behaviour_failing.released(loan, bid, command, context)
    match command.id:
        case loan.establish_no:
            return behaviour_listing.established(loan, command, context)
        case loan.confirm_no:
            return behaviour_disbursing.confirmed(loan, command, context)
        case loan.close_no:
            return behaviour_failing.project_closed(loan, command, context)
        case _:
            return Decision.stay(loan)


def _nobody(command: Message) -> Decision[Any]:
    """Somebody speaks to a loan that is none: a person is told so, and nothing is kept."""
    if isinstance(command, PlaceBid):
        return Decision(None, reply=behaviour_bids.refusal(command, "no_such_loan"), refused=True)
    if isinstance(
        command, PassFirstAudit | RefuseFirstAudit | ApproveFull | RefuseFull | Withdraw | RetryDisbursement | FailListing | ResumeLoan
    ):
        return Decision(None, reply=moved_nothing(command.id), refused=True)
    return Decision.stay(None)


def moved_nothing(loan: str) -> Message:
    """The answer about a loan that does not exist."""
    return moved(loan, "", refused="no_such_loan")


def _scan(day: date, after: str) -> Message:
    return ScanLoans(id=calendar.KEY, date=day.isoformat(), after=after)
