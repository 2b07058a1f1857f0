"""How the actors of a story stand, service by service, as their stores have them; each service knows its own things."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from stores.accounts import account_by_id
from stores.custody import notices_of, order_by_id
from stores.repayments import collection_by_id, instalments_of, plan_by_loan
from stores.trading import bids_of_loan, loan_by_id
from stores.users import registration_by_id
from tools.reading import ask

if TYPE_CHECKING:
    from config.settings import Settings

BIDS_SHOWN_MAX: Final = 100

States = list[dict[str, Any]]


async def states(settings: "Settings", service: str, actor: str) -> States:
    """How an actor of a service, and what belongs to it, stands; nothing when the service does not know it."""
    told = _TELLERS.get(service)
    return [] if told is None else [{"service": service, **state} for state in await told(settings, actor)]


def _state(thing: str, which: str, state: str, reason: str | None = None) -> dict[str, Any]:
    return {"thing": thing, "id": which, "state": state, "reason": reason}


async def _accounts(settings: "Settings", actor: str) -> States:
    account = await ask(settings, "accounts", partial(account_by_id, key=actor))
    return [_state("account", actor, account.status.value)] if account else []


async def _users(settings: "Settings", actor: str) -> States:
    registration = await ask(settings, "users", partial(registration_by_id, key=actor))
    if registration is None:
        return []
    stuck = " (stuck)" if registration.stuck else ""
    found = [_state("registration", actor, registration.status.value + stuck, registration.reason)]
    if registration.member is not None:
        found.append(_state("member", actor, registration.member.status.value))
    return found


async def _custody(settings: "Settings", actor: str) -> States:
    order = await ask(settings, "custody", partial(order_by_id, key=actor))
    if order is None:
        return []
    notices = await ask(settings, "custody", partial(notices_of, key=actor))
    marks = [*(["unverified"] if order.unverified else []), *(["disputed"] if order.disputed else [])]
    why = order.result.reason if order.result else None
    found = [_state(f"order {order.kind}", actor, " ".join([order.status.value, *marks]), why)]
    return found + [_state("notice", notice.webhook_id, notice.status) for notice in notices]


async def _repayments(settings: "Settings", actor: str) -> States:
    plan = await ask(settings, "repayments", partial(plan_by_loan, loan=actor))
    if plan is None:
        return []
    rows = await ask(settings, "repayments", partial(instalments_of, loan=actor))
    found = [_state("plan", actor, f"{plan.status}, {plan.outstanding_fen} fen outstanding")]
    found += [_state(f"instalment {row.number}", actor, row.status, f"due {row.due_date}") for row in rows]
    if plan.collection is not None and (open_ := await ask(settings, "repayments", partial(collection_by_id, key=plan.collection))):
        found.append(_state("collection", open_.id, open_.status, open_.reason))
    return found


async def _trading(settings: "Settings", actor: str) -> States:
    loan = await ask(settings, "trading", partial(loan_by_id, key=actor))
    if loan is None:
        return []
    bids = await ask(settings, "trading", partial(bids_of_loan, key=actor, after=0, limit=BIDS_SHOWN_MAX))
    found = [_state("loan", actor, loan.status, loan.reason)]
    return found + [_state(f"bid of {bid.amount_fen} fen", bid.id, bid.status, bid.reason) for bid in bids]


_TELLERS: Final[dict[str, Callable[["Settings", str], Awaitable[States]]]] = {
    "accounts": _accounts,
    "users": _users,
    "custody": _custody,
    "repayments": _repayments,
    "trading": _trading,
}
