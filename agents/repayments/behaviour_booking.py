"""What becomes of money that the bank holds for a payment: allocated, stored, booked at the bank in one set, then here (FLOWS 5.5).

At most a step of claims is written in one transaction; the instalments change with the last of them.
"""

from collections.abc import Sequence
from typing import Any

from agents.custody.messages import OrderEnded, PlaceOrder
from agents.repayments import behaviour_collecting as collecting
from agents.repayments import payment
from agents.repayments.behaviour_collecting import moved, with_collection
from agents.repayments.messages import RECEIVABLES_STEP, TOPIC, CollectionStep, InstalmentPaid, PlanSettled, PrincipalRepaid
from agents.repayments.model import (
    Allotment,
    Collection,
    CollectionStatus,
    Instalment,
    InstalmentStatus,
    Part,
    Plan,
    PlanStatus,
    Receivable,
    Record,
    Rows,
)
from agents.repayments.money import NOTHING, Fen
from agents.repayments.payment import Due, Owed
from agents.runtime.decision import Context, Decision, Message, Send, derived_id

ORDER_TURN = (0, 0)  # the step after the last record: the order is placed


def order_ended(plan: Plan, ended: OrderEnded, context: Context) -> Decision[Plan]:
    """The bank's last word on an order of the open collection; any other order is nothing any more."""
    c = plan.open
    if c is None:
        return Decision.stay(plan)
    if ended.id == c.id and not c.amount_fen and c.status in (CollectionStatus.OPEN, CollectionStatus.SUSPENDED):
        return _hold_ended(plan, c, ended, context)
    if ended.id == c.order_no and c.status is CollectionStatus.RELEASING:
        return _release_ended(plan, c, ended, context)
    if ended.id == c.order_no:
        return _booking_ended(plan, c, ended, context)
    return Decision.stay(plan)


def step(plan: Plan, command: CollectionStep, context: Context) -> Decision[Plan]:
    """The next claims, or the order, of the open collection."""
    c = plan.open
    if c is None or c.id != command.collection or c.step != (command.number, command.place):  # a step that was taken already
        return Decision.stay(plan)
    if c.status is CollectionStatus.BOOKING:
        return _book(plan, c, context)
    return _allocate(plan, c, context) if c.status is CollectionStatus.FROZEN else Decision.stay(plan)


def retry(plan: Plan, context: Context) -> Decision[Plan]:
    """An operator has the booking of a suspended collection done again; not while an order of it is under way."""
    c = plan.open
    if c is None or c.status is not CollectionStatus.SUSPENDED or c.order_no is not None or not 0 < c.amount_fen <= c.due_fen:
        return Decision.stay(plan)
    if not _allotments(plan, c):
        return _freeze(plan, c, context)
    if c.step is not None:
        return _wait_for_step(with_collection(plan, _as(c, context, CollectionStatus.FROZEN, reason=None)), c.step)
    return _place_booking(plan, c, _parts(plan, c), context)


def release(plan: Plan, context: Context) -> Decision[Plan]:
    """An operator has the money of a suspended collection given back; not while an order of it is under way."""
    c = plan.open
    if c is None or c.status is not CollectionStatus.SUSPENDED or c.order_no is not None or not c.amount_fen:
        return Decision.stay(plan)
    return _place(plan, c, CollectionStatus.RELEASING, "release", {"hold_no": c.id}, context)


def _hold_ended(plan: Plan, c: Collection, ended: OrderEnded, context: Context) -> Decision[Plan]:
    """Refused: nothing is collected, and the next business date tries again. A suspended one keeps what is held for its operator."""
    if ended.result != "succeeded":
        nothing = moved(plan, c, context, status=CollectionStatus.NOTHING, reason=ended.reason or ended.result)
        return _and_again(nothing, c, context)
    held = c.but(amount_fen=ended.amount_fen, booked_date=ended.booked_date or c.valid_on)
    if c.status is CollectionStatus.SUSPENDED:
        return moved(plan, held, context)
    if not 0 < ended.amount_fen <= c.due_fen:
        return moved(plan, held, context, status=CollectionStatus.SUSPENDED, reason="amount_differs")
    return _freeze(plan, held, context)


