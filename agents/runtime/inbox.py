"""The inbox: a message id has effect once; a repeated question is answered again (DESIGN 1 and 3, FLOWS 1.3)."""

from collections.abc import Sequence

from sqlalchemy import select

from agents.runtime.envelope import Delivery
from stores.engine import Tx
from stores.runtime import inbox
from stores.statement import Statement, in_list, insert_row

_SEEN = Statement(select(inbox.c.id, inbox.c.mac).where(in_list(inbox.c.id, "ids")), "ids")
_INSERT = insert_row(inbox)

Repeat = tuple[Delivery, bool]  # a duplicate, and whether its content is that of the first


def take_new(tx: Tx, deliveries: Sequence[Delivery], *, now_ms: int) -> tuple[list[Delivery], list[Repeat]]:
    """Note every new message id, in key order; return the new messages in their order, and the repeats apart."""
    macs: dict[str, str | None] = dict(tx.all(_SEEN, tx.list([d.id for d in deliveries])))
    fresh: list[Delivery] = []
    repeats: list[Repeat] = []
    for d in deliveries:
        if d.id in macs:
            repeats.append((d, macs[d.id] == d.mac))
        else:
            macs[d.id] = d.mac
            fresh.append(d)
    rows = [(d.id, d.actor, d.trace, d.record.partition, d.record.offset, d.mac, now_ms) for d in fresh]
    tx.many(_INSERT, sorted(rows))
    return fresh, repeats
