"""Custody: an order is registered at the bank, and ended by what the bank says of it, never by the platform alone (FLOWS 3).

CREATED ──registered──► AWAITING_MEMBER ──► ACCEPTED ──► SUCCEEDED | REFUSED | CLOSED
   ▲  └────────────────────────────────────────┘ ▲
   └── unknown at the bank: registered again     └── by a query's answer; a notice has it asked at once

A notice is evidence: the query that it causes decides. Unanswered for a minute, the notice decides, unverified, and the asking goes
on. Where they disagree the order keeps its state, and a break is opened for a person.
"""

from typing import Any

from agents.custody import behaviour_date
from agents.custody.messages import (
    AskDate,
    Closed,
    CloseOrder,
    DateAnswered,
    DateNotice,
    Notice,
    NoticeAlone,
    OrderAwaiting,
    OrderDisputed,
    OrderEnded,
    PlaceOrder,
    Queried,
    Registered,
    ResultDue,
)
from agents.custody.model import Break, Evidence, Order, Result, Status
from agents.runtime.decision import Attempt, ClearTimer, Context, Decision, Message, Send, SetTimer, derived_id
from config.custody import ASK_AGAIN_MS, Policy

RESULT_DUE, NOTICE_ALONE = "result_due", "notice_alone"
FINAL = frozenset({"SUCCEEDED", "REFUSED", "CLOSED"})
DIFFERS = "content_differs"


def behave(state: Any, command: Message, context: Context, policy: Policy) -> Decision[Any]:
    """What becomes of the order, or of the date, and what is asked of the bank."""
    match command:
        case DateNotice() | DateAnswered() | AskDate():
            return behaviour_date.behave(state, command, context, policy)
        case PlaceOrder():
            return place(state, command, context, policy)
    if state is None:
        return Decision.stay(None)
    match command:
        case Registered():
            return registered(state, command, context, policy)
        case Notice():
            return notice(state, command, context, policy)
        case Queried():
            return queried(state, command, context, policy)
        case Closed():
            return told(state.but(closing=False), _result(command), context)
        case CloseOrder():
            return close(state, context)
        case ResultDue():
            return result_due(state, command, context, policy)
        case NoticeAlone():
            return notice_alone(state, context)
    raise AssertionError(f"custody is not told {command.type}")


def place(known: Order | None, command: PlaceOrder, context: Context, policy: Policy) -> Decision[Order]:
    """A new order, or how the one of this number stands."""
    mark = behaviour_date.mark(command)
    if known is not None:
        if known.content_hash != mark:
            found = Break(known.id, DIFFERS, "another order of this number", known.status.value, context.instant_ms)
            return Decision(known.but(breaks=(*known.breaks, found)))
        return Decision(known, sends=_standing(known))
    now = context.instant_ms
    made = Order(
        command.id,
        command.kind,
        command.page,
        command.content,
        command.sealed_content,
        mark,
        command.amount_fen,
        command.reply_topic,
        command.reply_key,
        Status.CREATED,
        now,
        now,
    )
    return register(made, context, policy)


def register(order: Order, context: Context, policy: Policy) -> Decision[Order]:
    """Put it to the bank, as an attempt that is repeated until it is answered; ask for the result if nothing else comes."""
    after = order.but(registrations=order.registrations + 1, changed_ms=context.instant_ms)
    content = {
        "request_no": after.id,
        "kind": after.kind,
        "page": after.page,
        "content": dict(after.content),
        "sealed_content": after.sealed_content,
    }
    attempt = Attempt("register", f"register:{after.id}:{after.registrations}", content)
    return _asked_later(after, context, policy, attempts=(attempt,))


