"""Looks on while the soak runs: who owns a stage since when, offsets that go back, the oldest outbox row, the sizes of the WALs."""

import asyncio
import collections
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bus.errors import BusAway
from bus.log import Bus
from tools.soak.stage import NAMES

LOOK_S: Final = 0.02
SELDOM: Final = 10  # every so many looks the slower ones
OWNER = "SELECT epoch, pid FROM owner"
OLDEST = "SELECT min(at_ms) FROM outbox WHERE refused IS NULL"


@dataclass(frozen=True, slots=True)
class Change:
    """From `at_s` on (monotonic) this process owned the stage."""

    at_s: float
    epoch: int
    pid: int


@dataclass
class Watch:
    """What was seen; `run` looks until it is cancelled."""

    folder: Path
    bus: Bus
    owners: dict[int, list[Change]] = field(default_factory=lambda: collections.defaultdict(list))
    outbox_age_ms: int = 0
    wal_bytes: dict[str, int] = field(default_factory=dict)
    went_back: int = 0  # committed offsets
    failed: BaseException | None = None
    _committed: dict[tuple[str, str], int] = field(default_factory=dict)

    async def run(self) -> None:
        """Look again and again."""
        stores = {stage: sqlite3.connect(self.folder / f"{name}.db", isolation_level=None, timeout=0) for stage, name in NAMES.items()}
        looks = 0
        try:
            while True:
                for stage, store in stores.items():
                    self._look(stage, store, thoroughly=looks % SELDOM == 0)
                if looks % SELDOM == 0:
                    self._sizes()
                    await self._offsets()
                looks += 1
                await asyncio.sleep(LOOK_S)
        finally:
            for store in stores.values():
                store.close()

    def owner(self, stage: int) -> int | None:
        """The pid of the stage's present owner."""
        changes = self.owners.get(stage)
        return changes[-1].pid if changes else None

    def _look(self, stage: int, store: sqlite3.Connection, *, thoroughly: bool) -> None:
        for epoch, pid in _ask(store, OWNER):
            if not self.owners[stage] or self.owners[stage][-1].epoch != epoch:
                self.owners[stage].append(Change(time.monotonic(), epoch, pid))
        if thoroughly:
            for (oldest_ms,) in _ask(store, OLDEST):
                if oldest_ms is not None:
                    self.outbox_age_ms = max(self.outbox_age_ms, time.time_ns() // 1_000_000 - oldest_ms)

    def _sizes(self) -> None:
        for path in self.folder.glob("*.db-wal"):
            name = path.name.removesuffix("-wal")
            self.wal_bytes[name] = max(self.wal_bytes.get(name, 0), path.stat().st_size)

    async def _offsets(self) -> None:
        for group in NAMES.values():
            try:
                offsets = await self.bus.offsets(group)
            except BusAway:
                continue
            for (topic, _), offset in offsets.items():
                self.went_back += offset < self._committed.get((group, topic), 0)
                self._committed[group, topic] = offset


def _ask(store: sqlite3.Connection, question: str) -> list[Any]:
    try:
        return store.execute(question).fetchall()
    except sqlite3.OperationalError:  # just being recovered by who opened it first
        return []
