"""Who waits for the final answer about a thing: at most `REPLY_TO_MAX` HTTP requests, each of which gets it (DESIGN 3).

The thing is the actor itself, or something of it that a message names: two investors who bid for one loan wait for two things.
The table's column is called `actor` since there were no others.
"""

from collections import defaultdict

from sqlalchemy import bindparam, delete, select

from agents.runtime.decision import Message, derived_id
from agents.runtime.envelope import Delivery, Origin, encode
from bus.record import Outgoing
from config.limits import REPLY_TO_MAX
from stores.engine import Tx
from stores.runtime import waiting
from stores.statement import Statement, in_list, insert_new_row

_OF = Statement(select(waiting.c.actor, waiting.c.reply_to).where(in_list(waiting.c.actor, "ids")), "ids")
_ADD = insert_new_row(waiting)
_ANSWERED = Statement(delete(waiting).where(waiting.c.actor == bindparam("of")), "of")


def reply(message: Message, reply_to: str, *, caused_by: Delivery, now_ms: int) -> Outgoing:
    """The record that reaches one waiting HTTP request: keyed by the gateway process that waits."""
    origin = Origin(caused_by.id, caused_by.trace, caused_by.principal)
    identity = derived_id(caused_by.id, f"reply:{message.type}:{reply_to}")
    return encode(message, key=reply_to.partition("/")[0], message_id=identity, origin=origin, now_ms=now_ms, reply_to=reply_to)


class Waiting:
    """A batch's view of who waits."""

    def __init__(self) -> None:
        self._known: dict[str, list[str]] = defaultdict(list)
        self._new: dict[tuple[str, str], None] = {}
        self._answers: dict[str, tuple[Delivery, Message]] = {}

    def add(self, thing: str, reply_to: str) -> None:
        """This request waits for the final answer about the thing."""
        self._new[(thing, reply_to)] = None

    def answer(self, d: Delivery, message: Message) -> None:
        """The final answer, for everybody who waits for what it names."""
        self._answers[message.thing(d.actor)] = (d, message)

    def save(self, tx: Tx, *, now_ms: int) -> list[tuple[str, Outgoing]]:
        """Keep who still waits; return the answers to those who need not any more, as (actor, record)."""
        if not self._new and not self._answers:
            return []
        for thing, reply_to in tx.all(_OF, tx.list(sorted({t for t, _ in self._new} | self._answers.keys()))):
            self._known[thing].append(reply_to)
        room = {thing: REPLY_TO_MAX - len(known) for thing, known in self._known.items()}
        added = []
        for thing, reply_to in self._new:
            left = room.get(thing, REPLY_TO_MAX)
            if left > 0 and reply_to not in self._known[thing]:
                room[thing] = left - 1
                self._known[thing].append(reply_to)
                added.append((thing, reply_to, now_ms))
        tx.many(_ADD, sorted(row for row in added if row[0] not in self._answers))
        tx.many(_ANSWERED, sorted((thing,) for thing in self._answers))
        return [
            (d.actor, reply(message, reply_to, caused_by=d, now_ms=now_ms))
            for thing, (d, message) in self._answers.items()
            for reply_to in self._known[thing]
        ]
