"""An order on its way: put to the bank until it is answered, asked about until it is final, closed there when it is given up."""

import hashlib

import orjson

from agents.custody.messages import Closed, OrderAwaiting, OrderDisputed, OrderEnded, PlaceOrder, Queried, Registered, ResultDue
from agents.custody.model import Break, Order, Result, Status, Stray
from agents.runtime.decision import Attempt, ClearTimer, Context, Decision, Message, Send, SetTimer, derived_id
from config.custody import ASK_AGAIN_MS, Policy

RESULT_DUE, NOTICE_ALONE = "result_due", "notice_alone"
FINAL = frozenset({"SUCCEEDED", "REFUSED", "CLOSED"})
DIFFERS = "content_differs"
WITHOUT_AMOUNT = frozenset({"open_account", "authorize", "close_project"})  # nothing moves
AT_MOST = frozenset({"collect"})  # under an authorization the bank holds what there is


def place(known: Order | Stray | None, command: PlaceOrder, context: Context, policy: Policy) -> Decision[Order]:
    """A new order, or how the one of this number stands."""
    mark = _mark(command)
    if isinstance(known, Order):
        return Decision(known, sends=standing(known)) if known.content_hash == mark else _refuse_other(known, command, context)
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
        trace=context.trace_id,
    )
    if known is not None:  # news has come before it
        made = made.but(evidence=known.evidence, breaks=known.breaks)
    return register(made, context, policy)


def register(order: Order, context: Context, policy: Policy) -> Decision[Order]:
    """Put it to the bank, as an attempt that is repeated until it is answered; ask for the result if nothing else comes."""
    after = order.but(registrations=order.registrations + 1)
    content = {
        "request_no": after.id,
        "kind": after.kind,
        "page": after.page,
        "content": dict(after.content),
        "sealed_content": after.sealed_content,
    }
    attempt = Attempt("register", f"register:{after.id}:{after.registrations}", content)
    return _asked_later(after, context, policy, attempts=(attempt,))


def registered(order: Order, command: Registered, context: Context) -> Decision[Order]:
    """The bank has the order; or will never take it."""
    if order.disputed:
        return Decision.stay(order)
    if command.status in FINAL:
        return told(order, None, _result(command), context)
    if order.status.is_final:
        return Decision.stay(order)
    match command.status:
        case "AWAITING" if order.closing and order.status is Status.CREATED:
            return close(_awaits(order, command.page_url, context), context)
        case "AWAITING":
            return _on_the_page(order, command.page_url, context)
        case "ACCEPTED":
            return _accepted(order, context)
        case "REJECTED" if command.reason == DIFFERS:  # the number is another order's there: nobody knows what this one is
            return dispute(order, DIFFERS, order.status.value, DIFFERS, context)
        case "REJECTED" if order.status is Status.CREATED and order.registrations == 1:  # the bank has kept nothing of it
            return end(order, Result("REFUSED", 0, None, command.reason, {}), context)
        case "REJECTED":  # an earlier one may have been taken: only the bank can end it
            return close(order, context)
    raise AssertionError(f"no registration is answered {command.status}")


def queried(order: Order, command: Queried, context: Context, policy: Policy) -> Decision[Order]:
    """The bank's own word: final, or still under way, or it has never heard of it."""
    if command.asked == order.asked:
        order = order.but(asking_ms=0)
    if order.disputed:
        return Decision(order)
    if command.status in FINAL:
        return told(order, command.kind, _result(command), context)
    if command.asked != order.asked:  # the answer to an older question: it may be out of date
        return Decision(order)
    claimed = order.result or order.noticed
    if claimed is not None:  # asked after the end, or after the notice of it: then the bank cannot say that there is none
        return dispute(order, claimed.status, command.status, "query", context)
    return _under_way(order, command, context, policy)


def _under_way(order: Order, command: Queried, context: Context, policy: Policy) -> Decision[Order]:
    if command.status == "UNKNOWN":
        return close(order, context) if order.closing else register(order, context, policy)
    if order.closing:
        return close(order, context)
    if command.status == "ACCEPTED":
        return _accepted(order, context)
    if order.status is Status.AWAITING_MEMBER and context.instant_ms - order.changed_ms > policy.awaiting_ms_max:
        return close(order, context)
    return _on_the_page(order, command.page_url, context)


def closed(order: Order, command: Closed, context: Context) -> Decision[Order]:
    """What the bank has made of an order that was given up."""
    return Decision(order) if order.disputed else told(order.but(closing=False), None, _result(command), context)


def told(order: Order, kind: str | None, said: Result, context: Context) -> Decision[Order]:
    """What the bank answers for good; a notice or an earlier end that says otherwise is a break, and so is what cannot be this order."""
    if not fits(order, kind, said):
        return dispute(order, f"{order.kind} {order.amount_fen}", f"{kind or order.kind} {said.amount_fen}", "misfit", context)
    if order.result is not None:
        if order.result.agrees(said):
            return Decision(order.but(unverified=False), timers=(ClearTimer(RESULT_DUE), ClearTimer(NOTICE_ALONE)))
        return dispute(order, order.result.status, said.status, "query", context)
    if order.noticed is not None and not order.noticed.agrees(said):
        return dispute(order, order.noticed.status, said.status, "query", context)
    return end(order, said, context)


