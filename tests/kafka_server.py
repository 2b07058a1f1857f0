"""A real Kafka for tests: one broker a session, shared by xdist's workers, and brokers of a test's own to be hurt.

`kafka_url` is a bus of the test's own on the shared broker: a namespace whose topics are deleted afterwards. LENDBUS_TEST_KAFKA
names a broker that runs already. The session's broker ends with the session, in the process that began it.
"""

import asyncio
import fcntl
import os
import signal
import sys
import threading
import uuid
from collections.abc import Coroutine, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from bus.kafka.local import jars, launch
from bus.kafka.local.answering import until_ready
from bus.kafka.local.errors import LocalKafkaError, Unfit
from bus.kafka.local.java import Java, find_java
from bus.kafka.local.place import LOOPBACK, Place, Running
from tests.conftest import required

ADDRESS_VARIABLE = "LENDBUS_TEST_KAFKA"
DELETE_S_MAX = 20.0
START_S_MAX = 120.0
GIVEN_S_MAX = 30.0
FOLDER = "kafka"
ROOT = Path(__file__).resolve().parent.parent

# A session that is killed ends nothing: this process waits for its end, or the broker's, whichever comes first.
GUARD = """
import os, select, sys
from pathlib import Path
from bus.kafka.local import launch
from bus.kafka.local.place import Place

place, session = Place(Path(sys.argv[1])), int(sys.argv[2])
running = place.running()
if running is not None:
    try:
        ends = [os.pidfd_open(session), os.pidfd_open(running.pid)]
        select.select(ends, [], [])
    except ProcessLookupError:
        pass
    if place.running() == running:
        launch.end(place, running, print, within_s=0)
"""

T = TypeVar("T")


@cache
def kit() -> tuple[Java, list[Path]]:
    """Java and the jars, fetched if they have to be. Raises Unfit with what the machine lacks."""
    java = find_java()
    return java, jars.found() or jars.fetch(java)


class Broker:
    """A broker of a test's own, to be stopped, frozen and killed; a start after the first has the same records and the same port."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder)
        self.port = 0
        self.running: Running | None = None
        self.also: dict[str, str] = {}  # more settings, from the next start on

    @property
    def address(self) -> str:
        """host:port; the same before and after every restart."""
        self.port = self.port or launch.free_port()
        return f"{LOOPBACK}:{self.port}"

    def url(self, namespace: str = "") -> str:
        """As `connect` takes it."""
        return f"kafka://{self.address}/{namespace}".rstrip("/")

    async def start(self) -> None:
        """Start it and wait until it answers."""
        await self.begin()
        assert self.running is not None
        await launch.ready(self.place, self.running, START_S_MAX)

    async def begin(self) -> None:
        """Start its process; it answers a few seconds later."""
        assert self.running is None, "it runs already"
        _ = self.address
        self.place.make()
        self.running = await asyncio.to_thread(launch.start, self.place, *kit(), port=self.port, java_flags=launch.QUICK, also=self.also)
        guard(self.place, os.getpid())

    async def stop(self) -> None:
        """End it as an operator does: it says goodbye to its clients and writes everything down."""
        await self._end(launch.STOP_S_MAX)

    async def kill(self) -> None:
        """SIGKILL; returns when it has ended."""
        await self._end(0)

    def freeze(self) -> None:
        """SIGSTOP: connections stay, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    async def restart(self) -> None:
        """Stop and start it on the same records and port."""
        await self.stop()
        await self.start()

    async def renew(self) -> None:
        """Another cluster, empty, at the same port."""
        if self.running is not None:
            await self.kill()
        self.place = Place(self.place.folder.with_name(f"{self.place.folder.name}-{uuid.uuid4().hex[:6]}"))
        await self.start()

    async def end(self) -> None:
        """Let nothing of it run on, whatever state it is in."""
        if self.running is not None:
            await self.kill()

    async def _end(self, within_s: float) -> None:
        assert self.running is not None, "it does not run"
        running, self.running = self.running, None
        await asyncio.to_thread(launch.end, self.place, running, print, within_s)

    def _signal(self, number: signal.Signals) -> None:
        assert self.running is not None, "it does not run"
        os.kill(self.running.pid, number)


def guard(place: Place, session: int) -> None:
    """Have the broker ended when the process `session` is no more, however it ended."""
    command = [sys.executable, "-c", GUARD, str(place.folder), str(session)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    os.posix_spawn(command[0], command, environment, file_actions=silent, setsid=True)


def apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own thread: a fixture's caller may have a loop already."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(asyncio.run(work)))
    thread.start()
    thread.join()
    assert results, "what failed has been printed by its thread"
    return results[0]


def needed() -> None:
    """Skip without Java or jars, with the reason; in CI fail."""
    try:
        kit()
    except Unfit as exc:
        required("Kafka", None, str(exc))


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """host:port of the broker that all tests share."""
    if given := os.environ.get(ADDRESS_VARIABLE):
        apart(until_ready(given, GIVEN_S_MAX, lambda: True))
        return given
    needed()
    root = tmp_path_factory.getbasetemp()
    place = Place((root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / FOLDER)
    place.make()
    with (place.folder / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = place.running()
        if running is None:
            running = launch.start(place, *kit(), port=0, java_flags=launch.QUICK)
            guard(place, os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid())
            apart(launch.ready(place, running, START_S_MAX))
        return running.address


@pytest.fixture
def kafka_url(kafka_server: str) -> Iterator[str]:
    """A bus of the test's own: a fresh namespace on the shared broker."""
    namespace = f"t{uuid.uuid4().hex[:12]}"
    yield f"kafka://{kafka_server}/{namespace}"
    apart(delete_topics(kafka_server, namespace))  # with what a bank beside it has made


@pytest.fixture
def kafka_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of the test's own, not started yet; ended with the test."""
    needed()
    broker = Broker(tmp_path / FOLDER)
    yield broker
    apart(broker.end())


async def delete_topics(address: str, prefix: str) -> None:
    """Delete every topic whose name begins so."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    async with asyncio.timeout(DELETE_S_MAX):
        await admin.start()
        try:
            if mine := [name for name in await admin.list_topics() if name.startswith(prefix)]:
                await admin.delete_topics(mine)
        finally:
            await admin.close()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The process that began the session ends its broker: with xdist the controller, when no worker needs it any more."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    if hasattr(session.config, "workerinput") or getattr(factory, "_basetemp", None) is None:
        return
    place = Place(factory.getbasetemp() / FOLDER)  # type: ignore[union-attr]  # it has a folder, so it is there
    try:
        if (running := place.running()) is not None:
            launch.end(place, running, print, within_s=0)
    except LocalKafkaError as exc:
        session.config.issue_config_time_warning(UserWarning(str(exc)), stacklevel=2)
