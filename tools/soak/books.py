"""Questions to the stages' stores without the runtime's help, the same on both databases; never a change.

A server that is stopped or frozen does not answer: `ask` raises Silent within `ASK_S_MAX`, `told` asks again for a while.
"""

import asyncio
import contextlib
import sqlite3
import time
from typing import Any, Final, Protocol

import asyncpg

from stores.postgresql_errors import DRIVER_ERRORS
from tools.bench.place import Place

ASK_S_MAX: Final = 2.0
TOLD_S_MAX: Final = 20.0
AGAIN_S: Final = 0.1


class Silent(Exception):
    """The store does not answer just now."""


class Books(Protocol):
    """The stores of a run."""

    async def ask(self, name: str, question: str) -> list[Any]:
        """The rows that answer a question to a service's store. Raises Silent."""

    async def close(self) -> None:
        """Let go of them."""


def of(place: Place) -> Books:
    """The stores of a place; each is opened when it is first asked."""
    return FileBooks(place) if place.settings.db_kind == "sqlite" else ServerBooks(place)


class FileBooks:
    """SQLite files: a question is so short that it is asked in the event loop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._open: dict[str, sqlite3.Connection] = {}

    async def ask(self, name: str, question: str) -> list[Any]:
        """The rows. Raises Silent while the file is being made, or recovered by who opened it first."""
        try:
            if name not in self._open:
                self._open[name] = sqlite3.connect(self._place.store_path(name), isolation_level=None, timeout=0)
            return self._open[name].execute(question).fetchall()
        except sqlite3.OperationalError as exc:
            raise Silent(str(exc)) from exc

    async def close(self) -> None:
        """Close every file."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()


class ServerBooks:
    """Databases of a PostgreSQL server, which may be away; a connection each, thrown away after the first failure."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._open: dict[str, asyncpg.Connection] = {}
        self._turn: dict[str, asyncio.Lock] = {}

    async def ask(self, name: str, question: str) -> list[Any]:
        """The rows. Raises Silent while the server is stopped, starting, frozen."""
        async with self._turn.setdefault(name, asyncio.Lock()):  # a connection takes one question at a time
            try:
                async with asyncio.timeout(ASK_S_MAX):
                    return [tuple(row) for row in await (await self._connection(name)).fetch(question)]
            except DRIVER_ERRORS as exc:
                self._drop(name)
                raise Silent(f"{type(exc).__name__}: {exc}") from exc
            except BaseException:
                self._drop(name)
                raise

    async def _connection(self, name: str) -> asyncpg.Connection:
        if name not in self._open:
            url = self._place.store_url(name).replace("postgresql+asyncpg://", "postgresql://", 1)
            self._open[name] = await asyncpg.connect(url, timeout=ASK_S_MAX)
        return self._open[name]

    def _drop(self, name: str) -> None:
        if (connection := self._open.pop(name, None)) is not None:
            connection.terminate()

    async def close(self) -> None:
        """Close every connection; a server that does not answer is not waited for."""
        for name, connection in list(self._open.items()):
            with contextlib.suppress(*DRIVER_ERRORS):
                await connection.close(timeout=ASK_S_MAX)
            self._open.pop(name, None)


async def told(books: Books, name: str, question: str) -> list[Any]:
    """As `ask`, patiently. Raises Silent when there is no answer within `TOLD_S_MAX`."""
    deadline_s = time.monotonic() + TOLD_S_MAX
    while True:
        try:
            return await books.ask(name, question)
        except Silent:
            if time.monotonic() > deadline_s:
                raise
            await asyncio.sleep(AGAIN_S)
