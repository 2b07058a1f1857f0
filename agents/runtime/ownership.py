"""Who owns a partition (DESIGN 1): an epoch in the store, read first in every transaction; who has lost it writes nothing.

The lock comes before the epoch, each a statement of its own: on PostgreSQL a statement sees what was committed when it began,
and a take-over that was waited for must be seen.
"""

import os
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from stores.engine import Tx
from stores.process import process_start
from stores.runtime import owner
from stores.statement import Statement, insert_row

_READ = Statement(select(owner.c.epoch).where(owner.c.partition == bindparam("of")), "of")
_INSERT = insert_row(owner)
_ADVANCE = Statement(
    update(owner)
    .where(owner.c.partition == bindparam("of"))
    .values(epoch=bindparam("new_epoch"), pid=bindparam("new_pid"), process_start=bindparam("start"), since_ms=bindparam("since")),
    "new_epoch",
    "new_pid",
    "start",
    "since",
    "of",
)


class LostEpoch(Exception):
    """Somebody else has taken this partition over; nothing was written, and nothing may be."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """A partition for as long as its epoch stands."""

    partition: int
    epoch: int


def check(tx: Tx, tenure: Tenure) -> None:
    """Begins every transaction of loop, relay, timers, attempts. Raises LostEpoch."""
    tx.lock(tenure.partition, alone=False)
    rows = tx.all(_READ, tenure.partition)
    if not rows or rows[0][0] != tenure.epoch:
        raise LostEpoch(f"partition {tenure.partition}: epoch is {rows[0][0] if rows else None}, this process had {tenure.epoch}")


def take_over(tx: Tx, partition: int, *, now_ms: int) -> Tenure:
    """Make this process the owner: epoch + 1. The transaction waits for the old owner's open one; new ones wait behind it."""
    tx.lock(partition, alone=True)
    rows = tx.all(_READ, partition)
    pid = os.getpid()
    if rows:
        epoch = rows[0][0] + 1
        tx.run(_ADVANCE, epoch, pid, process_start(pid), now_ms, partition)
    else:
        epoch = 1
        tx.run(_INSERT, partition, epoch, pid, process_start(pid), now_ms)
    return Tenure(partition, epoch)