def registered(order: Order, command: Registered, context: Context, policy: Policy) -> Decision[Order]:
    """The bank has the order; or will never take it."""
    if order.status.is_final or order.disputed:
        return Decision.stay(order)
    match command.status:
        case "AWAITING":
            after = order.but(status=Status.AWAITING_MEMBER, page_url=command.page_url, changed_ms=context.instant_ms)
            return close(after, context) if after.closing else Decision(after, sends=_standing(after))
        case "ACCEPTED":
            return Decision(order.but(status=Status.ACCEPTED, changed_ms=context.instant_ms))
        case "REJECTED" if command.reason == DIFFERS:  # the number is another order's there: nobody knows what this one is
            return dispute(order, DIFFERS, order.status.value, DIFFERS, context)
        case "REJECTED":
            return end(order, Result("REFUSED", 0, None, command.reason, {}), context, unverified=False)
        case _:
            return told(order, _result(command), context)


def notice(order: Order, command: Notice, context: Context, policy: Policy) -> Decision[Order]:
    """Keep it; ask the bank whether it is so."""
    evidence = Evidence(command.webhook_id, order.id, command.status, command.body, context.instant_ms)
    said = Result(command.status, command.amount_fen, command.booked_date, command.reason, command.details)
    kept = order.but(evidence=(*order.evidence, evidence))
    if order.disputed:
        return Decision(kept)
    if order.status.is_final:
        assert order.result is not None, "a final order has its result"
        return Decision(kept) if order.result.agrees(said) else dispute(kept, said.status, order.status.value, "notice", context)
    if not _fits(order, command):
        return dispute(kept, f"{command.kind} {command.status}", order.kind, "misfit", context)
    alone = SetTimer(NOTICE_ALONE, context.instant_ms + policy.notice_alone_ms, NoticeAlone(id=order.id))
    asked = ask(kept.but(noticed=said), context)
    return asked._replace(timers=(*asked.timers, alone))


def ask(order: Order, context: Context) -> Decision[Order]:
    """Ask the bank how the order stands; one question at a time, unless it has been waiting for hours."""
    if order.asking_ms and context.instant_ms - order.asking_ms < ASK_AGAIN_MS:
        return Decision(order)
    after = order.but(asked=order.asked + 1, asking_ms=context.instant_ms)
    number = f"query:{after.id}:{after.asked}"
    return Decision(after, attempts=(Attempt("query", number, {"request_no": after.id, "asked": after.asked}),))


def queried(order: Order, command: Queried, context: Context, policy: Policy) -> Decision[Order]:
    """The bank's own word: final, or still under way, or it has never heard of it."""
    order = order.but(asking_ms=0)
    if order.disputed or (order.status.is_final and not order.unverified):
        return Decision(order)
    if command.status in FINAL:
        return told(order, _result(command), context)
    if order.status.is_final:  # by a notice alone, and the bank does not say so
        return dispute(order, order.status.value, command.status, "query", context)
    match command.status:
        case "UNKNOWN":
            return close(order, context) if order.closing else register(order, context, policy)
        case "AWAITING" if order.closing or context.instant_ms - order.created_ms > policy.awaiting_ms_max:
            return close(order, context)
        case "AWAITING" if order.status is not Status.AWAITING_MEMBER:
            after = order.but(status=Status.AWAITING_MEMBER, page_url=command.page_url, changed_ms=context.instant_ms)
            return Decision(after, sends=_standing(after))
        case "ACCEPTED" if order.status is not Status.ACCEPTED:
            return Decision(order.but(status=Status.ACCEPTED, changed_ms=context.instant_ms))
        case _:
            return Decision(order)


def told(order: Order, said: Result, context: Context) -> Decision[Order]:
    """What the bank answers for good; a notice or an earlier end that says otherwise is a break."""
    if order.disputed:
        return Decision(order)
    if order.status.is_final:
        assert order.result is not None, "a final order has its result"
        if order.result.agrees(said):
            return Decision(order.but(unverified=False), timers=(ClearTimer(RESULT_DUE), ClearTimer(NOTICE_ALONE)))
        return dispute(order, order.status.value, said.status, "query", context)
    if order.noticed is not None and not order.noticed.agrees(said):
        return dispute(order, order.noticed.status, said.status, "query", context)
    return end(order, said, context, unverified=False)


