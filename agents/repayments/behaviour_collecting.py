"""How what is due is asked for: by the calendar under the borrower's authorization, or by the borrower on the bank's page (FLOWS 5.4)."""

from typing import Any

from agents.custody.messages import CloseOrder, OrderAwaiting, OrderDisputed, PlaceOrder
from agents.repayments.messages import TOPIC, Due, Pay, PaymentChanged
from agents.repayments.model import Collection, CollectionStatus, Instalment, InstalmentStatus, Plan, PlanStatus, Rows, Way
from agents.runtime.decision import Context, Decision, Send, derived_id


def due(plan: Plan, command: Due, context: Context) -> Decision[Plan]:
    """A business date on which something is due: what is late is marked, and all that is due is collected, once a date."""
    day = max(command.date, _today(context) or command.date)  # the bank is never behind us: an earlier date would be refused
    if plan.status is not PlanStatus.REPAYING or day <= (plan.asked_on or ""):
        return Decision.stay(plan)
    return again(_marked(plan, day).but(asked_on=day), context)


def again(plan: Plan, context: Context) -> Decision[Plan]:
    """Collect what is due on the last date that was asked for, unless a collection is open; its end comes back here.

    A page that nobody confirmed is good for its own date only: it is closed at the bank, whose answer decides.
    """
    day, open_ = plan.asked_on, plan.open
    if day is None or plan.status is not PlanStatus.REPAYING:
        return Decision.stay(plan)
    if open_ is None:
        return _opened(plan, derived_id(context.message_id, "collection"), Way.AUTHORIZED, day, context)
    if open_.way is Way.PAGE and open_.status is CollectionStatus.OPEN and open_.valid_on < day:
        return Decision(plan, sends=(Send(open_.id, CloseOrder(id=open_.id)),))
    return Decision.stay(plan)


def pay(plan: Plan | None, command: Pay, context: Context) -> Decision[Plan]:
    """The borrower pays all that is due; a second payment beside an open collection is answered with that one."""
    if plan is None:
        nothing = CollectionStatus.NOTHING.value
        return Decision(None, reply=PaymentChanged(id=command.id, loan=command.loan, status=nothing, reason="unknown_loan"))
    if (known := plan.seen.collections.get(command.id)) is not None:
        waits = known.status is CollectionStatus.OPEN and known.page_url is None
        return Decision(plan, reply=None if waits else changed(plan, known))
    day = _today(context)
    if reason := _refusal(plan, command, day):
        return _not_begun(plan, command, reason, context)
    assert day is not None, "without a business date nothing is due"
    return _opened(plan, command.id, Way.PAGE, day, context)


def awaiting(plan: Plan, command: OrderAwaiting, context: Context) -> Decision[Plan]:
    """The bank's page is there."""
    c = plan.open
    if c is None or c.id != command.id or c.status is not CollectionStatus.OPEN:
        return Decision.stay(plan)
    after = c.but(page_url=command.page_url, changed_ms=context.instant_ms)
    return Decision(with_collection(plan, after), reply=changed(plan, after))


def disputed(plan: Plan, command: OrderDisputed, context: Context) -> Decision[Plan]:
    """Notice and query do not agree: an operator decides. What the bank has booked for good is booked here too."""
    c = plan.open
    if c is None or command.id not in (c.id, c.order_no):
        return Decision.stay(plan)
    booked = c.status is CollectionStatus.BOOKING and c.order_no is None
    if booked or c.status not in (CollectionStatus.OPEN, CollectionStatus.FROZEN, CollectionStatus.BOOKING):
        return Decision.stay(plan)
    reason = f"disputed: {command.noticed} noticed, {command.queried} queried"
    return moved(plan, c, context, status=CollectionStatus.SUSPENDED, reason=reason)


def moved(plan: Plan, c: Collection, context: Context, **changes: Any) -> Decision[Plan]:
    """The collection stands somewhere else, and whoever waits for it is told."""
    after = c.but(changed_ms=context.instant_ms, **changes)
    return Decision(with_collection(plan, after), reply=changed(plan, after))


def with_collection(plan: Plan, c: Collection) -> Plan:
    """The plan with this collection; one that has ended is not open any more."""
    return plan.put(Rows(collections={c.id: c})).but(collection=None if c.status.is_final else c.id)


def changed(plan: Plan, c: Collection) -> PaymentChanged:
    """How the collection stands."""
    return PaymentChanged(
        id=c.id, loan=plan.id, status=c.status.value, amount_fen=c.amount_fen or c.due_fen, page_url=c.page_url, reason=c.reason
    )


def due_by(plan: Plan, day: str) -> list[Instalment]:
    """What is due on that date or before, and not paid; the oldest first."""
    unpaid = (i for i in plan.seen.instalments.values() if i.status is not InstalmentStatus.PAID and i.due_date <= day)
    return sorted(unpaid, key=lambda i: i.number)


def _marked(plan: Plan, day: str) -> Plan:
    late = [i for i in due_by(plan, day) if i.due_date < day and i.status is not InstalmentStatus.OVERDUE]
    return plan.put(Rows(instalments={i.number: i.but(status=InstalmentStatus.OVERDUE) for i in late})) if late else plan


def _opened(plan: Plan, key: str, way: Way, day: str, context: Context) -> Decision[Plan]:
    due_fen = sum(i.owed_fen for i in due_by(plan, day))
    if not due_fen:
        return Decision.stay(plan)
    now = context.instant_ms
    c = Collection(key, way, CollectionStatus.OPEN, due_fen, day, now, now)
    order = PlaceOrder(
        id=key,
        kind="collect",
        content={"project_no": plan.project_no, "custody_no": plan.custody_no, "due_fen": due_fen, "valid_on": day},
        page=way is Way.PAGE,
        amount_fen=due_fen,
        reply_topic=TOPIC,
        reply_key=plan.id,
    )
    return Decision(with_collection(plan, c), sends=(Send(key, order),), aliases=(key,))


def _refusal(plan: Plan, command: Pay, day: str | None) -> str | None:
    if command.borrower != plan.borrower:
        return "not_the_borrower"
    if plan.status is PlanStatus.SETTLED:
        return "settled"
    if plan.open is not None:
        return "collection_open"
    if plan.status is not PlanStatus.REPAYING or day is None or not due_by(plan, day):
        return "nothing_due"
    return None


def _not_begun(plan: Plan, command: Pay, reason: str, context: Context) -> Decision[Plan]:
    """A row with its outcome; beside an open collection it names that one."""
    open_ = plan.open if reason == "collection_open" else None
    day, now = _today(context) or "", context.instant_ms
    due_fen, valid_on = (open_.due_fen, open_.valid_on) if open_ else (0, day)
    nothing = Collection(command.id, Way.PAGE, CollectionStatus.NOTHING, due_fen, valid_on, now, now, reason=reason)
    if open_ is not None:
        nothing = nothing.but(open_id=open_.id)
    answer = changed(plan, nothing)
    if open_ is not None:
        answer = answer.model_copy(update={"collection": open_.id, "page_url": open_.page_url})
    return Decision(plan.put(Rows(collections={nothing.id: nothing})), reply=answer)


def _today(context: Context) -> str | None:
    return None if context.business_date is None else context.business_date.isoformat()
