"""One SQLite file, one connection, one thread: how the stores and the embedded bus open, lock and leave a database.

The driver is in autocommit mode and every write begins with our own BEGIN IMMEDIATE: a deferred BEGIN fails at once
when it upgrades, whatever the time-out (DESIGN 1). The waiter polls each millisecond instead of SQLite's busy handler,
whose naps of 100 ms would let four overlapping loops starve a take-over.
"""

import asyncio
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

import aiosqlite

from config import faults

LOCK_WAIT_S = 30.0  # how long a write waits for the file's lock before it says Locked
ROWS_A_STATEMENT = (64, 8)  # how many rows one statement takes at once; what is left goes one by one
_VALUES = re.compile(r"(.*\bVALUES ?)(\([?, ]+\))(.*)", re.DOTALL)
LOCK_POLL_S = 0.001
LOCK_PATIENT_S = 1.0  # after this long a waiter looks less often
LOCK_POLL_PATIENT_S = 0.005
STUCK_TELL_S = 0.1
WAL_LIMIT_BYTES = 16 * 1024 * 1024  # a checkpointed WAL is cut down to this


class Locked(Exception):
    """Somebody else has held the file's write lock for the whole wait; nothing was written."""


P = ParamSpec("P")
T = TypeVar("T")


class SqliteFile:
    """A connection on a thread of its own; work is handed to it whole, a batch a call.

    `run` is shielded: cancelling the await does not stop the SQL, so it waits until COMMIT or ROLLBACK has happened.
    """

    def __init__(self, path: Path, db: aiosqlite.Connection) -> None:
        self.path = path
        self._db = db

    @classmethod
    async def open(cls, path: Path, *, readonly: bool = False) -> Self:
        """Open (and create) the file with WAL and synchronous=FULL; close it, or the process never exits."""
        uri = f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
        db = await aiosqlite.connect(uri, uri=True, isolation_level=None, timeout=0, cached_statements=512)
        file = cls(path, db)
        try:
            await file.run(_pragmas, readonly)
        except BaseException:
            await db.close()
            raise
        return file

    async def run(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, …)` on the connection's thread and return when it has ended, also when cancelled."""
        unit = asyncio.ensure_future(self._db._execute(work, self._db._conn, *args, **kwargs))  # type: ignore[no-untyped-call]
        try:
            return cast(T, await asyncio.shield(unit))
        except asyncio.CancelledError:
            await asyncio.wait([unit])
            if not unit.cancelled():
                unit.exception()  # seen: nobody asks for it any more
            raise

    async def close(self) -> None:
        """Close the connection and end its thread."""
        await self._db.close()


def is_at_rest(path: Path) -> bool:
    """Whether everything stands in the file itself: it has no `-wal`, or an empty one without `-shm`.

    The latter is what a last close leaves that a reader stood in the way of; nobody has the file open then.
    """
    try:
        return os.stat(f"{path}-wal").st_size == 0 and not os.path.exists(f"{path}-shm")
    except FileNotFoundError:
        return True


def _pragmas(c: sqlite3.Connection, readonly: bool) -> None:
    if not readonly:
        begin_when_free(c, "PRAGMA journal_mode=WAL")
        c.execute("PRAGMA synchronous=FULL")
        c.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
        c.execute("PRAGMA foreign_keys=ON")
    c.execute("PRAGMA temp_store=MEMORY")


def begin_when_free(
    c: sqlite3.Connection,
    statement: str = "BEGIN IMMEDIATE",
    *,
    wait_s: float = LOCK_WAIT_S,
    stuck: Callable[[float], None] | None = None,
) -> None:
    """Execute a statement that takes the write lock, as soon as the file is free. Raises Locked after `wait_s`.

    `stuck` is told every 100 ms how long the wait has been, in seconds, and may do something about the holder.
    """
    begun = time.monotonic()
    told = 0.0
    while True:
        try:
            c.execute(statement)
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            waited = time.monotonic() - begun
            if waited >= wait_s:
                raise Locked(f"the database file has been locked by somebody else for {wait_s:.0f} s") from exc
            if stuck is not None and waited - told >= STUCK_TELL_S:
                told = waited
                stuck(waited)
            time.sleep(LOCK_POLL_S if waited < LOCK_PATIENT_S else LOCK_POLL_PATIENT_S)
        else:
            return


@contextmanager
def immediate(
    c: sqlite3.Connection,
    operation: str,
    *,
    wait_s: float = LOCK_WAIT_S,
    stuck: Callable[[float], None] | None = None,
) -> Iterator[sqlite3.Connection]:
    """One write transaction, committed at the end of the block, rolled back when it raises.

    The wrapper around every COMMIT: `operation` names its two fault points (`config.faults`).
    """
    begin_when_free(c, wait_s=wait_s, stuck=stuck)
    try:
        yield c
        with faults.around(operation):
            c.execute("COMMIT")
    except BaseException:
        if c.in_transaction:
            c.execute("ROLLBACK")
        raise


def execute_rows(c: sqlite3.Connection, one: str, several: Callable[[int], str], rows: Sequence[tuple[Any, ...]]) -> int:
    """Execute for every row, in order, many rows a statement; how many rows all of them changed.

    `several(n)` is the statement for n rows. `executemany` takes Python's lock anew for each row and waits for every other
    thread to give it up: beside a busy thread 500 rows took 25 times as long (measured).
    """
    changed = done = 0
    for count in ROWS_A_STATEMENT:
        while len(rows) - done >= count:
            changed += c.execute(several(count), list(chain.from_iterable(rows[done : done + count]))).rowcount
            done += count
    return changed + (c.executemany(one, rows[done:]).rowcount if done < len(rows) else 0)


def insert_new(c: sqlite3.Connection, one: str, key: str, rows: Sequence[tuple[Any, ...]]) -> set[Any]:
    """Execute an INSERT that leaves alone what is there, for every row, many rows a statement; the keys of the rows that were not."""
    new: set[Any] = set()
    for start in range(0, len(rows), ROWS_A_STATEMENT[0]):
        step = rows[start : start + ROWS_A_STATEMENT[0]]
        new.update(row[0] for row in c.execute(insert_of(f"{one} RETURNING {key}", len(step)), list(chain.from_iterable(step))))
    return new


@lru_cache(maxsize=512)
def insert_of(one: str, count: int) -> str:
    """The INSERT of `count` rows that follows from the INSERT of one."""
    found = _VALUES.fullmatch(one)
    assert found, f"no INSERT of one row: {one}"
    head, row, tail = found.groups()
    return f"{head}{', '.join([row] * count)}{tail}"
