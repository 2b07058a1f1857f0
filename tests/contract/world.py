"""What the contract tests share: records, a store's positions in memory, Apps that end with their test, member processes."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
from faust.types import TP

from bus.app import make_app
from bus.log import Bus
from bus.record import Fence, Headers, Outgoing, Record

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0


def outgoing(
    topic: str, value: bytes | None = b"v", *, key: bytes | None = b"k", headers: Headers = (), partition: int | None = None
) -> Outgoing:
    """A record to append."""
    return Outgoing(topic, key, value, headers, 1_700_000_000_000, partition)


def content(record: Record | Outgoing) -> tuple[bytes | None, bytes | None, Headers, int]:
    """What must survive the trip."""
    return record.key, record.value, record.headers, record.timestamp_ms


async def until(holds: Callable[[], Any], *, patience_s: float = PATIENCE_S) -> Any:
    """Wait for a condition, which may be asynchronous; its value. Fails after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while True:
        value = holds()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {patience_s} s"
        await asyncio.sleep(0.005)


async def read_all(bus: Bus, topic: str) -> list[Record]:
    """Every record of a topic, partition after partition."""
    found: list[Record] = []
    for partition, (start, end) in (await bus.ends(topic)).items():
        at = start
        while at < end and (run := await bus.read(topic, partition, at)):
            found += run
            at = run[-1].offset + 1
    return found


class Remembered:
    """Positions as a store would give them."""

    def __init__(self, positions: Mapping[TP, int] | None = None) -> None:
        self.positions = dict(positions or {})
        self.fences: list[Fence] = []
        self.store = ""
        self.lost: list[set[TP]] = []

    async def identity(self) -> str:
        """Nobody needs to know, unless a test says otherwise."""
        return self.store

    async def assigned(self, tps: set[TP], fence: Fence) -> Mapping[TP, int]:
        """These are ours; what was never positioned begins at 0."""
        self.fences.append(fence)
        return {tp: self.positions.get(tp, 0) for tp in tps}

    async def revoked(self, tps: set[TP]) -> None:
        """The group is somebody else's."""
        self.lost.append(tps)


class Reader:
    """An App with one agent that keeps what it gets; acks at once, or leaves that to the test."""

    def __init__(self, url: str, group: str, topic: str, *, positions: Remembered | None = None, acks: bool = True, **options: Any) -> None:
        self.positions = positions or Remembered()
        self.app: faust.App = make_app(group, url, self.positions, **options)
        self.events: list[Any] = []
        channel = self.app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

        async def take(stream: Any) -> None:
            async for event in stream.noack().events():
                self.events.append(event)
                if acks:
                    event.ack()

        self.app.agent(channel, name=f"{group}.inbox", concurrency=1)(take)

    @property
    def records(self) -> list[Record]:
        """Everything delivered so far, in order of delivery."""
        return [record for event in self.events for record in event.value]

    @property
    def values(self) -> list[bytes | None]:
        """Their values."""
        return [record.value for record in self.records]

    @asynccontextmanager
    async def running(self) -> "AsyncIterator[Reader]":
        """Start the App, and stop it at the end."""
        await self.app.start()
        try:
            yield self
        finally:
            await self.app.stop()


class Member:
    """A real process that copies one topic to another under the group's lease; see `tests/contract/member.py`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, url: str, group: str, source: str, destination: str, store: Path, *, fault: str = "") -> "Member":
        """Start one; it waits as a standby while another has the group."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.contract.member", url, group, source, destination, str(store),
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "LENDBUS_FAULT": fault},
        )  # fmt: skip
        return cls(process)

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(json.loads(line))

    def has_said(self, what: str) -> dict[str, Any] | None:
        """The first line of that kind."""
        return next((line for line in self.said if line["event"] == what), None)

    @property
    def epoch(self) -> int:
        """The last epoch in which it had the group; 0 before the first."""
        return max((int(line["epoch"]) for line in self.said if line["event"] == "active"), default=0)

    async def active(self, after: int = 0) -> int:
        """Wait until it has the group in an epoch after that; its epoch."""
        await until(lambda: self.epoch > after)
        return self.epoch

    def send(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        code = await asyncio.wait_for(self.process.wait(), PATIENCE_S)
        await self._listening
        return code

    async def end(self) -> None:
        """End it whatever it does."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.send_signal(signal.SIGCONT)
        await self.ended()


@asynccontextmanager
async def members() -> AsyncIterator[Callable[..., Awaitable[Member]]]:
    """Starts member processes and ends those that are left."""
    started: list[Member] = []

    async def start(url: str, group: str, source: str, destination: str, store: Path, *, fault: str = "") -> Member:
        member = await Member.start(url, group, source, destination, store, fault=fault)
        started.append(member)
        return member

    try:
        yield start
    finally:
        for member in started:
            await member.end()


async def settled(bus: Bus, *pair: Member) -> tuple[Member, Member]:
    """Wait until one of the two has the group and the other has nothing to do; in this order. On Kafka it may be either."""
    by_pid = {member.process.pid: member for member in pair}

    async def found() -> tuple[Member, ...]:
        for row in await bus.groups():
            if row.pid in by_pid and row.standby == tuple(by_pid.keys() - {row.pid}) and by_pid[row.pid].epoch:
                return by_pid[row.pid], by_pid[row.standby[0]]
        return ()

    owner, other = await until(found)
    return owner, other


def numbered(topic: str, count: int, *, keys: int = 7, first: int = 0) -> list[Outgoing]:
    """Records whose value is their number, over some keys."""
    return [outgoing(topic, str(n).encode(), key=f"key-{n % keys}".encode()) for n in range(first, first + count)]


def check_copied(records: Sequence[Record], count: int) -> None:
    """Every number arrived, and of each key the first occurrences are in order: at least once, nothing overtaken."""
    firsts: dict[bytes | None, list[int]] = {}
    seen: set[bytes | None] = set()
    for record in records:
        if record.value not in seen:
            seen.add(record.value)
            firsts.setdefault(record.key, []).append(int(record.value or b""))
    assert sorted(n for numbers in firsts.values() for n in numbers) == list(range(count))
    for key, numbers in firsts.items():
        assert numbers == sorted(numbers), f"overtaken in {key!r}"
