"""One definition of every statement for both databases: it compiles for each, with its values in the same order."""

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, bindparam, select, update
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.dml import Insert

import agents
import stores
from stores import accounts, custody, repayments, runtime, trading, unnest, users
from stores.actors import Actors
from stores.statement import (
    POSTGRESQL,
    SQLITE,
    Statement,
    delete_version,
    first,
    in_list,
    insert_new_row,
    insert_row,
    update_version,
)

thing = Table("thing", MetaData(), Column("id", Text, primary_key=True), Column("version", Integer), Column("n", Integer))
SERVICES = (accounts.METADATA, custody.METADATA, repayments.METADATA, trading.METADATA, users.METADATA)
SMALL = {"calendar", "calendar_waiting", "business_day"}  # a row or a few, whatever happens
BY_IDS = Statement(select(thing.c.n).where(in_list(thing.c.id, "ids"), thing.c.n > bindparam("least")), "ids", "least")


def modules() -> Iterator[ModuleType]:
    for package in (agents, stores):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in found.name:
                yield importlib.import_module(found.name)


def statements() -> dict[str, Statement]:
    """Every statement of the product, by where it is defined; those of an actor store too."""
    found: dict[str, Statement] = {}
    for module in modules():
        for name, value in vars(module).items():
            if isinstance(value, Statement):
                found[f"{module.__name__}.{name}"] = value
            if isinstance(value, Actors | users.Registrations):
                found |= {f"{module.__name__}.{name}.{path}": s for path, s in inside(value)}
    return found


def inside(value: Any, depth: int = 2) -> Iterator[tuple[str, Statement]]:
    for name, part in vars(value).items():
        if isinstance(part, Statement):
            yield name, part
        elif depth and hasattr(part, "__dict__") and isinstance(part, Actors):
            yield from ((f"{name}.{path}", s) for path, s in inside(part, depth - 1))


STATEMENTS = statements()


def test_every_statement_of_the_product_is_looked_at() -> None:
    assert len(STATEMENTS) >= 50
    assert {
        "agents.runtime.inbox._SEEN",
        "stores.accounts.ACCOUNTS._update",
        "stores.users.REGISTRATIONS._members._update",
    } <= STATEMENTS.keys()


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_compiles_for_both_databases_with_its_values_in_the_same_order(name: str) -> None:
    statement = STATEMENTS[name]
    for dialect, marks in ((SQLITE, r"\?"), (POSTGRESQL, r"\$\d+")):
        text = statement.sql(dialect)
        found = re.findall(marks, text)
        assert len(found) == len(statement.binds), text
    numbers = [int(n) for n in re.findall(r"\$(\d+)", statement.sql(POSTGRESQL))]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.fixture(scope="module")
def schema() -> Iterator[sqlite3.Connection]:
    """A database in memory with every table of the product."""
    connection = sqlite3.connect(":memory:")
    tables = {table.name: table for metadata in SERVICES for table in metadata.sorted_tables}  # calendars are the same in each
    for whole in (runtime.RUNTIME.sorted_tables, tables.values()):
        for table in whole:
            connection.execute(str(CreateTable(table).compile(dialect=SQLITE)))
            for index in table.indexes:
                connection.execute(str(CreateIndex(index).compile(dialect=SQLITE)))
    yield connection
    connection.close()


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_is_understood_by_sqlite_and_reads_no_whole_table_that_grows(name: str, schema: sqlite3.Connection) -> None:
    statement = STATEMENTS[name]
    values = ["[]" if bind in ("ids", "values", "owners", "actors", "seqs", "loans") else 1 for bind in statement.binds]
    plan = [row[3] for row in schema.execute(f"EXPLAIN QUERY PLAN {statement.sqlite}", values)]
    scans = [step for step in plan if step.startswith("SCAN") and "json_each" not in step and "INDEX" not in step]
    grows = {"inbox", "seen", "alias", "claim", "barrier", *(table for metadata in SERVICES for table in metadata.tables)} - SMALL
    assert not [step for step in scans if step.split()[1] in grows]


async def test_every_statement_is_understood_by_postgresql_for_one_row_and_for_many(worn: str) -> None:
    c = await asyncpg.connect(worn.replace("+asyncpg", ""))
    try:
        for name, statement in STATEMENTS.items():
            texts = [unnest.single(statement)]
            if isinstance(statement.core, Insert) or "of_key" in statement.binds:
                texts += [*unnest.of_one(statement), *unnest.of_many(statement)]
            for text in filter(None, texts):
                prepared = await c.prepare(text)
                assert len(prepared.get_parameters()) == len(statement.binds), f"{name}: {text}"
    finally:
        await c.close()


def test_many_rows_are_one_statement_with_a_list_a_value() -> None:
    assert unnest.of_many(insert_new_row(thing)).new == (
        "INSERT INTO thing (id, version, n) SELECT new.c1, new.c2, new.c3 "
        "FROM unnest($1::VARCHAR[], $2::INTEGER[], $3::INTEGER[]) AS new(c1, c2, c3) ON CONFLICT DO NOTHING RETURNING id"
    )
    assert unnest.of_many(delete_version(thing)).plain == (
        "DELETE FROM thing USING unnest($1::VARCHAR[], $2::INTEGER[]) AS new(c1, c2) WHERE thing.id = new.c1 AND thing.version = new.c2"
    )
    assert unnest.of_many(update_version(thing)).plain == (
        "UPDATE thing SET version=new.c1, n=new.c2 FROM unnest($1::INTEGER[], $2::INTEGER[], $3::VARCHAR[], $4::INTEGER[]) "
        "AS new(c1, c2, c3, c4) WHERE thing.id = new.c3 AND thing.version = new.c4"
    )


def test_a_statement_whose_values_are_declared_in_another_order_is_not_made() -> None:
    core = update(thing).where(thing.c.id == bindparam("of")).values(n=bindparam("number"))
    assert Statement(core, "number", "of").binds == ("number", "of")
    for wrong in (("of", "number"), ("number",), ("number", "of", "more")):
        with pytest.raises(AssertionError, match="binds come as"):
            Statement(core, *wrong)


def test_a_list_is_one_value_whatever_its_length() -> None:
    assert BY_IDS.sqlite.count("?") == 2 and "json_each(?)" in BY_IDS.sqlite
    assert "= ANY ($1" in BY_IDS.sql(POSTGRESQL)


def test_a_limit_is_a_value() -> None:
    statement = Statement(first(select(thing.c.n).order_by(thing.c.n), "count"), "count")
    assert statement.sqlite.count("?") == 1 and "$1" in statement.sql(POSTGRESQL)


def test_whole_rows_are_written_in_the_order_of_the_tables_columns() -> None:
    assert insert_row(thing).binds == ("id", "version", "n")
    assert insert_row(thing, skip=("version",)).binds == ("id", "n")
    assert insert_new_row(thing).sqlite.endswith(" ON CONFLICT DO NOTHING")
    assert insert_new_row(thing).sql(POSTGRESQL).endswith(" ON CONFLICT DO NOTHING")


def test_a_versioned_change_names_the_row_by_key_and_the_version_it_was_loaded_with() -> None:
    assert update_version(thing).binds == ("new_version", "new_n", "of_key", "of_version")
    assert delete_version(thing).binds == ("of_key", "of_version")
