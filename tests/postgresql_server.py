"""A real PostgreSQL for the tests: one server a session, shared by its workers, and a database of its own for each test.

`LENDBUS_TEST_POSTGRESQL=postgresql://user@host:port/postgres` uses one that runs already.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from sqlalchemy import MetaData

from tests.conftest import required

T = TypeVar("T")
START_S = 40.0
ADDRESS = os.environ.get("LENDBUS_TEST_POSTGRESQL", "")
INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))  # Debian's place
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "fsync": "on",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "log_min_messages": "fatal",
}


def bin_folder() -> Path | None:
    """Where `initdb` and `postgres` are; None: not on this machine."""
    found = shutil.which("postgres")
    return Path(found).parent if found else INSTALLED[-1] if INSTALLED else None


def _as_postgres(command: list[str]) -> list[str]:
    """The server refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else command


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@dataclass
class Server:
    """A PostgreSQL server in a folder of its own; its faults are the test's."""

    folder: Path
    port: int = field(default_factory=free_port)
    pid: int = 0

    @property
    def address(self) -> str:
        """The URL of its maintenance database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def url(self, name: str) -> str:
        """The store URL of one of its databases."""
        return store_url(self.address, name)

    def init(self) -> None:
        """Make the cluster."""
        binaries = bin_folder()
        assert binaries
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
            for parent in self.folder.parents:  # pytest's folders are closed to others, who only have to pass through
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        initdb = [str(binaries / "initdb"), "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run(_as_postgres(initdb), check=True, capture_output=True, cwd="/")
        with (self.folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write("".join(f"{name} = '{value}'\n" for name, value in SETTINGS.items()))
            conf.write("unix_socket_directories = ''\n")

    def start(self) -> None:
        """Start it, on the same port as before, and wait until it answers."""
        binaries = bin_folder()
        assert binaries
        start = [
            str(binaries / "pg_ctl"),
            "-D",
            str(self.folder / "data"),
            "-o",
            f"-p {self.port}",
            "-l",
            str(self.folder / "data" / "server.log"),
        ]
        with (self.folder / "pg_ctl.log").open("ab") as said:  # no pipe: the server would inherit it
            done = subprocess.run(
                _as_postgres([*start, "-w", "-t", f"{START_S:.0f}", "start"]), stdout=said, stderr=said, cwd="/", check=False
            )
        assert done.returncode == 0, (self.folder / "data" / "server.log").read_text()[-2000:]
        self.pid = int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends transactions (fast), SIGTERM waits for them, SIGQUIT is a crash that it takes part in."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, how)
        _wait_until_gone([self.pid])

    def kill(self) -> None:
        """kill -9 of the server and every backend: nothing is flushed any more."""
        os.kill(self.pid, signal.SIGSTOP)  # it starts no more of them
        pids = [self.pid, *_children(self.pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _wait_until_gone(pids)  # the memory that they share must be free for the next start
        (self.folder / "data" / "postmaster.pid").unlink()  # a dead process that nobody has asked after still counts as one that runs

    def restart(self) -> None:
        """Stop and start, as an administrator does."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP the server and every backend."""
        for pid in [self.pid, *_children(self.pid)]:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT them."""
        for pid in [self.pid, *_children(self.pid)]:
            os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def _wait_until_gone(pids: Sequence[int]) -> None:
    deadline = time.monotonic() + START_S
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < deadline, f"PostgreSQL did not stop within {START_S} s"
        time.sleep(0.02)


def store_url(address: str, name: str) -> str:
    """The store URL of a database beside the maintenance one."""
    return f"{address.replace('postgresql://', 'postgresql+asyncpg://').rpartition('/')[0]}/{name}"


def in_a_loop(work: Callable[[], Awaitable[T]]) -> T:
    """From anywhere, also where a loop runs."""

    async def run() -> T:
        return await work()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, run()).result()


def sql(url: str, *statements: str) -> list[Any]:
    """Execute statements on a connection of their own; the rows of the last one, as tuples."""

    async def run() -> list[Any]:
        c = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=5)
        try:
            rows: list[Any] = []
            for statement in statements:
                rows = await c.fetch(statement)
            return [tuple(row) for row in rows]
        finally:
            await c.close()

    return in_a_loop(run)


def wipe(url: str, tables: Sequence[MetaData]) -> None:
    """Empty these tables, and number from 1 again; whoever is still connected is cut off."""
    name = url.rpartition("/")[2]
    gone = [f'DELETE FROM "{table.name}"' for metadata in tables for table in reversed(metadata.sorted_tables)]
    sql(
        url,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()",
        f"DO $$ BEGIN {'; '.join(gone)}; PERFORM setval(seqrelid::regclass, 1, false) FROM pg_sequence; END $$",
    )


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """A server of one's own, for faults; gone after the block."""
    required("PostgreSQL", bin_folder(), "its server binaries (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="lendbus-pg-"))
    own = Server(folder)
    try:
        own.init()
        own.start()
        yield own
    finally:
        if own.pid and _lives(own.pid):
            own.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _shared(meeting: Path) -> Iterator[str]:
    """The session's server: made by the first worker that needs it, ended by the last. `meeting` is the workers' common folder."""
    note = meeting / "postgresql.json"

    def users(change: int) -> dict[str, Any]:
        with (meeting / "postgresql.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {"users": 0}
            if known["users"] == 0 and change > 0:
                own = Server(Path(tempfile.mkdtemp(prefix="lendbus-pg-")))
                own.init()
                own.start()
                known = {"users": 0, "folder": str(own.folder), "port": own.port, "pid": own.pid}
            known["users"] += change
            if known["users"] == 0:
                Server(Path(known["folder"]), known["port"], known["pid"]).kill()
                shutil.rmtree(known["folder"], ignore_errors=True)
                note.unlink()
            else:
                note.write_text(json.dumps(known))
            return known

    known = users(+1)
    try:
        yield Server(Path(known["folder"]), known["port"], known["pid"]).address
    finally:
        users(-1)


@pytest.fixture(scope="session")
def postgresql_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running server's maintenance database."""
    if ADDRESS:
        yield ADDRESS
        return
    required("PostgreSQL", bin_folder(), "its server binaries (Debian: postgresql), or LENDBUS_TEST_POSTGRESQL=postgresql://…")
    base = tmp_path_factory.getbasetemp()
    with _shared(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as address:
        yield address


@dataclass
class Databases:
    """Names databases; they are gone after the session."""

    address: str
    names: list[str] = field(default_factory=list)

    def name(self) -> str:
        """A name that no database has yet; whatever is made under it is dropped at the end."""
        self.names.append(f"test_{secrets.token_hex(8)}")
        return self.names[-1]

    def url(self, name: str | None = None) -> str:
        """The store URL of a fresh name."""
        return store_url(self.address, name or self.name())

    def drop(self) -> None:
        """Drop them all, whoever is still connected."""
        sql(self.address, *(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in self.names))
        self.names.clear()


@pytest.fixture(scope="session")
def databases(postgresql_address: str) -> Iterator[Databases]:
    """Fresh databases on the session's server."""
    made = Databases(postgresql_address)
    yield made
    made.drop()


@pytest.fixture
def postgresql_url(databases: Databases) -> str:
    """The store URL of a database that is not there yet."""
    return databases.url()
