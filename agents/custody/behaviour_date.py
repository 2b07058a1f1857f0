"""Custody and the bank's business date: heard of by a notice or asked for, told to the dated services a day at a time (FLOWS 5.2).

Every day between is told, at most `DAYS_AT_ONCE` in one step; what is left follows with the next answer of the bank.
"""

from datetime import date, timedelta

from agents.custody.messages import REPAYMENTS, TRADING, AskDate, DateAnswered, DateNotice, DateRolled
from agents.custody.model import BankDate
from agents.runtime.calendar import KEY
from agents.runtime.decision import Attempt, Context, Decision, Send, SetTimer
from config.custody import ASK_AGAIN_MS, Policy

ASK = "ask_date"
DATED = (TRADING, REPAYMENTS)
DAYS_AT_ONCE = 200  # as many messages a service in one transaction


def behave(state: BankDate | None, command: DateNotice | DateAnswered | AskDate, context: Context, policy: Policy) -> Decision[BankDate]:
    """Ask in turn; a date that is later than the known one is passed on, with every day between."""
    known = state or BankDate(context.actor, None, 0, 0)
    match command:
        case AskDate():
            return ask(known, context, policy)
        case DateAnswered():
            return heard(BankDate(known.key, known.day, known.asked, 0), date.fromisoformat(command.date), context)
        case DateNotice():
            return heard(known, date.fromisoformat(command.date), context)


def ask(known: BankDate, context: Context, policy: Policy) -> Decision[BankDate]:
    """One question at a time; the next turn is a timer."""
    again = SetTimer(ASK, context.instant_ms + policy.date_every_ms, AskDate(id=KEY))
    if known.asking_ms and context.instant_ms - known.asking_ms < ASK_AGAIN_MS:
        return Decision(known, timers=(again,))
    after = BankDate(known.key, known.day, known.asked + 1, context.instant_ms)
    return Decision(after, timers=(again,), attempts=(Attempt("date", f"date:{after.asked}", {}),))


def heard(known: BankDate, day: date, context: Context) -> Decision[BankDate]:
    """The platform never leads and never skips; a date that is over changes nothing."""
    if known.day is not None and day <= known.day:
        return Decision(known)
    days = [day] if known.day is None else [known.day + timedelta(days=n) for n in range(1, (day - known.day).days + 1)]
    now, more = days[:DAYS_AT_ONCE], len(days) > DAYS_AT_ONCE
    sends = tuple(Send(KEY, DateRolled(id=KEY, date=each.isoformat()), topic) for each in now for topic in DATED)
    timers = (SetTimer(ASK, context.instant_ms, AskDate(id=KEY)),) if more else ()
    return Decision(BankDate(known.key, now[-1], known.asked, known.asking_ms), sends=sends, timers=timers, business_date=now[-1])
