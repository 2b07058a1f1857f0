"""A service's store: one database, one definition of every statement, a whole batch as one call.

A transaction is a plain function `work(tx, …)` over the small `Tx` below. On SQLite it runs on the connection's
thread (measured: one call a batch is twice as fast as a thread hop a statement); on PostgreSQL the same function will run
over asyncpg inside `AsyncConnection.run_sync`. Gateway and tools read through `Store.reading`, SQLAlchemy async.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

import orjson
from sqlalchemy import bindparam, select
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from stores.process import end_frozen_holder
from stores.runtime import owner
from stores.sqlite import Locked, SqliteFile, immediate
from stores.statement import SQLITE, Statement

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")
Row = tuple[Any, ...]

FROZEN_AFTER_S = 1.0  # a lease: whoever waits to take over has seen the owner's lease run out before
_OWNED_BY = Statement(
    select(owner.c.partition).where(owner.c.pid == bindparam("process"), owner.c.process_start == bindparam("started")),
    "process",
    "started",
)


class StoreAway(Exception):
    """The database cannot be reached or written just now (locked, full, broken disk); nothing was written, try again."""


class RowRejected(Exception):
    """The database refuses a row of this transaction for what it holds; nothing was written."""


class WrongSchema(Exception):
    """The database does not know a table or a column of ours: it was not migrated, or it is not ours. No waiting mends it."""


class StaleVersion(Exception):
    """A row was changed by somebody else since it was loaded; nothing was written."""


class Tx(Protocol):
    """One open transaction. Statements take positional values in the order of their bind names."""

    dialect: Dialect

    def all(self, statement: Statement, *values: Any) -> list[Row]:
        """Every row that the statement returns."""
        ...

    def run(self, statement: Statement, *values: Any) -> int:
        """Execute once; how many rows it changed."""
        ...

    def many(self, statement: Statement, rows: Sequence[Row]) -> int:
        """Execute for every row, in the order given; how many rows all of them changed."""
        ...

    def numbered(self, statement: Statement, rows: Sequence[Row]) -> Sequence[int]:
        """Insert every row; the numbers that the database gave them, in order."""
        ...

    def list(self, values: Iterable[Any]) -> Any:
        """A list as the value of `in_list`'s bind."""
        ...


class SqliteTx:
    """A transaction on a SQLite connection that has taken the write lock."""

    dialect = SQLITE

    def __init__(self, c: sqlite3.Connection) -> None:
        self._c = c

    def all(self, statement: Statement, *values: Any) -> list[Row]:
        """Every row that the statement returns."""
        return self._c.execute(statement.sqlite, values).fetchall()

    def run(self, statement: Statement, *values: Any) -> int:
        """Execute once; how many rows it changed."""
        return self._c.execute(statement.sqlite, values).rowcount

    def many(self, statement: Statement, rows: Sequence[Row]) -> int:
        """Execute for every row, in one call; how many rows all of them changed."""
        return statement.for_rows(self._c, rows) if rows else 0

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


class Store:
    """The open database of one service; `transaction` is the only way to write to it."""

    def __init__(self, service: str, file: SqliteFile, ours: Callable[[int, int], bool] | None = None) -> None:
        self.service = service
        self._ours = ours
        self._file = file
        self._engine = create_async_engine(f"sqlite+aiosqlite:///{file.path}")

    @classmethod
    async def open(cls, service: str, url: str, ours: Callable[[int, int], bool] | None = None) -> Self:
        """Open a service's store by URL; the schema must have been migrated before (`stores.migrate`).

        `ours(pid, start)` knows further processes that may be ended when they stand still with the lock: one that froze
        inside its take-over is no owner yet.
        """
        return cls(service, await SqliteFile.open(sqlite_path(url)), ours)

    @property
    def path(self) -> Path:
        """The file of this store."""
        return self._file.path

    async def transaction(self, operation: str, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(tx, …)` in one durable transaction named after its fault points.

        Raises StoreAway (try again later), RowRejected (never will), or whatever `work` raises; then nothing was written.
        """
        return await self._file.run(lambda c: _transaction(c, operation, lambda tx: work(tx, *args, **kwargs), self._stuck))

    async def prepared(self, first: Callable[[], A], operation: str, work: Callable[[Tx, A], T]) -> T:
        """As `transaction`, of `work(tx, first())`; `first` runs on the connection's thread before the transaction begins.

        What is pure is better made there than beside it: two threads of Python wait for each other (measured: ADR 0006).
        """

        def both(c: sqlite3.Connection) -> T:
            made = first()
            return _transaction(c, operation, lambda tx: work(tx, made), self._stuck)

        return await self._file.run(both)

    def _stuck(self, waited_s: float) -> None:
        """The file is locked: end its holder if that is one of ours and frozen inside a transaction (DESIGN 1)."""
        if waited_s >= FROZEN_AFTER_S:
            end_frozen_holder(self.path, self._is_ours)

    def _is_ours(self, pid: int, started: int) -> bool:
        return self._has_owned(pid, started) or (self._ours is not None and self._ours(pid, started))

    def _has_owned(self, pid: int, started: int) -> bool:
        with contextlib.closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)) as c:
            return c.execute(_OWNED_BY.sqlite, (pid, started)).fetchone() is not None

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for a query function of the gateway or a tool; it never writes."""
        return self._engine.connect()

    async def close(self) -> None:
        """Close both connections; the process does not exit before."""
        await self._engine.dispose()
        await self._file.close()


def _transaction(c: sqlite3.Connection, operation: str, work: Callable[[Tx], T], stuck: Callable[[float], None]) -> T:
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


def sqlite_path(url: str) -> Path:
    """The file that a `sqlite:///…` URL names. Raises ValueError with what to do for any other scheme."""
    prefix, sep, path = url.partition(":///")
    if not sep or prefix.split("+")[0] != "sqlite":
        raise ValueError(f"store URL {url!r}: only sqlite:///PATH yet; PostgreSQL comes with the next issue")
    return Path(path)
