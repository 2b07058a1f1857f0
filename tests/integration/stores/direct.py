"""A store's database as somebody else sees it: SQL on a connection of its own."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from stores.engine import is_postgresql, sqlite_path
from tests.postgresql_server import in_a_loop, sql

T = TypeVar("T")


def execute(url: str, *statements: str) -> list[Any]:
    """Execute statements, durable each; the rows of the last one, as tuples."""
    if is_postgresql(url):
        return sql(url, *statements)
    with closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as c:
        rows: list[Any] = []
        for statement in statements:
            rows = c.execute(statement).fetchall()
        return rows


def inspected(url: str, question: Callable[[Connection], T]) -> T:
    """What a function of SQLAlchemy's sees on a connection."""

    async def ask() -> T:
        engine = create_async_engine(url.replace("sqlite://", "sqlite+aiosqlite://"))
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(question)
        finally:
            await engine.dispose()

    return in_a_loop(ask)


sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
postgresql_only = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
