"""A service's store: one database, one definition of every statement, a whole batch as one call.

A transaction is a plain function `work(tx, …)` over the small `Tx` below. On SQLite (`stores.sqlite_store`) it runs on the
connection's thread (measured: one call a batch is twice as fast as a thread hop a statement); on PostgreSQL
(`stores.postgresql`) the same function runs in a greenlet over asyncpg. Gateway and tools read through `Store.reading`.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.statement import Statement

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")
Row = tuple[Any, ...]
Ours = Callable[[int, int], bool]  # (pid, start): whether this process may be ended when it stands still with the lock


class StoreAway(Exception):
    """The database cannot be reached or written just now (locked, full, broken disk); nothing was written, try again."""


class OutcomeUnknown(Exception):
    """The connection was lost while COMMIT was under way: like a crash there. Take the partition over anew, do not repeat in place.

    The take-over waits until the lost transaction has ended, so what it reads is the truth, and it sends what that one left behind.
    """


class RowRejected(Exception):
    """The database refuses a row of this transaction for what it holds; nothing was written."""


class WrongSchema(Exception):
    """The database does not know a table or a column of ours: it was not migrated, or it is not ours. No waiting mends it."""


class StoreRefused(Exception):
    """The database server does not let us in, or forbids what we must do. No waiting mends it."""


class StaleVersion(Exception):
    """A row was changed by somebody else since it was loaded; nothing was written."""


class Tx(Protocol):
    """One open transaction. Statements take positional values in the order of their bind names."""

    dialect: Dialect

    def lock(self, partition: int, *, alone: bool) -> None:
        """Hold the partition until the transaction ends: together with others' open transactions, or after all of them, alone.

        Where a database has one writer at a time it is held already.
        """
        ...

    def all(self, statement: Statement, *values: Any) -> list[Row]:
        """Every row that the statement returns."""
        ...

    def run(self, statement: Statement, *values: Any) -> int:
        """Execute once; how many rows it changed."""
        ...

    def many(self, statement: Statement, rows: Sequence[Row]) -> int:
        """Execute for every row, in the order given; how many rows all of them changed."""
        ...

    def new(self, statement: Statement, rows: Sequence[Row]) -> Collection[Any]:
        """Insert, in the order given, every row that is not there yet (an `insert_new_row`); the first values of those that were not.

        Who inserts the same row at the same time waits for the other's COMMIT, so exactly one of them is told that it was new.
        """
        ...

    def numbered(self, statement: Statement, rows: Sequence[Row]) -> Sequence[int]:
        """Insert every row; the numbers that the database gave them, in order."""
        ...

    def list(self, values: Iterable[Any]) -> Any:
        """A list as the value of `in_list`'s bind."""
        ...


class Database(Protocol):
    """What a store stands on; SQLite's and PostgreSQL's are in modules of their own."""

    parallel: int

    async def transact(self, first: Callable[[], A], operation: str, work: Callable[[Tx, A], T]) -> T:
        """`work(tx, first())` in one durable transaction; `first` runs before it begins. Cancelled, it ends whole all the same."""
        ...

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection that only reads."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Store:
    """The open database of one service; `transaction` is the only way to write to it."""

    def __init__(self, service: str, database: Database) -> None:
        self.service = service
        self._database = database

    @classmethod
    async def open(cls, service: str, url: str, ours: Ours | None = None) -> Self:
        """Open a service's store by URL; the schema must have been migrated before (`stores.migrate`).

        `ours(pid, start)` knows further processes that may be ended when they stand still with a file's lock: one that froze
        inside its take-over is no owner yet. A database server ends the transactions of frozen processes by itself.
        """
        if is_postgresql(url):
            from stores.postgresql import Postgresql

            return cls(service, Postgresql(url, service))
        from stores.sqlite_store import SqliteDatabase

        return cls(service, await SqliteDatabase.open(sqlite_path(url), ours))

    @property
    def parallel(self) -> int:
        """How many transactions of this store may be open at the same time."""
        return self._database.parallel

    async def transaction(self, operation: str, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(tx, …)` in one durable transaction named after its fault points.

        Raises StoreAway (try again later), RowRejected (never will), OutcomeUnknown (take over anew), WrongSchema, StoreRefused, or
        whatever `work` raises; but for OutcomeUnknown nothing was written then. `work` may be run more than once (a deadlock).
        """
        return await self._database.transact(_nothing, operation, lambda tx, _: work(tx, *args, **kwargs))

    async def prepared(self, first: Callable[[], A], operation: str, work: Callable[[Tx, A], T]) -> T:
        """As `transaction`, of `work(tx, first())`; `first` runs on the transaction's thread before the transaction begins.

        What is pure is better made there than beside it: two threads of Python wait for each other (measured: ADR 0006).
        """
        return await self._database.transact(first, operation, work)

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for a query function of the gateway or a tool; it never writes."""
        return self._database.reading()

    async def close(self) -> None:
        """Close every connection; the process does not exit before."""
        await self._database.close()


def _nothing() -> None:
    return None


def is_postgresql(url: str) -> bool:
    """Whether a store URL names a PostgreSQL database."""
    return url.startswith(("postgresql://", "postgresql+asyncpg://"))


def sqlite_path(url: str) -> Path:
    """The file that a `sqlite:///…` URL names. Raises ValueError with what to do for any other scheme."""
    prefix, sep, path = url.partition(":///")
    if not sep or prefix.split("+")[0] != "sqlite":
        raise ValueError(f"store URL {url!r}: it is sqlite:///PATH or postgresql://USER@HOST/NAME")
    return Path(path)
