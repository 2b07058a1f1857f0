"""Reading and describing the log: short statements, each read to its end, so that no reader holds the WAL."""

import sqlite3
from bisect import bisect_left

from bus.errors import BusError
from bus.log import TopicSpec
from bus.record import PackedHeaders, Record
from bus.sqlite.schema import OFFSET_BITS, OFFSET_MAX

SELECT = "SELECT id, timestamp_ms, appended_ms, key, value, headers FROM record WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"


def partition_id(c: sqlite3.Connection, topic: str, number: int) -> int:
    """The partition's number in the file. Raises BusError when there is none."""
    row = c.execute("SELECT id FROM partition WHERE topic=? AND number=?", (topic, number)).fetchone()
    if row is None:
        raise BusError(f"topic {topic!r} has no partition {number}: declare it first")
    return int(row[0])


def partitions(c: sqlite3.Connection, topic: str) -> dict[int, int]:
    """Number → id of a topic's partitions; empty for an unknown topic."""
    return dict(c.execute("SELECT number, id FROM partition WHERE topic=? ORDER BY number", (topic,)).fetchall())


def read(c: sqlite3.Connection, topic: str, number: int, offset: int, limit: int, max_bytes: int, id_: int | None = None) -> list[Record]:
    """The run of records from `offset` on: at most `limit`, and no more than `max_bytes` beyond the first."""
    base = (partition_id(c, topic, number) if id_ is None else id_) << OFFSET_BITS
    cursor = c.execute(SELECT, (base + max(offset, 0), base + OFFSET_MAX, limit))
    run: list[Record] = []
    size = 0
    for id_, timestamp_ms, appended_ms, key, value, blob in cursor:
        size += len(key or b"") + len(value or b"") + len(blob or b"")
        if size > max_bytes and run:
            cursor.close()  # or the statement would keep its read transaction
            break
        run.append(Record(topic, number, id_ - base, timestamp_ms, appended_ms, key, value, PackedHeaders(blob or b"")))
    return run


def ends(c: sqlite3.Connection, topic: str) -> dict[int, tuple[int, int]]:
    """(start, end) of each partition of a topic. Raises BusError for an unknown one."""
    rows = c.execute("SELECT number, start, end FROM partition WHERE topic=? ORDER BY number", (topic,)).fetchall()
    if not rows:
        raise BusError(f"unknown topic {topic!r}: declare it first")
    return {number: (start, end) for number, start, end in rows}


def all_ends(c: sqlite3.Connection) -> dict[int, int]:
    """The end of every partition, by its id."""
    return dict(c.execute("SELECT id, end FROM partition").fetchall())


def offset_at(c: sqlite3.Connection, topic: str, number: int, instant_ms: int) -> int | None:
    """The first offset appended at or after the instant: times of appending never go back, so it is a binary search."""
    id_ = partition_id(c, topic, number)
    start, end = c.execute("SELECT start, end FROM partition WHERE id=?", (id_,)).fetchone()
    found = first_since(c, id_, start, end, instant_ms)
    return found if found < end else None


def first_since(c: sqlite3.Connection, id_: int, start: int, end: int, instant_ms: int) -> int:
    """As `offset_at`, between `start` and `end`; `end` when there is none."""
    base = id_ << OFFSET_BITS

    def appended_ms(offset: int) -> int:
        row = c.execute("SELECT appended_ms FROM record WHERE id=?", (base + offset,)).fetchone()
        return 0 if row is None else int(row[0])  # pruned meanwhile: older than anything that is left

    return start + bisect_left(range(start, end), instant_ms, key=appended_ms)


def topics(c: sqlite3.Connection) -> list[TopicSpec]:
    """All topics, by name."""
    return [TopicSpec(*row) for row in c.execute("SELECT name, partitions, retention_ms, max_bytes FROM topic ORDER BY name").fetchall()]


def offsets(c: sqlite3.Connection, group: str) -> dict[tuple[str, int], int]:
    """What the group has committed."""
    rows = c.execute(
        "SELECT topic, number, offset FROM committed JOIN partition ON partition.id = committed.partition"
        " WHERE grp=? ORDER BY topic, number",
        (group,),
    ).fetchall()
    return {(topic, number): offset for topic, number, offset in rows}


def lag(c: sqlite3.Connection, group: str, names: list[str]) -> dict[tuple[str, int], int]:
    """Records of each partition that the group has not committed and retention has left."""
    done = offsets(c, group)
    return {
        (topic, number): end - min(end, max(start, done.get((topic, number), start)))
        for topic in names
        for number, (start, end) in ends(c, topic).items()
    }
