"""How a plan is made: its bids come in steps, then the instalments are made at once and the receivables in steps (FLOWS 5.1).

The checksum is over all of them, step after step, so that two makings of the same plan can be compared.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from fractions import Fraction
from hashlib import sha256
from itertools import islice

from agents.repayments import shares
from agents.repayments.due_dates import due_date
from agents.repayments.messages import RECEIVABLES_STEP, AskPlan, GeneratePlan, MakeReceivables, PlanMissing, PlanReady
from agents.repayments.model import Bid, Instalment, InstalmentStatus, Plan, PlanStatus, Receivable, Rows
from agents.repayments.money import Fen
from agents.repayments.schedule import Method, Row, Schedule, schedule
from agents.runtime.decision import Decision, Send


def generate(plan: Plan | None, command: GeneratePlan) -> Decision[Plan]:
    """The next bids; with the last ones the plan is made. A plan that is there answers, a step that is there changes nothing."""
    if plan is None and command.step:
        return Decision(None, sends=(Send(command.id, PlanMissing(id=command.id, steps=0)),))
    if plan is not None and plan.status.is_made:
        return ready(plan)
    if plan is not None and (plan.status is PlanStatus.MAKING or command.step < plan.steps):
        return Decision.stay(plan)
    if plan is not None and command.step > plan.steps:
        return missing(plan)
    after = _with_bids(plan or _begun(command), command)
    return _make(after) if command.last else Decision(after)


def ask(plan: Plan | None, command: AskPlan) -> Decision[Plan]:
    """Whether the plan is there; while it is being made its end answers."""
    if plan is None:
        return Decision(None, sends=(Send(command.id, PlanMissing(id=command.id, steps=0)),))
    if plan.status.is_made:
        return ready(plan)
    return missing(plan) if plan.status is PlanStatus.RECEIVING else Decision.stay(plan)


def make_receivables(plan: Plan, command: MakeReceivables) -> Decision[Plan]:
    """The next step of them."""
    if plan.status is not PlanStatus.MAKING or command.made != plan.made:  # a step that was taken already
        return Decision.stay(plan)
    return _next_receivables(plan)


def ready(plan: Plan) -> Decision[Plan]:
    """The plan is there."""
    return Decision(plan, sends=(Send(plan.id, PlanReady(id=plan.id, checksum=plan.checksum)),))


def missing(plan: Plan) -> Decision[Plan]:
    """Bids of the plan are missing."""
    return Decision(plan, sends=(Send(plan.id, PlanMissing(id=plan.id, steps=plan.steps)),))


def _begun(command: GeneratePlan) -> Plan:
    return Plan(
        id=command.id,
        borrower=command.borrower,
        custody_no=command.custody_no,
        project_no=command.project_no,
        amount_fen=command.amount_fen,
        annual_rate=command.annual_rate,
        investor_rate=command.investor_rate,
        months=command.months,
        method=command.method,
        start_date=command.start_date,
        status=PlanStatus.RECEIVING,
        steps=0,
        bids=0,
        made=0,
        checksum="",
        outstanding_fen=command.amount_fen,
    )


def _with_bids(plan: Plan, command: GeneratePlan) -> Plan:
    bids = [Bid(plan.bids + n, b.id, b.investor, b.custody_no, b.amount_fen) for n, b in enumerate(command.bids)]
    grown = plan.put(Rows(bids={bid.place: bid for bid in bids}))
    return grown.but(steps=plan.steps + 1, bids=plan.bids + len(bids))


def _make(plan: Plan) -> Decision[Plan]:
    """The instalments, then the first receivables."""
    bids = plan.seen.bids
    assert len(bids) == plan.bids and sum(bid.amount_fen for bid in bids.values()) == plan.amount_fen, "the bids are the loan"
    instalments = {i.number: i for i in _instalments(plan)}
    lines = ((i.number, i.due_date, i.principal_fen, i.pool_fen, i.fee_fen) for i in instalments.values())
    made = plan.put(Rows(instalments=instalments))
    return _next_receivables(made.but(status=PlanStatus.MAKING, checksum=_checksum("", lines)))


def _next_receivables(plan: Plan) -> Decision[Plan]:
    """At most a step of them, and the message for the next step; the last one ends the making."""
    rows = _rows(plan)
    new = list(islice(_receivables_from(plan, rows), RECEIVABLES_STEP))
    grown = plan.put(Rows(receivables={(r.number, r.place): r for r in new}))
    lines = ((r.number, r.place, r.investor, r.principal_fen, r.interest_fen) for r in new)
    grown = grown.but(made=plan.made + len(new), checksum=_checksum(plan.checksum, lines))
    if grown.made < plan.bids * len(rows):
        return Decision(grown, sends=(Send(plan.id, MakeReceivables(id=plan.id, made=grown.made)),))
    first = next(row for row in rows if row.total_fen)
    return ready(grown.but(status=PlanStatus.REPAYING, next_due=_due(plan, first)))


def _receivables_from(plan: Plan, rows: tuple[Row, ...]) -> Iterator[Receivable]:
    """From the one on that is not made yet; those of earlier instalments are reckoned again, as the weights follow from them."""
    number, place = divmod(plan.made, plan.bids)
    bids = [plan.seen.bids[n] for n in range(plan.bids)]
    every = shares.receivables(rows, bids_fen=[Fen(bid.amount_fen) for bid in bids], investor_rate=Fraction(plan.investor_rate))
    for each in islice(every, number, None):
        for bid in bids[place:]:
            yield Receivable(each.n, bid.place, bid.investor, each.principal_fen[bid.place], each.interest_fen[bid.place])
        place = 0


def _instalments(plan: Plan) -> Iterator[Instalment]:
    """The borrower's side: the pool is the same whoever shares in it."""
    rows = _rows(plan)
    pools = shares.receivables(rows, bids_fen=[Fen(plan.amount_fen)], investor_rate=Fraction(plan.investor_rate))
    for row, each in zip(rows, pools, strict=True):
        status = InstalmentStatus.PLANNED if row.total_fen else InstalmentStatus.PAID  # nothing is never owed
        yield Instalment(row.n, _due(plan, row), row.principal_fen, each.pool_fen, each.platform_fee_fen, row.balance_fen, status)


def _rows(plan: Plan) -> tuple[Row, ...]:
    rate = Fraction(plan.annual_rate)
    made = schedule(Method(plan.method), principal_fen=Fen(plan.amount_fen), annual_rate=rate, months=plan.months)
    assert isinstance(made, Schedule), f"a loan without a schedule is not published: {made}"
    return made.rows


def _due(plan: Plan, row: Row) -> str:
    return due_date(date.fromisoformat(plan.start_date), row.month).isoformat()


def _checksum(before: str, lines: Iterable[tuple[object, ...]]) -> str:
    return sha256("\n".join([before, *(",".join(map(str, line)) for line in lines)]).encode()).hexdigest()
