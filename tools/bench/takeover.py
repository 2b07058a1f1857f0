"""`lendbus bench takeover`: the owner of partitions is killed (-9) while another process is there; when does its work go on?

From the kill to the first consequence, on the next topic, of a message that was sent right after it; on Kafka, where two
processes share the partitions, to the last such first consequence of all partitions of the dead one.
"""

import asyncio
import collections
import contextlib
import os
import sys
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

from sqlalchemy import select

from bus.connect import connect
from bus.log import Bus
from bus.partitioning import partition_of
from bus.record import Record
from config.settings import Settings
from stores.engine import Store
from stores.runtime import owner
from tools.bench.load import message
from tools.bench.place import Place, a_place
from tools.bench.report import Report, conditions
from tools.bench.service import SECOND
from tools.soak.stage import NAMES, TOPICS, prepare

BARS_S: Final = {"sqlite": 2.0, "kafka": 4.0}
WITHIN_S: Final = 60.0
LOOK_S: Final = 0.05
SERVICE: Final = NAMES[1]

Said = AsyncGenerator[list[Record], None]


async def run(settings: Settings, rounds: int) -> Report:
    """Kill an owner `rounds` times, a new process beside the other each time; the median and the worst."""
    report = Report("takeover", {**conditions(settings), "rounds": rounds, "lease_s": 1.0})
    async with a_place(settings) as place:
        await asyncio.to_thread(prepare, place)
        bus = connect(place.bus_url)
        await bus.open()
        await bus.declare(place.topics(TOPICS))
        start = {(SECOND, number): end for number, (_, end) in (await bus.ends(SECOND)).items()}
        async with contextlib.aclosing(bus.follow([SECOND], start)) as said, _troupe(place) as members:
            took = [await _killed(place, bus, said, members) for _ in range(rounds)]
        await bus.close()
    report.figure("take-over after kill -9, p50, s", round(sorted(took)[rounds // 2], 3))
    report.bar("take-over after kill -9, worst, s", round(max(took), 3), BARS_S[settings.bus_kind], at_least=False)
    return report


@asynccontextmanager
async def _troupe(place: Place) -> AsyncIterator[list[Process]]:
    """A process that works; whoever is in the list at the end is ended."""
    members = [await member(place)]
    try:
        yield members
    finally:
        for each in members:
            each.kill()
            await each.wait()


async def member(place: Place) -> Process:
    """A worker process of the place's first stage; it ends with this one."""
    command = (sys.executable, "-m", "tools.soak.stage", str(place.folder), "1")
    return await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, env={**os.environ, **place.environment}
    )


async def _killed(place: Place, bus: Bus, said: Said, members: list[Process]) -> float:
    """Let another process come and everything be at rest; kill the one that was there before; how long until all its work goes on."""
    await owned(place, [members[0].pid])
    members.append(await member(place))
    if place.settings.bus_kind == "kafka":
        owners = await owned(place, [each.pid for each in members])
    else:
        owners = await owned(place, [members[0].pid])
        await _standby(bus, members[1].pid)
    await _consequences(place, bus, said, sorted(owners))
    dead = members.pop(0)
    began = time.perf_counter()
    dead.kill()
    await _consequences(place, bus, said, sorted(number for number, pid in owners.items() if pid == dead.pid))
    seconds = time.perf_counter() - began
    await dead.wait()
    return seconds


async def _consequences(place: Place, bus: Bus, said: Said, partitions: Sequence[int]) -> None:
    """Send a message to each of these partitions; return when each has had its consequence."""
    keys = {key_of(number, place.partitions) for number in partitions}
    await bus.append([message(key, 1, time.time_ns() // 1_000_000) for key in keys])
    async with asyncio.timeout(WITHIN_S):
        while keys:
            keys -= {(record.key or b"").decode() for record in await anext(said)}


def key_of(partition: int, partitions: int) -> str:
    """A new key that goes there."""
    return next(key for _ in count() if partition_of((key := str(uuid.uuid4())).encode(), partitions) == partition)


async def owned(place: Place, pids: Sequence[int]) -> Mapping[int, int]:
    """Wait until these processes, and nobody else, own all the partitions and each some; who owns which, as the store has it."""
    store = await Store.open(SERVICE, place.store_url(SERVICE))
    try:
        async with asyncio.timeout(WITHIN_S):
            while True:
                async with store.reading() as connection:
                    rows = [(int(number), int(pid)) for number, pid in await connection.execute(select(owner.c.partition, owner.c.pid))]
                if len(rows) == place.partitions and collections.Counter(pid for _, pid in rows).keys() == set(pids):
                    return dict(rows)
                await asyncio.sleep(LOOK_S)
    finally:
        await store.close()


async def _standby(bus: Bus, pid: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not any(row.group == SERVICE and pid in row.standby for row in await bus.groups()):
            await bus.wait(LOOK_S)
