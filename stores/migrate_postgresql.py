"""Migrations of a PostgreSQL store: the database is made when it is missing, and one process at a time changes it.

A store's database is UTF-8 and sorts by code point, as Python and SQLite do: pages of two stores are compared by key.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from stores.migrate import NotAStore
from stores.postgresql_errors import DRIVER_ERRORS, translated
from stores.postgresql_url import connect_arguments, engine_url, parsed
from stores.statement import POSTGRESQL

T = TypeVar("T")

CONNECT_S_MAX: Final = 5.0
ONE_AT_A_TIME: Final = 0x4C656E64627573  # the upgrade's advisory lock
SESSION: Final = {"application_name": "lendbus migrations", "lock_timeout": "30s"}
CODE_POINT_ORDER: Final = ("C", "POSIX", "C.UTF-8", "C.utf8", "ucs_basic")


def upgrade(url: str, change: Callable[[Connection], T]) -> T:
    """Make the database if it is missing, and run `change` in one transaction under the lock. Raises StoreAway, StoreRefused, NotAStore."""
    return _in_a_loop_of_its_own(_upgrade(url, change))


def ask(url: str, question: Callable[[Connection], None]) -> None:
    """Ask a database that may not be there (then nothing is asked). Raises StoreAway, StoreRefused."""
    _in_a_loop_of_its_own(_ask(url, question))


def _in_a_loop_of_its_own(work: Coroutine[Any, Any, T]) -> T:
    """The caller is synchronous, and may be called by a loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _upgrade(url: str, change: Callable[[Connection], T]) -> T:
    if not await _exists(url):
        await _make(url)
        if not await _exists(url):
            raise NotAStore(f"the database {parsed(url).database} was made and is gone again: somebody drops it")
    return await _run(url, change)


async def _ask(url: str, question: Callable[[Connection], None]) -> None:
    if await _exists(url):
        await _run(url, question)


async def _run(url: str, work: Callable[[Connection], T]) -> T:
    engine = create_async_engine(engine_url(url), poolclass=NullPool, connect_args={"server_settings": SESSION})
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({ONE_AT_A_TIME})"))
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


async def _exists(url: str) -> bool:
    """Whether the database is there and can hold a store."""
    try:
        c = await asyncpg.connect(**connect_arguments(url, SESSION), timeout=CONNECT_S_MAX)
    except asyncpg.InvalidCatalogNameError:
        return False
    except DRIVER_ERRORS as exc:
        raise translated(exc, closed=True) from exc
    try:
        encoding, order = await c.fetchrow(
            "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = current_database()"
        )
    finally:
        await c.close()
    if encoding != "UTF8" or order not in CODE_POINT_ORDER:
        raise NotAStore(
            f"the database {parsed(url).database} has encoding {encoding} and sorts by {order}, a store needs UTF8 and C: "
            f"let Lendbus make it, or make it with `createdb -T template0 -E UTF8 -l C {parsed(url).database}`"
        )
    return True


async def _make(url: str) -> None:
    """CREATE DATABASE; whoever else makes it at the same time is as good."""
    name = POSTGRESQL.identifier_preparer.quote_identifier(parsed(url).database or "")
    try:
        c = await asyncpg.connect(**connect_arguments(parsed(url).set(database="postgres"), SESSION), timeout=CONNECT_S_MAX)
        try:
            await c.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
        except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            return
        finally:
            await c.close()
    except DRIVER_ERRORS as exc:
        raise translated(exc, closed=True) from exc
