"""Custody: an order is registered at the bank, and ended by what the bank says of it, never by the platform alone (FLOWS 3).

CREATED ──registered──► AWAITING_MEMBER ──► ACCEPTED ──► SUCCEEDED | REFUSED | CLOSED
   ▲  └────────────────────────────────────────┘ ▲
   └── unknown at the bank: registered again     └── by a query's answer; a notice has it asked at once

An order goes forward only: an answer that an older question got late takes nothing back. `behaviour_orders` asks the bank and
hears its answers, `behaviour_notices` weighs what it tells of its own accord, `behaviour_date` follows its business date.
"""

from typing import Any

from agents.custody import behaviour_date, behaviour_notices, behaviour_orders
from agents.custody.messages import (
    AskDate,
    Closed,
    CloseOrder,
    DateAnswered,
    DateNotice,
    Notice,
    NoticeAlone,
    PlaceOrder,
    Queried,
    Registered,
    ResultDue,
)
from agents.custody.model import Order
from agents.runtime.decision import Context, Decision, Message
from config.custody import Policy


def behave(state: Any, command: Message, context: Context, policy: Policy) -> Decision[Any]:
    """What becomes of the order, or of the date, and what is asked of the bank; it belongs to the trace of who placed the order."""
    decision = _behave(state, command, context, policy)
    order = decision.state
    return decision._replace(trace=order.trace) if isinstance(order, Order) and order.trace else decision


def _behave(state: Any, command: Message, context: Context, policy: Policy) -> Decision[Any]:
    match command:
        case DateNotice() | DateAnswered() | AskDate():
            return behaviour_date.behave(state, command, context, policy)
        case PlaceOrder():
            return behaviour_orders.place(state, command, context, policy)
        case Notice():
            return behaviour_notices.notice(state, command, context, policy)
    if not isinstance(state, Order):
        return Decision.stay(state)  # nobody has placed it
    match command:
        case Registered():
            return behaviour_orders.registered(state, command, context)
        case Queried():
            return behaviour_orders.queried(state, command, context, policy)
        case Closed():
            return behaviour_orders.closed(state, command, context)
        case CloseOrder():
            return behaviour_orders.close(state, context)
        case ResultDue():
            return behaviour_orders.result_due(state, command, context, policy)
        case NoticeAlone():
            return behaviour_notices.alone(state, context)
    raise AssertionError(f"custody is not told {command.type}")
