"""A request at the bank (FLOWS 3): put, confirmed by the member where it has a page, executed after the bank's delay, for good.

(none) ──instruct──► AWAITING ──confirm──► ACCEPTED ──execute──► SUCCEEDED | REFUSED
          │              └──refuse──► REFUSED      │
          └──direct──────────────────► ACCEPTED    └──close──► CLOSED   (also from AWAITING, and from nothing)

A final request never changes; whoever asks again is told how it stands. What an execution does is in `bank.execution`.
"""

from typing import Any

from agents.runtime.decision import Context, Decision, Message, Send, SetTimer, derived_id
from bank import execution
from bank.ledger import Books
from bank.messages import (
    Answered,
    Close,
    CloseDay,
    Command,
    ConfirmByMember,
    DayBegan,
    DayStands,
    Ended,
    Execute,
    Instruct,
    OpenDay,
    RefuseByMember,
)
from bank.model import Day, Posting, Request, Status
from config.bank import Terms

EXECUTION = "execution"


def behave(state: Any, command: Command, context: Context, terms: Terms) -> Decision[Any]:
    """What becomes of the request, or of the business day."""
    match command:
        case OpenDay() | CloseDay():
            return turn_day(state, command, context)
        case Instruct():
            return instruct(state, command, context, terms)
        case Close():
            return close(state, command, context)
    if state is None:
        return Decision.stay(None)
    match command, state.status:
        case ConfirmByMember(password_hash=None), Status.AWAITING if state.kind == "open_account":
            return Decision(state, reply=answer(state))  # no account without a deposit password
        case ConfirmByMember(), Status.AWAITING:
            return accept(state.but(password_hash=command.password_hash), context, terms)
        case RefuseByMember(), Status.AWAITING:
            return ended(state, context, Status.REFUSED, reason="refused_by_member")
        case Execute(), Status.ACCEPTED:
            return execute(state, context)
        case ((ConfirmByMember() | RefuseByMember()), _):
            return Decision(state, reply=answer(state))
        case _:
            return Decision.stay(state)


def instruct(known: Request | None, command: Instruct, context: Context, terms: Terms) -> Decision[Request]:
    """A new request, or how the one of this number stands."""
    if known is not None:
        remembered = not known.kind and known.platform == command.platform  # closed before it came
        same = (known.platform, known.content_mac) == (command.platform, command.content_mac)
        return Decision(known, reply=answer(known, differs=not (same or remembered)))
    now = context.instant_ms
    made = Request(
        command.id,
        command.platform,
        command.kind,
        command.page,
        command.content,
        command.sealed_content,
        command.content_mac,
        command.person_lookup,
        None,
        Status.AWAITING,
        command.content.get("amount_fen", command.content.get("due_fen", command.content.get("sum_fen", 0))),
        None,
        None,
        {},
        now,
        now,
    )
    if not command.page:
        return accept(made, context, terms)
    return Decision(made, reply=answer(made))


def accept(request: Request, context: Context, terms: Terms) -> Decision[Request]:
    """It will be executed; the delay is a timer, so no crash forgets it."""
    after = request.but(status=Status.ACCEPTED, changed_ms=context.instant_ms)
    due = context.instant_ms + terms.delay_of(request.id)
    return Decision(after, timers=(SetTimer(EXECUTION, due, Execute(id=request.id)),), reply=answer(after))


def close(known: Request | None, command: Close, context: Context) -> Decision[Request]:
    """End what is not executed; remember what is unknown."""
    if known is None:
        now = context.instant_ms
        made = Request(
            command.id, command.platform, "", False, {}, None, "", None, None, Status.CLOSED, 0, None, "closed", {}, now, now
        )  # fmt: skip
        return Decision(made, reply=answer(made))
    if known.platform != command.platform:
        return Decision(known, reply=answer(known, differs=True))
    if known.status.is_final:
        return Decision(known, reply=answer(known))
    return ended(known, context, Status.CLOSED, reason="closed")


def execute(request: Request, context: Context) -> Decision[Request]:
    """Move the money, or refuse; the result leaves with the same transaction."""
    books: Books = context.books
    done = execution.execute(request, books)
    if done.refused:
        return ended(request, context, Status.REFUSED, reason=done.refused)
    posting = Posting(request.id, context.instant_ms, done.entries)
    decision = ended(
        request.but(amount_fen=done.amount_fen, details=done.details, booked_date=books.date), context, Status.SUCCEEDED, reason=None
    )
    return decision._replace(entries=(posting,))


def ended(request: Request, context: Context, status: Status, *, reason: str | None) -> Decision[Request]:
    """Final; what was personal for the way only is forgotten."""
    after = request.but(status=status, reason=reason, password_hash=None, changed_ms=context.instant_ms)
    said = Ended(
        id=after.id,
        platform=after.platform,
        kind=after.kind,
        status=status.value,
        amount_fen=after.amount_fen,
        booked_date=after.booked_date,
        reason=reason,
        details=dict(after.details),
    )
    return Decision(after, sends=(Send(after.id, said),), reply=answer(after))


def turn_day(day: Day | None, command: OpenDay | CloseDay, context: Context) -> Decision[Any]:
    """The first date, or the one after that which is closed; who closes a date that is over is told where the bank stands."""
    if isinstance(command, OpenDay):
        begins = command.date if day is None else None
    else:
        begins = execution.day_after(command.date) if day is not None and day.date == command.date else None
    if begins is None:
        return Decision(day, reply=DayStands(id=command.id, date=day.date)) if day is not None else Decision.stay(None)
    after = Day(context.actor, begins)
    sends: tuple[Send, ...] = ()
    if isinstance(command, CloseDay):
        ids = {platform: derived_id(context.message_id, platform) for platform in command.platforms}
        sends = tuple(Send(id_, DayBegan(id=id_, platform=platform, date=begins)) for platform, id_ in ids.items())
    posting = Posting(context.actor, context.instant_ms, (after,))
    return Decision(after, sends=sends, entries=(posting,), reply=DayStands(id=command.id, date=begins))


def answer(request: Request, *, differs: bool = False) -> Message:
    """How it stands; with another content or platform not even that."""
    return Answered(id=request.id, status="" if differs else request.status.value, differs=differs)
