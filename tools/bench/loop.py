"""`lendbus bench loop`: messages of 191 bytes through the whole loop, against the same work done bare in the same run.

Included: decode, inbox, load, behave, save, outbox, relay, append, delete, position, ack, group offset, everything durable
(SQLite and PostgreSQL at full synchronization, Kafka with acks=all by an idempotent producer). Not included: making and
appending the input, and the start of the worker: the clock runs from the first run that has reached the far side to the last.

The bare side does the same SQL, replayed by raw sqlite3 or raw asyncpg on one connection. On the embedded bus, reading
aside, the bus is part of that SQL. On Kafka it is raw aiokafka as one would write it down: per batch `getmany` of as many
records as the batch had, its statements, `send_batch` of what it said, its acknowledgement, then the next; offsets are
committed as often as ours. It decodes nothing, and its first records are fetched before its clock runs.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from agents.runtime import identity
from agents.runtime.worker import Worker
from bus.connect import connect
from bus.kafka.bus import KafkaBus
from bus.log import Bus
from bus.record import Outgoing
from bus.sqlite.bus import SqliteBus
from config.settings import Settings
from stores.engine import Store
from tools.bench.bare import Database, Postgresql, Recording, Sqlite, Where, instead
from tools.bench.load import chunks, messages, surroundings
from tools.bench.place import Place, a_place
from tools.bench.report import Report, conditions
from tools.bench.service import FIRST, METADATA, TOPICS, house

BATCHES = (64, 500)
WARM_UP = 1_000
RATIO_BAR = 0.60
BARE_BAR = 10_000  # msg/s at 64 on SQLite alone; a bare side slower than this does not count
BARE = {("sqlite", "sqlite"): "sqlite3", ("kafka", "sqlite"): "aiokafka + sqlite3", ("kafka", "postgresql"): "aiokafka + asyncpg"}


async def run(settings: Settings, count: int, rounds: int) -> Report:
    """Both sides, `rounds` times each in turn, at each batch size; medians."""
    said = {"messages": count, "value_bytes": 191, "rounds": rounds, "actors": count // 10}
    report = Report("loop", {**conditions(settings), **said})
    bare_name = BARE.get((settings.bus_kind, settings.db_kind), "sqlite3 + asyncpg")
    await _round(settings, WARM_UP, BATCHES[0])  # imports and caches
    for batch in BATCHES:
        pairs = [await _round(settings, count, batch) for _ in range(rounds)]
        middle_ours, middle_bare = (count / median(side.seconds for side in sides) for sides in zip(*pairs, strict=True))
        cpu_ours, cpu_bare = (median(side.cpu_s for side in sides) / count * 1e6 for sides in zip(*pairs, strict=True))
        report.figure(f"loop at {batch}, msg/s", round(middle_ours))
        report.figure(f"bare {bare_name} at {batch}, msg/s", round(middle_bare))
        report.figure(f"loop CPU at {batch}, µs/msg", round(cpu_ours, 1))
        report.figure(f"bare CPU at {batch}, µs/msg", round(cpu_bare, 1))
        report.bar(f"loop / bare at {batch}", round(middle_ours / middle_bare, 3), RATIO_BAR, at_least=True)
        if batch == BATCHES[0] and bare_name == "sqlite3":
            report.bar(f"bare {bare_name} at {batch}, msg/s", round(middle_bare), BARE_BAR, at_least=True)
    return report


class Took(NamedTuple):
    """What one side took for all the messages; `cpu_s` of all threads of this process: a busy machine changes it little."""

    seconds: float
    cpu_s: float


async def _round(settings: Settings, count: int, batch: int) -> tuple[Took, Took]:
    """One run of the loop unrecorded, and one replay of the same run's recording, each on stores of its own."""
    async with a_place(settings) as filled:
        await _fill(filled, count)
        async with _copy(filled, "ours") as ours, _copy(filled, "again") as again, _copy(filled, "bare") as bare:
            os.sync()  # what was copied is not written back while somebody is measured
            took = await _drain(ours, count, batch)
            recording = Recording()
            with recording.running():
                await _drain(again, count, batch)
            os.sync()
            cpu_before = time.process_time()
            seconds = await _replayed(recording, again, bare)
            return took, Took(seconds, time.process_time() - cpu_before)


