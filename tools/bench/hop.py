"""`lendbus bench hop`: from a message's append to its consequence on the next topic, one at a time.

Included: the wake-up, the read, the whole loop with its COMMIT, the relay, the append with its COMMIT, all at FULL, and
the reader's own wake-up. Not included: the first append. The floor is the same two COMMITs by raw sqlite3 in the same run.
"""

import asyncio
import sqlite3
import time
import uuid
from pathlib import Path

from agents.runtime.worker import Worker
from bus.connect import connect
from bus.log import Bus
from config.settings import Settings
from tools.bench.load import message, surroundings
from tools.bench.place import a_place
from tools.bench.report import Report, conditions
from tools.bench.service import METADATA, SECOND, TOPICS, house

P50_BAR_MS, P95_BAR_MS = 4.0, 8.0
WARM_UP = 20
WITHIN_S = 10.0


async def run(settings: Settings, count: int) -> Report:
    """Send `count` messages one after another; the median and the 95th percentile of a hop."""
    report = Report("hop", {**conditions(), "messages": count, "value_bytes": 191})
    async with a_place(settings) as place:
        await asyncio.to_thread(place.make_store, "first", METADATA)
        bus = connect(place.bus_url)
        await bus.open()
        await bus.declare(place.topics(TOPICS))
        worker = Worker(house(1), surroundings(place, "first"))
        await worker.start()
        await worker.wait_until_owner(WITHIN_S)
        hops = sorted([await _hop(bus, n) for n in range(WARM_UP + count)][WARM_UP:])
        await worker.stop()
        await bus.close()
        floor = await asyncio.to_thread(_floor, place.folder / "floor.db", count)
    report.figure("floor: two COMMITs by raw sqlite3, p50, ms", round(floor * 1000, 2))
    report.bar("one hop, p50, ms", round(hops[count // 2] * 1000, 2), P50_BAR_MS, at_least=False)
    report.bar("one hop, p95, ms", round(hops[count * 95 // 100] * 1000, 2), P95_BAR_MS, at_least=False)
    return report


async def _hop(bus: Bus, n: int) -> float:
    before = (await bus.ends(SECOND))[0][1]
    await bus.append([message(str(uuid.uuid4()), n, time.time_ns() // 1_000_000)])
    began = time.perf_counter()
    async with asyncio.timeout(WITHIN_S):
        while (await bus.ends(SECOND))[0][1] == before:
            await bus.wait(0.5)
    return time.perf_counter() - began


def _floor(path: Path, count: int) -> float:
    c = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE row(id INTEGER PRIMARY KEY, value BLOB)"):
        c.execute(statement)
    took = []
    for _ in range(count):
        began = time.perf_counter()
        for _ in range(2):
            c.execute("INSERT INTO row(value) VALUES (?)", (b"x" * 191,))  # in autocommit mode: one COMMIT at FULL
        took.append(time.perf_counter() - began)
    c.close()
    return sorted(took)[count // 2]
