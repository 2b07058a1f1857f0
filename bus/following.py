"""`Bus.follow` over a bus that can be read and waited for: what the embedded bus does; Kafka has its own."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence

from bus.errors import BusAway
from bus.log import Bus
from bus.record import Record

WAKE_S_MAX = 5.0  # a safety net: the bus wakes the follower by itself
AWAY_S = 0.25

log = logging.getLogger("lendbus.bus")


async def follow(bus: Bus, topics: Sequence[str], start: Mapping[tuple[str, int], int] | None = None) -> AsyncGenerator[list[Record], None]:
    """See `Bus.follow`."""
    given = start or {}
    reached: dict[tuple[str, int], int] | None = None
    away = False
    while True:
        try:
            if reached is None:
                reached = {(t, number): given.get((t, number), end) for t in topics for number, (_, end) in (await bus.ends(t)).items()}
            quiet = True
            for (topic, partition), at in list(reached.items()):
                if run := await bus.read(topic, partition, at):
                    reached[topic, partition] = run[-1].offset + 1
                    quiet = False
                    yield run
            if quiet:
                await bus.wait(WAKE_S_MAX)
            away = False
        except BusAway as exc:
            if not away:
                log.warning("following %s: %s; trying on", ", ".join(topics), exc)
            away = True
            await asyncio.sleep(AWAY_S)
