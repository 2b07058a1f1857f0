"""The store's transaction: all or nothing, and three errors that say what to do: ask again, never ask again, somebody was first."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from config import faults
from stores import sqlite
from stores.engine import RowRejected, Store, StoreAway, Tx, WrongSchema, sqlite_path
from stores.migrate import migrate
from stores.runtime import meta, outbox
from stores.statement import Statement, in_list, insert_row
from tests.integration.stores.direct import execute, sqlite_only

_META = insert_row(meta)
_OUTBOX = insert_row(outbox, skip=("id", "refused"))


def note(tx: Tx, name: Any, value: Any = "v") -> int:
    return tx.run(_META, name, value)


async def names(store: Store) -> list[str]:
    rows = await store.transaction("loop.commit", lambda tx: tx.all(Statement(meta.select().order_by(meta.c.name))))
    return [row[0] for row in rows]


async def test_what_a_transaction_returns_is_returned_when_it_is_durable(store: Store, store_url: str) -> None:
    assert await store.transaction("loop.commit", note, "a") == 1
    assert execute(store_url, "SELECT name FROM meta") == [("a",)]


@sqlite_only
async def test_a_file_has_a_write_ahead_log(store: Store, store_url: str) -> None:
    assert execute(store_url, "PRAGMA journal_mode") == [("wal",)]


async def test_what_raises_writes_nothing_and_the_store_goes_on(store: Store) -> None:
    def fails(tx: Tx) -> None:
        note(tx, "a")
        raise KeyError("b")

    with pytest.raises(KeyError, match="b"):
        await store.transaction("loop.commit", fails)
    await store.transaction("loop.commit", note, "c")
    assert await names(store) == ["c"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("taken", "v"), ("a", None), ("a", 2**63), ("a", "\ud800"), ("a", object()), ("a", [1])],
    ids=["unique", "not null", "too large", "surrogate", "no type", "list"],
)
async def test_a_row_that_can_never_be_stored_is_rejected(store: Store, name: str, value: object) -> None:
    await store.transaction("loop.commit", note, "taken")
    with pytest.raises(RowRejected, match="the database refuses"):
        await store.transaction("loop.commit", note, name, value)
    assert await names(store) == ["taken"]


@sqlite_only
async def test_a_file_that_somebody_else_has_locked_is_away_and_is_back_later(
    store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite.begin_when_free, "__kwdefaults__", {"wait_s": 0.05, "stuck": None})
    monkeypatch.setattr(sqlite.immediate.__wrapped__, "__kwdefaults__", {"wait_s": 0.05, "stuck": None})  # type: ignore[attr-defined]
    with closing(sqlite3.connect(sqlite_path(store_url), isolation_level=None)) as c:
        c.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreAway, match="locked by somebody else"):
            await store.transaction("loop.commit", note, "a")
        c.execute("ROLLBACK")
    await store.transaction("loop.commit", note, "a")


@sqlite_only
async def test_a_transaction_waits_for_the_files_lock_and_takes_it_when_it_is_free(store: Store, store_url: str) -> None:
    with closing(sqlite3.connect(sqlite_path(store_url), isolation_level=None)) as c:
        c.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.transaction("loop.commit", note, "a"))
        await asyncio.sleep(0)
        assert not waiting.done()
        c.execute("ROLLBACK")
        assert await asyncio.wait_for(waiting, 5) == 1


@sqlite_only
async def test_a_cancelled_transaction_ends_whole_before_the_cancellation_goes_on(store: Store, store_url: str) -> None:
    with closing(sqlite3.connect(sqlite_path(store_url), isolation_level=None)) as c:
        c.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.transaction("loop.commit", note, "a"))
        await asyncio.sleep(0)
        waiting.cancel()
        c.execute("ROLLBACK")
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await names(store) == ["a"]


async def test_a_database_without_its_tables_is_not_waited_for(store_url: str) -> None:
    migrate("accounts", store_url)
    execute(store_url, "DROP TABLE meta")
    store = await Store.open("empty", store_url)
    try:
        with pytest.raises(WrongSchema, match=r"has not the schema of this version: .*meta"):
            await store.transaction("loop.commit", note, "a")
    finally:
        await store.close()


async def test_inserted_rows_get_their_numbers_in_order(store: Store) -> None:
    row = (0, "a", "t", b"k", b"v", b"[]", 1)
    first = await store.transaction("loop.commit", lambda tx: tx.numbered(_OUTBOX, [row] * 3))
    second = await store.transaction("loop.commit", lambda tx: tx.numbered(_OUTBOX, [row] * 2))
    assert list(first) == [1, 2, 3] and list(second) == [4, 5]
    assert list(await store.transaction("loop.commit", lambda tx: tx.numbered(_OUTBOX, []))) == []


async def test_nothing_to_do_many_times_is_nothing(store: Store) -> None:
    assert await store.transaction("loop.commit", lambda tx: tx.many(_META, [])) == 0


@pytest.mark.parametrize(
    "values", [[], ["a"], [f"v{n}" for n in range(5_000)], ['"', "\\", "名", "a'b"]], ids=["none", "one", "many", "odd"]
)
async def test_a_list_holds_anything_and_any_number(store: Store, values: list[str]) -> None:
    await store.transaction("loop.commit", lambda tx: tx.many(_META, [(value, "v") for value in values]))
    found = Statement(meta.select().where(in_list(meta.c.name, "ids")), "ids")
    rows = await store.transaction("loop.commit", lambda tx: tx.all(found, tx.list(values)))
    assert {row[0] for row in rows} == set(values)


@pytest.mark.parametrize(("side", "kept"), [("before", []), ("after", ["a"])])
async def test_dying_at_the_commit_keeps_all_or_nothing(store: Store, side: str, kept: list[str]) -> None:
    def dies(point: str) -> None:
        if point == f"loop.commit.{side}":
            raise faults.InjectedFault(point)

    with faults.installed(dies), pytest.raises(faults.InjectedFault):
        await store.transaction("loop.commit", note, "a")
    assert await names(store) == kept


@sqlite_only
async def test_a_reader_reads_beside_an_open_transaction(store: Store, store_url: str) -> None:
    await store.transaction("loop.commit", note, "a")
    with closing(sqlite3.connect(sqlite_path(store_url), isolation_level=None)) as c:
        c.execute("BEGIN IMMEDIATE")
        c.execute("INSERT INTO meta VALUES ('b', 'v')")
        async with store.reading() as connection:
            assert [row.name for row in (await connection.execute(meta.select())).all()] == ["a"]
        c.execute("ROLLBACK")


@pytest.mark.parametrize("url", ["sqlite:///x/y.db", "sqlite+aiosqlite:///x/y.db"])
def test_a_stores_url_names_its_file(url: str) -> None:
    assert str(sqlite_path(url)) == "x/y.db"
