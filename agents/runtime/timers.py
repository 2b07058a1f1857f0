"""Timers are rows (FLOWS 1.4): due instant, actor, message, partition. A firing is a message with an id of its own.

The id of a timer follows from the message that set it, so a timer that was cleared and set anew is another one; its
firing's id follows from the timer's. Firing deletes the row in the transaction that sends the message: fired twice, it
takes effect once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select

from agents.runtime.decision import ClearTimer, SetTimer, derived_id
from agents.runtime.envelope import Delivery, body
from stores.engine import Row, Tx
from stores.runtime import timer
from stores.statement import Statement, first, in_list, insert_row

_INSERT = insert_row(timer)
_CLEAR = Statement(delete(timer).where(timer.c.actor == bindparam("of"), timer.c.name == bindparam("named")), "of", "named")
_CLEAR_ALL = Statement(delete(timer).where(in_list(timer.c.actor, "actors")), "actors")
_DUE = Statement(
    first(
        select(timer.c.id, timer.c.actor, timer.c.type, timer.c.body, timer.c.trace, timer.c.causation)
        .where(timer.c.partition == bindparam("of"), timer.c.due_ms <= bindparam("until"))
        .order_by(timer.c.due_ms),
        "n",
    ),
    "of",
    "until",
    "n",
)
_FIRED = Statement(delete(timer).where(in_list(timer.c.id, "ids")), "ids")
_NEXT = Statement(select(func.min(timer.c.due_ms)).where(timer.c.partition == bindparam("of")), "of")


@dataclass(frozen=True, slots=True)
class Due:
    """A timer whose instant has come."""

    id: str
    actor: str
    type: str
    body: bytes
    trace: str
    causation: str

    @property
    def firing_id(self) -> str:
        """The message id of its firing."""
        return derived_id(self.id, "firing")


def row_of(d: Delivery, wanted: SetTimer) -> Row:
    """The row of a timer that the handling of `d` sets. Asserts the size of its message."""
    value = body(wanted.message, d.actor)
    identity = derived_id(d.id, f"timer:{wanted.name}")
    return (identity, d.actor, wanted.name, d.record.partition, wanted.due_ms, wanted.message.type, value, d.trace, d.id)


def write(tx: Tx, changes: Iterable[tuple[str, SetTimer | ClearTimer, Row | None]], forgotten: Iterable[str]) -> None:
    """Apply what the batch decided, last word per actor and name; a forgotten actor's timers go."""
    last = {(actor, change.name): row for actor, change, row in changes}
    gone = list(forgotten)
    if gone:
        tx.run(_CLEAR_ALL, tx.list(gone))
    tx.many(_CLEAR, sorted(last))
    tx.many(_INSERT, sorted(row for row in last.values() if row is not None))


def due(tx: Tx, partition: int, *, now_ms: int, limit: int) -> list[Due]:
    """What has become due, earliest first."""
    return [Due(*row) for row in tx.all(_DUE, partition, now_ms, limit)]


def fired(tx: Tx, ids: Iterable[str]) -> None:
    """These have fired; their messages are in the outbox of the same transaction."""
    tx.run(_FIRED, tx.list(ids))


def next_due_ms(tx: Tx, partition: int) -> int | None:
    """When the next timer of this partition is due, or None."""
    return tx.all(_NEXT, partition)[0][0]  # type: ignore[no-any-return]
