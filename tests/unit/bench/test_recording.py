"""A recording has every statement that was done, with its values and in its order, file by file; a replay does just those."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.record import Outgoing
from stores.sqlite import SqliteFile
from tools.bench.bare import Call, Recorder, Recording, Sqlite, Step, Where
from tools.bench.load import message

TABLE = "CREATE TABLE thing(id INTEGER PRIMARY KEY, word TEXT)"
INSERT = "INSERT INTO thing VALUES (?, ?)"


def make(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as c:
        c.execute(TABLE)
    return path


def insert(c: sqlite3.Connection, number: int, word: str) -> None:
    c.execute(INSERT, (number, word))


def rows(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as c:
        return c.execute("SELECT id, word FROM thing ORDER BY id").fetchall()


async def replay(recording: Recording, copies: dict[Where, Path]) -> None:
    """On copies of the files."""
    files = {path: Sqlite(copy) for path, copy in copies.items()}
    await recording.replay(files)
    for each in files.values():
        await each.close()


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[SqliteFile]:
    opened = await SqliteFile.open(make(tmp_path / "run.db"))
    yield opened
    await opened.close()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return make(tmp_path / "copy.db")


async def test_a_replay_leaves_the_rows_of_the_run(file: SqliteFile, copy: Path) -> None:
    recording = Recording()
    with recording.running():
        await file.run(insert, 1, "one")
        await file.run(lambda c: c.executemany(INSERT, ((n, "many") for n in range(2, 9))))
        await file.run(lambda c: c.execute("DELETE FROM thing WHERE id = ?", (4,)))
    await replay(recording, {file.path: copy})
    assert rows(copy) == rows(file.path)
    assert len(rows(copy)) == 7


async def test_a_transaction_that_was_rolled_back_leaves_nothing_in_the_replay_either(file: SqliteFile, copy: Path) -> None:
    def half(c: sqlite3.Connection) -> None:
        c.execute("BEGIN IMMEDIATE")
        c.execute(INSERT, (1, "gone"))
        c.execute("ROLLBACK")
        c.execute(INSERT, (2, "stays"))

    recording = Recording()
    with recording.running():
        await file.run(half)
    await replay(recording, {file.path: copy})
    assert rows(copy) == rows(file.path) == [(2, "stays")]


async def test_a_call_that_raised_keeps_what_it_did_before_and_not_what_failed(file: SqliteFile, copy: Path) -> None:
    def broken(c: sqlite3.Connection) -> None:
        c.execute(INSERT, (1, "done"))
        c.execute(INSERT, (1, "again"))

    recording = Recording()
    with recording.running(), pytest.raises(sqlite3.IntegrityError):
        await file.run(broken)
    assert recording.calls == [Call(file.path, [(INSERT, (1, "done"), False)])]
    await replay(recording, {file.path: copy})
    assert rows(copy) == [(1, "done")]


async def test_calls_of_two_files_are_replayed_each_on_its_own_copy(file: SqliteFile, copy: Path, tmp_path: Path) -> None:
    other = await SqliteFile.open(make(tmp_path / "other.db"))
    recording = Recording()
    with recording.running():
        for n in range(4):
            await (file if n % 2 else other).run(insert, n, "x")
    await other.close()
    second = make(tmp_path / "second.db")
    await replay(recording, {file.path: copy, other.path: second})
    assert ([n for n, _ in rows(copy)], [n for n, _ in rows(second)]) == ([1, 3], [0, 2])


async def test_a_file_without_a_copy_is_left_out_of_the_replay(file: SqliteFile, copy: Path) -> None:
    recording = Recording()
    with recording.running():
        await file.run(insert, 1, "x")
    assert await recording.replay({}) >= 0
    assert rows(copy) == []


async def test_after_the_block_nothing_is_recorded_any_more(file: SqliteFile) -> None:
    usual = SqliteFile.run
    recording = Recording()
    with pytest.raises(RuntimeError, match="planted"), recording.running():
        raise RuntimeError("planted")
    assert SqliteFile.run is usual
    await file.run(insert, 1, "x")
    assert recording.calls == []


async def test_what_is_asked_at_once_is_recorded_as_the_file_did_it(file: SqliteFile, copy: Path) -> None:
    recording = Recording()
    with recording.running():
        await asyncio.gather(*(file.run(insert, n % 7, f"{n}") for n in range(20)), return_exceptions=True)
    await replay(recording, {file.path: copy})
    assert rows(copy) == rows(file.path)
    assert len(rows(copy)) == 7


def test_the_answer_and_all_else_of_a_connection_come_through() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as c:
        recorder = Recorder(c, call := Call(None))
        recorder.execute(TABLE)
        assert recorder.executemany(INSERT, [(1, "a"), (2, "b")]).rowcount == 2
        assert recorder.execute("SELECT word FROM thing WHERE id = ?", (2,)).fetchall() == [("b",)]
        assert recorder.total_changes == 2
        assert not recorder.in_transaction
    assert [many for _, _, many in call.steps] == [False, True, False]


def test_rows_that_can_be_read_once_only_are_both_done_and_noted() -> None:
    call = Call(None)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as c:
        c.execute(TABLE)
        Recorder(c, call).executemany(INSERT, iter([(1, "a"), (2, "b")]))
        assert c.execute("SELECT count(*) FROM thing").fetchone() == (2,)
    assert call.steps == [(INSERT, [(1, "a"), (2, "b")], True)]


class Heard:
    """A wire that remembers in which order it was used, together with the databases."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    async def take(self, count: int) -> None:
        self.done.append(("take", count))

    async def do(self, steps: Sequence[Step]) -> None:
        self.done.append(("do", [sql for sql, _, _ in steps]))

    async def say(self, records: Sequence[Outgoing]) -> None:
        self.done.append(("say", [record.key for record in records]))
        assert all(type(record.headers) is list for record in records), "as the driver wants them"


