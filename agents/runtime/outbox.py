"""The outbox: to send is to insert a row; the relay takes it to the bus after COMMIT and the row goes."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, null, select, update

from bus.record import Outgoing, pack_headers, unpack_headers
from stores.engine import Row, Tx
from stores.runtime import outbox, stray
from stores.statement import Statement, first, in_list, insert_row

_INSERT = insert_row(outbox, skip=("id", "refused"))
_DELETE = Statement(delete(outbox).where(in_list(outbox.c.id, "ids")), "ids")
_REFUSE = Statement(update(outbox).where(outbox.c.id == bindparam("of")).values(refused=bindparam("why")), "why", "of")
_REFUSED = Statement(
    select(outbox.c.id, outbox.c.actor, outbox.c.topic, outbox.c.key, outbox.c.value, outbox.c.headers, outbox.c.at_ms)
    .where(outbox.c.actor == bindparam("of"), outbox.c.refused.is_not(None))
    .order_by(outbox.c.id),
    "of",
)
_BLOCKED = Statement(
    select(outbox.c.actor, func.min(outbox.c.refused))
    .where(outbox.c.partition == bindparam("of"), outbox.c.refused.is_not(None))
    .group_by(outbox.c.actor),
    "of",
)
_READMIT = Statement(update(outbox).where(in_list(outbox.c.id, "ids")).values(refused=null()), "ids")
_STRAY = insert_row(stray)
_STRAYS = Statement(
    select(outbox.c.id, outbox.c.actor, outbox.c.topic, outbox.c.key, outbox.c.value, outbox.c.headers, outbox.c.at_ms)
    .where(outbox.c.id.in_(select(stray.c.id)), outbox.c.partition == bindparam("of"))
    .order_by(outbox.c.id),
    "of",
)
_FOUND = Statement(delete(stray).where(in_list(stray.c.id, "ids")), "ids")
_LEFT = Statement(
    first(
        select(outbox.c.id, outbox.c.actor, outbox.c.topic, outbox.c.key, outbox.c.value, outbox.c.headers, outbox.c.at_ms)
        .where(outbox.c.partition == bindparam("of"), outbox.c.id > bindparam("after"), outbox.c.refused.is_(None))
        .order_by(outbox.c.id),
        "n",
    ),
    "of",
    "after",
    "n",
)


class Pending(NamedTuple):
    """A row that has to leave: its number in the outbox, the actor that said it, and the record."""

    id: int
    actor: str
    record: Outgoing


def insert(tx: Tx, partition: int, rows: Sequence[tuple[str, Outgoing]]) -> list[Pending]:
    """Store what actors of this partition say, in order."""
    values = [(partition, actor, o.topic, o.key, o.value, o.packed or pack_headers(o.headers), o.timestamp_ms) for actor, o in rows]
    return [Pending(number, actor, o) for number, (actor, o) in zip(tx.numbered(_INSERT, values), rows, strict=True)]


def left_behind(tx: Tx, partition: int, *, after: int, limit: int) -> list[Pending]:
    """The rows of a partition that have not left yet, oldest first, refused ones apart; strays among them are strays no more."""
    rows = [_pending(row) for row in tx.all(_LEFT, partition, after, limit)]
    if rows:
        tx.run(_FOUND, tx.list([row.id for row in rows]))
    return rows


def blocked(tx: Tx, partition: int) -> dict[str, str]:
    """The actors of which the bus has refused a row, and why: what they said after it stays behind it."""
    return dict(tx.all(_BLOCKED, partition))


def readmit(tx: Tx, actor: str) -> list[Pending]:
    """The actor is tried again: its rows that the bus refused may leave again, oldest first."""
    rows = [_pending(row) for row in tx.all(_REFUSED, actor)]
    if rows:
        tx.run(_READMIT, tx.list([p.id for p in rows]))
    return rows


def _pending(row: Row) -> Pending:
    number, actor, topic, key, value, headers, at_ms = row
    return Pending(number, actor, Outgoing(topic, key, value, unpack_headers(headers), at_ms, None, headers))


def forget(tx: Tx, ids: Sequence[int]) -> None:
    """Delete what the bus has acknowledged."""
    if ids:
        tx.run(_DELETE, tx.list(ids))


def insert_stray(tx: Tx, partition: int, rows: Sequence[tuple[str, Outgoing]]) -> list[Pending]:
    """As `insert`, by somebody beside the loop, perhaps in another process: the owner's scanner finds them and hands them over."""
    pending = insert(tx, partition, rows)
    tx.many(_STRAY, [(row.id,) for row in pending])
    return pending


def take_strays(tx: Tx, partition: int) -> list[Pending]:
    """The rows that somebody beside the loop has written for this partition; they are strays no more."""
    rows = [_pending(row) for row in tx.all(_STRAYS, partition)]
    if rows:
        tx.run(_FOUND, tx.list([row.id for row in rows]))
    return rows


def refuse(tx: Tx, number: int, why: str) -> None:
    """Mark a row that the bus can never take."""
    tx.run(_REFUSE, why, number)
