"""A platform's folder with what a test plants in it, and the command line run in this process or in a real one."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import structlog

from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.runtime.worker import Worker
from agents.users.messages import Register
from bus.connect import connect
from bus.record import Headers, Outgoing
from config.settings import Settings, load
from stores.engine import Store, Tx
from stores.migrate import migrate
from tools import assemble, cli

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]
NOW_MS = 1_795_568_361_844
PROCESS_S = 30


class Ran(NamedTuple):
    """What a command line ended with."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


def a_message(message: Message, key: str, **changes: Any) -> Outgoing:
    """The record of a message."""
    said: dict[str, Any] = {"message_id": str(uuid.uuid4()), "origin": Origin(key, key, "anonymous"), "now_ms": NOW_MS} | changes
    return encode(message, key=key, **said)


def a_register(key: str, login_name: str = "lin") -> Outgoing:
    """The command that begins a registration."""
    sealed = "s1.k1.AAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    lookup = uuid.uuid5(uuid.NAMESPACE_URL, key).hex
    return a_message(
        Register(id=key, login_name=login_name, mobile=sealed, mobile_lookup=lookup, password_hash=sealed, role="investor"), key
    )


def a_record(
    value: bytes | None, *, topic: str = "users.commands", key: bytes | None = b"k", headers: Headers = (), timestamp_ms: int = NOW_MS
) -> Outgoing:
    """A record of any kind."""
    return Outgoing(topic, key, value, headers, timestamp_ms)


class Folder:
    """A data folder with migrated stores and declared topics."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys
        self.settings: Settings = load(data=path, port=0)

    async def make(self) -> None:
        """The key file, then stores and bus, empty."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        assemble.keyring(self.settings)
        for service in assemble.SERVICES:
            migrate(service, self.settings.store_url(service))
        bus = connect(self.settings.bus_url())
        await bus.open()
        await bus.declare(assemble.specs(self.settings))
        await bus.close()

    def run(self, *arguments: str) -> Ran:
        """A command line of this folder, in this process."""
        self._capsys.readouterr()
        code = cli.run([*arguments, "--data", str(self.path)])
        return Ran(code, *self._capsys.readouterr())

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """Its JSON lines; it must end well."""
        ran = self.run(*arguments)
        assert ran.code == 0, ran.err
        return ran.rows

    def append(self, *records: Outgoing) -> None:
        """Put records on the bus."""
        asyncio.run(self._append(records))

    async def _append(self, records: Sequence[Outgoing]) -> None:
        bus = connect(self.settings.bus_url())
        await bus.open()
        try:
            await bus.append(records)
        finally:
            await bus.close()

    def write(self, service: str, work: Callable[[Tx], T]) -> T:
        """One transaction on a store."""
        return asyncio.run(self._write(service, work))

    async def _write(self, service: str, work: Callable[[Tx], T]) -> T:
        store = await Store.open(service, self.settings.store_url(service))
        try:
            return await store.transaction("operator.commit", work)
        finally:
            await store.close()

    def execute(self, service: str, sql: str, *values: Any) -> list[Any]:
        """Plant or read by SQL."""
        return self.write(service, lambda tx: tx._c.execute(sql, values).fetchall())  # type: ignore[attr-defined]

    def work_until(self, condition: Callable[[], Any], services: Sequence[str] = assemble.SERVICES) -> Any:
        """Run the workers until the condition holds, then stop them; its value."""
        return asyncio.run(self._work_until(condition, services))

    async def _work_until(self, condition: Callable[[], Any], services: Sequence[str]) -> Any:
        async with self.working(services):
            return await asyncio.wait_for(holding(condition), PROCESS_S)

    @asynccontextmanager
    async def working(self, services: Sequence[str] = assemble.SERVICES) -> AsyncIterator[list[Worker]]:
        """The workers, running and owners."""
        workers = [assemble.worker(self.settings, name) for name in services]
        await asyncio.gather(*(worker.start() for worker in workers))
        try:
            for worker in workers:
                await worker.wait_until_owner(PROCESS_S)
            yield workers
        finally:
            await asyncio.gather(*(worker.stop() for worker in workers))

    def statuses(self) -> dict[str, str]:
        """Registration → status, by a connection of its own."""
        import sqlite3

        connection = sqlite3.connect(self.path / "users.db", timeout=5)
        try:
            return dict(connection.execute("SELECT id, status FROM registration").fetchall())
        finally:
            connection.close()

    def registered(self, *ids: str, until: str = "CONFIRMED") -> None:
        """Run these registrations to their end."""
        self.append(*(a_register(which, f"name_{n}") for n, which in enumerate(ids)))
        self.work_until(lambda: all(self.statuses().get(which) == until for which in ids))


async def holding(condition: Callable[[], Any]) -> Any:
    """Wait until a condition holds; its value."""
    while not (value := condition()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # the database of another connection has no event
    return value


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A platform's folder, nothing in it yet."""
    monkeypatch.chdir(tmp_path)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))  # what a worker says is none of the output
    made = Folder(tmp_path / "data", capsys)
    asyncio.run(made.make())
    return made


def started(*arguments: str, extra: Mapping[str, str] | None = None, **options: Any) -> "subprocess.Popen[bytes]":
    """A real process of the command line; `extra` is added to its environment."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LENDBUS_")} | {"PYTHONPATH": str(ROOT), **(extra or {})}
    said: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-c", "from tools.cli import main; main()", *arguments], env=environment, **said)


@pytest.fixture
def process() -> Callable[..., "subprocess.Popen[bytes]"]:
    """Starts a real process of the command line."""
    return started