def end(order: Order, said: Result, context: Context) -> Decision[Order]:
    """Final, by the bank's word; whoever placed it hears so. Questions that are still out are overtaken."""
    after = order.but(
        status=Status(said.status), result=said, closing=False, asked=order.asked + 1, asking_ms=0, changed_ms=context.instant_ms
    )
    return Decision(after, sends=standing(after), timers=(ClearTimer(RESULT_DUE), ClearTimer(NOTICE_ALONE)))


def close(order: Order, context: Context) -> Decision[Order]:
    """Give it up at the bank, whose answer is its end."""
    if order.status.is_final:
        return Decision(order, sends=standing(order))
    if order.disputed:
        return Decision(order)
    number = f"close:{order.id}:{derived_id(context.message_id, order.id)}"  # each asking is one of its own: an answer is taken once
    return Decision(order.but(closing=True), attempts=(Attempt("close", number, {"request_no": order.id}),))


def result_due(order: Order, command: ResultDue, context: Context, policy: Policy) -> Decision[Order]:
    """Nothing final yet: ask, one question at a time, unless it has been out for longer than it is repeated; and look again later."""
    if command.round != order.round or order.disputed or (order.status.is_final and not order.unverified):
        return Decision.stay(order)
    if order.asking_ms and context.instant_ms - order.asking_ms < ASK_AGAIN_MS:
        return _asked_later(order, context, policy)
    asked = ask(order, context)
    assert asked.state is not None, "an order stays"
    return _asked_later(asked.state, context, policy, attempts=asked.attempts)


def ask(order: Order, context: Context) -> Decision[Order]:
    """Ask the bank how the order stands."""
    after = order.but(asked=order.asked + 1, asking_ms=context.instant_ms)
    number = f"query:{after.id}:{after.asked}"
    return Decision(after, attempts=(Attempt("query", number, {"request_no": after.id, "asked": after.asked}),))


def dispute(order: Order, noticed: str, queried_: str, kind: str, context: Context) -> Decision[Order]:
    """A break: the order keeps its state, its owner is told to stand still, a person decides."""
    found = Break(order.id, kind, noticed, queried_, context.instant_ms)
    after = order.but(disputed=True, breaks=(*order.breaks, found), changed_ms=context.instant_ms)
    said = Send(order.reply_key, OrderDisputed(id=order.id, noticed=noticed, queried=queried_), order.reply_topic)
    return Decision(after, sends=(said,), timers=(ClearTimer(RESULT_DUE), ClearTimer(NOTICE_ALONE)))


def standing(order: Order) -> tuple[Send, ...]:
    """How it stands, for whoever placed it; nothing while there is nothing to say."""
    said: Message
    if order.result is not None:
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


def fits(order: Order, kind: str | None, said: Result) -> bool:
    """Whether this end can be that of the order: its kind, and for what has moved the amount that was asked for."""
    if kind and kind != order.kind:  # what was closed before it was put has no kind at the bank
        return False
    if said.status != Status.SUCCEEDED or order.kind in WITHOUT_AMOUNT or not order.amount_fen:
        return True
    if order.kind in AT_MOST and not order.page:
        return 0 < said.amount_fen <= order.amount_fen
    return said.amount_fen == order.amount_fen


def _refuse_other(known: Order, command: PlaceOrder, context: Context) -> Decision[Order]:
    """Not done, and told to whoever asks: two things under one number cannot both be right."""
    found = Break(known.id, DIFFERS, "another order of this number", known.status.value, context.instant_ms)
    said = OrderDisputed(id=known.id, noticed=DIFFERS, queried=known.status.value)
    return Decision(known.but(breaks=(*known.breaks, found)), sends=(Send(command.reply_key, said, command.reply_topic),))


def _awaits(order: Order, page_url: str | None, context: Context) -> Order:
    return order.but(status=Status.AWAITING_MEMBER, page_url=page_url, changed_ms=context.instant_ms)


def _on_the_page(order: Order, page_url: str | None, context: Context) -> Decision[Order]:
    if order.status is not Status.CREATED:
        return Decision(order)
    after = _awaits(order, page_url, context)
    return Decision(after, sends=standing(after))


def _accepted(order: Order, context: Context) -> Decision[Order]:
    moved = order.status is not Status.ACCEPTED
    return Decision(order.but(status=Status.ACCEPTED, changed_ms=context.instant_ms) if moved else order)


def _asked_later(order: Order, context: Context, policy: Policy, *, attempts: tuple[Attempt, ...] = ()) -> Decision[Order]:
    after = order.but(round=order.round + 1)
    due = context.instant_ms + policy.result.delay_ms(order.round, order.id)
    return Decision(after, attempts=attempts, timers=(SetTimer(RESULT_DUE, due, ResultDue(id=order.id, round=after.round)),))


def _result(said: Registered | Queried | Closed) -> Result:
    return Result(said.status, said.amount_fen, said.booked_date, said.reason, said.details)


def _mark(command: PlaceOrder) -> str:
    """What two orders of one number are compared by: what they ask, and for whom. Sealed values look different each time."""
    said = (command.kind, command.page, dict(command.content), command.amount_fen, command.reply_topic, command.reply_key)
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
