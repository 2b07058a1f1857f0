"""`lendbus bench hop`: from a message's append to its consequence on the next topic, one at a time.

Included: the wake-up or the fetch, the whole loop with its COMMIT, the relay, the append until it is acknowledged, all
durable, and the reader's own fetch. Not included: the first append. The floor is what the hop cannot do without, measured
in the same run: on the embedded bus two COMMITs by raw sqlite3; on Kafka one raw aiokafka round trip from `send_batch` to
`getmany`, and one COMMIT of one row by raw sqlite3 or raw asyncpg.
"""

import asyncio
import contextlib
import sqlite3
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import asyncpg

from agents.runtime.worker import Worker
from bus.connect import connect
from bus.log import Bus
from bus.record import Record
from config.settings import Settings
from stores.postgresql import SETTINGS
from stores.postgresql_url import connect_arguments
from tools.bench.load import VALUE_BYTES, message, surroundings
from tools.bench.place import Place, a_place
from tools.bench.report import Report, conditions
from tools.bench.service import END, METADATA, SECOND, TOPICS, house

BARS_MS = {"sqlite": (4.0, 8.0), "kafka": (10.0, 25.0)}  # p50, p95
WARM_UP = 20
WITHIN_S = 30.0
TABLE = "CREATE TABLE floor(id {} PRIMARY KEY, value {})"


async def run(settings: Settings, count: int) -> Report:
    """Send `count` messages one after another; the median and the 95th percentile of a hop."""
    report = Report("hop", {**conditions(settings), "messages": count, "value_bytes": VALUE_BYTES})
    async with a_place(settings) as place:
        await asyncio.to_thread(place.make_store, "first", METADATA)
        bus = connect(place.bus_url)
        await bus.open()
        await bus.declare(place.topics(TOPICS))
        worker = Worker(house(1), surroundings(place, "first"))
        await worker.start()
        await worker.wait_until_owner(WITHIN_S)
        hops = sorted(await _hops(bus, WARM_UP + count))
        await worker.stop()
        await bus.close()
        await _floor(report, place, count)
    p50_bar, p95_bar = BARS_MS[settings.bus_kind]
    report.bar("one hop, p50, ms", _ms(hops), p50_bar, at_least=False)
    report.bar("one hop, p95, ms", _ms(hops, 95), p95_bar, at_least=False)
    return report


def _ms(seconds: list[float], percent: int = 50) -> float:
    return round(sorted(seconds)[len(seconds) * percent // 100] * 1000, 2)


async def _hops(bus: Bus, count: int) -> list[float]:
    """So many, one after another, the first ones not counted; the reader listens from the topic's end on."""
    start = {(SECOND, number): end for number, (_, end) in (await bus.ends(SECOND)).items()}
    async with contextlib.aclosing(bus.follow([SECOND], start)) as said:
        return [await _hop(bus, said, n) for n in range(count)][WARM_UP:]


async def _hop(bus: Bus, said: AsyncGenerator[list[Record], None], n: int) -> float:
    await bus.append([message(str(uuid.uuid4()), n, time.time_ns() // 1_000_000)])
    began = time.perf_counter()
    async with asyncio.timeout(WITHIN_S):
        await anext(said)
    return time.perf_counter() - began


async def _floor(report: Report, place: Place, count: int) -> None:
    if place.settings.db_kind == "sqlite":
        commits, name = await asyncio.to_thread(_sqlite_commits, place.folder / "floor.db", count), "sqlite3"
    else:
        commits, name = await _postgresql_commits(place, count), "asyncpg"
    if place.settings.bus_kind == "sqlite":
        one = await asyncio.to_thread(_sqlite_commits, place.folder / "bus-floor.db", count)
        both = [a + b for a, b in zip(one, commits, strict=True)]
        kinds = "sqlite3" if name == "sqlite3" else f"sqlite3 and {name}"
        report.figure(f"floor: two COMMITs by raw {kinds}, p50, ms", _ms(both))
        return
    trips = await _round_trips(place, count)
    report.figure(f"floor: raw aiokafka round trip and one COMMIT by raw {name}, p50, ms", round(_ms(trips) + _ms(commits), 2))
    report.figure(f"floor: raw aiokafka round trip and one COMMIT by raw {name}, p95, ms", round(_ms(trips, 95) + _ms(commits, 95), 2))


def _sqlite_commits(path: Path, count: int) -> list[float]:
    c = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", TABLE.format("INTEGER", "BLOB")):
        c.execute(statement)
    took = []
    for _ in range(count):
        began = time.perf_counter()
        c.execute("INSERT INTO floor(value) VALUES (?)", (b"x" * VALUE_BYTES,))  # in autocommit mode: one COMMIT at FULL
        took.append(time.perf_counter() - began)
    c.close()
    return took


async def _postgresql_commits(place: Place, count: int) -> list[float]:
    c = await asyncpg.connect(**connect_arguments(place.store_url("first"), SETTINGS))
    try:
        await c.execute(TABLE.format("serial", "bytea"))
        return await _timed(lambda: c.execute("INSERT INTO floor(value) VALUES ($1)", b"x" * VALUE_BYTES), count)
    finally:
        await c.close()


async def _round_trips(place: Place, count: int) -> list[float]:
    from tools.bench.wire import Plain

    async with Plain.opened(place, END, filled=False) as wire:

        async def trip() -> None:
            record = message(str(uuid.uuid4()), 0, time.time_ns() // 1_000_000)
            await asyncio.gather(wire.say([record._replace(topic=END, headers=list(record.headers))]), wire.take(1))

        return await _timed(trip, count)


async def _timed(work: Callable[[], Awaitable[object]], count: int) -> list[float]:
    took = []
    for _ in range(WARM_UP + count):
        began = time.perf_counter()
        await work()
        took.append(time.perf_counter() - began)
    return took[WARM_UP:]
