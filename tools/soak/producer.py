"""What is sent: numbered messages over many actors, duplicates at once and much later, odd headers, poison of every kind."""

import asyncio
import collections
import random
import time
import uuid
from typing import Final

from agents.runtime.envelope import Undecodable, decode
from agents.runtime.patience import until_back
from bus.errors import BusAway
from bus.log import Bus
from bus.record import Outgoing, Record
from tools.bench.load import message
from tools.bench.service import FIRST, Count
from tools.soak.poison import HUGE_BYTES, POISONS, Poison, odd

ACTORS: Final = 50
STEP_S: Final = 0.025
DUPLICATES: Final = 0.02
POISONED: Final = 0.005
ODD: Final = 0.01
HUGE_EVERY: Final = 20  # of so many poisons one may be huge
KEPT: Final = 2_000  # messages that may be sent again much later


class Producer:
    """Sends at a steady rate, one call after the other, so that what it has counted is in the log in order."""

    def __init__(self, bus: Bus, seed: int, rate: int, *, actors: int = ACTORS) -> None:
        self._bus = bus
        self._chance = random.Random(f"{seed}:load")
        self._rate = rate
        self.actors = [str(uuid.UUID(int=self._chance.getrandbits(128), version=4)) for _ in range(actors)]
        self.sent: dict[str, int] = dict.fromkeys(self.actors, 0)  # per actor, all numbers below this are in the log
        self.duplicates = 0
        self.poison: collections.Counter[str] = collections.Counter()  # by reason
        self.away = 0  # how often the bus was, in the middle of a call
        self._kept: list[Outgoing] = []

    @property
    def total(self) -> int:
        """How many different messages are in the log."""
        return sum(self.sent.values())

    async def run(self, seconds: float) -> None:
        """Send for so long."""
        began_s = time.monotonic()
        due = 0
        while (passed_s := time.monotonic() - began_s) < seconds:
            await self.send(max(0, int(passed_s * self._rate) - due))
            due = int(passed_s * self._rate)
            await asyncio.sleep(STEP_S)

    async def send(self, count: int) -> None:
        """Append `count` messages, and what goes with them, as one call."""
        if not count:
            return
        now_ms = time.time_ns() // 1_000_000
        rows: list[Outgoing] = []
        new: collections.Counter[str] = collections.Counter()
        reasons: list[str] = []
        duplicates = 0
        for _ in range(count):
            actor = self._chance.choice(self.actors)
            good = message(actor, self.sent[actor] + new[actor], now_ms)
            new[actor] += 1
            if self._chance.random() < ODD:
                good = odd(good, self._chance)
            rows.append(good)
            if self._chance.random() < DUPLICATES:
                rows.append(self._again(good))
                duplicates += 1
            if self._chance.random() < POISONED:
                poison = self._poison()
                rows.append(poison.spoil(message(actor, 0, now_ms)))
                reasons.append(poison.reason)
        await until_back(lambda: self._bus.append(rows), BusAway, what="bus", on_away=self._was_away)
        self.sent = {actor: n + new[actor] for actor, n in self.sent.items()}
        self.duplicates += duplicates
        self.poison.update(reasons)

    async def poison_in_the_log(self) -> collections.Counter[str]:
        """By reason: what was sent, or, where a call had to be repeated of which a part may be in the log twice, what is there."""
        if not self.away:
            return self.poison
        found: collections.Counter[str] = collections.Counter()
        for partition, (start, end) in (await self._bus.ends(FIRST)).items():
            at = start
            while at < end and (run := await self._bus.read(FIRST, partition, at)):
                found.update(reason for record in run if (reason := unreadable(record)))
                at = run[-1].offset + 1
        return found

    def _was_away(self) -> None:
        self.away += 1

    def _again(self, good: Outgoing) -> Outgoing:
        """The same message once more: this one, or one from long ago."""
        if len(self._kept) < KEPT:
            self._kept.append(good)
        elif self._chance.random() < 0.2:
            self._kept[self._chance.randrange(KEPT)] = good
        return self._chance.choice(self._kept) if self._chance.random() < 0.5 else good

    def _poison(self) -> Poison:
        poison = self._chance.choice(POISONS)
        if len(poison.spoil(_SAMPLE).value or b"") >= HUGE_BYTES and self._chance.randrange(HUGE_EVERY):
            return POISONS[0]
        return poison


def unreadable(record: Record) -> str | None:
    """The reason why nobody can read a record, as its dead letter will have it."""
    try:
        decode(record, {Count.type: Count})
    except Undecodable as refused:
        return refused.reason
    return None


_SAMPLE: Final = message("sample", 0, 0)
