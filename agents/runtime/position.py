"""Where to read on: the position in the store is the truth, the group's offset follows it (DESIGN 1)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from bus.record import Record
from stores.engine import Tx
from stores.runtime import position
from stores.statement import Statement, insert_row

_READ = Statement(
    select(
        position.c.next_offset,
        position.c.highest_offset,
        position.c.last_offset,
        position.c.last_appended_ms,
        position.c.last_message_id,
        position.c.incarnation,
    ).where(position.c.partition == bindparam("of")),
    "of",
)
_INSERT = insert_row(position)
_SET = Statement(
    update(position)
    .where(position.c.partition == bindparam("of"))
    .values(
        next_offset=bindparam("next"),
        highest_offset=bindparam("highest"),
        last_offset=bindparam("last"),
        last_appended_ms=bindparam("appended"),
        last_message_id=bindparam("message"),
        incarnation=bindparam("log"),
    ),
    "next",
    "highest",
    "last",
    "appended",
    "message",
    "log",
    "of",
)


@dataclass(frozen=True, slots=True)
class Position:
    """The next offset to handle, the highest that was ever reached on this log, and the last record before it."""

    next_offset: int
    highest_offset: int
    last_offset: int | None
    last_appended_ms: int | None
    last_message_id: str | None
    incarnation: str


def read(tx: Tx, partition: int) -> Position | None:
    """The partition's position, or None: nothing of it was ever handled."""
    rows = tx.all(_READ, partition)
    return Position(*rows[0]) if rows else None


def write(tx: Tx, partition: int, new: Position, *, known: bool) -> None:
    """Store a position; `known` says that there is a row already."""
    if known:
        tx.run(
            _SET,
            new.next_offset,
            new.highest_offset,
            new.last_offset,
            new.last_appended_ms,
            new.last_message_id,
            new.incarnation,
            partition,
        )
    else:
        tx.run(
            _INSERT,
            partition,
            new.next_offset,
            new.highest_offset,
            new.last_offset,
            new.last_appended_ms,
            new.last_message_id,
            new.incarnation,
        )


def begin_anew(tx: Tx, partition: int, offset: int, incarnation: str) -> None:
    """Forget what was reached on an earlier log: this one is read from `offset`, and nothing of it was ever handled."""
    write(tx, partition, Position(offset, offset, None, None, None, incarnation), known=True)


def after(run: Sequence[Record], message_id: str | None, before: Position | None, incarnation: str) -> Position:
    """The position behind a run of records; what was reached on an earlier log says nothing of this one."""
    last = run[-1]
    end = last.offset + 1
    highest = max(end, before.highest_offset) if before and before.incarnation == incarnation else end
    return Position(end, highest, last.offset, last.appended_ms, message_id, incarnation)
