"""What changes in the log beside records: topics, groups, offsets, and what is past its time."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence

from bus.errors import BusError
from bus.log import TopicSpec
from bus.record import Fence
from bus.sqlite.append import check_fence
from bus.sqlite.read import first_since, partition_id
from bus.sqlite.schema import OFFSET_BITS
from stores.sqlite import immediate

Stuck = Callable[[float], None]


def declare(c: sqlite3.Connection, specs: Sequence[TopicSpec], *, wait_s: float, stuck: Stuck | None = None) -> None:
    """Make the topics that are missing, renew the settings of the others; all or nothing."""
    if all(_stands(c, spec) for spec in specs):
        return
    with immediate(c, "bus.declare", wait_s=wait_s, stuck=stuck):
        for spec in specs:
            _check(c, spec)
            c.execute(
                "INSERT INTO topic VALUES(?,?,?,?)"
                " ON CONFLICT DO UPDATE SET retention_ms=excluded.retention_ms, max_bytes=excluded.max_bytes",
                (spec.name, spec.partitions, spec.retention_ms, spec.max_bytes),
            )
            numbers = [(spec.name, number) for number in range(spec.partitions)]
            c.executemany("INSERT INTO partition(topic, number) VALUES(?,?) ON CONFLICT DO NOTHING", numbers)


def _stands(c: sqlite3.Connection, spec: TopicSpec) -> bool:
    row = c.execute("SELECT partitions, retention_ms, max_bytes FROM topic WHERE name=?", (spec.name,)).fetchone()
    return bool(row == (spec.partitions, spec.retention_ms, spec.max_bytes))


def _check(c: sqlite3.Connection, spec: TopicSpec) -> None:
    if spec.partitions < 1 or spec.max_bytes < 1:
        raise BusError(f"topic {spec.name!r}: partitions and max_bytes must be at least 1")
    row = c.execute("SELECT partitions FROM topic WHERE name=?", (spec.name,)).fetchone()
    if row is not None and row[0] != spec.partitions:
        raise BusError(
            f"topic {spec.name!r} has {row[0]} partitions, not {spec.partitions}: the number is fixed for life, as keys go by it"
        )


def declare_group(c: sqlite3.Connection, group: str, topics: Sequence[str], *, wait_s: float, stuck: Stuck | None = None) -> None:
    """Write down which topics the group consumes: exactly these."""
    known = {row[0] for row in c.execute("SELECT topic FROM consumes WHERE grp=?", (group,)).fetchall()}
    if known == set(topics):
        return
    with immediate(c, "bus.declare", wait_s=wait_s, stuck=stuck):
        c.execute("DELETE FROM consumes WHERE grp=?", (group,))
        c.executemany("INSERT INTO consumes VALUES(?,?)", [(group, topic) for topic in sorted(set(topics))])


def commit_offsets(
    c: sqlite3.Connection,
    fence: Fence,
    offsets: Mapping[tuple[str, int], int],
    *,
    exactly: bool = False,
    wait_s: float,
    stuck: Stuck | None = None,
) -> None:
    """Let the group's offsets follow, if the epoch is still the group's; they never go back unless `exactly` is said."""
    value = "excluded.offset" if exactly else "max(offset, excluded.offset)"
    with immediate(c, "bus.offsets", wait_s=wait_s, stuck=stuck):
        check_fence(c, fence)
        rows = [(fence.group, partition_id(c, topic, number), offset) for (topic, number), offset in sorted(offsets.items())]
        c.executemany(f"INSERT INTO committed VALUES(?,?,?) ON CONFLICT DO UPDATE SET offset={value}", rows)


def prune(c: sqlite3.Connection, now_ms: int, limit: int, *, wait_s: float, stuck: Stuck | None = None) -> int:
    """Take away the oldest records past their retention, at most `limit`, none that a declared group has not read."""
    if not (due := _due(c, now_ms, limit)):
        return 0
    with immediate(c, "bus.prune", wait_s=wait_s, stuck=stuck):
        for id_, start, cut in due:
            base = id_ << OFFSET_BITS
            c.execute("DELETE FROM record WHERE id>=? AND id<?", (base + start, base + cut))
            c.execute("UPDATE partition SET start=max(start, ?) WHERE id=?", (cut, id_))
    return sum(cut - start for _, start, cut in due)


def _due(c: sqlite3.Connection, now_ms: int, limit: int) -> list[tuple[int, int, int]]:
    """(partition id, start, new start) of what may go, oldest partitions' numbers first."""
    due = []
    rows = c.execute(
        "SELECT id, start, end, topic, retention_ms FROM partition JOIN topic ON topic.name = partition.topic"
        " WHERE retention_ms IS NOT NULL AND start < end ORDER BY id"
    ).fetchall()
    for id_, start, end, topic, retention_ms in rows:
        stop = min(end, start + limit, _slowest(c, id_, topic, end))
        cut = first_since(c, id_, start, max(start, stop), now_ms - retention_ms)
        if cut > start:
            due.append((id_, start, cut))
            limit -= cut - start
    return due


def _slowest(c: sqlite3.Connection, id_: int, topic: str, end: int) -> int:
    """The offset of the declared group that has read least; one that has committed nothing has read nothing."""
    row = c.execute(
        "SELECT min(coalesce(offset, 0)) FROM consumes LEFT JOIN committed"
        " ON committed.grp = consumes.grp AND committed.partition = ? WHERE consumes.topic = ?",
        (id_, topic),
    ).fetchone()
    return end if row[0] is None else int(row[0])
