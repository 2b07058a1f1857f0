"""The log for readers without write permission (CASES B32): works while workers run and when they are stopped, leaves nothing behind.

Reading a WAL database wants a `-shm` file. While the log is in use, the file is opened read-only with that `-shm` read-only
(SQLite builds its index in memory when nobody else has it open), so nothing is made, and no owner or mode is changed.
At rest (`stores.sqlite.is_at_rest`) everything is in the file itself: it is opened as immutable, and an answer counts only
if it is at rest after it too, for then nobody has written meanwhile.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Concatenate, NoReturn, ParamSpec, TypeVar

from bus.errors import BusAway, BusError
from bus.following import follow
from bus.log import READ_BYTES_MAX, READ_LIMIT, GroupRow, TopicSpec
from bus.record import Fence, Outgoing, Record
from bus.sqlite import lease, read, schema
from stores.sqlite import is_at_rest

POLL_S = 0.05  # no FIFO is made, so `wait` looks so often
TRIES = 20  # a worker starts or ends just now
AGAIN_S = 0.01

P = ParamSpec("P")
T = TypeVar("T")


class ReadOnlyBus:
    """See `bus.log.Bus`; what would write raises BusError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: dict[int, int] = {}

    async def open(self) -> None:
        """Look whether the file can be read. Raises BusError with the remedy when it cannot."""
        await self._ask(schema.incarnation)

    async def close(self) -> None:
        """Nothing is kept open between two reads."""

    async def read(self, topic: str, partition: int, offset: int, limit: int = READ_LIMIT, max_bytes: int = READ_BYTES_MAX) -> list[Record]:
        """A run of records from `offset` on."""
        return await self._ask(read.read, topic, partition, offset, limit, max_bytes)

    async def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """(start, end) of each partition."""
        return await self._ask(read.ends, topic)

    async def offset_at(self, topic: str, partition: int, instant_ms: int) -> int | None:
        """The first offset appended at or after the instant."""
        return await self._ask(read.offset_at, topic, partition, instant_ms)

    async def topics(self) -> list[TopicSpec]:
        """All topics, by name."""
        return await self._ask(read.topics)

    async def offsets(self, group: str) -> dict[tuple[str, int], int]:
        """What the group has committed."""
        return await self._ask(read.offsets, group)

    async def lag(self, group: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """How many records the group has not committed."""
        return await self._ask(read.lag, group, list(topics))

    async def groups(self) -> list[GroupRow]:
        """All groups, by name."""
        return await self._ask(lease.groups)

    async def incarnation(self) -> str:
        """The id of this log."""
        return await self._ask(schema.incarnation)

    def follow(self, topics: Sequence[str], start: Mapping[tuple[str, int], int] | None = None) -> AsyncGenerator[list[Record], None]:
        """Runs as they are appended."""
        return follow(self, topics, start)

    async def wait(self, timeout_s: float) -> None:
        """Return when anything was appended since the last call, else after `timeout_s`; looks every 50 ms."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (ends := await self._ask(read.all_ends)) == self._seen and loop.time() < deadline:  # noqa: ASYNC110  (another process appends)
            await asyncio.sleep(min(POLL_S, timeout_s))
        self._seen = ends

    async def append(self, records: Sequence[Outgoing], *, fence: Fence | None = None) -> list[tuple[int, int]]:
        """Raises BusError."""
        self._refuse()

    async def declare(self, topics: Sequence[TopicSpec]) -> None:
        """Raises BusError."""
        self._refuse()

    async def declare_group(self, group: str, topics: Sequence[str]) -> None:
        """Raises BusError."""
        self._refuse()

    async def prune(self, now_ms: int, limit: int = READ_LIMIT) -> int:
        """Raises BusError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise BusError(f"the bus {self.path} was opened to be read only")

    async def _ask(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(self._ask_now, lambda c: work(c, *args, **kwargs))

    def _ask_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        for left in reversed(range(TRIES)):
            at_rest = is_at_rest(self.path)
            try:
                answer = self._with_connection(work, "immutable=1" if at_rest else "readonly_shm=1")
            except sqlite3.DatabaseError as exc:
                if not left:
                    raise self._explained(exc) from exc
            else:
                if not at_rest or is_at_rest(self.path):
                    return answer
            time.sleep(AGAIN_S)
        raise BusAway(f"the bus {self.path} is being opened and closed just now: try again")

    def _with_connection(self, work: Callable[[sqlite3.Connection], T], how: str) -> T:
        c = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&{how}", uri=True, isolation_level=None, timeout=1)
        try:
            return work(c)
        finally:
            c.close()

    def _is_missing(self) -> bool:
        try:
            os.stat(self.path)
        except FileNotFoundError:
            return True
        except OSError:
            return False  # a folder above may not be entered: that is another sentence
        return False

    def _explained(self, exc: sqlite3.DatabaseError) -> BusError:
        if self._is_missing():
            return BusError(f"there is no bus at {self.path}: start `lendbus up` first, or name another folder")
        return BusError(
            f"the bus {self.path} cannot be read ({exc}): ask while a worker runs, or give this user read permission"
            " on its folder, the file, its -wal and its -shm"
        )
