"""What befalls webhooks and messages on their way: lost or said twice, drawn from a seed."""

import random
from collections.abc import Mapping, Sequence
from contextlib import aclosing

from bus.log import Bus
from bus.record import Outgoing, Record
from tools.chaos.plan import DOUBLED_SHARE, LOST_SHARE
from tools.webhook_relay import Choose, Fate


def fates(seed: str) -> Choose:
    """What becomes of each webhook, one after the other."""
    chance = random.Random(f"{seed}:webhooks")

    def choose(_: bytes) -> Fate:
        share = chance.random()
        if share < LOST_SHARE:
            return "lose"
        return "double" if share < LOST_SHARE + DOUBLED_SHARE else "pass"

    return choose


class Doubler:
    """Says some messages a second time, as a producer does that has not heard its acknowledgement."""

    def __init__(self, bus: Bus, seed: str, share: float) -> None:
        self.doubled = 0
        self._bus = bus
        self._chance = random.Random(f"{seed}:messages")
        self._share = share
        self._said: set[int] = set()

    async def run(self, topics: Sequence[str], start: Mapping[tuple[str, int], int]) -> None:
        """Follow these topics for ever. Raises BusAway."""
        async with aclosing(self._bus.follow(list(topics), dict(start))) as runs:
            async for run in runs:
                for record in run:
                    await self.see(record)

    async def see(self, record: Record) -> None:
        """A record has come: it is said again, perhaps; what was said a second time is not said a third time."""
        mark = hash((record.topic, record.key, record.value, repr(record.headers)))
        if mark in self._said:
            self._said.discard(mark)
        elif self._chance.random() < self._share:
            self._said.add(mark)
            self.doubled += 1
            await self._bus.append(
                [Outgoing(record.topic, record.key, record.value, record.headers, record.timestamp_ms, record.partition)]
            )
