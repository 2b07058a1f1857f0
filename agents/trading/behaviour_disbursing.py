"""From the second audit to the last instalment: all holds become the borrower's money, then the plan is made (the reliable message)."""

from fractions import Fraction

from agents.custody.messages import OrderEnded
from agents.repayments.messages import AskPlan, GeneratePlan, LentBid, PlanMissing, PlanReady, PlanSettled, PrincipalRepaid
from agents.runtime.decision import ClearTimer, Context, Decision, Send, SetTimer, derived_id
from agents.trading import behaviour_failing
from agents.trading.behaviour_listing import become, direct, stand, suspend
from agents.trading.messages import ApproveFull, PlanCheck, PlanStep
from agents.trading.model import EVERY, BidStatus, Loan, Status
from config.lpr import cap_on
from config.products import PLAN_CHECK

PLAN = "plan_check"


def approve(loan: Loan, command: ApproveFull, context: Context) -> Decision[Loan]:
    """Another person than the first auditor approves; a rate above the cap of today lets the listing fail (MONEY 4)."""
    if command.auditor in (loan.first_auditor, loan.borrower):
        return stand(loan, refused="second_person_needed")
    if context.business_date is None:
        return stand(loan, refused="no_business_date")
    cap = cap_on(context.business_date)
    if cap is None or Fraction(loan.annual_rate) > cap[0]:
        return behaviour_failing.fail(loan, context, "rate_above_cap")
    frozen = loan.but(second_auditor=command.auditor, cap=_decimal(cap[0]), lpr_since=cap[1].isoformat())
    return disburse(frozen, context)


def disburse(loan: Loan, context: Context) -> Decision[Loan]:
    """All holds of the project as one linked set, under a number of its own each time."""
    number = derived_id(context.message_id, "confirm")
    content = {"project_no": loan.id, "count": loan.accepted, "sum_fen": loan.accepted_fen}
    decision = become(loan.but(confirm_no=number, reason=None), Status.DISBURSING, context)
    order = direct(number, "confirm_loan", content, loan.accepted_fen, loan.id)
    return decision._replace(sends=(*decision.sends, order), aliases=(number,))


def confirmed(loan: Loan, command: OrderEnded, context: Context) -> Decision[Loan]:
    """The money has moved: the state and the message that makes the plan commit together."""
    if loan.where is not Status.DISBURSING:
        return Decision.stay(loan)
    if command.result != "succeeded" or command.booked_date is None:
        return suspend(loan.but(confirm_no=None), context, f"confirm_loan: {command.reason or command.result}")
    begun = loan.but(start_date=command.booked_date, outstanding_fen=loan.amount_fen)
    decision = become(begun, Status.REPAYING, context, who="bank")
    assert decision.state is not None, "a loan stays"
    return checked_later(decision._replace(sends=(*decision.sends, *_plan_step(decision.state, 0, 0))), context)


def of_plan(
    loan: Loan, command: PlanReady | PlanMissing | PlanCheck | PlanStep | PrincipalRepaid | PlanSettled, context: Context
) -> Decision[Loan]:
    """What repayments say of the plan, and what is sent until it is there."""
    match command:
        case PlanStep() if loan.where is Status.REPAYING:
            return Decision(loan, sends=_plan_step(loan, int(command.after), command.number))
        case PlanCheck() if loan.plan_checksum is None and command.round == loan.plan_round:
            return checked_later(Decision(loan, sends=(Send(loan.id, AskPlan(id=loan.id)),)), context)
        case PlanMissing() if loan.plan_checksum is None and loan.where is Status.REPAYING:
            return Decision(loan, sends=(Send(loan.id, PlanStep(id=loan.id, after="0", number=0)),))
        case PlanReady() if loan.plan_checksum is None:
            return Decision(loan.but(plan_checksum=command.checksum), timers=(ClearTimer(PLAN),))
        case PrincipalRepaid() if command.outstanding_fen < loan.outstanding_fen:
            return Decision(loan.but(outstanding_fen=command.outstanding_fen, changed_ms=context.instant_ms))
        case PlanSettled() if loan.status is Status.REPAYING:
            return settled(loan, context)
        case PlanSettled() if loan.where is Status.REPAYING:
            return Decision(loan.but(outstanding_fen=0, stood=Status.SETTLED.value))
        case _:
            return Decision.stay(loan)


def settled(loan: Loan, context: Context) -> Decision[Loan]:
    """Nothing is owed; the bank closes the project."""
    number = derived_id(context.message_id, "close")
    decision = become(loan.but(outstanding_fen=0, close_no=number), Status.SETTLED, context, who="repayments")
    order = direct(number, "close_project", {"project_no": loan.id}, 0, loan.id)
    return decision._replace(sends=(*decision.sends, order), aliases=(number,))


def checked_later(decision: Decision[Loan], context: Context) -> Decision[Loan]:
    """Ask for the plan again, a little later each time, until it is there."""
    loan = decision.state
    assert loan is not None, "a loan stays"
    after = loan.but(plan_round=loan.plan_round + 1)
    due = context.instant_ms + PLAN_CHECK.delay_ms(loan.plan_round, loan.id)
    return decision._replace(state=after, timers=(*decision.timers, SetTimer(PLAN, due, PlanCheck(id=loan.id, round=after.plan_round))))


def _plan_step(loan: Loan, after: int, number: int) -> tuple[Send, ...]:
    """One message to repayments with the next bids, and one to itself if there are more."""
    bids, reach = loan.next_bids(after, BidStatus.ACCEPTED)
    assert loan.start_date is not None, "the money has moved"
    said = GeneratePlan(
        id=loan.id,
        borrower=loan.borrower,
        custody_no=loan.custody_no,
        amount_fen=loan.amount_fen,
        annual_rate=loan.annual_rate,
        investor_rate=loan.investor_rate,
        months=loan.months,
        method=loan.method,
        start_date=loan.start_date,
        project_no=loan.id,
        step=number,
        bids=tuple(LentBid(id=b.id, investor=b.investor, custody_no=b.custody_no, amount_fen=b.amount_fen) for b in bids),
        last=reach == EVERY,
    )
    more = () if reach == EVERY else (Send(loan.id, PlanStep(id=loan.id, after=str(reach), number=number + 1)),)
    return (Send(loan.id, said), *more)


def _decimal(rate: Fraction) -> str:
    """An exact decimal as text; four times a rate of four places has no more."""
    whole, rest = divmod(rate.numerator * 10**6 // rate.denominator, 10**6)
    return f"{whole}.{rest:06d}".rstrip("0")
