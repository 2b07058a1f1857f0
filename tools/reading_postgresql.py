"""A question to a PostgreSQL store, in a session of its own that may not write."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from stores.postgresql_errors import DRIVER_ERRORS
from stores.postgresql_url import engine_url, parsed
from tools.output import WrongUse

T = TypeVar("T")

CONNECT_S_MAX: Final = 5.0
SESSION: Final = {"default_transaction_read_only": "on", "statement_timeout": "30s", "application_name": "lendbus inspector"}
NO_TABLE: Final = "42P01"


async def asked(url: str, service: str, question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """The answer. Raises WrongUse when the database is not there, does not answer, or has no tables yet."""
    engine = create_async_engine(engine_url(url), poolclass=NullPool, connect_args={"server_settings": SESSION, "timeout": CONNECT_S_MAX})
    try:
        async with engine.connect() as connection:
            return await question(connection)
    except (DBAPIError, *DRIVER_ERRORS) as exc:
        raise WrongUse(_remedy(url, service, exc)) from exc
    finally:
        await engine.dispose()


def _remedy(url: str, service: str, exc: BaseException) -> str:
    parts = parsed(url)
    name, server = parts.database, f"{parts.host or 'this machine'}:{parts.port or 5432}"
    first = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    why = str(first).splitlines()[0] if str(first) else type(first).__name__
    state = getattr(first, "sqlstate", None)
    if state == asyncpg.InvalidCatalogNameError.sqlstate:
        return f"nothing here yet: there is no database {name} on {server}; run `lendbus up` first, or name another with --db"
    if state == NO_TABLE:
        return f"the store {name} on {server} has no tables yet or is of another version ({why}): start its worker once, then ask again"
    return f"the store of {service}, database {name} on {server}, cannot be read: {why}; is the server up, may this user read there?"
