"""The bank's books as rows of one moment, for `lendbus bank check` and for whoever compares them with the platform's."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bank import queries
from bank.check import Books, broken
from config.settings import Settings
from tools.reading import ask

PAGE: Final = 2_000
Pages = Callable[..., Awaitable[list[Any]]]


async def findings(own: Settings) -> list[dict[str, Any]]:
    """What does not hold, as rows to print. Raises WrongUse when the books cannot be read."""
    return [{"result": "fail", **finding._asdict()} for finding in broken(await books(own))]


async def books(own: Settings) -> Books:
    """The books; on SQLite and PostgreSQL alike in one read transaction."""
    return await ask(own, "bank", read)


async def read(connection: AsyncConnection) -> Books:
    """Every row that a rule looks at."""
    on_sqlite = connection.dialect.name == "sqlite"  # its driver begins nothing for a SELECT
    await connection.execute(text("BEGIN" if on_sqlite else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    return Books(
        balances=await _every(connection, queries.balances_page),
        without_balance=await queries.accounts_without_balance(connection),
        sets=await _every(connection, queries.sets_page),
        requests=await _every(connection, queries.requests_page),
        held=await queries.held_by_member(connection),
        projects=await _every(connection, queries.projects_page),
    )


async def _every(connection: AsyncConnection, page: Pages) -> list[Any]:
    found: list[Any] = []
    while rows := await page(connection, after=found[-1][0] if found else "", limit=PAGE):
        found += rows
    return found
