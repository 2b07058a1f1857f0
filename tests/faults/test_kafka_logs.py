"""Logs that are not what they were: transaction markers at the end, records deleted unread, a topic deleted and made again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from tests.faults.real import a_real_world, a_stranger, actors_of, away, back, both, commit, has_all, numbered
from tests.faults.support import World, bytecode, until
from tools.bench.service import FIRST
from tools.soak.stage import TOPICS

__all__ = ["bytecode"]

AGAIN_S_MAX = 30.0
ALARM = "log alarm"

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(150)]


@pytest.fixture
async def world(tmp_path: Path, bytecode: Path, kafka_server: str, postgresql_address: str) -> AsyncIterator[World]:
    async with a_real_world(tmp_path, bytecode, kafka_server, postgresql_address) as made:
        yield made


@pytest.fixture
async def admin(kafka_server: str) -> AsyncIterator[AIOKafkaAdminClient]:
    made = AIOKafkaAdminClient(bootstrap_servers=kafka_server)
    await made.start()
    yield made
    await made.close()


def outside(world: World) -> str:
    """What the first topic is called on the broker."""
    return f"{world.place.bus_url.rpartition('/')[2]}.{FIRST}"


def alarms(world: World) -> list[str]:
    """The loud lines of all workers."""
    return [line for actor in world.troupe.of(1) for line in world.said(actor).splitlines() if ALARM in line]


async def handled(world: World, actor: str, count: int) -> None:
    """Until an actor has counted so many."""

    async def is_so() -> bool:
        return (await world.counters()).get(actor, (0, 0))[0] == count

    await until(is_so, f"{actor} has counted {count}")


async def has_no_lag(world: World) -> None:
    async def is_so() -> bool:
        return not await world.unread()

    await until(is_so, "lag 0")


async def test_markers_are_no_lag_and_no_alarm_and_deleted_records_are_one_loud_alarm(
    world: World, admin: AIOKafkaAdminClient, kafka_server: str
) -> None:
    """CASES B4."""
    one, other = await both(world)
    await away(world, other)
    await has_all(world, one)
    marked, cut = actors_of(world, 0)[0], actors_of(world, 1)[0]
    stranger = await asyncio.to_thread(a_stranger, kafka_server, outside(world))
    for _ in range(3):
        await asyncio.to_thread(commit, stranger, outside(world), numbered(world, marked, 3))
    await world.bus.append(numbered(world, cut, 5))
    await handled(world, marked, 9)
    await handled(world, cut, 5)
    await has_no_lag(world)
    assert alarms(world) == []

    await away(world, one)
    await world.bus.append(numbered(world, cut, 20))
    (_, end) = (await world.bus.ends(FIRST))[1]
    await admin.delete_records({TopicPartition(outside(world), 1): RecordsToDelete(before_offset=end - 10)})
    back(world, one)
    await handled(world, cut, 15)
    await has_no_lag(world)
    (alarm,) = alarms(world)
    assert '"skipped": 10' in alarm or '"skipped":10' in alarm, alarm

    repeats = world.far.repeats
    await away(world, one)
    back(world, one)
    await has_all(world, one)
    await world.bus.append(numbered(world, marked, 1))
    await handled(world, marked, 10)
    assert (len(alarms(world)), world.far.repeats) == (1, repeats), "a restart alarms nobody and reads nothing again"


async def made_anew(world: World, admin: AIOKafkaAdminClient) -> None:
    """Delete the first topic and declare it again."""
    await admin.delete_topics([outside(world)])

    async def is_gone() -> bool:
        return outside(world) not in await admin.list_topics()

    await until(is_gone, "the topic is gone")
    await world.bus.declare(world.place.topics(TOPICS))


@pytest.mark.parametrize("running", [pytest.param(True, id="idle workers"), pytest.param(False, id="stopped workers")])
async def test_a_topic_that_was_deleted_and_declared_again_is_read_from_its_start_with_one_loud_line(
    world: World, admin: AIOKafkaAdminClient, running: bool
) -> None:
    """CASES B6."""
    one, other = await both(world)
    await world.producer.run(1.0)
    await world.ends_well()
    if not running:
        await away(world, one)
        await away(world, other)
    endings = [len(actor.endings) for actor in world.troupe.actors]
    await made_anew(world, admin)
    for actor in world.producer.actors[:20]:
        await world.bus.append(numbered(world, actor, 1))
    if not running:
        back(world, one, other)
    await world.arrived(world.producer.total, within_s=AGAIN_S_MAX)
    await world.ends_well(forward=False)
    assert [len(actor.endings) for actor in world.troupe.actors] == endings, "no worker has ended"
    assert alarms(world), "it is said loudly that the log starts anew"
