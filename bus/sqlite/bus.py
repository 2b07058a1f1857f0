"""The embedded bus: `bus.log.Bus` over one SQLite file that several processes share."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from bus.errors import BusError
from bus.following import follow
from bus.log import READ_BYTES_MAX, READ_LIMIT, GroupRow, TopicSpec
from bus.record import Fence, Outgoing, Record
from bus.sqlite import lease, read, write
from bus.sqlite.file import APPEND_WAIT_S, LogFile
from bus.sqlite.membership import Membership

OFFSETS_WAIT_S = 1.0  # offsets are committed again a second later
PRUNE_WAIT_S = 0.5


class SqliteBus:
    """See `bus.log.Bus`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shared: LogFile | None = None
        self._opening = asyncio.Lock()
        self._heard: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()

    @property
    def file(self) -> LogFile:
        """The open file. Raises BusError before `open` and after `close`."""
        if self._shared is None:
            raise BusError(f"the bus {self.path} is not open")
        return self._shared

    async def open(self) -> None:
        """Open the file, or share what this loop has open of it already."""
        async with self._opening:
            if self._shared is None:
                shared = LogFile.shared(self.path)
                await shared.open()
                self._shared = shared

    async def close(self) -> None:
        """Let go of the file; the last one closes it."""
        if self._shared is not None:
            shared, self._shared = self._shared, None
            await shared.close()

    async def append(self, records: Sequence[Outgoing], *, fence: Fence | None = None) -> list[tuple[int, int]]:
        """Append all or nothing, durably, together with whoever else appends in this process just now."""
        return await self.file.append(list(records), fence) if records else []

    async def read(self, topic: str, partition: int, offset: int, limit: int = READ_LIMIT, max_bytes: int = READ_BYTES_MAX) -> list[Record]:
        """A run of records from `offset` on."""
        return await self.file.ask(read.read, topic, partition, offset, limit, max_bytes)

    async def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """(start, end) of each partition."""
        return await self.file.ask(read.ends, topic)

    async def offset_at(self, topic: str, partition: int, instant_ms: int) -> int | None:
        """The first offset appended at or after the instant."""
        return await self.file.ask(read.offset_at, topic, partition, instant_ms)

    async def topics(self) -> list[TopicSpec]:
        """All topics, by name."""
        return await self.file.ask(read.topics)

    async def declare(self, topics: Sequence[TopicSpec]) -> None:
        """Make what is missing."""
        await self.file.write(write.declare, topics, wait_s=APPEND_WAIT_S, stuck=self.file.stuck)

    async def declare_group(self, group: str, topics: Sequence[str]) -> None:
        """Say which topics a group consumes."""
        await self.file.write(write.declare_group, group, topics, wait_s=APPEND_WAIT_S, stuck=self.file.stuck)

    async def offsets(self, group: str) -> dict[tuple[str, int], int]:
        """What the group has committed."""
        return await self.file.ask(read.offsets, group)

    async def commit_offsets(self, fence: Fence, offsets: Mapping[tuple[str, int], int], *, exactly: bool = False) -> None:
        """Commit the group's offsets under the fence; only with `exactly` may one go back. Raises LostLease."""
        await self.file.write(write.commit_offsets, fence, offsets, exactly=exactly, wait_s=OFFSETS_WAIT_S, stuck=self.file.stuck)

    async def lag(self, group: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """How many records the group has not committed."""
        return await self.file.ask(read.lag, group, list(topics))

    async def groups(self) -> list[GroupRow]:
        """All groups, by name."""
        return await self.file.ask(lease.groups)

    async def wait(self, timeout_s: float) -> None:
        """Return when anything was appended since this task's last `wait`; the first one returns at once."""
        task = asyncio.current_task()
        assert task is not None, "wait is awaited in a task"
        self._heard[task] = await self.file.changed(self._heard.get(task, -1), timeout_s)

    def follow(self, topics: Sequence[str], start: Mapping[tuple[str, int], int] | None = None) -> AsyncGenerator[list[Record], None]:
        """Runs as they are appended."""
        return follow(self, topics, start)

    async def incarnation(self) -> str:
        """The id of this log."""
        return self.file.incarnation

    async def prune(self, now_ms: int, limit: int = READ_LIMIT) -> int:
        """One small step of retention."""
        return await self.file.write(write.prune, now_ms, limit, wait_s=PRUNE_WAIT_S, stuck=self.file.stuck)

    def member(self, group: str) -> Membership:
        """A new member of a group, which has not joined yet."""
        return Membership(self.file, group)

    async def partitions(self, topic: str) -> dict[int, int]:
        """Number → id in the file of a topic's partitions; empty for an unknown topic."""
        return await self.file.ask(read.partitions, topic)

    def __repr__(self) -> str:
        return f"<SqliteBus {os.fspath(self.path)}>"
