"""`lendbus up --workers N` on the embedded bus: killed workers come back, and nobody is left behind."""

import asyncio
import json
import os
import signal
from typing import Any

from stores.process import process_start
from tests.e2e.world import World, base, people, until


async def test_a_killed_worker_is_started_again_while_the_standby_works_and_registrations_go_on(world: World) -> None:
    up = await world.start("up", "--workers", "2", "--port", "0", LENDBUS_LOG_FORMAT="json")
    where = await up.where()
    first: list[int] = where["workers"]
    assert len(set(first)) == 2 and where["pid"] == up.pid
    assert "one works, 1 wait as standby" in up.said()
    await _has_a_standby(world)
    async with people(base(where)) as crowd:
        burst = asyncio.create_task(crowd.register(30))
        await crowd.answers(3)
        owner = await world.owner("users")
        assert owner is not None and owner.pid in first
        os.kill(owner.pid, signal.SIGKILL)
        await burst
        await up.says("a worker has ended")
        [ended] = [line for line in _lines(up.said()) if line.get("event", "").startswith("a worker has ended")]
        assert (ended["pid"], ended["why"]) == (owner.pid, "signal SIGKILL") and ended["last_line"]
        await crowd.register(3)
        await crowd.all_members()
        await world.agrees(crowd)
    await _has_a_standby(world)  # the killed one's successor
    up.send(signal.SIGTERM)
    assert await up.ended() == 0, up.said()
    started = [line["pid"] for line in _lines(up.said()) if line.get("event") == "worker started"]
    assert len(started) == 3 and not any(process_start(pid) for pid in started)


async def test_workers_do_not_outlive_a_killed_supervisor(world: World) -> None:
    up = await world.start("up", "--workers", "2", "--port", "0")
    workers: list[int] = (await up.where())["workers"]
    await world.owned_by_one_of(workers, "accounts", "users")
    up.send(signal.SIGKILL)

    async def gone() -> bool:
        return not any(process_start(pid) for pid in workers)

    await until(gone, f"{workers} have ended")
    again = await world.start("up", "--port", "0")
    async with people(base(await again.where())) as crowd:
        await crowd.register(1)
        await crowd.all_members()


async def test_what_is_wrong_with_the_place_is_said_once_and_no_worker_is_started(world: World) -> None:
    first = await world.start("up", "--port", "0")
    await first.where()
    second = await world.start("up", "--workers", "3", "--port", "0")
    assert await second.ended() == 2
    [sentence] = second.said().splitlines()
    assert f"process {first.pid}, since 20" in sentence
    first.send(signal.SIGTERM)
    assert await first.ended() == 0
    (world.data / "keys.json").unlink()
    third = await world.start("up", "--workers", "3", "--port", "0")
    assert await third.ended() == 1
    [sentence] = third.said().splitlines()
    assert sentence.startswith("There is no key file")


async def _has_a_standby(world: World) -> None:
    async def both() -> bool:
        rows = {row.group: row for row in await world.groups()}
        return all(name in rows and rows[name].alive and len(rows[name].standby) == 1 for name in ("accounts", "users"))

    await until(both, "each service has an owner and a standby")


def _lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]
