"""SUSPENDED business things of FLOWS, and what may safely be done about each: said to its actor in the operator's name.

A disputed order has no action here, nor has a member's request that it is of: a person ends the break with a counter-order.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tools.output import Failed, instant

if TYPE_CHECKING:
    from agents.runtime.decision import Message
    from agents.runtime.operator import Act
    from tools.options import Options

RETRY, RELEASE, FAIL = "retry", "release", "fail"
SERVICES: Final = ("users", "trading", "repayments", "custody")


class Thing(NamedTuple):
    """Something that waits: `actor` is whose mailbox hears of what an operator decides."""

    service: str
    id: str
    kind: str
    state: str
    reason: str
    since_ms: int
    actor: str
    actions: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """As `lendbus stuck ls` prints it."""
        said = {"id": self.id, "service": self.service, "kind": self.kind, "state": self.state, "reason": self.reason}
        unknown = {"tries": None, "next_try": None, "queued": None}
        since = {"since": instant(self.since_ms), "since_ms": self.since_ms}
        return {**said, **unknown, **since, "actions": self.actions, "actor": self.actor}


async def things(options: "Options", services: Sequence[str]) -> list[Thing]:
    """Every business thing that waits, of the services that this platform has."""
    return [thing for service in SERVICES if service in services for thing in await _ASK[service](options)]


async def _users(options: "Options") -> list[Thing]:
    from stores.users import suspended_dealings
    from tools.reading import ask

    rows = await ask(options.settings, "users", suspended_dealings)
    return [of_dealing(row) for row in rows]


def of_dealing(row: Any) -> Thing:
    """A member's SUSPENDED request to the bank: it waits with its order."""
    return Thing("users", row.id, row.kind, "suspended", row.reason or "unknown", row.changed_ms, row.member)


async def _trading(options: "Options") -> list[Thing]:
    from stores.trading import suspended_loans
    from tools.reading import ask

    rows = await ask(options.settings, "trading", suspended_loans)
    return [of_loan(row) for row in rows]


def of_loan(row: Any) -> Thing:
    """A SUSPENDED loan: it may go on where it stood, what has not ended under new numbers, or the listing be failed."""
    from agents.trading.model import may_fail, may_resume

    actions = tuple(action for action, may in ((RETRY, may_resume), (FAIL, may_fail)) if may(row.stood, row.confirm_no))
    return Thing("trading", row.id, "loan", f"suspended while {row.stood}", row.reason or "unknown", row.changed_ms, row.id, actions)


async def _repayments(options: "Options") -> list[Thing]:
    from stores.repayments import suspended_collections
    from tools.reading import ask

    rows = await ask(options.settings, "repayments", suspended_collections)
    return [of_collection(row) for row in rows]


def of_collection(row: Any) -> Thing:
    """A SUSPENDED collection: its booking may be tried again under a new number, or the money be given back."""
    said = f"{row.reason or 'unknown'}, {row.amount_fen} fen are held"
    return Thing("repayments", row.id, "collection", "suspended", said, row.changed_ms, row.loan, (RETRY, RELEASE))


async def _custody(options: "Options") -> list[Thing]:
    from stores.custody import disputed_orders
    from tools.reading import ask

    rows = await ask(options.settings, "custody", disputed_orders)
    return [of_order(row) for row in rows]


def of_order(row: Any) -> Thing:
    """A break: the bank's notice and its answer to the query do not agree."""
    said = f"{row.what}: noticed {row.noticed}, queried {row.queried}"
    return Thing("custody", row.id, f"order {row.kind}", f"disputed, {row.status}", said, row.at_ms, row.id)


_ASK: Final[Mapping[str, Callable[["Options"], Any]]] = {
    "users": _users,
    "trading": _trading,
    "repayments": _repayments,
    "custody": _custody,
}


def saying(thing: Thing, action: str, *, operator: str, reason: str) -> "Message":
    """What the thing's actor is told. Raises Failed for what cannot be done to it."""
    from topics import FailListing, ReleaseCollection, ResumeLoan, RetryCollection

    if action not in thing.actions:
        allowed = ", ".join(thing.actions) or "none here: its owner waits too, and a person ends the break at the bank"
        raise Failed(f"{thing.kind} {thing.id} cannot be told to {action}; its actions: {allowed}")
    match thing.kind, action:
        case "loan", "retry":
            return ResumeLoan(id=thing.actor, operator=operator)
        case "loan", _:
            return FailListing(id=thing.actor, operator=operator, reason=reason)
        case _, "retry":
            return RetryCollection(id=thing.actor, operator=operator)
        case _:
            return ReleaseCollection(id=thing.actor, operator=operator)


async def tell(options: "Options", which: str, action: str, act: "Act") -> dict[str, Any]:
    """Say it, with an audit row. Raises Failed when nothing of this id waits."""
    from agents.runtime import operator
    from tools.operate import write
    from tools.places import home_of
    from tools.reading import services

    found = [thing for thing in await things(options, services()) if thing.id == which]
    if not found:
        raise Failed(f"no loan or collection {which} is suspended: `lendbus stuck ls` lists what is")
    thing = found[0]
    message = saying(thing, action, operator=act.principal, reason=act.reason)
    home = home_of(options.settings, thing.service, thing.actor)
    work = partial(operator.tell, act=act, actor=thing.actor, message=message, partition=home, message_id=str(uuid.uuid4()))
    await write(options, thing.service, work)
    return {"id": which, "service": thing.service, "state": "told", "said": message.type}
