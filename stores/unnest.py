"""What PostgreSQL is asked: a statement for one row, and the same for many rows at once, a column an array.

One statement a batch, whatever its length: `executemany` would hide how many rows it changed (DESIGN 1), and a text with
a VALUES of every length would be planned anew for each.
"""

import re
from functools import cache
from typing import NamedTuple

from sqlalchemy.sql.dml import Insert, Update

from stores.statement import POSTGRESQL, Statement

_BIND = re.compile(r"\$(\d+)::(DOUBLE PRECISION|TIMESTAMP WITH(?:OUT)? TIME ZONE|[A-Z]+(?:\([\d, ]+\))?)")
_INSERT = re.compile(r"(INSERT INTO .*? )VALUES \((.*?)\)(?: RETURNING [\w.]+)?( ON CONFLICT .*)?", re.DOTALL)
_UPDATE = re.compile(r"(UPDATE .*? SET .*?)( WHERE .*)", re.DOTALL)
_DELETE = re.compile(r"(DELETE FROM \S+)( WHERE .*)", re.DOTALL)


class Texts(NamedTuple):
    """The SQL of one statement, for one row (a value a bind) or for many (a list a bind)."""

    plain: str
    new: str  # an INSERT that returns the first column of each row that was not there
    numbered: str  # an INSERT that numbers the rows in order and returns the numbers


@cache
def single(statement: Statement) -> str:
    """The SQL for one execution with one value a bind."""
    return statement.sql(POSTGRESQL)


@cache
def of_one(statement: Statement) -> Texts:
    """The SQL for one row, of a plain INSERT, UPDATE or DELETE."""
    one = single(statement)
    if not isinstance(statement.core, Insert):
        return Texts(one, "", "")
    head, values, conflict = _parts(_INSERT, one)
    plain = f"{head}VALUES ({values}){conflict}"
    return Texts(plain, f"{plain} RETURNING {_quoted(statement.binds[0])}", f"{plain} RETURNING {_number(statement.core)}")


@cache
def of_many(statement: Statement) -> Texts:
    """The SQL for any number of rows, of a plain INSERT, UPDATE or DELETE of one."""
    one = single(statement)
    types = [kind for _, kind in _BIND.findall(one)]
    assert len(types) == len(statement.binds), f"a value without a type: {one}"
    columns = ", ".join(f"c{n}" for n in range(1, len(types) + 1))
    arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(types, 1))
    of_row = _BIND.sub(r"new.c\1", one)
    if not isinstance(statement.core, Insert):
        word, pattern = ("FROM", _UPDATE) if isinstance(statement.core, Update) else ("USING", _DELETE)
        head, where = _parts(pattern, of_row)
        return Texts(f"{head} {word} unnest({arrays}) AS new({columns}){where}", "", "")
    head, values, conflict = _parts(_INSERT, of_row)
    rows = f"{head}SELECT {values} FROM unnest({arrays})"
    plain = f"{rows} AS new({columns}){conflict}"
    numbered = f"{rows} WITH ORDINALITY AS new({columns}, n) ORDER BY n RETURNING {_number(statement.core)}"
    return Texts(plain, f"{plain} RETURNING {_quoted(statement.binds[0])}", numbered)


def _parts(pattern: re.Pattern[str], text: str) -> list[str]:
    found = pattern.fullmatch(text)
    assert found, f"no statement of one row: {text}"
    return [part or "" for part in found.groups()]


def _number(core: Insert) -> str:
    (key, *_) = core.table.primary_key.columns  # type: ignore[attr-defined]
    return _quoted(key.name)


def _quoted(name: str) -> str:
    return POSTGRESQL.identifier_preparer.quote(name)
