"""Looks on while the soak runs: who owns which partition since when, offsets that go back, the oldest outbox row, sizes of WALs."""

import asyncio
import collections
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any, Final

from bus.errors import BusAway
from bus.log import Bus
from tools.bench.place import Place
from tools.soak.books import Books, Silent
from tools.soak.stage import NAMES

LOOK_S: Final = 0.02
SELDOM_S: Final = 0.2  # between two of the slower looks
OFFSETS_S_MAX: Final = 5.0  # a bus that does not answer is asked again
OWNER = "SELECT epoch, pid, partition FROM owner ORDER BY partition"
OLDEST = "SELECT min(at_ms) FROM outbox WHERE refused IS NULL"


@dataclass(frozen=True, slots=True)
class Change:
    """From `at_s` on (monotonic) this process owned the partition of the stage."""

    at_s: float
    epoch: int
    pid: int
    partition: int = 0


@dataclass
class Watch:
    """What was seen; `run` looks until it is cancelled."""

    place: Place
    bus: Bus
    books: Books
    owners: dict[int, list[Change]] = field(default_factory=lambda: collections.defaultdict(list))
    outbox_age_ms: int = 0
    outbox_age_now_ms: int = 0  # of both stores, at the last look
    wal_bytes: dict[str, int] = field(default_factory=dict)
    went_back: int = 0  # committed offsets
    _now: dict[tuple[int, int], Change] = field(default_factory=dict)  # stage, partition
    _committed: dict[tuple[str, str, int], int] = field(default_factory=dict)

    async def run(self) -> None:
        """Look again and again; a store or a bus that is away holds up the others' looks no longer than its own limit."""
        async with asyncio.TaskGroup() as group:
            for stage in NAMES:
                group.create_task(self._owners(stage))
            group.create_task(self._seldom())
            group.create_task(self._groups())

    def owner(self, stage: int) -> int | None:
        """The pid of the present owner of the stage's first partition that anybody owns."""
        partitions = sorted(partition for of, partition in self._now if of == stage)
        return self._now[stage, partitions[0]].pid if partitions else None

    def held(self, stage: int, pid: int) -> dict[int, int]:
        """The partitions of a stage that this process owns now, with their epochs."""
        return {partition: change.epoch for (of, partition), change in self._now.items() if of == stage and change.pid == pid}

    def owned(self, stage: int) -> int:
        """How many partitions of a stage have ever had an owner."""
        return sum(of == stage for of, _ in self._now)

    def note(self, stage: int, change: Change) -> None:
        """A partition has another owner, or the same one anew."""
        self.owners[stage].append(change)
        self._now[stage, change.partition] = change

    async def look(self, stage: int) -> None:
        """Who owns the stage's partitions now."""
        for epoch, pid, partition in await self._ask(NAMES[stage], OWNER):
            known = self._now.get((stage, partition))
            if known is None or known.epoch != epoch:
                self.note(stage, Change(time.monotonic(), epoch, pid, partition))

    async def look_thoroughly(self) -> None:
        """How long the oldest outbox row waits."""
        ages_ms = [0]
        for name in NAMES.values():
            for (oldest_ms,) in await self._ask(name, OLDEST):
                if oldest_ms is not None:
                    ages_ms.append(time.time_ns() // 1_000_000 - oldest_ms)
        self.outbox_age_now_ms = max(ages_ms)
        self.outbox_age_ms = max(self.outbox_age_ms, self.outbox_age_now_ms)

    def look_at_files(self) -> None:
        """How large the WALs are."""
        for path in self.place.folder.glob("*.db-wal"):
            name = path.name.removesuffix("-wal")
            self.wal_bytes[name] = max(self.wal_bytes.get(name, 0), path.stat().st_size)

    async def look_at_offsets(self) -> None:
        """Whether an offset that a group has committed has gone back."""
        for group in NAMES.values():
            try:
                async with asyncio.timeout(OFFSETS_S_MAX):
                    offsets = await self.bus.offsets(group)
            except (BusAway, TimeoutError):
                continue
            for (topic, partition), offset in offsets.items():
                self.went_back += offset < self._committed.get((group, topic, partition), 0)
                self._committed[group, topic, partition] = offset

    async def _owners(self, stage: int) -> None:
        while True:
            await self.look(stage)
            await asyncio.sleep(LOOK_S)

    async def _seldom(self) -> None:
        while True:
            await self.look_thoroughly()
            self.look_at_files()
            await asyncio.sleep(SELDOM_S)

    async def _groups(self) -> None:
        while True:
            await self.look_at_offsets()
            await asyncio.sleep(SELDOM_S)

    async def _ask(self, name: str, question: str) -> list[Any]:
        with contextlib.suppress(Silent):
            return await self.books.ask(name, question)
        return []
