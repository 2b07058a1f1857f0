"""An HTTP server's eye on a store: its owner's query functions over a connection that cannot write (DESIGN 3)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from stores.engine import is_postgresql, sqlite_path
from stores.postgresql_url import engine_url

READERS_MAX: Final = 4  # connections, each with a thread
READER_WAIT_S: Final = 5.0  # for one of them
SESSION: Final = {"default_transaction_read_only": "on", "application_name": "lendbus http"}


class StoreUnreadable(Exception):
    """The store cannot be read just now, or is not there yet."""


class StoreReader:
    """Reads the store of the URL, which may come into being later."""

    def __init__(self, url: str) -> None:
        self._on_server = is_postgresql(url)
        self._engine = _server(url) if self._on_server else _file(url)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection in one read transaction: several questions of one moment. Raises StoreUnreadable."""
        try:
            async with self._engine.connect() as connection:
                if not self._on_server:
                    await connection.execute(text("BEGIN"))  # SQLite's driver begins nothing for a SELECT (DESIGN 1)
                yield connection
        except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as exc:
            raise StoreUnreadable(f"{type(exc).__name__}: {exc}".splitlines()[0]) from exc

    async def close(self) -> None:
        """Close the connections; the process does not exit before."""
        await self._engine.dispose()


def _file(url: str) -> AsyncEngine:
    readonly = URL.create("sqlite+aiosqlite", database=sqlite_path(url).absolute().as_uri(), query={"mode": "ro", "uri": "true"})
    return create_async_engine(readonly, pool_size=READERS_MAX, max_overflow=0, pool_timeout=READER_WAIT_S)


def _server(url: str) -> AsyncEngine:
    return create_async_engine(
        engine_url(url),
        pool_size=READERS_MAX,
        max_overflow=0,
        pool_timeout=READER_WAIT_S,
        pool_pre_ping=True,  # a server that was started anew has ended the connections: asked, not found out by a person
        isolation_level="REPEATABLE READ",  # several questions of one moment
        connect_args={"timeout": READER_WAIT_S, "command_timeout": READER_WAIT_S, "server_settings": SESSION},
    )
