"""`lendbus up --workers 2` on a real Kafka and a real PostgreSQL: the workers share the partitions, and one may die (CASES B34)."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.connect import connect
from bus.log import GroupRow
from config import keys
from stores.process import process_start
from tests.e2e.world import World, base, people, until
from tests.postgresql_server import Databases
from tools.demo_place import remove

pytestmark = pytest.mark.timeout(180)  # the first of a session starts both servers

SERVICES = ("accounts", "users")
PARTITIONS = set(range(8))


@pytest.fixture
async def servers(tmp_path: Path, bytecode: dict[str, str], kafka_url: str, databases: Databases) -> AsyncIterator[World]:
    """A world on both servers, with a key file that was made by hand."""
    name = databases.name()
    databases.names += [f"{name}_{service}" for service in SERVICES]
    world = World(tmp_path, bytecode, kafka_url, databases.url(name))
    try:
        yield world
    finally:
        await world.end_all()


async def shared(world: World, workers: list[int], *, each_has_some: bool = True) -> dict[str, dict[int, set[int]]]:
    """Wait until these processes, and nobody else, have all partitions of every service; who has which."""

    async def settled() -> dict[str, dict[int, set[int]]]:
        bus = connect(world.settings.bus_url())
        await bus.open()
        try:
            rows = {row.group: _shares(row) for row in await bus.groups()}
        finally:
            await bus.close()
        for service in SERVICES:
            shares = rows.get(service, {})
            have = {pid for pid, numbers in shares.items() if numbers}
            every = sorted(number for numbers in shares.values() for number in numbers)
            if every != sorted(PARTITIONS) or not have <= set(workers) or (each_has_some and have != set(workers)):
                return {}
        return rows

    found: dict[str, dict[int, set[int]]] = await until(settled, f"{workers} share the partitions", 60)
    return found


def _shares(row: GroupRow) -> dict[int, set[int]]:
    return {member.pid or 0: {number for _, number in member.partitions} for member in row.members}


async def test_two_workers_share_the_partitions_one_dies_the_other_takes_over_and_registrations_go_on(servers: World) -> None:
    keys.load_or_create(servers.settings.key_path(), may_generate=True)
    up = await servers.start("up", "--workers", "2", "--port", "0")
    where = await up.where()
    first: list[int] = where["workers"]
    await shared(servers, first)
    async with people(base(where)) as crowd:
        burst = asyncio.create_task(crowd.register(40))
        await crowd.answers(3)
        os.kill(first[0], signal.SIGKILL)
        await burst
        await up.says("a worker has ended")
        await up.says("signal SIGKILL")
        await crowd.register(5)
        await crowd.all_members()
        await servers.agrees(crowd)
    up.send(signal.SIGTERM)
    assert await up.ended() == 0, up.said()
    assert not any(process_start(pid) for pid in first)


async def test_without_a_key_file_nothing_starts_and_the_sentence_says_how_to_make_one(servers: World) -> None:
    commands = (["up", "--port", "0"], ["up", "--workers", "2", "--port", "0"], ["worker", "users"], ["gateway", "--port", "0"])
    for arguments in commands:  # one after the other: two platforms in one folder at a time would be refused for that
        refused = await servers.start(*arguments)
        assert await refused.ended() == 1, refused.said()
        [sentence] = refused.said().splitlines()
        assert sentence.startswith("There is no key file") and "lendbus keys make" in sentence
    made = await servers.start("keys", "make")
    assert await made.ended() == 0, made.said()
    assert "copy" in made.said() and servers.settings.key_path().stat().st_mode & 0o777 == 0o600
    again = await servers.start("keys", "make")
    assert await again.ended() == 2 and "there is a key file" in again.said()


@pytest.mark.campaign
async def test_the_demo_tells_its_story_in_a_place_of_its_own_on_both_servers(servers: World) -> None:
    demo = await servers.start("demo", "--once", "--json", "--port", "0", LENDBUS_WAIT_MS="6000")
    assert demo.process.stdout is not None
    told = await demo.process.stdout.read()
    assert await demo.ended() == 0, (told.decode(), demo.said())
    assert servers.settings.key_path().exists(), "on loopback it makes its keys"
    bus = connect(servers.settings.bus_url())
    await bus.open()
    try:
        assert await bus.topics() == [], "nothing of it stands where the platform's own topics would"
    finally:
        await bus.close()
    await asyncio.to_thread(remove, servers.data)  # what the next demos do when they take the folder away
