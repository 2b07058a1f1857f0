"""Worlds on a real Kafka and a real PostgreSQL: two workers that share a stage's partitions, servers that may be hurt."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from confluent_kafka import Producer as Stranger

from bus.partitioning import partition_of
from bus.record import Outgoing
from config.settings import load
from tests.faults.support import World, a_world_in, until
from tools.bench.load import message
from tools.bench.place import new
from tools.soak.troupe import Actor

PARTITIONS = 8
SESSIONS_S = 6.0  # three sessions of a worker
RATE = 200
STEP_S = 0.25


@asynccontextmanager
async def a_real_world(folder: Path, bytecode: Path, kafka: str, postgresql: str) -> AsyncIterator[World]:
    """A namespace of its own at the broker, databases of its own on the server, gone afterwards."""
    place = new(load(bus=f"kafka://{kafka}/t", db=postgresql), folder)
    try:
        async with a_world_in(place, bytecode, rate=RATE) as world:
            yield world
    finally:
        await place.remove()


@asynccontextmanager
async def under_load(world: World) -> AsyncIterator[None]:
    """Messages come for as long as the block lasts, and some have arrived when it begins."""
    going = True

    async def load() -> None:
        while going:
            await world.producer.run(STEP_S)

    before = world.far.applied
    loading = asyncio.create_task(load())
    try:
        await world.arrived(before + RATE // 4)
        yield
    finally:
        going = False
        await loading


async def both(world: World) -> list[Actor]:
    """Let both workers run; the places, as soon as each owns partitions and every partition has an owner."""
    idle = [actor for actor in world.troupe.of(1) if not actor.lives]
    world.troupe.start(idle)
    return await shared(world)


async def shared(world: World) -> list[Actor]:
    """The places of the stage, as soon as every partition belongs to a process that runs, and each process has some."""
    actors = world.troupe.of(1)

    def is_shared() -> bool:
        held = [world.watch.held(1, actor.pid) if actor.pid else {} for actor in actors]
        return all(held) and sum(map(len, held)) == PARTITIONS

    try:
        await until(is_shared, "both workers own partitions")
    except AssertionError:
        for actor in actors:
            actor.send(signal.SIGUSR1)  # their words are shown with the failure: where every task of theirs stands
        raise
    return actors


async def has_all(world: World, actor: Actor) -> None:
    """Until the place's present process owns every partition."""
    await until(lambda: actor.pid and len(world.watch.held(1, actor.pid)) == PARTITIONS, f"worker {actor.number} owns every partition")


async def passes(seconds: float) -> None:
    """For so long something is as it is."""
    began_s = time.monotonic()
    await until(lambda: time.monotonic() - began_s > seconds, f"{seconds} s pass", within_s=seconds * 2)


async def away(world: World, actor: Actor) -> None:
    """End a worker and let its place be empty."""
    actor.closing = True
    actor.send(signal.SIGTERM)
    actor.send(signal.SIGCONT)
    await until(lambda: not actor.lives, f"the place of worker {actor.number} is empty")


def back(world: World, *actors: Actor) -> None:
    """Let these places have processes again."""
    for actor in actors:
        actor.closing = False
    world.troupe.start(actors)


def numbered(world: World, actor: str, count: int) -> list[Outgoing]:
    """The next messages of an actor, noted as sent."""
    first = world.producer.sent[actor]
    world.producer.sent[actor] += count
    return [message(actor, n, 0) for n in range(first, first + count)]


def partition(actor: str) -> int:
    """Where an actor's messages go."""
    return partition_of(actor.encode(), PARTITIONS)


def actors_of(world: World, number: int) -> list[str]:
    """The actors of one partition."""
    return [actor for actor in world.producer.actors if partition(actor) == number]


def a_stranger(kafka: str, transaction: str) -> Stranger:
    """librdkafka, in transactions."""
    stranger = Stranger({"bootstrap.servers": kafka, "transactional.id": transaction})
    stranger.init_transactions()
    return stranger


def commit(stranger: Stranger, outside: str, records: Sequence[Outgoing]) -> None:
    """A transaction with these records, each where its key says."""
    stranger.begin_transaction()
    for record in records:
        where = partition(str(record.key, "ascii")) if record.key else 0
        stranger.produce(outside, record.value, record.key, partition=where, headers=list(record.headers))
    stranger.commit_transaction()
