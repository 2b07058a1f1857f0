"""A Kafka of the tests' own is stopped, frozen and killed under load; workers neither end nor lose anything, and stop while it is away."""

import asyncio
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
import pytest_asyncio

from agents.runtime import deadletters
from bus.record import Outgoing
from config.settings import variable
from stores.engine import Store
from tests.faults.real import SESSIONS_S, a_real_world, both, numbered, passes, shared, under_load
from tests.faults.support import World, bytecode, until
from tests.kafka_server import Broker, needed
from tests.postgresql_server import free_port
from tools.soak.books import told
from tools.soak.stage import NAMES
from tools.soak.troupe import Actor
from tools.soak.verdict import left

__all__ = ["bytecode"]

STOP_S_MAX = 10.0
BACK_S_MAX = 60.0
AWAY_S = 15.0  # CASES D39 in seconds instead of minutes: several sessions, and every back-off at its cap
STEP_S = 0.5
PORT: Final = variable("metrics_port")
OLDEST: Final = "lendbus_outbox_oldest_seconds{"
LETTERS_EACH: Final = 3
SPOILT: Final = b'"to be mended"'
NEW_LETTERS: Final = """SELECT id, key, value FROM dead_letter WHERE state = 'new' ORDER BY partition, "offset" """

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.campaign, pytest.mark.timeout(240)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    needed()
    made = Broker(tmp_path_factory.mktemp("hurt") / "kafka")
    await made.start()
    yield made
    await made.end()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(
    tmp_path_factory: pytest.TempPathFactory, bytecode: Path, broker: Broker, postgresql_address: str
) -> AsyncIterator[World]:
    async with a_real_world(tmp_path_factory.mktemp("broker"), bytecode, broker.address, postgresql_address) as made:
        for actor in made.troupe.actors:
            actor.environment = {**actor.environment, PORT: str(free_port())}
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def world(started: World, broker: Broker) -> World:
    """The broker runs and both workers share the partitions, whatever the test before has left behind."""
    if broker.running is None:
        await broker.start()
    broker.thaw()
    for actor in started.troupe.actors:
        actor.closing = False
    await both(started)
    return started


async def stopped(broker: Broker) -> None:
    await broker.stop()
    await passes(STEP_S)
    await broker.start()


async def killed(broker: Broker) -> None:
    await broker.kill()
    await passes(STEP_S)
    await broker.start()


async def frozen(broker: Broker) -> None:
    """For longer than sessions last."""
    broker.freeze()
    await passes(SESSIONS_S)
    broker.thaw()


@pytest.mark.parametrize("hurt", [stopped, killed, frozen])
async def test_a_broker_that_goes_away_under_load_and_comes_back_costs_nothing_and_ends_no_worker(
    world: World, broker: Broker, hurt: Callable[[Broker], Awaitable[None]]
) -> None:
    before = [len(actor.endings) for actor in world.troupe.actors]
    async with under_load(world):
        await hurt(broker)
    await world.ends_well(within_s=BACK_S_MAX)
    await shared(world)
    assert [len(actor.endings) for actor in world.troupe.actors] == before, "nobody had to be started again"


async def test_a_worker_that_is_stopped_while_the_broker_is_away_ends_in_time_and_its_next_one_waits_for_it(
    world: World, broker: Broker
) -> None:
    one, _ = await shared(world)
    endings = len(one.endings)
    async with under_load(world):
        await broker.kill()
        asked_s = time.monotonic()
        one.send(signal.SIGTERM)
        ending = await world.ending(one, endings)
        print(f"SIGTERM while Kafka is away: ended after {time.monotonic() - asked_s:.3f} s")
        assert ending.code == 0
        await until(lambda: one.pid, "its successor has been started while the broker is away")
        await passes(STEP_S)
        await broker.start()
        await shared(world)
    await world.ends_well(within_s=BACK_S_MAX)
    assert len(one.endings) == endings + 1, "the start waits for the broker and does not fail"


async def put_aside(world: World, actors: list[str]) -> list[tuple[str, Outgoing]]:
    """Dead letters of these actors, in order, and the records that they are mended to."""
    world.producer.sent |= dict.fromkeys(actors, 0)
    good = [row for actor in actors for row in numbered(world, actor, LETTERS_EACH)]
    world.producer.poison["bad_schema"] += len(good)
    await world.bus.append([row._replace(value=SPOILT) for row in good])
    await until(lambda: _has_letters(world, len(good)), f"{len(good)} dead letters")
    letters = await spoilt(world)
    of_actor = {row.key: iter([letter for letter, key in letters if key == row.key]) for row in good}
    return [(next(of_actor[row.key]), row) for row in good]


async def _has_letters(world: World, count: int) -> bool:
    return len(await spoilt(world)) == count


async def spoilt(world: World) -> list[tuple[str, bytes]]:
    """The dead letters that can be mended, and whose they are, oldest first."""
    return [(letter, key) for letter, key, value in await told(world.books, NAMES[1], NEW_LETTERS) if value == SPOILT]


async def oldest_s(actors: Sequence[Actor]) -> float:
    """The age of the oldest row that waits to leave, as the workers' metrics have it."""
    texts = [await asyncio.to_thread(_metrics, actor.environment[PORT]) for actor in actors]
    return max(float(line.split()[-1]) for text in texts for line in text.splitlines() if line.startswith(OLDEST))


def _metrics(port: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read(), "utf-8")


async def test_rows_that_cannot_leave_while_the_broker_is_away_leave_oldest_first_and_their_age_rises_and_falls(
    world: World, broker: Broker
) -> None:
    """CASES D39: an operator redrives dead letters while the bus is away; more than the rows that were under way wait."""
    actors, before = await shared(world), [len(actor.endings) for actor in world.troupe.actors]
    letters = await put_aside(world, [str(uuid4()) for _ in range(10)])
    async with under_load(world):
        await broker.kill()
        await redriven(world, letters)
        await passes(AWAY_S)
        assert await left(world.books, "outbox") >= len(letters)
        assert await oldest_s(actors) > AWAY_S / 2
        await broker.start()
    await world.ends_well(within_s=BACK_S_MAX)
    await until(lambda: _is_young(actors), "nothing is old any more")
    assert [len(actor.endings) for actor in world.troupe.actors] == before, "without a restart"


async def redriven(world: World, letters: Sequence[tuple[str, Outgoing]]) -> None:
    """What an operator's redrive does to the store."""
    store = await Store.open(NAMES[1], world.place.store_url(NAMES[1]))
    for letter, row in letters:
        await store.transaction(
            "operator.commit",
            lambda tx, w, v: deadletters.redrive(tx, w, value=v, key=None, headers=None, new_id=str(uuid4())),
            letter,
            row.value,
        )
    await store.close()


async def _is_young(actors: Sequence[Actor]) -> bool:
    return await oldest_s(actors) == 0