@asynccontextmanager
async def _copy(filled: Place, name: str) -> AsyncIterator[Place]:
    """The same input and a fresh store: on Kafka the very topics, for a store whose position is their start."""
    place = filled.beside(name)
    if place.settings.bus_kind == "sqlite":
        for file in filter(Path.exists, (filled.folder / "bus.db", filled.folder / "bus.db-wal")):
            shutil.copy(file, place.folder)
    try:
        await asyncio.to_thread(place.make_store, "first", METADATA)
        await _begun_anew(place)
        yield place
    finally:
        await place.remove_stores()


async def _begun_anew(place: Place) -> None:
    """Every copy is the same store, begun anew, to who asks: a group works on one store only."""
    store = await Store.open("first", place.store_url("first"))
    await store.transaction("takeover.commit", identity.of_store, "bench")
    await store.close()


async def _replayed(recording: Recording, again: Place, bare: Place) -> float:
    from tools.bench.wire import Plain

    async with AsyncExitStack() as opened:
        databases: dict[Where, Database] = {}
        for name in ("bus.db", "first.db"):
            if (bare.folder / name).exists():
                file = databases[again.folder / name] = Sqlite(bare.folder / name)
                opened.push_async_callback(file.close)
        if bare.settings.db_kind == "postgresql":
            database = databases[None] = await Postgresql.connected(bare.store_url("first"))
            opened.push_async_callback(database.close)
        on_kafka = bare.settings.bus_kind == "kafka"
        wire = await opened.enter_async_context(Plain.opened(bare, FIRST)) if on_kafka else None
        return await recording.replay(databases, wire)


async def _fill(place: Place, count: int) -> None:
    bus = connect(place.bus_url)
    await bus.open()
    await bus.declare(place.topics(TOPICS))
    for rows in chunks(messages(count, count // 10), 500):
        await bus.append(rows)
    await bus.close()


async def _drain(place: Place, count: int, batch: int) -> Took:
    """Let a worker handle everything; appends that have ended are counted in this process, which costs nobody anything."""
    worker = Worker(house(1), surroundings(place, "first", batch))
    with counting(count) as far:
        await worker.start()
        running = asyncio.ensure_future(worker.watch())
        await asyncio.wait([far.all, running], return_when=asyncio.FIRST_COMPLETED)
        worker.request_stop()
        await asyncio.wait([running])
        await worker.stop()  # also one that has ended by itself: what it leaves open would keep this process
        running.result()
        whole = count / (count - far.first) if count > far.first else 1.0
        return Took((far.ended_s - far.began_s) * whole, (far.ended_cpu_s - far.began_cpu_s) * whole)


class Far:
    """How many records have been appended to the far side, durably: from the first call on."""

    def __init__(self, count: int) -> None:
        self.all: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.there = self.first = 0
        self.began_s = self.began_cpu_s = self.ended_s = self.ended_cpu_s = 0.0
        self._count = count

    def appended(self, records: int) -> None:
        """So many more."""
        if not self.there:
            self.first, self.began_s, self.began_cpu_s = records, time.perf_counter(), time.process_time()
        self.there += records
        if self.there >= self._count and not self.all.done():
            self.ended_s, self.ended_cpu_s = time.perf_counter(), time.process_time()
            self.all.set_result(None)


@contextmanager
def counting(count: int) -> Iterator[Far]:
    """Hear of every append of this process."""
    far = Far(count)

    def counted(usual: Callable[..., Any]) -> Callable[..., Any]:
        async def append(bus: Bus, records: Sequence[Outgoing], **fence: Any) -> list[tuple[int, int]]:
            places: list[tuple[int, int]] = await usual(bus, records, **fence)
            far.appended(len(records))
            return places

        return append

    with instead(SqliteBus, "append", counted(SqliteBus.append)), instead(KafkaBus, "append", counted(KafkaBus.append)):
        yield far