def _freeze(plan: Plan, c: Collection, context: Context) -> Decision[Plan]:
    """Allocate as of the date on which the bank held the money: instalment by instalment here, then claim by claim."""
    dues = [_due(i) for i in collecting.due_by(plan, c.valid_on)]
    paid = payment.pay(Fen(c.amount_fen), dues, standing_fen=(Fen(plan.outstanding_fen),))
    allotments = [Allotment(c.id, p.n, sum(p.penalty_fen), sum(p.pool_fen), p.fee_fen, sum(p.principal_fen)) for p in paid]
    frozen = _as(c, context, CollectionStatus.FROZEN, step=(allotments[0].number, 0), reason=None)
    after = with_collection(plan, frozen).put(Rows(allotments={(a.collection, a.number): a for a in allotments}))
    return _allocate(after, frozen, context)


def _due(i: Instalment) -> Due:
    """What is due of an instalment, the claims taken as one. Penalties are not charged yet: here they will be as of the payment's date."""
    principal, pool = i.principal_fen - i.principal_paid_fen, i.pool_fen - i.pool_paid_fen
    return Due(Owed(i.number, (Fen(principal),), (Fen(pool),), Fen(i.fee_fen - i.fee_paid_fen)), NOTHING)


def _allocate(plan: Plan, c: Collection, context: Context) -> Decision[Plan]:
    """Write the next records. What is split depends on nothing that a step writes, so each reckons its instalment again."""
    allotments = _allotments(plan, c)
    records: dict[tuple[str, int, int], Record] = {}
    while c.step is not None and c.step != ORDER_TURN and len(records) < RECEIVABLES_STEP and _is_loaded(plan, c.step[0]):
        number, place = c.step
        new = _records(plan, c, number)[place : place + RECEIVABLES_STEP - len(records)]
        records |= {(r.collection, r.number, r.place): r for r in new}
        following = [a.number for a in allotments if a.number > number]
        done = place + len(new) == plan.bids
        c = c.but(step=(number, place + len(new)) if not done else (following[0], 0) if following else ORDER_TURN)
    after = with_collection(plan.put(Rows(records=records)), c)
    if c.step == ORDER_TURN and (parts := _parts(after, c)):
        return _place_booking(after, c, parts, context)
    assert c.step is not None, "an allocation goes on until its order is placed"
    return _wait_for_step(after, c.step)


def _records(plan: Plan, c: Collection, number: int) -> list[Record]:
    """What the collection gives to every claim of one instalment."""
    allotted, claims = plan.seen.allotments[c.id, number], _claims(plan, number)
    instalment = plan.seen.instalments[number]
    owed = Owed(
        number,
        tuple(Fen(r.principal_fen - r.principal_paid_fen) for r in claims),
        tuple(Fen(r.interest_fen - r.interest_paid_fen) for r in claims),
        Fen(instalment.fee_fen - instalment.fee_paid_fen),
    )
    standing = [Fen(plan.seen.bids[r.place].amount_fen) for r in claims]
    (paid,) = payment.pay(Fen(allotted.total_fen), [Due(owed, Fen(allotted.penalty_fen))], standing_fen=standing)
    assert (sum(paid.pool_fen), paid.fee_fen, sum(paid.principal_fen)) == allotted[3:], "claim by claim it is the same"
    parts = zip(claims, paid.penalty_fen, paid.pool_fen, paid.principal_fen, strict=True)
    return [Record(c.id, number, r.place, penalty, interest, principal) for r, penalty, interest, principal in parts]


