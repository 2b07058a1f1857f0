"""Appending: many callers' records in one transaction, each caller's call whole or not at all."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from bus.errors import LostLease, RecordRefused
from bus.headers import pack_headers
from bus.partitioning import partition_of
from bus.record import Fence, Outgoing
from bus.sqlite.schema import OFFSET_BITS
from stores.sqlite import execute_rows, immediate, insert_of

Row = tuple[int, int, int, bytes | None, bytes | None, bytes | None]  # of the table `record`
INSERT = "INSERT INTO record(id, timestamp_ms, appended_ms, key, value, headers) VALUES(?,?,?,?,?,?)"


@dataclass(slots=True)
class Call:
    """One caller's append: what it wants, and after the transaction what became of it."""

    records: Sequence[Outgoing]
    fence: Fence | None
    placed: list[tuple[int, int]] = field(default_factory=list)
    refused: LostLease | RecordRefused | None = None


@dataclass(slots=True)
class Tail:
    """The growing end of a partition inside one transaction."""

    id: int
    end: int
    appended_ms: int  # never goes back, so that the log can be searched by it
    next: int  # as `end`, with the records of the call that is being placed
    grown: bool = False


@dataclass(slots=True)
class Target:
    """A topic inside one transaction."""

    max_bytes: int
    tails: list[Tail]


def append(c: sqlite3.Connection, calls: Sequence[Call], *, wait_s: float, stuck: Callable[[float], None] | None = None) -> dict[int, int]:
    """Append every call's records in one transaction and fill in each call; the new end of each partition id that grew.

    Raises what SQLite and `immediate` raise; then nothing of any call was written.
    """
    targets: dict[str, Target] = {}
    with immediate(c, "bus.append", wait_s=wait_s, stuck=stuck):
        now_ms = time.time_ns() // 1_000_000
        for call in calls:
            call.placed, call.refused = [], None
            try:
                check_fence(c, call.fence)
                rows = _place(c, call, targets, now_ms)
            except (LostLease, RecordRefused) as exc:
                call.refused = exc
                _settle(targets, written=False)
            else:
                execute_rows(c, INSERT, partial(insert_of, INSERT), rows)
                _settle(targets, written=True)
        grown = [tail for target in targets.values() for tail in target.tails if tail.grown]
        c.executemany("UPDATE partition SET end=?, appended_ms=? WHERE id=?", [(t.end, t.appended_ms, t.id) for t in grown])
    return {tail.id: tail.end for tail in grown}


def check_fence(c: sqlite3.Connection, fence: Fence | None) -> None:
    """Raise LostLease, inside the transaction that wants to write, when the fence's epoch is not the group's any more."""
    if fence is None:
        return
    row = c.execute("SELECT epoch, owner FROM lease WHERE grp=?", (fence.group,)).fetchone()
    if row is None or row[0] != fence.epoch or row[1] is None:
        now = "nobody's" if row is None or row[1] is None else f"in epoch {row[0]}"
        raise LostLease(f"group {fence.group!r} is {now} now, epoch {fence.epoch} is over")


def _place(c: sqlite3.Connection, call: Call, targets: dict[str, Target], now_ms: int) -> list[Row]:
    """Give every record of a call its place; `_settle` says whether the tails stay there."""
    rows: list[Row] = []
    placed: list[tuple[int, int]] = []
    known: str | None = None
    tails: list[Tail] = []
    count = max_bytes = 0
    for record in call.records:
        topic, key, value, headers, timestamp_ms, wanted, blob = record
        if topic != known:
            target = targets.get(topic) or _target(c, targets, topic, now_ms)
            known, tails, count, max_bytes = topic, target.tails, len(target.tails), target.max_bytes
        number = 0 if wanted is None and count == 1 else _partition(record, count)
        blob = blob or pack_headers(headers)
        size = len(key or b"") + len(value or b"") + len(blob)
        if size > max_bytes:
            raise RecordRefused(f"a record of {size} bytes for {topic!r}: at most {max_bytes} bytes")
        tail = tails[number]
        offset = tail.next
        tail.next = offset + 1
        rows.append((tail.id << OFFSET_BITS | offset, timestamp_ms, tail.appended_ms, key, value, blob))
        placed.append((number, offset))
    call.placed = placed
    return rows


def _settle(targets: dict[str, Target], *, written: bool) -> None:
    """The tails after a call: where its records end, or where they were."""
    for target in targets.values():
        for tail in target.tails:
            if tail.next != tail.end:
                tail.end, tail.next, tail.grown = (tail.next, tail.next, True) if written else (tail.end, tail.end, tail.grown)


def _target(c: sqlite3.Connection, targets: dict[str, Target], topic: str, now_ms: int) -> Target:
    row = c.execute("SELECT max_bytes FROM topic WHERE name=?", (topic,)).fetchone()
    if row is None:
        raise RecordRefused(f"unknown topic {topic!r}: declare it first")
    tails = c.execute("SELECT id, end, appended_ms FROM partition WHERE topic=? ORDER BY number", (topic,)).fetchall()
    target = targets[topic] = Target(row[0], [Tail(id_, end, max(now_ms, appended_ms), end) for id_, end, appended_ms in tails])
    return target


def _partition(record: Outgoing, count: int) -> int:
    if record.partition is not None:
        if not 0 <= record.partition < count:
            raise RecordRefused(f"topic {record.topic!r} has no partition {record.partition}, only 0 to {count - 1}")
        return record.partition
    return partition_of(record.key, count)
