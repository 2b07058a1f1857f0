"""Custody and the bank's business date: heard of by a notice or asked for, told to the dated services a day at a time (FLOWS 5.2).

Also how custody recognizes an order's content again.
"""

import hashlib
from datetime import date, timedelta

import orjson

from agents.custody.messages import REPAYMENTS, TRADING, AskDate, DateAnswered, DateNotice, DateRolled, PlaceOrder
from agents.custody.model import BankDate
from agents.runtime.calendar import KEY
from agents.runtime.decision import Attempt, Context, Decision, Send, SetTimer
from config.custody import ASK_AGAIN_MS, Policy

ASK = "ask_date"
DATED = (TRADING, REPAYMENTS)


def behave(state: BankDate | None, command: DateNotice | DateAnswered | AskDate, context: Context, policy: Policy) -> Decision[BankDate]:
    """Ask in turn; a date that is later than the known one is passed on, with every day between."""
    known = state or BankDate(context.actor, None, 0, 0)
    match command:
        case AskDate():
            return ask(known, context, policy)
        case DateAnswered():
            return heard(BankDate(known.key, known.day, known.asked, 0), date.fromisoformat(command.date))
        case DateNotice():
            return heard(known, date.fromisoformat(command.date))


def ask(known: BankDate, context: Context, policy: Policy) -> Decision[BankDate]:
    """One question at a time; the next turn is a timer."""
    again = SetTimer(ASK, context.instant_ms + policy.date_every_ms, AskDate(id=KEY))
    if known.asking_ms and context.instant_ms - known.asking_ms < ASK_AGAIN_MS:
        return Decision(known, timers=(again,))
    after = BankDate(known.key, known.day, known.asked + 1, context.instant_ms)
    return Decision(after, timers=(again,), attempts=(Attempt("date", f"date:{after.asked}", {}),))


def heard(known: BankDate, day: date) -> Decision[BankDate]:
    """The platform never leads and never skips; a date that is over changes nothing."""
    if known.day is not None and day <= known.day:
        return Decision(known)
    days = [day] if known.day is None else [known.day + timedelta(days=n) for n in range(1, (day - known.day).days + 1)]
    sends = tuple(Send(KEY, DateRolled(id=KEY, date=each.isoformat()), topic) for each in days for topic in DATED)
    return Decision(BankDate(known.key, day, known.asked, known.asking_ms), sends=sends, business_date=day)


def mark(command: PlaceOrder) -> str:
    """What two orders of one number are compared by: what they ask, and for whom.."""
    said = (command.kind, command.page, dict(command.content), command.amount_fen, command.reply_topic, command.reply_key)
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
