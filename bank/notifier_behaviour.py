"""Telling platforms: best effort, tried again until it is acknowledged or given up (FLOWS 3.4).

(none) ──ended, day began──► SENDING ──2xx──► ACKNOWLEDGED
                              │  ▲  └──410──► GONE
                              │  └── NoticeDue, later and later
                              └──the budget is spent──► GIVEN_UP

A try is an attempt of the runtime's pool; what came of it is a row, in the transaction that decides whether there is another.
"""

from datetime import UTC, datetime
from typing import Any

import orjson

from agents.runtime.decision import Attempt, Context, Decision, SetTimer, derived_id
from bank.messages import DayBegan, Ended, NoticeDue, NoticeTried, Notifying
from bank.notifier_model import Notice, State, Try
from config.retry import Schedule

TARGET = "webhook"
AGAIN = "again"
GONE = 410
ORDER_ENDED, DATE_ROLLED = "order.ended", "date.rolled"


def behave(notice: Notice | None, command: Notifying, context: Context, schedule: Schedule) -> Decision[Notice]:
    """What becomes of a notice."""
    match command:
        case Ended() | DayBegan():
            return begin(command, context) if notice is None else Decision.stay(notice)
        case NoticeTried(n=n) if notice is not None and not notice.state.is_final and n == notice.tries + 1:
            return tried(notice, command, context, schedule)
        case NoticeDue(n=n) if notice is not None and not notice.state.is_final and n == notice.tries + 1:
            return Decision(notice, attempts=(attempt(notice, n),))
        case _:  # a try that was counted already
            return Decision.stay(notice)


def begin(said: Ended | DayBegan, context: Context) -> Decision[Notice]:
    """The bytes are made once; the first try is due now."""
    now = context.instant_ms
    type_, data = (ORDER_ENDED, _order(said)) if isinstance(said, Ended) else (DATE_ROLLED, {"date": said.date})
    at = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = orjson.dumps({"type": type_, "timestamp": at, "data": data}).decode()
    webhook_id = f"msg_{derived_id(context.message_id, 'notice')}"
    made = Notice(said.id, said.platform, type_, webhook_id, body, State.SENDING, 0, now, now)
    return Decision(made, attempts=(attempt(made, 1),))


def attempt(notice: Notice, n: int) -> Attempt:
    """The n-th try, under a number of its own."""
    content = {"id": notice.id, "n": n, "platform": notice.platform, "webhook_id": notice.webhook_id, "body": notice.body}
    return Attempt(TARGET, derived_id(notice.webhook_id.removeprefix("msg_"), n), content)


def tried(notice: Notice, of: NoticeTried, context: Context, schedule: Schedule) -> Decision[Notice]:
    """One try more: the end, or a time for the next one."""
    row = Try(of.n, of.at_ms, of.took_ms, of.status, of.error)
    after = notice.but(
        tries=of.n, state=_state(of, schedule), changed_ms=context.instant_ms, new_tries=(*notice.new_tries, row)
    )  # fmt: skip
    if after.state.is_final:
        return Decision(after)
    due_ms = context.instant_ms + schedule.delay_ms(of.n - 1, notice.webhook_id)
    return Decision(after, timers=(SetTimer(AGAIN, due_ms, NoticeDue(id=notice.id, n=of.n + 1)),))


def _state(of: NoticeTried, schedule: Schedule) -> State:
    if of.status is not None and 200 <= of.status < 300:
        return State.ACKNOWLEDGED
    if of.status == GONE:
        return State.GONE
    return State.GIVEN_UP if schedule.is_spent(of.n) else State.SENDING


def _order(said: Ended) -> dict[str, Any]:
    """The answer of docs/bank-api.md."""
    return {
        "request_no": said.id,
        "status": said.status,
        "kind": said.kind,
        "amount_fen": said.amount_fen,
        "booked_date": said.booked_date,
        "reason": said.reason,
        "page_url": None,
        "details": dict(said.details),
    }
