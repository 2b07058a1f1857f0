"""A stage or two of the bench service as real processes, with their load and the count at the far end."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agents.runtime import operator
from bus.connect import connect
from bus.errors import BusAway
from bus.log import Bus
from stores.engine import Store
from tools.bench.place import Place, here
from tools.bench.service import END, SECOND
from tools.soak import books as stores
from tools.soak.books import Books, told
from tools.soak.producer import Producer
from tools.soak.stage import NAMES, TOPICS, prepare
from tools.soak.troupe import Actor, Troupe
from tools.soak.verdict import FarEnd, left, parked, positions, unlike
from tools.soak.watch import Watch

PATIENCE_S = 40.0
LOOK_S = 0.02


async def until(holds: Callable[[], Any], what: str, *, within_s: float = PATIENCE_S) -> Any:
    """Wait for a condition, which may be asynchronous; its value. Fails with `what` when the time is over."""
    deadline_s = time.monotonic() + within_s
    while True:
        value = holds()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}"
        await asyncio.sleep(LOOK_S)


@dataclass
class World:
    """Two processes a stage: the first one works, the second one waits."""

    place: Place
    stages: Sequence[int]
    bus: Bus
    books: Books
    troupe: Troupe
    watch: Watch
    producer: Producer
    far: FarEnd = field(default_factory=FarEnd)

    @property
    def folder(self) -> Path:
        """Where the flags, the words and, on SQLite, the files are."""
        return self.place.folder

    async def start(self, *, standby: bool = True, fault: str = "") -> tuple[Actor, Actor]:
        """Start everything; the first stage's owner, which meets `fault`, and its standby."""
        if fault or not standby:
            owner, waiting = self.troupe.of(1)
            owner.next_fault = fault
            self.troupe.start([owner])
            await until(self._owner, f"process {owner.pid} has the stage")
            if standby:
                self.troupe.start([waiting])
                await self.waits(1, waiting)
            return owner, waiting
        self.troupe.start()
        return (await asyncio.gather(*map(self.pair, self.stages)))[0]

    async def pair(self, stage: int) -> tuple[Actor, Actor]:
        """A stage's owner, as the bus has it, and its standby, as soon as there are both."""
        owner: Actor = await until(partial(self._owner, stage), f"stage {stage} has an owner")
        standby = next(actor for actor in self.troupe.of(stage) if actor is not owner)
        await self.waits(stage, standby)
        return owner, standby

    async def _owner(self, stage: int = 1) -> Actor | None:
        pids = [g.pid for g in await self.groups() if g.group == NAMES[stage] and g.alive]
        return self.troupe.by_pid(pids[0]) if pids else None

    async def groups(self) -> list[Any]:
        """The groups of the bus; none while it is locked."""
        try:
            return await self.bus.groups()
        except BusAway:
            return []

    async def waits(self, stage: int, actor: Actor) -> None:
        """Until the place's present process is a standby of its stage."""

        async def listed() -> bool:
            return any(g.group == NAMES[stage] and actor.pid in g.standby for g in await self.groups())

        await until(listed, f"stage {stage}-{actor.number} waits as standby")

    async def owns(self, actor: Actor) -> None:
        """Until the place's present process owns its stage, in the store too."""
        await until(lambda: actor.pid and self.watch.owner(actor.stage) == actor.pid, f"stage {actor.stage}-{actor.number} owns it")

    async def arrived(self, count: int, *, within_s: float = PATIENCE_S) -> None:
        """Until so many different messages are at the far end."""
        await until(lambda: self.far.applied >= count, f"{count} at the far end", within_s=within_s)

    async def ends_well(self, *, within_s: float = PATIENCE_S, forward: bool = True) -> None:
        """Everything that was sent arrives once and in order, every poison is one dead letter, nothing is left to be read or healed."""
        await self.arrived(self.producer.total, within_s=within_s)
        poison = await self.producer.poison_in_the_log()

        async def has_letters() -> bool:
            return await parked(self.books) == poison

        async def is_empty() -> bool:
            return not any([await left(self.books, table) for table in ("suspended", "parked", "outbox")])

        await until(has_letters, f"dead letters {poison}", within_s=within_s)
        await until(is_empty, "nobody is suspended, and nothing waits to leave", within_s=within_s)
        await until(self._has_read_all, "lag 0, and the group's offsets are the store's positions", within_s=within_s)
        found = (self.far.lost(self.producer.sent), self.far.doubled, self.far.out_of_order)
        assert found == (0, 0, 0), f"lost, doubled, out of order: {found} {self.far.examples}"
        for stage in self.stages:
            assert await self.counters(stage) == {a: (n, n - 1) for a, n in self.producer.sent.items() if n}
        assert not (forward and self.watch.went_back), "the group's offsets never go back"

    async def _has_read_all(self) -> bool:
        try:
            return not any([await self.unread(stage) or await self.unlike(stage) for stage in self.stages])
        except BusAway:
            return False

    async def unread(self, stage: int = 1) -> int:
        """How many records of a stage its group has not committed."""
        return sum((await self.bus.lag(NAMES[stage], [TOPICS[stage - 1].name])).values())

    async def unlike(self, stage: int = 1) -> list[str]:
        """The partitions of a stage whose group is elsewhere than its store."""
        return unlike(await self.bus.offsets(NAMES[stage]), await positions(self.books, stage), TOPICS[stage - 1].name)

    async def counters(self, stage: int = 1) -> dict[str, tuple[int, int]]:
        """Of each actor of a stage: how many messages it has handled, and the last one's number."""
        return {a: (handled, last) for a, handled, last in await told(self.books, NAMES[stage], "SELECT id, handled, last FROM counter")}

    def ask(self, question: str, stage: int = 1) -> list[Any]:
        """One question to a stage's SQLite file, or a change by a stranger."""
        with contextlib.closing(sqlite3.connect(self.folder / f"{NAMES[stage]}.db", isolation_level=None, timeout=10)) as c:
            return c.execute(question).fetchall()

    async def suspended(self, actor: str, reason: str, queued: int) -> None:
        """Until the actor is suspended for this reason with so many messages in its queue."""
        where = f"actor = '{actor}'"
        await until(lambda: self.ask(f"SELECT count(*) FROM parked WHERE {where}") == [(queued,)], f"{queued} wait for {actor}")
        assert self.ask(f"SELECT reason FROM suspended WHERE {where}") == [(reason,)]

    async def redrive(self, actor: str) -> None:
        """An operator redrives a suspended actor."""
        store = await Store.open(NAMES[1], self.place.store_url(NAMES[1]))
        act = operator.Act("operator:test", "mended", time.time_ns() // 1_000_000)
        await store.transaction("operator.commit", operator.redrive_actor, act, actor)
        await store.close()

    def said(self, actor: Actor) -> str:
        """What a place's processes have logged; nothing where none was started."""
        log = self.folder / f"stage{actor.stage}-{actor.number}.log"
        return log.read_text() if log.exists() else ""

    async def ending(self, actor: Actor, n: int = 0) -> Any:
        """How the place's process number `n` ended."""
        await until(lambda: len(actor.endings) > n, f"process {n} of stage {actor.stage}-{actor.number} ends")
        return actor.endings[n]


@asynccontextmanager
async def a_world(folder: Path, bytecode: Path, *stages: int) -> AsyncIterator[World]:
    """A prepared folder with a bus of files; every process that was started is ended with it."""
    async with a_world_in(here(folder), bytecode, *stages) as world:
        yield world


@asynccontextmanager
async def a_world_in(place: Place, bytecode: Path, *stages: int, rate: int = 400) -> AsyncIterator[World]:
    """The same in any place."""
    await asyncio.to_thread(prepare, place)
    bus, books = connect(place.bus_url), stores.of(place)
    await bus.open()
    await bus.declare(place.topics(TOPICS))
    watch, troupe = Watch(place, bus, books), Troupe(place, stages or (1,), 2, bytecode)
    world = World(place, stages or (1,), bus, books, troupe, watch, Producer(bus, 1, rate))
    following = world.far.follow(bus, END if 2 in world.stages else SECOND, place.partitions)
    looking = [asyncio.create_task(watch.run()), asyncio.create_task(following)]
    try:
        yield world
    finally:
        ended = [task.exception() for task in looking if task.done()]
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)
        await troupe.end(gracefully=False)
        for actor in troupe.actors:
            print(f"stage {actor.stage}-{actor.number}: {actor.endings}\n{world.said(actor)}")  # pytest shows it when the test fails
        await books.close()
        await bus.close()
        assert not ended, f"who looks on has ended: {ended}"


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes of this run keep compiled modules, if not beside their sources."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "bytecode"  # one for all workers of the run


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """A stranger who has begun to write to a database and takes its time."""
    stranger = sqlite3.connect(path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        stranger.execute("ROLLBACK")
        stranger.close()
