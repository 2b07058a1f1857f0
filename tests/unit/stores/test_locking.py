"""The write lock: one transaction is whole or nothing, a waiter waits its time and tells, and only a lock is waited for."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from config import faults
from stores import sqlite
from stores.engine import RowRejected, StoreAway, Tx, WrongSchema, sqlite_path
from stores.sqlite import LOCK_POLL_PATIENT_S, LOCK_POLL_S, Locked, begin_when_free, immediate, is_at_rest
from stores.sqlite_store import transaction


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, nap_s: float) -> None:
        self.naps.append(nap_s)
        self.now_s += nap_s


class Held(sqlite3.Connection):
    """A connection whose file somebody else holds for so many asks."""

    refusals: int = 0
    code: int = sqlite3.SQLITE_BUSY
    asked: int = 0

    def execute(self, *given: object) -> sqlite3.Cursor:
        if given[0] == "BEGIN IMMEDIATE":
            self.asked += 1
            if self.asked <= self.refusals:
                raise failure(self.code)
        return super().execute(*given)  # type: ignore[arg-type]


def failure(code: int) -> sqlite3.OperationalError:
    exc = sqlite3.OperationalError("as SQLite says it")
    exc.sqlite_errorcode = code
    return exc


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    ticking = Clock()
    monkeypatch.setattr(sqlite, "time", SimpleNamespace(monotonic=ticking.monotonic, sleep=ticking.sleep))
    return ticking


@pytest.fixture
def c() -> Iterator[Held]:
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Held)
    connection.execute("CREATE TABLE t(x INTEGER NOT NULL)")
    yield connection
    connection.close()


def kept(c: sqlite3.Connection) -> list[int]:
    return [x for (x,) in c.execute("SELECT x FROM t ORDER BY x").fetchall()]


@pytest.mark.parametrize("refusals", [0, 1, 5, 999])
def test_a_waiter_asks_again_until_the_file_is_free(c: Held, clock: Clock, refusals: int) -> None:
    c.refusals = refusals
    begin_when_free(c, wait_s=30)
    assert c.in_transaction and c.asked == refusals + 1
    assert clock.naps == [LOCK_POLL_S] * refusals


@pytest.mark.parametrize("wait_s", [0.0, 0.25, 2.0, 30.0])
def test_a_wait_has_an_end_and_never_much_more(c: Held, clock: Clock, wait_s: float) -> None:
    c.refusals = 10**9
    with pytest.raises(Locked, match=f"locked by somebody else for {wait_s:.0f} s"):
        begin_when_free(c, wait_s=wait_s)
    assert wait_s <= sum(clock.naps) < wait_s + 2 * LOCK_POLL_PATIENT_S
    assert not c.in_transaction


def test_a_long_waiter_looks_less_often(c: Held, clock: Clock) -> None:
    c.refusals = 10**9
    with pytest.raises(Locked):
        begin_when_free(c, wait_s=3)
    assert clock.naps == sorted(clock.naps) and set(clock.naps) == {LOCK_POLL_S, LOCK_POLL_PATIENT_S}


def test_who_may_do_something_about_the_holder_is_told_ten_times_a_second_how_long_it_has_been(c: Held, clock: Clock) -> None:
    told: list[float] = []
    c.refusals = 10**9
    with pytest.raises(Locked):
        begin_when_free(c, wait_s=2, stuck=told.append)
    steps = [later - earlier for earlier, later in zip([0.0, *told], told, strict=False)]
    assert 18 <= len(told) <= 20
    assert all(0.1 <= step < 0.11 for step in steps)


def test_what_is_told_may_free_the_file(c: Held, clock: Clock) -> None:
    def end_the_holder(waited_s: float) -> None:
        if waited_s > 1:
            c.refusals = 0

    c.refusals = 10**9
    begin_when_free(c, wait_s=30, stuck=end_the_holder)
    assert c.in_transaction and sum(clock.naps) < 1.2


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        pytest.param(sqlite3.SQLITE_BUSY, True, id="busy"),
        pytest.param(sqlite3.SQLITE_BUSY_SNAPSHOT, True, id="busy snapshot"),
        pytest.param(sqlite3.SQLITE_BUSY_RECOVERY, True, id="busy with recovery"),
        pytest.param(sqlite3.SQLITE_LOCKED, True, id="locked"),
        pytest.param(sqlite3.SQLITE_LOCKED_SHAREDCACHE, True, id="locked in a shared cache"),
        pytest.param(sqlite3.SQLITE_IOERR, False, id="disk error"),
        pytest.param(sqlite3.SQLITE_FULL, False, id="full disk"),
        pytest.param(sqlite3.SQLITE_READONLY, False, id="read only"),
        pytest.param(sqlite3.SQLITE_CANTOPEN, False, id="cannot open"),
        pytest.param(sqlite3.SQLITE_CORRUPT, False, id="damaged"),
        pytest.param(sqlite3.SQLITE_ERROR, False, id="wrong SQL"),
    ],
)
def test_only_a_lock_is_waited_for(c: Held, clock: Clock, code: int, waits: bool) -> None:
    c.refusals, c.code = 3, code
    if waits:
        begin_when_free(c)
        assert c.asked == 4
    else:
        with pytest.raises(sqlite3.OperationalError):
            begin_when_free(c)
        assert c.asked == 1 and clock.naps == []


@pytest.mark.parametrize(
    "exc", [ValueError("mine"), KeyboardInterrupt(), faults.InjectedFault("x"), sqlite3.IntegrityError("its")], ids=type
)
def test_a_block_that_raises_anything_leaves_nothing_and_no_open_transaction(c: Held, exc: BaseException) -> None:
    def block() -> None:
        with immediate(c, "loop.commit"):
            c.execute("INSERT INTO t VALUES(1)")
            raise exc

    with pytest.raises(type(exc)):
        block()
    assert kept(c) == [] and not c.in_transaction
    with immediate(c, "loop.commit"):
        c.execute("INSERT INTO t VALUES(2)")
    assert kept(c) == [2] and not c.in_transaction


def test_a_block_that_has_rolled_back_itself_hides_no_error(c: Held) -> None:
    def block() -> None:
        with immediate(c, "loop.commit"):
            c.execute("INSERT INTO t VALUES(1)")
            c.execute("INSERT OR ROLLBACK INTO t VALUES(NULL)")

    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"):
        block()
    assert kept(c) == [] and not c.in_transaction


@pytest.mark.parametrize("operation", faults.OPERATIONS)
@pytest.mark.parametrize(("side", "stays"), [("before", []), ("after", [1])], ids=["before", "after"])
def test_the_commit_lies_between_the_two_points_of_its_operation(c: Held, operation: str, side: str, stays: list[int]) -> None:
    with (
        faults.installed(faults.parse(f"{operation}.{side}:raise")),
        pytest.raises(faults.InjectedFault),
        immediate(c, operation),
    ):
        c.execute("INSERT INTO t VALUES(1)")
    assert kept(c) == stays and not c.in_transaction


def test_an_operation_without_points_commits_nothing(c: Held) -> None:
    with pytest.raises(AssertionError, match="undeclared fault operation"), immediate(c, "loop.comit"):
        c.execute("INSERT INTO t VALUES(1)")
    assert kept(c) == []


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        pytest.param(failure(sqlite3.SQLITE_ERROR), WrongSchema, id="no such table"),
        pytest.param(failure(sqlite3.SQLITE_ERROR | 3 << 8), WrongSchema, id="an extended code of it"),
        pytest.param(failure(sqlite3.SQLITE_IOERR_WRITE), StoreAway, id="disk error"),
        pytest.param(failure(sqlite3.SQLITE_FULL), StoreAway, id="full disk"),
        pytest.param(failure(sqlite3.SQLITE_CANTOPEN), StoreAway, id="cannot open"),
        pytest.param(failure(sqlite3.SQLITE_READONLY), StoreAway, id="read only"),
        pytest.param(failure(sqlite3.SQLITE_BUSY), StoreAway, id="busy inside"),
        pytest.param(Locked("for 30 s"), StoreAway, id="locked"),
        pytest.param(sqlite3.ProgrammingError("Cannot operate on a closed database."), StoreAway, id="closed"),
        pytest.param(sqlite3.ProgrammingError("Error binding parameter 3: type 'list' is not supported"), RowRejected, id="no type"),
        pytest.param(sqlite3.IntegrityError("UNIQUE constraint failed"), RowRejected, id="unique"),
        pytest.param(sqlite3.DataError("string or blob too big"), RowRejected, id="too big"),
        pytest.param(sqlite3.InterfaceError("bad value"), RowRejected, id="bad value"),
        pytest.param(OverflowError("Python int too large to convert to SQLite INTEGER"), RowRejected, id="too large a number"),
        pytest.param(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), RowRejected, id="surrogate"),
        pytest.param(ZeroDivisionError("of the caller"), ZeroDivisionError, id="of the caller"),
    ],
)
def test_what_the_database_says_is_turned_into_what_to_do(c: Held, raised: Exception, said: type[Exception]) -> None:
    def work(tx: Tx) -> None:
        raise raised

    with pytest.raises(said) as caught:
        transaction(c, "loop.commit", work, lambda _: None)
    assert caught.value is raised or caught.value.__cause__ is raised
    assert not c.in_transaction


@pytest.mark.parametrize(
    "url",
    ["postgresql://db/x", "sqlite://x", "sqlite:x", "", "x.db", "sqlitex:///y", "SQLITE:///y", "+sqlite:///y"],
    ids=lambda url: url or "empty",
)
def test_a_store_that_is_no_file_is_refused_with_what_is_possible(url: str) -> None:
    with pytest.raises(ValueError, match="it is sqlite:///PATH"):
        sqlite_path(url)


@pytest.mark.parametrize(
    ("wal", "shm", "rests"),
    [
        pytest.param(None, False, True, id="nothing beside it"),
        pytest.param(None, True, True, id="an shm alone"),
        pytest.param(b"", False, True, id="an empty wal"),
        pytest.param(b"", True, False, id="an empty wal that somebody may have open"),
        pytest.param(b"frames", False, False, id="a wal that was left"),
        pytest.param(b"frames", True, False, id="a wal in use"),
    ],
)
def test_a_file_is_at_rest_when_everything_stands_in_it(tmp_path: Path, wal: bytes | None, shm: bool, rests: bool) -> None:
    path = tmp_path / "x.db"
    path.touch()
    if wal is not None:
        Path(f"{path}-wal").write_bytes(wal)
    if shm:
        Path(f"{path}-shm").touch()
    assert is_at_rest(path) is rests