def _parts(plan: Plan, c: Collection) -> Sequence[Part]:
    """What each custody account gets, in the order of the bids: from the records, if all are at hand, else what the store has added up."""
    records = [r for r in plan.seen.records.values() if r.collection == c.id]
    if len(records) < plan.bids * len(_allotments(plan, c)):
        return plan.parts
    sums: dict[str, int] = {}
    for r in sorted(records, key=lambda r: (r.place, r.number)):
        custody_no = plan.seen.bids[r.place].custody_no
        sums[custody_no] = sums.get(custody_no, 0) + r.total_fen
    return [Part(*part) for part in sums.items()]


def _place_booking(plan: Plan, c: Collection, parts: Sequence[Part], context: Context) -> Decision[Plan]:
    """One linked set: every investor's part, and the platform's fee. The payment's date stays the hold's."""
    fee_fen = sum(a.fee_fen for a in _allotments(plan, c))
    given = [{"custody_no": part.custody_no, "amount_fen": part.amount_fen} for part in parts]  # one an account, also of nothing
    assert sum(part.amount_fen for part in parts) + fee_fen == c.amount_fen, "all that is held is given to somebody"
    content = {"collect_no": c.id, "parts": given, "fee_fen": fee_fen}
    return _place(plan, c.but(step=None, reason=None), CollectionStatus.BOOKING, "confirm_repayment", content, context)


def _place(plan: Plan, c: Collection, status: CollectionStatus, kind: str, content: dict[str, Any], context: Context) -> Decision[Plan]:
    number = derived_id(context.message_id, kind)
    order = PlaceOrder(id=number, kind=kind, content=content, page=False, amount_fen=c.amount_fen, reply_topic=TOPIC, reply_key=plan.id)
    return Decision(with_collection(plan, _as(c, context, status, order_no=number)), sends=(Send(number, order),), aliases=(number,))


def _booking_ended(plan: Plan, c: Collection, ended: OrderEnded, context: Context) -> Decision[Plan]:
    """Booked at the bank: booked here, whatever was disputed meanwhile. Refused: an operator decides."""
    ended_order = c.but(order_no=None)
    if ended.result != "succeeded":
        return moved(plan, ended_order, context, status=CollectionStatus.SUSPENDED, reason=ended.reason or ended.result)
    first = _allotments(plan, c)[0].number
    booking = _as(ended_order, context, CollectionStatus.BOOKING, step=(first, 0), reason=None)
    return _book(with_collection(plan, booking), booking, context)


def _release_ended(plan: Plan, c: Collection, ended: OrderEnded, context: Context) -> Decision[Plan]:
    """Given back, or an operator decides again. What was released is asked for on the next business date."""
    if ended.result != "succeeded":
        reason = f"release: {ended.reason or ended.result}"
        return moved(plan, c.but(order_no=None), context, status=CollectionStatus.SUSPENDED, reason=reason)
    return moved(plan, c.but(order_no=None), context, status=CollectionStatus.RELEASED)


def _book(plan: Plan, c: Collection, context: Context) -> Decision[Plan]:
    """Pay the next claims out of their records; the last step closes the collection."""
    allotments = _allotments(plan, c)
    paid: dict[tuple[int, int], Receivable] = {}
    while c.step is not None and len(paid) < RECEIVABLES_STEP and _is_loaded(plan, c.step[0]):
        number, place = c.step
        new = _claims(plan, number)[place : place + RECEIVABLES_STEP - len(paid)]
        paid |= {(r.number, r.place): _given(r, plan.seen.records[c.id, r.number, r.place]) for r in new}
        following = [a.number for a in allotments if a.number > number]
        done = place + len(new) == plan.bids
        c = c.but(step=(number, place + len(new)) if not done else (following[0], 0) if following else None)
    after = with_collection(plan.put(Rows(receivables=paid)), c)
    return _close(after, c, context) if c.step is None else _wait_for_step(after, c.step)


