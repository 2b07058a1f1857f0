"""The bare side of `bench loop`: the very statements of a run, recorded, then replayed by raw sqlite3 with nothing around them.

Recording wraps the connections that the store and the bus write through; reads of the bus, leases and idle work included,
so that both sides do the same SQL in the same order. A replay is one thread, one call after the other, on fresh files.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stores.sqlite import SqliteFile

Step = tuple[str, Any, bool]  # SQL, values, many


class Recorder:
    """A connection that notes what it is asked, in order, together with every other one of the run."""

    def __init__(self, connection: sqlite3.Connection, steps: list[Step]) -> None:
        self._c = connection
        self._steps = steps

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        """As the connection's."""
        cursor = self._c.execute(sql, values)
        self._steps.append((sql, values, False))
        return cursor

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        """As the connection's."""
        rows = list(rows)
        cursor = self._c.executemany(sql, rows)
        self._steps.append((sql, rows, True))
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._c, name)


class Recording:
    """The calls of a run: which file, and the steps of one call each."""

    def __init__(self) -> None:
        self.calls: list[tuple[Path, list[Step]]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Record every call of every SqliteFile for the length of the block."""
        usual = SqliteFile.run

        async def recorded(file: SqliteFile, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            steps: list[Step] = []

            def noted(c: sqlite3.Connection) -> Any:
                try:
                    return work(Recorder(c, steps), *args, **kwargs)
                finally:
                    self.calls.append((file.path, steps))

            return await usual(file, noted)

        SqliteFile.run = recorded  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            SqliteFile.run = usual  # type: ignore[method-assign]

    def replay(self, copies: dict[Path, Path]) -> float:
        """Replay on `copies` of the files as they were before the run; seconds from the first statement to the last."""
        connections = {path: _bare(copy) for path, copy in copies.items()}
        calls = [(connections[path], steps) for path, steps in self.calls if path in connections and steps]
        began = time.perf_counter()
        for connection, steps in calls:
            for sql, values, many in steps:
                if many:
                    connection.executemany(sql, values)
                else:
                    connection.execute(sql, values).fetchall()
        seconds = time.perf_counter() - began
        for connection in connections.values():
            connection.close()
        return seconds


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=512)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
