"""A loan's way to the public: applied for, audited, established at the bank; and what every part of its behaviour says alike."""

from datetime import date, timedelta
from fractions import Fraction

from agents.custody.messages import OrderEnded, PlaceOrder
from agents.repayments.money import Fen
from agents.repayments.schedule import Method, NotRepresentable, schedule
from agents.runtime.decision import Context, Decision, Message, Send, derived_id
from agents.trading.messages import TOPIC, LoanChanged, LoanMoved, PassFirstAudit, Publish
from agents.trading.model import Loan, Status, Step
from config import products
from config.lpr import cap_on


def publish(known: Loan | None, command: Publish, context: Context) -> Decision[Loan]:
    """A draft; or a loan that is refused at once, which is kept with its reason."""
    if known is not None:
        return stand(known)
    now = context.instant_ms
    made = Loan(
        command.id,
        command.borrower,
        command.person_lookup,
        command.custody_no,
        command.title,
        command.amount_fen,
        command.annual_rate,
        command.investor_rate,
        command.months,
        command.method,
        command.raising_days,
        Status.DRAFT,
        now,
        now,
    )
    if (code := unacceptable(command, context.business_date)) is not None:
        return refuse(made, context, code)._replace(reply=moved(made.id, Status.REFUSED.value, refused=code))
    return become(made, Status.DRAFT, context)


def unacceptable(command: Publish, day: date | None) -> str | None:
    """Why there cannot be such a loan (MONEY 1 and 4), or None."""
    rate, investor_rate = Fraction(command.annual_rate), Fraction(command.investor_rate)
    if not command.custody_no:
        return "no_custody_account"
    if not products.AMOUNT_FEN_MIN <= command.amount_fen <= products.AMOUNT_FEN_MAX:
        return "amount_out_of_range"
    if command.months not in products.MONTHS or command.raising_days not in products.RAISING_DAYS:
        return "months_out_of_range" if command.months not in products.MONTHS else "raising_days_out_of_range"
    if command.method not in [method.value for method in Method]:
        return "unknown_method"
    if investor_rate > rate:
        return "investor_rate_above_rate"
    if day is None:
        return "no_business_date"
    if (cap := cap_on(day)) is None or rate > cap[0]:
        return "rate_above_cap"
    plan = schedule(Method(command.method), principal_fen=Fen(command.amount_fen), annual_rate=rate, months=command.months)
    return "schedule_not_representable" if isinstance(plan, NotRepresentable) else None


def pass_first_audit(loan: Loan, command: PassFirstAudit, context: Context) -> Decision[Loan]:
    """Let it go public: the bank establishes the project first."""
    if command.auditor == loan.borrower:
        return stand(loan, refused="own_loan")
    number = derived_id(context.message_id, "establish")
    content = {"project_no": loan.id, "custody_no": loan.custody_no, "amount_fen": loan.amount_fen}
    order = direct(number, "establish_project", content, loan.amount_fen, loan.id)
    decision = become(loan.but(first_auditor=command.auditor, establish_no=number), Status.ESTABLISHING, context, who=command.auditor)
    return decision._replace(sends=(*decision.sends, order), aliases=(number,))


def established(loan: Loan, command: OrderEnded, context: Context) -> Decision[Loan]:
    """The bank has the project: raising begins, and ends on a business date."""
    if loan.where is not Status.ESTABLISHING:
        return Decision.stay(loan)
    if command.result != "succeeded" or command.booked_date is None:
        return refuse(loan, context, f"bank: {command.reason or command.result}")
    until = date.fromisoformat(command.booked_date) + timedelta(days=loan.raising_days)
    return become(loan.but(raising_until=until.isoformat()), Status.RAISING, context, who="bank")


def refuse(loan: Loan, context: Context, reason: str) -> Decision[Loan]:
    """The end of a listing that never raised anything."""
    return become(loan.but(reason=reason), Status.REFUSED, context, reason=reason)


def become(loan: Loan, status: Status, context: Context, *, who: str | None = None, reason: str | None = None) -> Decision[Loan]:
    """The loan in another state: a line of its history, a fact for anyone, an answer for whoever waits."""
    step = Step(status.value, context.instant_ms, who or context.principal, reason)
    after = loan.but(status=status, changed_ms=context.instant_ms, steps=(*loan.steps, step), stood=None)
    fact = Send(loan.id, LoanMoved(id=loan.id, status=status.value))
    return Decision(after, sends=(fact,), reply=moved(loan.id, status.value))


def suspend(loan: Loan, context: Context, reason: str) -> Decision[Loan]:
    """It waits for an operator, who is shown why; where it stood is kept."""
    if loan.status is Status.SUSPENDED:
        return Decision(loan.but(reason=reason, changed_ms=context.instant_ms))
    decision = become(loan.but(reason=reason), Status.SUSPENDED, context, reason=reason)
    assert decision.state is not None, "a suspended loan stays"
    return decision._replace(state=decision.state.but(stood=loan.status.value))


def stand(loan: Loan, *, refused: str | None = None) -> Decision[Loan]:
    """Nothing changes; whoever asks is told how it stands."""
    return Decision(loan, reply=moved(loan.id, loan.status.value, refused=refused))


def moved(loan: str, status: str, *, refused: str | None = None) -> Message:
    """The answer to a person."""
    return LoanChanged(id=loan, status=status, refused=refused)


def direct(number: str, kind: str, content: dict[str, object], amount_fen: int, loan: str) -> Send:
    """An order that needs no member's confirmation."""
    said = PlaceOrder(id=number, kind=kind, content=content, page=False, amount_fen=amount_fen, reply_topic=TOPIC, reply_key=loan)
    return Send(number, said)
