"""Who lives, who holds a lock, and who may be ended: certain or not at all, so that nobody's process dies on a guess."""

import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stores import process
from stores.process import Process, boot_id, end_frozen_holder, is_alive, this_process, write_lock_holder

ME = this_process()
HOST, BOOT = socket.gethostname(), boot_id()
KERNEL, NAMESPACE = BOOT.split("/", 1)
HOLDER, STARTED = 4_000_001, 77


def stat_line(command: str, state: str, started: int) -> str:
    """A line of /proc/<pid>/stat as proc(5) has it; the start time is its 22nd field."""
    return f"{HOLDER} ({command}) {state} " + " ".join(["1"] * 18) + f" {started} 1 1 1\n"


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc of our own."""
    folder = tmp_path / "proc"
    (folder / str(HOLDER)).mkdir(parents=True)

    def path(text: str) -> Path:
        return folder / text.removeprefix("/proc/") if text.startswith("/proc/") else Path(text)

    monkeypatch.setattr(process, "Path", path)
    return folder


@pytest.mark.parametrize(
    "command",
    ["python", "a b", "a) R 1 (b", "()", ") Z 1 1", "名", "x" * 15],
    ids=["usual", "a blank", "brackets", "only brackets", "looks dead", "Chinese", "long"],
)
@pytest.mark.parametrize("state", ["R", "S", "D", "T", "t", "Z", "X"])
def test_a_commands_name_never_hides_its_state_and_start(proc: Path, command: str, state: str) -> None:
    (proc / str(HOLDER) / "stat").write_text(stat_line(command, state, STARTED))
    assert process.process_state(HOLDER) == state
    assert process.process_start(HOLDER) == STARTED
    assert is_alive(Process(HOLDER, STARTED, BOOT, HOST)) is (state not in "ZX")
    assert is_alive(Process(HOLDER, STARTED + 1, BOOT, HOST)) is False


def test_of_a_pid_that_nobody_has_nothing_is_known(proc: Path) -> None:
    assert process.process_state(HOLDER) is None and process.process_start(HOLDER) is None
    assert is_alive(Process(HOLDER, STARTED, BOOT, HOST)) is False


@pytest.mark.parametrize(
    ("boot", "host", "alive"),
    [
        pytest.param(BOOT, HOST, True, id="this boot"),
        pytest.param(BOOT, "renamed", True, id="this boot under another name of the machine"),
        pytest.param(f"earlier/{NAMESPACE}", HOST, False, id="an earlier boot of this machine"),
        pytest.param(f"other/{NAMESPACE}", "elsewhere", None, id="another machine"),
        pytest.param(f"{KERNEL}/pid:[1]", HOST, None, id="another container on this kernel"),
        pytest.param(f"{KERNEL}/pid:[1]", "container", None, id="another container with a name of its own"),
        pytest.param("", "elsewhere", None, id="nothing that is known"),
    ],
)
def test_only_of_this_boot_and_namespace_is_life_known(boot: str, host: str, alive: bool | None) -> None:
    assert is_alive(Process(ME.pid, ME.started, boot, host)) is alive


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as c:
        c.execute("PRAGMA journal_mode=WAL")
        c.execute("CREATE TABLE t(x)")
        yield path


@pytest.fixture
def inode(database: Path) -> int:
    return os.stat(f"{database}-shm").st_ino


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        pytest.param("1: POSIX  ADVISORY  WRITE {pid} fd:00:{inode} 120 120", True, id="the byte of the write lock"),
        pytest.param("1: POSIX  ADVISORY  WRITE {pid} fd:00:{inode} 0 EOF", True, id="the whole file"),
        pytest.param("1: POSIX  ADVISORY  WRITE {pid} fd:00:{inode} 119 121", True, id="around it"),
        pytest.param("17: POSIX  MANDATORY WRITE {pid} 103:0a:{inode} 120 127", True, id="another device and kind"),
        pytest.param("1: POSIX  ADVISORY  READ  {pid} fd:00:{inode} 120 120", False, id="only to read"),
        pytest.param("1: POSIX  ADVISORY  WRITE {pid} fd:00:{inode} 121 121", False, id="the checkpointer's byte"),
        pytest.param("1: POSIX  ADVISORY  WRITE {pid} fd:00:{inode} 128 EOF", False, id="beyond"),
        pytest.param("1: POSIX  ADVISORY  WRITE {pid} fd:00:{inode}9 120 120", False, id="another file"),
        pytest.param("1: POSIX  ADVISORY  WRITE {pid} fd:00:9{inode} 120 120", False, id="another file that ends alike"),
        pytest.param("1: FLOCK  ADVISORY  WRITE {pid} fd:00:{inode} 0 EOF", False, id="another sort of lock"),
        pytest.param("1: -> POSIX  ADVISORY  WRITE 0 fd:00:{inode} 120 120", False, id="one who waits and has no pid here"),
        pytest.param("1: POSIX  ADVISORY  WRITE 4000001 fd:00:{inode} 120 120", False, id="one who has not the file open"),
        pytest.param("", False, id="nobody"),
    ],
)
def test_the_holder_is_read_from_the_kernels_table(database: Path, inode: int, proc: Path, line: str, holds: bool) -> None:
    (proc / "locks").write_text(f"9: POSIX  ADVISORY  READ  1 fd:00:{inode} 123 123\n{line.format(pid=os.getpid(), inode=inode)}\n")
    assert write_lock_holder(database) == (os.getpid() if holds else None)


def test_without_the_kernels_table_or_the_file_nobody_is_known(database: Path, proc: Path) -> None:
    assert write_lock_holder(database) is None
    (proc / "locks").write_text("")
    assert write_lock_holder(database.with_name("none.db")) is None


def test_this_process_holds_the_lock_exactly_within_its_transaction(database: Path) -> None:
    if not Path("/proc/locks").exists():
        pytest.skip("needs /proc/locks")
    with closing(sqlite3.connect(database, isolation_level=None)) as c:
        assert write_lock_holder(database) is None
        c.execute("BEGIN IMMEDIATE")
        assert write_lock_holder(database) in (os.getpid(), None)  # None: a sandbox that does not tell
        c.execute("ROLLBACK")
        assert write_lock_holder(database) is None


OURS = {(HOLDER, STARTED)}


@pytest.mark.parametrize(
    ("holders", "started", "state", "ours", "even_running", "ended"),
    [
        pytest.param([HOLDER, HOLDER], STARTED, "T", OURS, False, True, id="one of ours, stopped"),
        pytest.param([HOLDER, HOLDER], STARTED, "t", OURS, False, True, id="one of ours, in a debugger"),
        pytest.param([HOLDER, HOLDER], STARTED, "D", OURS, True, True, id="one of ours, running, and the caller knows"),
        pytest.param([HOLDER, HOLDER], STARTED, "D", OURS, False, False, id="one of ours with a slow disk"),
        pytest.param([HOLDER, HOLDER], STARTED, "R", OURS, False, False, id="one of ours at work"),
        pytest.param([HOLDER, HOLDER], STARTED, "T", set(), False, False, id="a stranger, stopped"),
        pytest.param([HOLDER, HOLDER], STARTED, "T", set(), True, False, id="a stranger, whatever the caller knows"),
        pytest.param([HOLDER, HOLDER], STARTED + 1, "T", OURS, False, False, id="a stranger under the pid of one of ours"),
        pytest.param([HOLDER, HOLDER], None, "T", OURS, False, False, id="one that has just gone"),
        pytest.param([HOLDER, HOLDER], STARTED, None, OURS, False, False, id="one whose state is unknown"),
        pytest.param([HOLDER, None], STARTED, "T", OURS, False, False, id="one that let go meanwhile"),
        pytest.param([HOLDER, 5], STARTED, "T", OURS, False, False, id="another holds it meanwhile"),
        pytest.param([None], STARTED, "T", OURS, False, False, id="nobody holds it"),
        pytest.param([os.getpid(), os.getpid()], STARTED, "T", {(os.getpid(), STARTED)}, True, False, id="ourselves"),
    ],
)
def test_a_holder_is_ended_only_when_it_is_ours_and_stands_still(
    monkeypatch: pytest.MonkeyPatch,
    holders: list[int | None],
    started: int | None,
    state: str | None,
    ours: set[tuple[int, int]],
    even_running: bool,
    ended: bool,
) -> None:
    looks, killed = iter(holders), list[tuple[int, int]]()

    def kill(pid: int, start: int) -> bool:
        killed.append((pid, start))
        return True

    monkeypatch.setattr(process, "write_lock_holder", lambda path: next(looks))
    monkeypatch.setattr(process, "process_start", lambda pid: started)
    monkeypatch.setattr(process, "process_state", lambda pid: state)
    monkeypatch.setattr(process, "_kill", kill)
    answer = end_frozen_holder(Path("x.db"), lambda pid, start: (pid, start) in ours, even_running=even_running)
    assert answer == (HOLDER if ended else None)
    assert killed == ([(HOLDER, STARTED)] if ended else [])


@pytest.mark.parametrize(("now", "killed"), [(STARTED, True), (STARTED + 1, False), (None, False)], ids=["same", "reused", "gone"])
def test_a_pid_that_was_given_to_another_is_not_killed(monkeypatch: pytest.MonkeyPatch, now: int | None, killed: bool) -> None:
    sent: list[int] = []
    monkeypatch.setattr(os, "pidfd_open", lambda pid: os.open(os.devnull, os.O_RDONLY))
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda fd, number: sent.append(number))
    monkeypatch.setattr(process, "process_start", lambda pid: now)
    descriptors = len(os.listdir("/proc/self/fd"))
    assert process._kill(HOLDER, STARTED) is killed
    assert sent == ([signal.SIGKILL] if killed else [])
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_where_a_process_cannot_be_named_for_certain_it_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(pid: int) -> int:
        raise ProcessLookupError

    monkeypatch.setattr(os, "pidfd_open", gone)
    assert process._kill(HOLDER, STARTED) is False
    monkeypatch.delattr(os, "pidfd_open")
    assert process._kill(HOLDER, STARTED) is False
