"""Core statements compiled once a dialect, with positional binds in a known order, for the hot path (DESIGN 5)."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Table, bindparam, delete, insert, literal_column, update
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.dialects.sqlite.aiosqlite import dialect as sqlite_dialect
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import ARRAY, NullType

from stores.sqlite import execute_rows, insert_of

SQLITE: Dialect = sqlite_dialect()
POSTGRESQL: Dialect = asyncpg_dialect()  # type: ignore[no-untyped-call]


class Statement:
    """One statement, defined as Core, run as a compiled string; `binds` is the order of its positional values."""

    __slots__ = ("_several", "binds", "core", "sqlite", "suffix")

    def __init__(self, core: ClauseElement, *binds: str, suffix: str = "", several: Callable[[int], str] | None = None) -> None:
        self.core = core
        self.binds = binds
        self.suffix = suffix
        self.sqlite = self.sql(SQLITE)
        self._several = lru_cache(several) if several else partial(insert_of, self.sqlite) if isinstance(core, Insert) else None

    def for_rows(self, c: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Execute for every row on SQLite, many rows a statement where this is one that can; how many rows all of them changed."""
        if self._several is None:
            return c.executemany(self.sqlite, rows).rowcount
        return execute_rows(c, self.sqlite, self._several, rows)

    def sql(self, dialect: Dialect) -> str:
        """The SQL text for a dialect; asserts that its binds come in the declared order."""
        compiled = self.core.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        order = tuple(getattr(compiled, "positiontup", None) or ())
        assert order == self.binds, f"binds come as {order}, declared as {self.binds}: {compiled}"
        return f"{compiled}{self.suffix}"


class in_list(ColumnElement[bool]):  # noqa: N801 - reads like a Core function
    """`column IN (the values of one bound list)`: one statement text for lists of any length. Bind it with `Tx.list`."""

    inherit_cache = True
    type = NullType()  # type: ignore[assignment] # a Boolean would be rendered as `… = 1`, which uses no index

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.name = name


@compiles(in_list, "sqlite")
def _in_json(element: in_list, compiler: Any, **kw: Any) -> str:
    values = compiler.process(bindparam(element.name), **kw)
    return f"{compiler.process(element.column, **kw)} IN (SELECT value FROM json_each({values}))"


@compiles(in_list)
def _in_array(element: in_list, compiler: Any, **kw: Any) -> str:
    values = compiler.process(bindparam(element.name, type_=ARRAY(element.column.type)), **kw)
    return f"{compiler.process(element.column, **kw)} = ANY ({values})"


def first(query: Select[Any], name: str) -> Select[Any]:
    """The query cut to as many rows as the bind `name` says."""
    return query.limit(bindparam(name, type_=Integer)).offset(literal_column("0"))  # a bound OFFSET would be one value more


def insert_row(table: Table, *, skip: tuple[str, ...] = ()) -> Statement:
    """INSERT of one whole row, values in the order of the table's columns (without `skip`)."""
    names = [c.name for c in table.columns if c.name not in skip]
    return Statement(insert(table).values({n: bindparam(n) for n in names}), *names)


def insert_new_row(table: Table) -> Statement:
    """INSERT of one whole row, in column order; a row that is there already stays as it is."""
    names = [c.name for c in table.columns]
    return Statement(insert(table).values({n: bindparam(n) for n in names}), *names, suffix=" ON CONFLICT DO NOTHING")


def put_row(table: Table) -> Statement:
    """INSERT of one whole row, in column order; a row with its primary key is overwritten. For rows whose actor has the version."""
    names = [c.name for c in table.columns]
    quoted = SQLITE.identifier_preparer.quote
    keys = ", ".join(quoted(c.name) for c in table.primary_key.columns)
    changes = ", ".join(f"{quoted(c.name)} = excluded.{quoted(c.name)}" for c in table.columns if not c.primary_key)
    core = insert(table).values({n: bindparam(n) for n in names})
    return Statement(core, *names, suffix=f" ON CONFLICT ({keys}) DO UPDATE SET {changes}")


def update_version(table: Table) -> Statement:
    """UPDATE of one row by key and version: the new values in column order, then the key, then the version that was loaded.

    The table has one primary key column and a `version`; both sides of `Statement.binds` are checked when it is made.
    """
    (key,) = table.primary_key.columns
    names = [c.name for c in table.columns if not c.primary_key]
    core = update(table).where(key == bindparam("of_key"), table.c.version == bindparam("of_version"))
    quoted = SQLITE.identifier_preparer.quote
    changes = ", ".join(f"{quoted(name)} = new.column{n}" for n, name in enumerate(names, 1))
    which = f"{quoted(table.name)}.{quoted(key.name)} = new.column{len(names) + 1}"
    version = f"{quoted(table.name)}.version = new.column{len(names) + 2}"
    row = f"({', '.join('?' * (len(names) + 2))})"

    def several(count: int) -> str:
        return f"UPDATE {quoted(table.name)} SET {changes} FROM (VALUES {', '.join([row] * count)}) AS new WHERE {which} AND {version}"

    binds = (*(f"new_{n}" for n in names), "of_key", "of_version")
    return Statement(core.values({n: bindparam(f"new_{n}") for n in names}), *binds, several=several)


def delete_version(table: Table) -> Statement:
    """DELETE of one row by key and version."""
    (key,) = table.primary_key.columns
    return Statement(delete(table).where(key == bindparam("of_key"), table.c.version == bindparam("of_version")), "of_key", "of_version")
