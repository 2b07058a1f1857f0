"""`lendbus bench scale`: one service's worker processes share the partitions of a topic, on Kafka and PostgreSQL.

A fixed load waits on the topic; so many processes start on it, and the clock runs from the moment when each of them owns
partitions until the last consequence is on the next topic. What limits is measured beside it: the processor time that the
workers, the broker and the database use meanwhile, in cores. They all run on the cores of this machine, if the two servers do.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import make_url

from bus.connect import connect
from bus.kafka.address import parse
from bus.log import Bus
from config.settings import Settings
from tools.bench.load import VALUE_BYTES, chunks, messages
from tools.bench.place import Place, a_place
from tools.bench.report import Report, conditions
from tools.bench.service import METADATA, SECOND, TOPICS
from tools.bench.shares import Shares, listener
from tools.bench.takeover import member, owned
from tools.output import Failed, WrongUse
from tools.soak.stage import NAMES

TWO_TO_ONE_BAR: Final = 1.3
FULL: Final = 0.95  # cores that are busy for so large a part of the time are full
LEFT_MIN: Final = 0.25  # of the load, when all workers own partitions; less would measure the start
WITHIN_S: Final = 300.0
LOOK_EVERY_S: Final = 0.1
POSTGRESQL_PORT: Final = 5432


async def run(settings: Settings, count: int, workers: Sequence[int]) -> Report:
    """The same load with each number of workers; messages a second, and who used the processor."""
    if (settings.bus_kind, settings.db_kind) != ("kafka", "postgresql"):
        raise WrongUse("workers share partitions on Kafka and PostgreSQL only: --bus kafka --db postgresql, or their URLs")
    said = {"messages": count, "value_bytes": VALUE_BYTES, "actors": count // 10, "partitions": 8}
    report = Report("scale", {**conditions(settings), **said})
    rates: dict[int, float] = {}
    busy: dict[int, float] = {}
    for number in workers:
        async with a_place(settings) as place:
            rates[number], shares = await _measured(place, count, number)
        name = f"{number} worker{'s' if number > 1 else ''}"
        report.figure(f"{name}, msg/s", round(rates[number]))
        for who, cores in shares.items():
            report.figure(f"{name}: processor of the {who}, cores", round(cores, 2))
        if "machine" in shares:
            busy[number] = shares["machine"] / report.conditions["cores"]
    _compare(report, rates, busy)
    return report


def _compare(report: Report, rates: dict[int, float], busy: dict[int, float]) -> None:
    """Two workers are held to the bar where the cores allow it: one worker leaves room for it, and two do not fill them."""
    if 1 in rates and 2 in rates:
        ratio = round(rates[2] / rates[1], 2)
        if busy.get(1, 0.0) * TWO_TO_ONE_BAR > 1 or busy.get(2, 0.0) >= FULL:
            report.figure("2 workers / 1 worker (the cores are what limits)", ratio)
        else:
            report.bar("2 workers / 1 worker", ratio, TWO_TO_ONE_BAR, at_least=True)


async def _measured(place: Place, count: int, workers: int) -> tuple[float, dict[str, float]]:
    await asyncio.to_thread(place.make_store, NAMES[1], METADATA)
    bus = connect(place.bus_url)
    await bus.open()
    await bus.declare(place.topics(TOPICS))
    for rows in chunks(messages(count, count // 10), 500):
        await bus.append(rows)
    members = [await member(place) for _ in range(workers)]
    try:
        shares = Shares({"workers": [each.pid for each in members], **_servers(place)})
        await owned(place, [each.pid for each in members])
        shares.begin()
        before, began = await _said(bus), time.perf_counter()
        if count - before < count * LEFT_MIN:
            raise Failed(f"{before} of {count} messages were through before all workers were there: say more with --messages")
        await _until_said(bus, count)
        seconds = time.perf_counter() - began
        return (count - before) / seconds, shares.end()
    finally:
        for each in members:
            each.kill()
            await each.wait()
        await bus.close()


def _servers(place: Place) -> dict[str, list[int]]:
    """The broker and the database, if they are processes of this machine."""
    host, _, port = parse(place.bus_url).servers[0].rpartition(":")
    database = make_url(place.store_url(NAMES[1]))
    found = {"broker": listener(host, int(port)), "database": listener(database.host or "localhost", database.port or POSTGRESQL_PORT)}
    return {name: [pid] for name, pid in found.items() if pid is not None}


async def _said(bus: Bus) -> int:
    return sum(end - start for start, end in (await bus.ends(SECOND)).values())


async def _until_said(bus: Bus, count: int) -> None:
    """By the ends of the next topic, seldom: to read it would be work on the same cores. Nobody is killed, so there are no repeats."""
    async with asyncio.timeout(WITHIN_S):
        while await _said(bus) < count:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY_S)
