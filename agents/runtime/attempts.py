"""Attempts: questions to the outside world as rows; a bounded pool asks, the outcome comes back as a message (DESIGN 1).

An attempt is repeated under the same number until it is answered: a time-out or an error means *unknown*, not *no*.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, func, select, update

from agents.runtime.decision import Attempt
from agents.runtime.envelope import Delivery
from config.retry import Schedule
from stores.engine import Row, Tx
from stores.runtime import attempt
from stores.statement import Statement, first, insert_new_row

_INSERT = insert_new_row(attempt)
_DUE = Statement(
    first(
        select(
            attempt.c.number,
            attempt.c.actor,
            attempt.c.target,
            attempt.c.content,
            attempt.c.tries,
            attempt.c.trace,
            attempt.c.causation,
        )
        .where(attempt.c.partition == bindparam("of"), attempt.c.next_ms <= bindparam("until"))
        .order_by(attempt.c.next_ms),
        "n",
    ),
    "of",
    "until",
    "n",
)
_NEXT = Statement(select(func.min(attempt.c.next_ms)).where(attempt.c.partition == bindparam("of")), "of")
_FAILED = Statement(
    update(attempt)
    .where(attempt.c.number == bindparam("of"))
    .values(tries=bindparam("count"), next_ms=bindparam("at"), last_error=bindparam("what")),
    "count",
    "at",
    "what",
    "of",
)
_DONE = Statement(delete(attempt).where(attempt.c.number == bindparam("of")), "of")


@dataclass(frozen=True, slots=True)
class Due:
    """An attempt whose time has come."""

    number: str
    actor: str
    target: str
    content: dict[str, Any]
    tries: int
    trace: str
    causation: str


def row_of(d: Delivery, wanted: Attempt, *, now_ms: int) -> Row:
    """The row of an attempt that the handling of `d` wants, due at once. Raises TypeError for a content that is no JSON."""
    content = orjson.dumps(wanted.content)
    return (wanted.number, d.actor, d.record.partition, wanted.target, content, 0, now_ms, None, d.trace, d.id, now_ms)


def write(tx: Tx, rows: Sequence[Row]) -> None:
    """Store what behaviours want to ask; a number that is asked already stays as it is."""
    tx.many(_INSERT, sorted(rows, key=itemgetter(0)))  # stable: of two in one batch the first stands


def due(tx: Tx, partition: int, *, now_ms: int, limit: int) -> list[Due]:
    """What is to be asked now, longest overdue first."""
    return [
        Due(n, a, t, orjson.loads(c), tries, trace, cause) for n, a, t, c, tries, trace, cause in tx.all(_DUE, partition, now_ms, limit)
    ]


def next_due_ms(tx: Tx, partition: int) -> int | None:
    """When the next attempt is due, or None."""
    return tx.all(_NEXT, partition)[0][0]  # type: ignore[no-any-return]


def failed(tx: Tx, which: Due, error: str, schedule: Schedule, *, now_ms: int) -> bool:
    """Note that no answer came; True when the budget is spent and an operator has to decide."""
    tries = which.tries + 1
    spent = schedule.is_spent(tries)
    tx.run(_FAILED, tries, None if spent else now_ms + schedule.delay_ms(tries - 1, which.number), error, which.number)
    return spent


def answered(tx: Tx, which: Due) -> None:
    """The answer is in the outbox of the same transaction; the row goes."""
    tx.run(_DONE, which.number)
