"""The inbox: a message id has effect once; a repeated question is answered again (DESIGN 1 and 3, FLOWS 1.3)."""

from collections.abc import Sequence

from sqlalchemy import select

from agents.runtime.envelope import Delivery
from stores.engine import Row, Tx
from stores.runtime import inbox
from stores.statement import Statement, in_list, insert_new_row

_SEEN = Statement(select(inbox.c.id, inbox.c.mac).where(in_list(inbox.c.id, "ids")), "ids")
_INSERT = insert_new_row(inbox)

Repeat = tuple[Delivery, bool]  # a duplicate, and whether its content is that of the first


def take_new(tx: Tx, deliveries: Sequence[Delivery], *, now_ms: int) -> tuple[list[Delivery], list[Repeat]]:
    """Note every new message id, in key order; return the new messages in their order, and the repeats apart."""
    firsts: dict[str, Delivery] = {}
    for d in deliveries:
        firsts.setdefault(d.id, d)
    new = tx.new(_INSERT, [_row(d, now_ms) for _, d in sorted(firsts.items())])
    macs: dict[str, str | None] = dict(tx.all(_SEEN, tx.list(firsts.keys() - set(new)))) if len(new) < len(firsts) else {}
    fresh: list[Delivery] = []
    repeats: list[Repeat] = []
    for d in deliveries:
        first = firsts[d.id]
        if d is first and d.id in new:
            fresh.append(d)
        else:
            repeats.append((d, macs.get(d.id, first.mac) == d.mac))
    return fresh, repeats


def _row(d: Delivery, now_ms: int) -> Row:
    return (d.id, d.actor, d.trace, d.record.partition, d.record.offset, d.mac, now_ms)
