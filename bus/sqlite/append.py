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
            else:
                execute_rows(c, INSERT, partial(insert_of, INSERT), rows)
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
    """Give every record of a call its place; moves the tails only when all of them have one."""
    rows: list[Row] = []
    placed: list[tuple[int, int]] = []
    ends: dict[int, int] = {}
    moved: dict[int, Tail] = {}
    for record in call.records:
        target = targets.get(record.topic) or _target(c, targets, record.topic)
        number = _partition(record, len(target.tails))
        tail = target.tails[number]
        blob = record.packed or pack_headers(record.headers)
        size = len(record.key or b"") + len(record.value or b"") + len(blob)
        if size > target.max_bytes:
            raise RecordRefused(f"a record of {size} bytes for {record.topic!r}: at most {target.max_bytes} bytes")
        offset = ends.get(tail.id, tail.end)
        ends[tail.id] = offset + 1
        moved[tail.id] = tail
        rows.append((tail.id << OFFSET_BITS | offset, record.timestamp_ms, max(now_ms, tail.appended_ms), record.key, record.value, blob))
        placed.append((number, offset))
    for id_, tail in moved.items():
        tail.end, tail.appended_ms, tail.grown = ends[id_], max(now_ms, tail.appended_ms), True
    call.placed = placed
    return rows


def _target(c: sqlite3.Connection, targets: dict[str, Target], topic: str) -> Target:
    row = c.execute("SELECT max_bytes FROM topic WHERE name=?", (topic,)).fetchone()
    if row is None:
        raise RecordRefused(f"unknown topic {topic!r}: declare it first")
    tails = c.execute("SELECT id, end, appended_ms FROM partition WHERE topic=? ORDER BY number", (topic,)).fetchall()
    target = targets[topic] = Target(row[0], [Tail(*tail) for tail in tails])
    return target


def _partition(record: Outgoing, count: int) -> int:
    if record.partition is not None:
        if not 0 <= record.partition < count:
            raise RecordRefused(f"topic {record.topic!r} has no partition {record.partition}, only 0 to {count - 1}")
        return record.partition
    return partition_of(record.key, count)