def end(order: Order, said: Result, context: Context, *, unverified: bool) -> Decision[Order]:
    """Final; whoever placed it hears so. Unverified, the asking goes on."""
    after = order.but(status=Status(said.status), result=said, unverified=unverified, closing=False, changed_ms=context.instant_ms)
    timers = () if unverified else (ClearTimer(RESULT_DUE), ClearTimer(NOTICE_ALONE))
    return Decision(after, sends=_standing(after), timers=timers)


def close(order: Order, context: Context) -> Decision[Order]:
    """Give it up at the bank, whose answer is its end."""
    if order.status.is_final:
        return Decision(order, sends=_standing(order))
    if order.disputed:
        return Decision(order)
    after = order.but(closing=True, changed_ms=context.instant_ms)
    number = f"close:{derived_id(context.message_id, after.id)}"  # each asking is one of its own: an answer is taken once
    return Decision(after, attempts=(Attempt("close", number, {"request_no": after.id}),))


def result_due(order: Order, command: ResultDue, context: Context, policy: Policy) -> Decision[Order]:
    """Nothing final yet: ask, and look again later."""
    if command.round != order.round or order.disputed or (order.status.is_final and not order.unverified):
        return Decision.stay(order)
    asked = ask(order, context)
    assert asked.state is not None, "an order stays"
    return _asked_later(asked.state, context, policy, attempts=asked.attempts)


def notice_alone(order: Order, context: Context) -> Decision[Order]:
    """A minute without an answer: what the notice says is its end, until the bank can be asked."""
    if order.status.is_final or order.disputed or order.noticed is None:
        return Decision.stay(order)
    return end(order, order.noticed, context, unverified=True)


def dispute(order: Order, noticed: str, queried_: str, kind: str, context: Context) -> Decision[Order]:
    """A break: the order keeps its state, its owner is told to stand still, a person decides."""
    found = Break(order.id, kind, noticed, queried_, context.instant_ms)
    after = order.but(disputed=True, breaks=(*order.breaks, found), changed_ms=context.instant_ms)
    said = Send(order.reply_key, OrderDisputed(id=order.id, noticed=noticed, queried=queried_), order.reply_topic)
    return Decision(after, sends=(said,), timers=(ClearTimer(RESULT_DUE), ClearTimer(NOTICE_ALONE)))


def _asked_later(order: Order, context: Context, policy: Policy, *, attempts: tuple[Attempt, ...]) -> Decision[Order]:
    after = order.but(round=order.round + 1)
    due = context.instant_ms + policy.result.delay_ms(order.round, order.id)
    return Decision(after, attempts=attempts, timers=(SetTimer(RESULT_DUE, due, ResultDue(id=order.id, round=after.round)),))


def _standing(order: Order) -> tuple[Send, ...]:
    """How it stands, for whoever placed it; nothing while there is nothing to say."""
    said: Message
    if order.status.is_final:
        assert order.result is not None, "a final order has its result"
        r = order.result
        said = OrderEnded(
            id=order.id,
            kind=order.kind,
            result=order.status.value.lower(),
            reason=r.reason,
            booked_date=r.booked_date,
            amount_fen=r.amount_fen,
            unverified=order.unverified,
            details=dict(r.details),
        )
    elif order.status is Status.AWAITING_MEMBER and order.page_url is not None:
        said = OrderAwaiting(id=order.id, page_url=order.page_url)
    else:
        return ()
    return (Send(order.reply_key, said, order.reply_topic),)


def _fits(order: Order, command: Notice) -> bool:
    """Whether a notice can be about this order: its kind, and an amount that it can have."""
    at_most = command.amount_fen <= order.amount_fen if order.amount_fen else True
    return command.kind == order.kind and command.status in FINAL and at_most


def _result(said: Registered | Queried | Closed) -> Result:
    return Result(said.status, said.amount_fen, said.booked_date, said.reason, said.details)
