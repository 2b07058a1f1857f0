"""`lendbus bench takeover`: the owner of a service is killed (-9) while another process waits; when does its work go on?

From the kill to the first consequence, on the next topic, of a message that was sent right after it.
"""

import asyncio
import os
import sys
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process

from bus.connect import connect
from bus.log import Bus
from config.settings import Settings
from tools.bench.load import message
from tools.bench.place import Place, a_place
from tools.bench.report import Report, conditions
from tools.bench.service import SECOND
from tools.soak.stage import TOPICS, prepare

BAR_S = 2.0
WITHIN_S = 30.0


async def run(settings: Settings, rounds: int) -> Report:
    """Kill the owner `rounds` times, a new standby each time; the median and the worst."""
    report = Report("takeover", {**conditions(), "rounds": rounds, "lease_s": 1.0})
    async with a_place(settings) as place:
        await asyncio.to_thread(prepare, place)
        bus = connect(place.bus_url)
        await bus.open()
        await bus.declare(place.topics(TOPICS))
        members = [await _member(place)]
        took = []
        try:
            await _owner(bus, members[0].pid)
            for _ in range(rounds):
                members.append(await _member(place))
                await _standby(bus, members[-1].pid)
                took.append(await _killed(bus, members))
        finally:
            for member in members:
                member.kill()
                await member.wait()
        await bus.close()
    report.figure("take-over after kill -9, p50, s", round(sorted(took)[rounds // 2], 3))
    report.bar("take-over after kill -9, worst, s", round(max(took), 3), BAR_S, at_least=False)
    return report


async def _member(place: Place) -> Process:
    command = (sys.executable, "-m", "tools.soak.stage", str(place.folder), "1")
    return await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, env={**os.environ, **place.environment}
    )


async def _killed(bus: Bus, members: list[Process]) -> float:
    await _consequence(bus)
    owner = members.pop(0)
    began = time.perf_counter()
    owner.kill()
    await _consequence(bus)
    seconds = time.perf_counter() - began
    await owner.wait()
    return seconds


async def _consequence(bus: Bus) -> None:
    before = (await bus.ends(SECOND))[0][1]
    await bus.append([message(str(uuid.uuid4()), 1, time.time_ns() // 1_000_000)])
    async with asyncio.timeout(WITHIN_S):
        while (await bus.ends(SECOND))[0][1] == before:
            await bus.wait(0.5)


async def _owner(bus: Bus, pid: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not any(row.group == "first" and row.pid == pid for row in await bus.groups()):
            await bus.wait(0.05)


async def _standby(bus: Bus, pid: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not any(row.group == "first" and pid in row.standby for row in await bus.groups()):
            await bus.wait(0.05)
