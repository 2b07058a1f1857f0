"""Many rows a statement do what one row a statement does: the same table, the same count, the same numbers."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.schema import CreateTable

from stores.sqlite import ROWS_A_STATEMENT, execute_rows, insert_of
from stores.sqlite_store import SqliteTx
from stores.statement import SQLITE, delete_version, insert_new_row, insert_row, update_version

METADATA = MetaData()
thing = Table(
    "thing",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("n", Integer),
    Column("order", LargeBinary),  # a name that SQL knows too
)
line = Table("line", METADATA, Column("id", Integer, primary_key=True), Column("text", Text))

INSERT, INSERT_NEW, UPDATE, DELETE = insert_row(thing), insert_new_row(thing), update_version(thing), delete_version(thing)
LINE = insert_row(line, skip=("id",))
BORDERS = (0, 1, 7, 8, 9, 63, 64, 65, 72, 127, 128, 136, 137, 200)

counts = st.sampled_from(BORDERS) | st.integers(0, 200)
cells = st.none() | st.integers(-(2**63), 2**63 - 1)
blobs = st.none() | st.binary(max_size=5)


def database() -> sqlite3.Connection:
    c = sqlite3.connect(":memory:", isolation_level=None)
    for table in METADATA.sorted_tables:
        c.execute(str(CreateTable(table).compile(dialect=SQLITE)))
    return c


def things(c: sqlite3.Connection) -> list[Any]:
    return c.execute("SELECT * FROM thing ORDER BY id").fetchall()


@settings(max_examples=30)
@given(counts, st.data())
def test_any_number_of_inserted_rows_makes_the_table_that_one_by_one_makes(count: int, data: st.DataObject) -> None:
    rows = [(f"k{n}", n, *data.draw(st.tuples(cells, blobs))) for n in range(count)]
    with closing(database()) as one, closing(database()) as many:
        right = one.executemany(INSERT.sqlite, rows).rowcount if rows else 0
        assert INSERT.for_rows(many, rows) == max(right, 0) == count
        assert things(many) == things(one)


@given(st.lists(st.integers(0, 90), max_size=200))
def test_rows_that_are_there_already_are_skipped_and_not_counted_also_inside_one_statement(keys: list[int]) -> None:
    rows = [(f"k{key}", n, None, None) for n, key in enumerate(keys)]
    with closing(database()) as one, closing(database()) as many:
        for c in (one, many):
            c.executemany(INSERT.sqlite, [(f"k{key}", -1, None, None) for key in range(0, 90, 3)])
        changed = sum(one.execute(INSERT_NEW.sqlite, row).rowcount for row in rows)
        assert INSERT_NEW.for_rows(many, rows) == changed
        assert things(many) == things(one)


@given(st.lists(st.tuples(st.sampled_from(["right", "stale", "gone"]), cells, blobs), max_size=200))
def test_updates_by_version_change_exactly_the_rows_that_have_it_and_count_them(asked: list[tuple[str, Any, Any]]) -> None:
    versions = {"right": 5, "stale": 4, "gone": 5}
    rows = [(6, number, blob, f"{'gone' if what == 'gone' else 'k'}{n}", versions[what]) for n, (what, number, blob) in enumerate(asked)]
    with closing(database()) as one, closing(database()) as many:
        for c in (one, many):
            c.executemany(INSERT.sqlite, [(f"k{n}", 5, 0, b"") for n in range(len(rows) + 1)])
        for row in rows:
            one.execute(UPDATE.sqlite, row)
        assert UPDATE.for_rows(many, rows) == [what for what, _, _ in asked].count("right")
        assert things(many) == things(one)


@given(st.lists(st.sampled_from([5, 5, 4, 6]), max_size=100))
def test_deletes_by_version_leave_what_somebody_else_has_changed(versions: list[int]) -> None:
    with closing(database()) as c:
        c.executemany(INSERT.sqlite, [(f"k{n:03}", 5, 0, b"") for n in range(len(versions))])
        gone = SqliteTx(c).many(DELETE, [(f"k{n:03}", version) for n, version in enumerate(versions)])
        assert gone == versions.count(5)
        assert [row[0] for row in things(c)] == [f"k{n:03}" for n, version in enumerate(versions) if version != 5]


@given(st.lists(counts, min_size=1, max_size=4), st.integers(0, 2**40))
def test_numbered_rows_get_numbers_without_holes_in_the_order_of_the_rows(batches: list[int], before: int) -> None:
    with closing(database()) as c:
        c.execute("INSERT INTO line VALUES(?, 'before')", (before,))
        expected = before + 1
        for batch, count in enumerate(batches):
            texts = [f"{batch}:{n}" for n in range(count)]
            numbers = SqliteTx(c).numbered(LINE, [(text,) for text in texts])
            assert list(numbers) == list(range(expected, expected + count))
            kept = dict(c.execute("SELECT id, text FROM line").fetchall())
            assert [kept[number] for number in numbers] == texts
            expected += count


@pytest.mark.parametrize("count", BORDERS)
def test_rows_go_in_the_largest_statements_first_and_each_row_once(count: int) -> None:
    said: list[str] = []
    with closing(database()) as c:
        c.set_trace_callback(lambda sql: said.append(sql) if sql.startswith("INSERT") else None)
        INSERT.for_rows(c, [(f"k{n:03}", n, None, None) for n in range(count)])
        sizes = [sql.count("('k") for sql in said]
        assert sizes == sorted(sizes, reverse=True) and sum(sizes) == count
        assert set(sizes) <= {*ROWS_A_STATEMENT, 1}
        assert sizes.count(1) < min(ROWS_A_STATEMENT)


@pytest.mark.parametrize("bad", [0, 7, 63, 64, 71, 72, 79], ids=lambda at: f"row {at}")
def test_a_row_that_the_database_refuses_raises_wherever_it_stands(bad: int) -> None:
    rows = [(f"k{n}", None if n == bad else n, None, None) for n in range(80)]
    with closing(database()) as c:
        c.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.IntegrityError, match=r"thing\.version"):
            INSERT.for_rows(c, rows)
        c.execute("ROLLBACK")
        assert things(c) == []


@pytest.mark.parametrize(
    ("one", "three"),
    [
        pytest.param("INSERT INTO t(a) VALUES(?)", "INSERT INTO t(a) VALUES(?), (?), (?)", id="one column"),
        pytest.param("INSERT INTO t VALUES (?, ?)", "INSERT INTO t VALUES (?, ?), (?, ?), (?, ?)", id="a blank after VALUES"),
        pytest.param("INSERT INTO t VALUES(?,?)", "INSERT INTO t VALUES(?,?), (?,?), (?,?)", id="no blanks"),
        pytest.param(
            "INSERT INTO t VALUES(?) ON CONFLICT(a) DO UPDATE SET a=max(a, excluded.a)",
            "INSERT INTO t VALUES(?), (?), (?) ON CONFLICT(a) DO UPDATE SET a=max(a, excluded.a)",
            id="an upsert keeps its tail",
        ),
        pytest.param("INSERT INTO t VALUES(?)\nRETURNING id", "INSERT INTO t VALUES(?), (?), (?)\nRETURNING id", id="lines"),
        pytest.param('INSERT INTO "VALUES"(a) VALUES (?)', 'INSERT INTO "VALUES"(a) VALUES (?), (?), (?)', id="a table named VALUES"),
    ],
)
def test_the_insert_of_several_rows_follows_from_that_of_one(one: str, three: str) -> None:
    assert insert_of(one, 3) == three
    assert insert_of(one, 1) == one


@pytest.mark.parametrize(
    "text",
    ["UPDATE t SET a=? WHERE b=?", "INSERT INTO t SELECT ?, ?", "INSERT INTO t DEFAULT VALUES", "INSERT INTO t VALUES(1, ?)", ""],
    ids=["update", "select", "defaults", "a constant", "nothing"],
)
def test_what_is_no_insert_of_one_bound_row_is_not_multiplied(text: str) -> None:
    with pytest.raises(AssertionError, match="no INSERT of one row"):
        insert_of(text, 8)


def test_nothing_to_execute_asks_the_database_nothing() -> None:
    said: list[str] = []
    with closing(database()) as c:
        c.set_trace_callback(said.append)
        assert execute_rows(c, INSERT.sqlite, lambda _: "not SQL", []) == 0
    assert said == []
