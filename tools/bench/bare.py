"""The bare side of `bench loop`: the very statements of a run, recorded, then replayed with nothing around them.

Recording wraps the connections that the store and the embedded bus write through; reads of the bus, leases and idle work
included, so that both sides do the same SQL in the same order (PostgreSQL: in the order in which transactions ended, on one
connection). A replay is plain code, one call after the other, by raw sqlite3 or raw asyncpg, on a database with the same
contents. What a transaction took off the bus and said is noted with it, for a wire that takes and says the same (`wire`).
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from agents.runtime import batch
from bus.record import Outgoing
from stores import postgresql
from stores.postgresql_url import connect_arguments
from stores.sqlite import SqliteFile

Step = tuple[str, Any, bool]  # SQL, values, and whether it is for many rows (SQLite) or returns some (PostgreSQL)
Where = Path | None  # the file, or the one PostgreSQL database of the run


@dataclass
class Call:
    """One call of a database: what it was asked, how many records it handled, and what they made it say."""

    where: Where
    steps: list[Step] = field(default_factory=list)
    taken: int = 0
    said: Sequence[Outgoing] = ()

    def undo(self) -> None:
        """It has failed: nothing was handled."""
        self.taken, self.said = 0, ()


class Recorder:
    """A connection of sqlite3 that notes what it is asked."""

    def __init__(self, connection: sqlite3.Connection, call: Call) -> None:
        self._c = connection
        self.call = call

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        """As the connection's."""
        cursor = self._c.execute(sql, values)
        self.call.steps.append((sql, values, False))
        return cursor

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        """As the connection's."""
        rows = list(rows)
        cursor = self._c.executemany(sql, rows)
        self.call.steps.append((sql, rows, True))
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._c, name)


class PgRecorder:
    """A connection of asyncpg that notes what it is asked."""

    def __init__(self, connection: Any, call: Call) -> None:
        self._c = connection
        self.call = call

    async def execute(self, sql: str, *values: Any, **options: Any) -> str:
        """As the connection's."""
        tag: str = await self._c.execute(sql, *values, **options)
        self.call.steps.append((sql, values, False))
        return tag

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        """As the connection's."""
        rows: list[Any] = await self._c.fetch(sql, *values)
        self.call.steps.append((sql, values, True))
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._c, name)


class Database(Protocol):
    """Where a replay happens."""

    async def do(self, steps: Sequence[Step]) -> None:
        """One call's steps, in order."""


class Wire(Protocol):
    """The bus of a replay, where it is no file."""

    async def take(self, count: int) -> None:
        """As many records off the bus."""

    async def say(self, records: Sequence[Outgoing]) -> None:
        """These onto the bus, durably."""


class Sqlite:
    """A file, by raw sqlite3."""

    def __init__(self, path: Path) -> None:
        self._c = sqlite3.connect(path, isolation_level=None, cached_statements=512)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
            self._c.execute(f"PRAGMA {pragma}")

    async def do(self, steps: Sequence[Step]) -> None:
        """Execute and fetch."""
        for sql, values, many in steps:
            if many:
                self._c.executemany(sql, values)
            else:
                self._c.execute(sql, values).fetchall()

    async def close(self) -> None:
        """Close the file."""
        self._c.close()


class Postgresql:
    """A database, by one connection of raw asyncpg."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._c = connection

    @classmethod
    async def connected(cls, url: str) -> "Postgresql":
        """With the session settings of the store's own connections."""
        return cls(await asyncpg.connect(**connect_arguments(url, postgresql.SETTINGS), **postgresql.CONNECTION))

    async def do(self, steps: Sequence[Step]) -> None:
        """Execute or fetch."""
        c = self._c
        for sql, values, returns in steps:
            await (c.fetch if returns else c.execute)(sql, *values)

    async def close(self) -> None:
        """End the connection."""
        await self._c.close()


class Recording:
    """The calls of a run."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Record every call of every database of this process for the length of the block."""
        with ExitStack() as recorded:
            recorded.enter_context(instead(SqliteFile, "run", self._sqlite(SqliteFile.run)))
            recorded.enter_context(instead(postgresql, "_transaction", self._postgresql(postgresql._transaction)))
            recorded.enter_context(instead(batch, "apply", _noting(batch.apply)))
            yield

    def _sqlite(self, usual: Callable[..., Any]) -> Callable[..., Any]:
        async def run(file: SqliteFile, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            call = Call(file.path)

            def noted(c: sqlite3.Connection) -> Any:
                try:
                    return work(Recorder(c, call), *args, **kwargs)
                except BaseException:
                    call.undo()
                    raise
                finally:
                    self.calls.append(call)

            return await usual(file, noted)

        return run

    def _postgresql(self, usual: Callable[..., Any]) -> Callable[..., Any]:
        async def transaction(c: Any, operation: str, work: Callable[..., Any]) -> Any:
            call = Call(None)
            try:
                return await usual(PgRecorder(c, call), operation, work)
            except BaseException:
                call.undo()
                raise
            finally:
                self.calls.append(call)

        return transaction

    async def replay(self, databases: Mapping[Where, Database], wire: Wire | None = None) -> float:
        """Replay on databases as they were before the run; seconds from the first batch, after the take-over, to the last."""
        calls = [call for call in self.calls if call.where in databases and call.steps]
        for call in calls:
            call.said = [record._replace(headers=list(record.headers)) for record in call.said]
        batches = [n for n, call in enumerate(calls) if call.taken] or [0]
        first, last = batches[0], batches[-1] + 1 if wire else len(calls)  # without a wire, what is said is in later calls
        for call in calls[:first]:
            await databases[call.where].do(call.steps)
        began = time.perf_counter()
        for call in calls[first:last]:
            if wire and call.taken:
                await wire.take(call.taken)
            await databases[call.where].do(call.steps)
            if wire and call.said:
                await wire.say(call.said)
        seconds = time.perf_counter() - began
        for call in calls[last:]:
            await databases[call.where].do(call.steps)
        return seconds


def _noting(usual: Callable[..., Any]) -> Callable[..., Any]:
    def apply(tx: Any, terms: batch.Batch, items: Sequence[Any], rejected: str | None) -> batch.Done:
        done: batch.Done = usual(tx, terms, items, rejected)
        tx._c.call.taken, tx._c.call.said = len(items), [pending.record for pending in done.leaving]
        return done

    return apply


@contextmanager
def instead(place: Any, name: str, other: Any) -> Iterator[None]:
    """Another attribute for the length of the block."""
    usual = getattr(place, name)
    setattr(place, name, other)
    try:
        yield
    finally:
        setattr(place, name, usual)
