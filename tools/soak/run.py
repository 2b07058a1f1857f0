"""One soak from its folder to its findings."""

import asyncio
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bus.connect import connect
from bus.errors import BusAway
from bus.log import Bus
from tools.bench.load import bus_url
from tools.bench.report import conditions
from tools.bench.service import END
from tools.output import Failed, say
from tools.soak import verdict
from tools.soak.deeds import Deeds
from tools.soak.patience import until
from tools.soak.plan import STAGES, plan
from tools.soak.producer import Producer
from tools.soak.stage import NAMES, TOPICS, prepare
from tools.soak.troupe import Troupe
from tools.soak.verdict import FarEnd
from tools.soak.watch import Watch

UP_S_MAX: Final = 30.0
SETTLE_S_MAX: Final = 90.0  # after the last fault, until everything has arrived
TELL_EVERY_S: Final = 5.0
TAIL_WAIT_S: Final = 0.5
CLEAN: Final = (0, -signal.SIGTERM)  # the latter: asked before it had begun to listen for signals


@dataclass(frozen=True, slots=True)
class Terms:
    """How long, from which seed, how many messages a second."""

    seconds: int
    seed: int
    rate: int
    keep: bool = False


@dataclass
class Soak:
    """The parts of one run."""

    terms: Terms
    folder: Path
    bus: Bus
    producer: Producer
    troupe: Troupe
    watch: Watch
    deeds: Deeds
    far: FarEnd = field(default_factory=FarEnd)

    async def run(self) -> dict[str, Any]:
        """Start everything, make trouble, let it settle, count."""
        self.troupe.start()
        tasks = [asyncio.create_task(each) for each in (self.watch.run(), self.deeds.wake_frozen(), self._tail(), self._tell())]
        try:
            if not await until(lambda: all(self.watch.owner(stage) for stage in STAGES), UP_S_MAX):
                raise Failed(f"the stages did not start; their logs are in {self.folder}")
            deeds = plan(self.terms.seed, self.terms.seconds)
            await asyncio.gather(self.producer.run(self.terms.seconds), self.deeds.run(deeds))
            settled_s = await self._settle()
            for task in tasks:
                if task.done():
                    task.result()
            before = set(self.troupe.endings)
            await self.troupe.end()
            unclean = [e for e in self.troupe.endings if e.code not in CLEAN and e not in before]
            for ending in unclean:
                say(f"soak: stage {ending.stage}, process {ending.pid} was asked to end and did so with {ending.code}")
            return self._findings(settled_s, len(unclean))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.troupe.end(gracefully=False)

    async def _settle(self) -> float:
        """How long it took from the last fault until everything was at the far end, healed and read; in seconds."""
        began_s = time.monotonic()
        await self.deeds.settle()
        for stage in STAGES:
            await self.deeds.redrive(stage)
        deadline_s = began_s + SETTLE_S_MAX
        while time.monotonic() < deadline_s and not await self._is_settled():
            await self.bus.wait(TAIL_WAIT_S)
        return time.monotonic() - began_s

    async def _is_settled(self) -> bool:
        if self.far.applied < self.producer.total or verdict.left(self.folder, "suspended"):
            return False
        return verdict.parked(self.folder) == self.producer.poison and not await self._unread()

    async def _unread(self) -> int:
        try:
            return sum([sum((await self.bus.lag(NAMES[s], [TOPICS[s - 1].name])).values()) for s in STAGES])
        except BusAway:
            return -1

    async def _tail(self) -> None:
        while True:
            try:
                if records := await self.bus.read(END, 0, self.far.offset):
                    self.far.take(records)
                else:
                    await self.bus.wait(TAIL_WAIT_S)
            except BusAway:
                await asyncio.sleep(TAIL_WAIT_S)

    async def _tell(self) -> None:
        began_s = time.monotonic()
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            done = ", ".join(f"{name} {count}" for name, count in sorted(self.deeds.done.items()))
            counts = f"sent {self.producer.total}, at the far end {self.far.applied}"
            say(f"soak {time.monotonic() - began_s:4.0f} s: {counts}; {done or 'all quiet'}")

    def _findings(self, settled_s: float, unclean: int) -> dict[str, Any]:
        sent, letters = self.producer.sent, verdict.parked(self.folder)
        counted = verdict.counted_twice(self.folder, sent)
        endings = self.troupe.endings
        unlike = (letters - self.producer.poison) + (self.producer.poison - letters)
        return verdict.judged(
            {
                "soak": "sqlite",
                "seed": self.terms.seed,
                "seconds": self.terms.seconds,
                "rate": self.terms.rate,
                "sent": self.producer.total,
                "applied": self.far.applied,
                "lost": self.far.lost(sent),
                "doubled": self.far.doubled + sum(map(len, counted.values())),
                "parked": letters.total(),
                "out_of_order": self.far.out_of_order,
                "poison": self.producer.poison.total(),
                "wrongly_parked": unlike.total(),
                "duplicates_sent": self.producer.duplicates,
                "repeats_at_the_far_end": self.far.repeats,
                "offsets_went_back": self.watch.went_back,
                "left_suspended": verdict.left(self.folder, "suspended") + verdict.left(self.folder, "parked"),
                "left_unread": 0 if settled_s < SETTLE_S_MAX else 1,
                "settled_s": round(settled_s, 2),
                "deeds": dict(sorted(self.deeds.done.items())),
                "endings": {
                    "ended by a waiter": sum(e.by_waiter for e in endings),
                    "killed at a point": sum(e.at_fault for e in endings),
                    "failed": sum(e.code > 0 for e in endings),
                    "stopped uncleanly": unclean,
                    "starts": sum(a.starts for a in self.troupe.actors),
                },
                "points": dict(sorted((self.deeds.points + verdict.struck(endings)).items())),
                "takeover": verdict.takeovers(self.deeds.falls, self.watch.owners),
                "outbox_age_ms_max": self.watch.outbox_age_ms,
                "wal_bytes_max": dict(sorted(self.watch.wal_bytes.items())),
                "examples": self.far.examples + [line for lines in counted.values() for line in lines][: verdict.SHOWN_MAX],
                "conditions": conditions(),
            }
        )


async def soak(terms: Terms) -> dict[str, Any]:
    """Run one soak in a folder of its own; the findings, `ok` among them. The folder stays when it is not."""
    say(f"soak: {terms.seconds} s at {terms.rate} msg/s, seed {terms.seed} (--seed {terms.seed} makes the same faults again)")
    folder = Path(tempfile.mkdtemp(prefix="lendbus-soak-"))
    findings: dict[str, Any] = {"ok": False}
    try:
        findings = await _run(terms, folder)
        return findings
    finally:
        if findings["ok"] and not terms.keep:
            shutil.rmtree(folder)
        else:
            say(f"stores, log and the processes' words stay in {folder}")


async def _run(terms: Terms, folder: Path) -> dict[str, Any]:
    prepare(folder)
    bus = connect(bus_url(folder))
    await bus.open()
    try:
        await bus.declare(TOPICS)
        producer, troupe, watch = Producer(bus, terms.seed, terms.rate), Troupe(folder, STAGES), Watch(folder, bus)
        deeds = Deeds(folder, bus, troupe, watch, producer.actors)
        return await Soak(terms, folder, bus, producer, troupe, watch, deeds).run()
    finally:
        await bus.close()
