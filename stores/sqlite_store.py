"""A service's store as a SQLite file: one connection, one thread, one transaction at a time."""

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Self, TypeVar

import orjson
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from stores.engine import Ours, Row, RowRejected, StoreAway, Tx, WrongSchema
from stores.process import end_frozen_holder
from stores.runtime import owner
from stores.sqlite import Locked, SqliteFile, immediate, insert_new
from stores.statement import SQLITE, Statement

T = TypeVar("T")
A = TypeVar("A")

FROZEN_AFTER_S = 1.0  # a lease: whoever waits to take over has seen the owner's lease run out before
_OWNED_BY = Statement(
    select(owner.c.partition).where(owner.c.pid == bindparam("process"), owner.c.process_start == bindparam("started")),
    "process",
    "started",
)


class SqliteTx:
    """A transaction on a SQLite connection that has taken the write lock."""

    dialect = SQLITE

    def __init__(self, c: sqlite3.Connection) -> None:
        self._c = c

    def lock(self, partition: int, *, alone: bool) -> None:
        """Nothing: the file's write lock is held since BEGIN."""

    def all(self, statement: Statement, *values: Any) -> list[Row]:
        """Every row that the statement returns."""
        return self._c.execute(statement.sqlite, values).fetchall()

    def run(self, statement: Statement, *values: Any) -> int:
        """Execute once; how many rows it changed."""
        return self._c.execute(statement.sqlite, values).rowcount

    def many(self, statement: Statement, rows: Sequence[Row]) -> int:
        """Execute for every row, in one call; how many rows all of them changed."""
        return statement.for_rows(self._c, rows) if rows else 0

    def new(self, statement: Statement, rows: Sequence[Row]) -> Collection[Any]:
        """Insert every row that is not there yet; the first values of those that were not."""
        return insert_new(self._c, statement.sqlite, statement.binds[0], rows)

    def numbered(self, statement: Statement, rows: Sequence[Row]) -> Sequence[int]:
        """Insert every row; the numbers that the database gave them, in order."""
        if not rows:
            return range(0)
        statement.for_rows(self._c, rows)
        (last,) = self._c.execute("SELECT last_insert_rowid()").fetchone()  # ours alone, so the numbers have no holes
        return range(last - len(rows) + 1, last + 1)

    def list(self, values: Iterable[Any]) -> str:
        """A list as a JSON text, for `json_each`."""
        return orjson.dumps(list(values)).decode()


class SqliteDatabase:
    """The file, and an engine beside it for whoever reads."""

    parallel = 1

    def __init__(self, file: SqliteFile, ours: Ours | None) -> None:
        self._ours = ours
        self._file = file
        self._engine = create_async_engine(f"sqlite+aiosqlite:///{file.path}")

    @classmethod
    async def open(cls, path: Path, ours: Ours | None) -> Self:
        """Open (and create) the file."""
        return cls(await SqliteFile.open(path), ours)

    async def transact(self, first: Callable[[], A], operation: str, work: Callable[[Tx, A], T]) -> T:
        """`work(tx, first())` in one transaction, both on the connection's thread."""

        def both(c: sqlite3.Connection) -> T:
            made = first()
            return transaction(c, operation, lambda tx: work(tx, made), self._stuck)

        return await self._file.run(both)

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection that only reads."""
        return self._engine.connect()

    async def close(self) -> None:
        """Close both connections; the process does not exit before."""
        await self._engine.dispose()
        await self._file.close()

    def _stuck(self, waited_s: float) -> None:
        """The file is locked: end its holder if that is one of ours and frozen inside a transaction (DESIGN 1)."""
        if waited_s >= FROZEN_AFTER_S:
            end_frozen_holder(self._file.path, self._is_ours)

    def _is_ours(self, pid: int, started: int) -> bool:
        return self._has_owned(pid, started) or (self._ours is not None and self._ours(pid, started))

    def _has_owned(self, pid: int, started: int) -> bool:
        uri = f"{self._file.path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as c:
            return c.execute(_OWNED_BY.sqlite, (pid, started)).fetchone() is not None


def transaction(c: sqlite3.Connection, operation: str, work: Callable[[Tx], T], stuck: Callable[[float], None]) -> T:
    """`work(tx)` between BEGIN IMMEDIATE and COMMIT; what SQLite raises becomes what a store raises."""
    try:
        with immediate(c, operation, stuck=stuck):
            return work(SqliteTx(c))
    except Locked as exc:
        raise StoreAway(str(exc)) from exc
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_ERROR:  # waiting would leave the service deaf: nobody mends a schema meanwhile
            raise WrongSchema(f"the store has not the schema of this version: {exc}") from exc
        raise StoreAway(f"the database does not answer: {exc}") from exc
    except sqlite3.ProgrammingError as exc:
        kind = RowRejected if "binding" in str(exc) else StoreAway  # the other one is a closed database
        raise kind(f"the database refuses: {exc}") from exc
    except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError) as exc:
        raise RowRejected(f"the database refuses a row: {exc}") from exc
    except UnicodeEncodeError as exc:
        raise RowRejected("the database refuses a text that is not Unicode") from exc
