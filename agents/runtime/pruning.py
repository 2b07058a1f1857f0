"""Everything that grows has an end (DESIGN 1): what is past its horizon goes, in small steps, in idle time.

Inbox rows leave a `seen` row, so that `lendbus trace` still finds the message; `seen` goes after a longer time.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import ColumnElement, Table, bindparam, delete, select, tuple_

from agents.runtime.batch import Batch
from agents.runtime.mailbox import Mailbox
from agents.runtime.outbox import Pending
from agents.runtime.ownership import LostEpoch
from agents.runtime.partition import Partition
from bus.errors import BusAway
from bus.log import Bus
from config.limits import PRUNE_STEP_ROWS
from stores.engine import OutcomeUnknown, Tx
from stores.runtime import alias, attempt, barrier, dead_letter, inbox, outbox, seen, waiting
from stores.statement import Statement, first, in_list, insert_new_row

DAY_MS = 86_400_000
FIRST_PARTITION = 0

log = structlog.get_logger("lendbus.pruning")


class HorizonTooShort(ValueError):
    """The inbox would forget a message that the bus may still deliver; the settings are refused."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long things are kept, in milliseconds; `every_s` is how often the pruner looks.

    Raises HorizonTooShort unless the inbox remembers longer than the bus keeps: retention + a segment + 1 day.
    """

    inbox_ms: int
    seen_ms: int
    barrier_ms: int
    dead_letters_ms: int
    waiting_ms: int
    retention_ms: int
    segment_ms: int
    every_s: float

    def __post_init__(self) -> None:
        least = self.retention_ms + self.segment_ms + DAY_MS
        if self.inbox_ms < least:
            raise HorizonTooShort(
                f"the inbox would remember {self.inbox_ms / DAY_MS:.1f} days; with this retention it needs {least / DAY_MS:.1f} or more"
            )
        if self.barrier_ms < self.inbox_ms:
            raise HorizonTooShort("the barrier has to remember at least as long as the inbox")


_OLD_INBOX = Statement(
    first(
        select(inbox.c.trace, inbox.c.id, inbox.c.actor, inbox.c.partition, inbox.c.offset, inbox.c.at_ms)
        .where(inbox.c.at_ms < bindparam("before"))
        .order_by(inbox.c.at_ms)
        .with_for_update(skip_locked=True),  # of two who prune at once each takes what the other has not
        "n",
    ),
    "before",
    "n",
)
_FORGET_INBOX = Statement(delete(inbox).where(in_list(inbox.c.id, "ids")), "ids")
_SEEN = insert_new_row(seen)


def _by_age(table: Table, *only: ColumnElement[bool]) -> Statement:
    """DELETE of at most n rows older than an instant (and `only` such), by the table's own key."""
    key = list(table.primary_key.columns)
    old = select(*key).where(table.c.at_ms < bindparam("before"), *only).order_by(table.c.at_ms).with_for_update(skip_locked=True)
    return Statement(delete(table).where(tuple_(*key).in_(first(old, "n"))), "before", "n")


_SEEN_GONE = _by_age(seen)
_ALIAS_GONE = _by_age(alias)
_BARRIER_GONE = _by_age(barrier)
_WAITING_GONE = _by_age(waiting)
_DEAD_GONE = _by_age(dead_letter)
_REFUSED_GONE = _by_age(outbox, outbox.c.refused.is_not(None))  # what the bus can never take may hold sealed fields (DESIGN 3)
_SPENT_GONE = _by_age(attempt, attempt.c.next_ms.is_(None))


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows of the table with the most went, so that a full step is followed by another."""

    leaving: list[Pending]
    rows: int


def prune(tx: Tx, batch: Batch, keep: Keep) -> Pruned:
    """One small step over every table that grows."""
    now_ms = batch.now_ms
    old = tx.all(_OLD_INBOX, now_ms - keep.inbox_ms, PRUNE_STEP_ROWS)
    tx.many(_SEEN, sorted(old))
    if old:
        tx.run(_FORGET_INBOX, tx.list([row[1] for row in old]))
    gone = (
        (_SEEN_GONE, keep.seen_ms),
        (_ALIAS_GONE, keep.seen_ms),
        (_BARRIER_GONE, keep.barrier_ms),
        (_WAITING_GONE, keep.waiting_ms),
        (_DEAD_GONE, keep.dead_letters_ms),
        (_REFUSED_GONE, keep.dead_letters_ms),
        (_SPENT_GONE, keep.dead_letters_ms),
    )
    return Pruned([], max(len(old), *(tx.run(statement, now_ms - kept_ms, PRUNE_STEP_ROWS) for statement, kept_ms in gone)))


async def run(mailbox: Mailbox, bus: Bus, keep: Keep, clock: Callable[[], int]) -> None:
    """Prune the store, in the name of whoever owns its first partition, and the bus; for ever, a step at a time.

    The tables that grow are the whole store's: eight partitions that pruned beside each other would only meet at the same rows.
    """
    while True:
        await asyncio.sleep(keep.every_s)
        for partition in [owned for owned in mailbox.owned() if owned.tenure.partition == FIRST_PARTITION]:
            await _prune(partition, keep)
        try:
            await bus.prune(clock())
        except BusAway as exc:  # locked by somebody else: what is old can wait (CASES B31)
            log.warning("the bus is pruned at the next turn", why=str(exc))


async def _prune(partition: Partition, keep: Keep) -> None:
    try:
        while (await partition.transaction("prune.commit", prune, keep)).rows == PRUNE_STEP_ROWS:
            continue  # each step is a transaction of its own, the loop's come in between
    except (LostEpoch, OutcomeUnknown) as exc:  # its scanner finds the same within a second, and reports it
        log.info("pruned at the next turn, by whoever owns the partition then", why=str(exc))
