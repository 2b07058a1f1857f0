"""Repayments: a plan is made once of its loan's bids; what becomes due of it is collected and given to the investors (FLOWS 5).

plan        (none) ──GeneratePlan──► RECEIVING ──the last bids──► MAKING ──the last receivables──► REPAYING ──all is paid──► SETTLED

collection  OPEN ──held──► FROZEN ──allocated──► BOOKING ──booked──► BOOKED
              └──refused──► NOTHING  (FROZEN, BOOKING) ──refused, disputed──► SUSPENDED ──an operator──► BOOKING, or RELEASING ──► RELEASED

A plan has one open collection at most. The calendar asks for it on each business date on which something is due.
"""

from datetime import date

from agents.custody.messages import DateRolled, OrderAwaiting, OrderDisputed, OrderEnded
from agents.repayments import behaviour_booking as booking
from agents.repayments import behaviour_collecting as collecting
from agents.repayments import behaviour_making as making
from agents.repayments.messages import (
    AskPlan,
    CollectionStep,
    Command,
    Due,
    GeneratePlan,
    MakeReceivables,
    Pay,
    ReleaseCollection,
    RetryCollection,
    ScanPlans,
)
from agents.repayments.model import Plan
from agents.runtime.calendar import Calendar, rolled, stepped
from agents.runtime.decision import Context, Decision

State = Plan | Calendar


def behave(state: State | None, command: Command, context: Context) -> Decision[State]:
    """What becomes of a plan, or of the calendar, and what is said; a message that does not fit the state changes nothing."""
    if isinstance(command, DateRolled | ScanPlans):
        assert not isinstance(state, Plan), "dates come to the calendar"
        return on_date(state, command)  # type: ignore[return-value] # a decision is invariant in its state
    assert not isinstance(state, Calendar), f"{command.type} comes to a plan"
    return on_plan(state, command, context)  # type: ignore[return-value]


def on_date(calendar: Calendar | None, command: DateRolled | ScanPlans) -> Decision[Calendar]:
    day = date.fromisoformat(command.date)
    if isinstance(command, DateRolled):
        return rolled(calendar, day, scan)
    return stepped(calendar, day, command.after, scan, lambda key: Due(id=key, date=command.date))


def scan(day: date, after: str) -> ScanPlans:
    return ScanPlans(id="calendar", date=day.isoformat(), after=after)


def on_plan(plan: Plan | None, command: Command, context: Context) -> Decision[Plan]:
    match command:
        case GeneratePlan():
            return making.generate(plan, command)
        case AskPlan():
            return making.ask(plan, command)
        case Pay():
            return collecting.pay(plan, command, context)
    if plan is None:
        return Decision.stay(None)
    match command:
        case MakeReceivables():
            return making.make_receivables(plan, command)
        case Due():
            return collecting.due(plan, command, context)._replace(trace=plan.id)  # the calendar tells all plans under one trace
        case OrderAwaiting():
            return collecting.awaiting(plan, command, context)
        case OrderDisputed():
            return collecting.disputed(plan, command, context)
        case OrderEnded():
            return booking.order_ended(plan, command, context)
        case CollectionStep():
            return booking.step(plan, command, context)
        case RetryCollection():
            return booking.retry(plan, context)
        case ReleaseCollection():
            return booking.release(plan, context)
    raise AssertionError(f"{command.type} is nothing for a plan")