async def test_what_a_call_took_comes_before_its_statements_and_what_it_said_after_them() -> None:
    recording, heard = Recording(), Heard()
    said = [message("a", 1, 7), message("b", 1, 7)]
    recording.calls = [Call(None, [("one", (), False)], 2, said), Call(None, [("two", (), True)]), Call(None, [], 3)]
    await recording.replay({None: heard}, heard)
    assert heard.done == [("take", 2), ("do", ["one"]), ("say", [b"a", b"b"]), ("do", ["two"])]


class Answering:
    """A connection of asyncpg that answers everything."""

    def is_closed(self) -> bool:
        return False

    async def execute(self, sql: str, *values: Any) -> str:
        return f"{sql} {len(values)}"

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        return [sql, *values]


async def test_what_is_asked_of_postgresql_is_noted_in_the_order_in_which_transactions_end() -> None:
    async def transaction(c: Any, operation: str, work: Callable[[Any], Any]) -> Any:
        return await work(c)

    async def slow(c: Any) -> str:
        assert not c.is_closed()
        await c.execute("BEGIN")
        await quick_done.wait()
        return str(await c.execute("slow", 1))

    async def quick(c: Any) -> list[Any]:
        rows: list[Any] = await c.fetch("quick", 2, 3)
        quick_done.set()
        return rows

    quick_done, recording = asyncio.Event(), Recording()
    recorded = recording._postgresql(transaction)
    slowly, quickly = await asyncio.gather(recorded(Answering(), "loop.commit", slow), recorded(Answering(), "loop.commit", quick))
    assert (slowly, quickly) == ("slow 1", ["quick", 2, 3])
    assert [call.steps for call in recording.calls] == [
        [("quick", (2, 3), True)],
        [("BEGIN", (), False), ("slow", (1,), False)],
    ]


async def test_a_transaction_that_failed_handled_nothing() -> None:
    async def transaction(c: Any, operation: str, work: Callable[[Any], Any]) -> Any:
        c.call.taken, c.call.said = 3, [message("a", 1, 7)]
        raise RuntimeError("planted")

    recording = Recording()
    with pytest.raises(RuntimeError, match="planted"):
        await recording._postgresql(transaction)(Answering(), "loop.commit", print)
    assert recording.calls == [Call(None)]


CHANGES = st.one_of(
    st.tuples(st.just("INSERT OR REPLACE INTO thing VALUES (?, ?)"), st.tuples(st.integers(0, 5), st.text(max_size=3)), st.just(False)),
    st.tuples(st.just("DELETE FROM thing WHERE id = ?"), st.tuples(st.integers(0, 5)), st.just(False)),
    st.tuples(
        st.just("INSERT OR IGNORE INTO thing VALUES (?, ?)"),
        st.lists(st.tuples(st.integers(0, 5), st.just("m")), max_size=4),
        st.just(True),
    ),
)


@settings(max_examples=40)
@given(st.lists(CHANGES, max_size=12))
def test_whatever_is_done_through_the_recorder_can_be_done_again_from_its_steps(changes: list[Step]) -> None:
    call = Call(None)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as one, closing(sqlite3.connect(":memory:")) as other:
        one.execute(TABLE)
        other.execute(TABLE)
        recorder = Recorder(one, call)
        for sql, values, many in changes:
            (recorder.executemany if many else recorder.execute)(sql, values)
        for sql, values, many in call.steps:
            (other.executemany if many else other.execute)(sql, values)
        assert list(one.execute("SELECT * FROM thing ORDER BY id")) == list(other.execute("SELECT * FROM thing ORDER BY id"))
    assert call.steps == changes