def _given(r: Receivable, record: Record) -> Receivable:
    return r._replace(
        principal_paid_fen=r.principal_paid_fen + record.principal_fen,
        interest_paid_fen=r.interest_paid_fen + record.interest_fen,
        penalty_paid_fen=r.penalty_paid_fen + record.penalty_fen,
    )


def _close(plan: Plan, c: Collection, context: Context) -> Decision[Plan]:
    """Every claim has its part: the instalments follow, the loan is told, and the last payment settles the plan."""
    assert c.booked_date is not None, "what is booked was held on a date"
    day, allotments = c.booked_date, _allotments(plan, c)
    instalments = [_instalment_given(plan.seen.instalments[a.number], a, day) for a in allotments]
    principal_fen = sum(a.principal_fen for a in allotments)
    paid = plan.put(Rows(instalments={i.number: i for i in instalments}))
    next_due = min((i.due_date for i in paid.seen.instalments.values() if i.status is not InstalmentStatus.PAID), default=None)
    status = PlanStatus.REPAYING if next_due else PlanStatus.SETTLED
    paid = paid.but(outstanding_fen=plan.outstanding_fen - principal_fen, next_due=next_due, status=status)
    said: list[Message] = [InstalmentPaid(id=plan.id, number=i.number, status=_paid_status(i), date=day) for i in instalments]
    if principal_fen:
        left_fen = paid.outstanding_fen
        said.append(PrincipalRepaid(id=plan.id, collection=c.id, amount_fen=principal_fen, outstanding_fen=left_fen, date=day))
    if status is PlanStatus.SETTLED:
        said.append(PlanSettled(id=plan.id, date=day))
    booked = moved(paid, c, context, status=CollectionStatus.BOOKED)
    return _and_again(booked._replace(sends=tuple(Send(plan.id, message) for message in said)), c, context)


def _instalment_given(i: Instalment, a: Allotment, day: str) -> Instalment:
    after = i.but(
        principal_paid_fen=i.principal_paid_fen + a.principal_fen,
        pool_paid_fen=i.pool_paid_fen + a.pool_fen,
        fee_paid_fen=i.fee_paid_fen + a.fee_fen,
        penalty_paid_fen=i.penalty_paid_fen + a.penalty_fen,
    )
    if not after.owed_fen:
        return after.but(status=InstalmentStatus.PAID, paid_on=day)
    return after if i.status is InstalmentStatus.OVERDUE else after.but(status=InstalmentStatus.PARTLY_PAID)


def _paid_status(i: Instalment) -> str:
    return (InstalmentStatus.PARTLY_PAID if i.owed_fen else InstalmentStatus.PAID).value


def _and_again(decision: Decision[Plan], ended: Collection, context: Context) -> Decision[Plan]:
    """A date that was asked for while this collection was open is not forgotten; its own date is not asked for twice."""
    plan = decision.state
    if plan is None or plan.asked_on is None or plan.asked_on <= ended.valid_on:
        return decision
    more = collecting.again(plan, context)
    return decision._replace(state=more.state, sends=(*decision.sends, *more.sends), aliases=more.aliases)


def _allotments(plan: Plan, c: Collection) -> list[Allotment]:
    return sorted((a for a in plan.seen.allotments.values() if a.collection == c.id), key=lambda a: a.number)


def _claims(plan: Plan, number: int) -> list[Receivable]:
    return [plan.seen.receivables[number, place] for place in range(plan.bids)]


def _is_loaded(plan: Plan, number: int) -> bool:
    return (number, 0) in plan.seen.receivables


def _wait_for_step(plan: Plan, at: tuple[int, int]) -> Decision[Plan]:
    assert plan.collection is not None, "a step is of the open collection"
    number, place = at
    return Decision(plan, sends=(Send(plan.id, CollectionStep(id=plan.id, collection=plan.collection, number=number, place=place)),))


def _as(c: Collection, context: Context, status: CollectionStatus, **changes: Any) -> Collection:
    return c.but(status=status, changed_ms=context.instant_ms, **changes)
