"""`lendbus up`: one platform a folder, a graceful end, an end by force, and what is said when something is wrong (CASES B34)."""

import asyncio
import re
import signal
import socket
import sqlite3

import pytest

from tests.e2e.world import World, base, people
from tools.services import SERVICES


async def test_a_second_up_names_the_first_however_the_folder_is_spelled(world: World) -> None:
    first = await world.start("up", "--port", "0")
    await first.where()
    (world.tmp / "link").symlink_to(world.data)
    spelled = ["data", str(world.data), "link", "data/../data"]
    others = await asyncio.gather(*(world.start("up", "--port", "0", data=data, cwd=world.tmp) for data in spelled))
    for other in others:
        assert await other.ended() == 2
        [sentence] = other.said().splitlines()
        assert f"process {first.pid}, since 20" in sentence
    owners = {row.group: row.pid for row in await world.groups()}
    assert owners == dict.fromkeys(SERVICES, first.pid)


async def test_killed_and_started_again_at_once_it_finishes_what_was_pending(world: World) -> None:
    first = await world.start("up", "--port", "0")
    url = base(await first.where())
    async with people(url) as crowd:
        burst = asyncio.create_task(crowd.register(40))
        await crowd.answers(3)
        first.send(signal.SIGKILL)
        second = await world.start("up", "--port", url.rpartition(":")[2])
        assert base(await second.where()) == url
        await burst
        await crowd.all_members()
        await world.agrees(crowd)
    assert await first.ended() == -signal.SIGKILL


async def test_sigterm_in_a_burst_is_a_clean_end_and_nothing_is_lost(world: World) -> None:
    first = await world.start("up", "--port", "0")
    url = base(await first.where())
    async with people(url) as crowd:
        burst = asyncio.create_task(crowd.register(40))
        await crowd.answers(3)
        first.send(signal.SIGTERM)
        assert await first.ended() == 0, first.said()
        assert " error " not in first.said(), first.said()
        second = await world.start("up", "--port", url.rpartition(":")[2])
        await second.where()
        await burst
        await crowd.all_members()
        await world.agrees(crowd)
    second.send(signal.SIGINT)
    assert await second.ended() == 0, second.said()


async def test_a_part_that_ends_by_itself_ends_the_process_with_one_line(world: World) -> None:
    broken = await world.start("up", "--port", "0", LENDBUS_FAULT="loop.commit.before:raise:1")
    url = base(await broken.where())
    async with people(url) as crowd:
        burst = asyncio.create_task(crowd.register(1))
        assert await broken.ended() == 1
        [line] = [line for line in broken.said().splitlines() if " error " in line]
        assert re.search(r'"[a-z]+ has ended: InjectedFault: loop.commit.before', line), line  # whichever service commits first
        await (await world.start("up", "--port", url.rpartition(":")[2])).where()
        await burst
        await crowd.all_members()


@pytest.mark.parametrize("name", ["bus", "users", "accounts"])
async def test_a_file_that_somebody_locks_ends_nobody_and_loses_nothing(world: World, name: str) -> None:
    up = await world.start("up", "--port", "0", LENDBUS_WAIT_MS="200")
    async with people(base(await up.where())) as crowd:
        await crowd.register(1)
        locked = sqlite3.connect(world.data / f"{name}.db", isolation_level=None)
        locked.execute("BEGIN IMMEDIATE")
        burst = asyncio.create_task(crowd.register(3))
        if name == "bus":
            await up.says("locked by somebody else for 5 s")  # the lease could not be renewed for five of its lengths
        else:
            await burst  # answered 202: accepted, open
        locked.rollback()
        locked.close()
        await burst
        await crowd.all_members()
        await world.agrees(crowd)
    up.send(signal.SIGTERM)
    assert await up.ended() == 0, up.said()


async def test_a_port_in_use_is_a_sentence(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = [await world.start(command, "--port", str(port)) for command in ("up", "gateway")]
        for each in started:
            assert await each.ended() == 2
            [sentence] = each.said().splitlines()
            assert sentence.startswith(f"port {port} of 127.0.0.1 is in use")


async def test_an_unknown_service_is_answered_with_the_known_ones(world: World) -> None:
    started = await world.start("worker", "acounts")
    assert await started.ended() == 2
    assert started.said() == f"there is no service 'acounts': say one or more of {', '.join(SERVICES)}\n"
