"""One soak from its folder to its findings."""

import asyncio
import collections
import contextlib
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import KafkaError

from bus.connect import connect
from bus.errors import BusAway
from bus.log import Bus
from config.settings import Settings
from tools.bench.place import SERVERS_AWAY, Place, needs_servers, new
from tools.bench.report import conditions
from tools.bench.service import END
from tools.output import Failed, say
from tools.soak import books as stores
from tools.soak import verdict
from tools.soak.books import Books, Silent
from tools.soak.deeds import Deeds
from tools.soak.patience import until
from tools.soak.plan import STAGES, frosts, plan
from tools.soak.producer import Producer
from tools.soak.roles import AllShare, OneWorks
from tools.soak.stage import NAMES, TOPICS, prepare
from tools.soak.troupe import Troupe
from tools.soak.verdict import FarEnd
from tools.soak.watch import Watch

UP_S_MAX: Final = 90.0  # a busy machine that compiles every module for the first time
SETTLE_S_MAX: Final = 90.0  # after the last fault, until everything has arrived
TELL_EVERY_S: Final = 5.0
SETTLED_LOOK_S: Final = 0.5
WAITING: Final = "WHERE refused IS NULL"
CLEAN: Final = (0, -signal.SIGTERM)  # the latter: asked before it had begun to listen for signals


@dataclass(frozen=True, slots=True)
class Terms:
    """How long, from which seed, how many messages a second."""

    seconds: int
    seed: int
    rate: int
    keep: bool = False
    freeze: tuple[int, ...] = ()  # processes beside the workers: a broker's, a database server's


@dataclass
class Soak:
    """The parts of one run."""

    terms: Terms
    place: Place
    bus: Bus
    books: Books
    producer: Producer
    troupe: Troupe
    watch: Watch
    deeds: Deeds
    far: FarEnd = field(default_factory=FarEnd)
    poison: collections.Counter[str] = field(default_factory=collections.Counter)  # what stands in the log, by reason

    @property
    def shared(self) -> bool:
        """Whether the processes of a stage share its partitions."""
        return self.place.settings.bus_kind == "kafka"

    async def run(self) -> dict[str, Any]:
        """Start everything, make trouble, let it settle, count."""
        self.troupe.start()
        tasks = [
            asyncio.create_task(each)
            for each in (self.watch.run(), self.deeds.wake_frozen(), self.far.follow(self.bus, END, self.place.partitions), self._tell())
        ]
        try:
            if not await until(lambda: all(self.watch.owned(stage) == self.place.partitions for stage in STAGES), UP_S_MAX):
                raise Failed(f"the stages did not start; their logs are in {self.place.folder}")
            deeds = plan(self.terms.seed, self.terms.seconds, shared=self.shared)
            servers = frosts(self.terms.seed, self.terms.seconds, len(self.terms.freeze))
            hands = (self.deeds.run(deeds), self.deeds.freeze_servers(servers, self.terms.freeze))
            await asyncio.gather(self.producer.run(self.terms.seconds), *hands)
            self.poison = await self.producer.poison_in_the_log()
            settled_s = await self._settle()
            for task in tasks:
                if task.done():
                    task.result()
            before = set(self.troupe.endings)
            await self.troupe.end()
            unclean = [e for e in self.troupe.endings if e.code not in CLEAN and e not in before]
            for ending in unclean:
                say(f"soak: stage {ending.stage}, process {ending.pid} was asked to end and did so with {ending.code}")
            return await self._findings(settled_s, len(unclean))
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
        while time.monotonic() < deadline_s and not await self._is_settled():  # noqa: ASYNC110 - two servers and their stores are asked
            await asyncio.sleep(SETTLED_LOOK_S)
        return time.monotonic() - began_s

    async def _is_settled(self) -> bool:
        if self.far.applied < self.producer.total:
            return False
        try:
            if await verdict.left(self.books, "suspended") or await verdict.parked(self.books) != self.poison:
                return False
            return not await self._unread() and not await self._unlike() and not await verdict.left(self.books, "outbox", WAITING)
        except (BusAway, Silent):
            return False

    async def _unread(self) -> int:
        return sum([sum((await self.bus.lag(NAMES[s], [self._topic(s)])).values()) for s in STAGES])

    async def _unlike(self) -> list[str]:
        """The partitions whose group is elsewhere than the store."""
        found = [verdict.unlike(await self.bus.offsets(NAMES[s]), await verdict.positions(self.books, s), self._topic(s)) for s in STAGES]
        return [line for lines in found for line in lines]

    def _topic(self, stage: int) -> str:
        return TOPICS[stage - 1].name

    async def _tell(self) -> None:
        began_s = time.monotonic()
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            done = ", ".join(f"{name} {count}" for name, count in sorted(self.deeds.done.items()))
            counts = f"sent {self.producer.total}, at the far end {self.far.applied}"
            say(f"soak {time.monotonic() - began_s:4.0f} s: {counts}; {done or 'all quiet'}")

    async def _findings(self, settled_s: float, unclean: int) -> dict[str, Any]:
        sent, letters = self.producer.sent, await verdict.parked(self.books)
        counted = await verdict.counted_twice(self.books, sent)
        wrong = (letters - self.poison) + (self.poison - letters)
        unlike = await self._unlike()
        return verdict.judged(
            {
                "soak": self.place.settings.bus_kind,
                "stores": self.place.settings.db_kind,
                "partitions": self.place.partitions,
                "seed": self.terms.seed,
                "seconds": self.terms.seconds,
                "rate": self.terms.rate,
                "sent": self.producer.total,
                "applied": self.far.applied,
                "lost": self.far.lost(sent),
                "doubled": self.far.doubled + sum(map(len, counted.values())),
                "parked": letters.total(),
                "out_of_order": self.far.out_of_order,
                "poison": self.poison.total(),
                "wrongly_parked": wrong.total(),
                "duplicates_sent": self.producer.duplicates,
                "repeats_at_the_far_end": self.far.repeats,
                "offsets_went_back": self.watch.went_back,
                "offsets_unlike_positions": len(unlike),
                "left_suspended": await verdict.left(self.books, "suspended") + await verdict.left(self.books, "parked"),
                "left_unread": 0 if settled_s < SETTLE_S_MAX else 1,
                "left_in_outboxes": await verdict.left(self.books, "outbox", WAITING),
                "settled_s": round(settled_s, 2),
                **self._story(unclean),
                "examples": [*self.far.examples, *unlike, *(line for lines in counted.values() for line in lines)][: verdict.SHOWN_MAX],
                "conditions": conditions(self.place.settings),
            }
        )

    def _story(self, unclean: int) -> dict[str, Any]:
        """What was done, and how it went on."""
        endings = self.troupe.endings
        waiter = {} if self.shared else {"ended by a waiter": sum(e.by_waiter for e in endings)}
        return {
            "deeds": dict(sorted(self.deeds.done.items())),
            "endings": {
                **waiter,
                "killed at a point": sum(e.at_fault for e in endings),
                "failed": sum(e.code > 0 for e in endings),
                "stopped uncleanly": unclean,
                "starts": sum(a.starts for a in self.troupe.actors),
            },
            "points": dict(sorted((self.deeds.points + verdict.struck(endings)).items())),
            "takeover": verdict.takeovers(self.deeds.falls, self.watch.owners),
            "outbox_age_ms_max": self.watch.outbox_age_ms,
            "wal_bytes_max": dict(sorted(self.watch.wal_bytes.items())),
        }


async def soak(terms: Terms, settings: Settings) -> dict[str, Any]:
    """Run one soak in a place of its own on what the settings name; the findings, `ok` among them. The place stays when it is not."""
    say(f"soak: {terms.seconds} s at {terms.rate} msg/s, seed {terms.seed} (--seed {terms.seed} makes the same faults again)")
    place = new(settings, Path(tempfile.mkdtemp(prefix="lendbus-soak-")))
    findings: dict[str, Any] = {"ok": False}
    bus = await _opened(place)
    try:
        findings = await _run(terms, place, bus)
        return findings
    finally:
        if findings["ok"] and not terms.keep:
            await place.remove()
            shutil.rmtree(place.folder)
        else:
            say(f"stores, log and the processes' words stay in {place.folder}")


async def _opened(place: Place) -> Bus:
    """The bus with its topics, the stores made. Raises Failed when a server is away or refuses; nothing is left behind then."""
    bus = connect(place.bus_url)
    try:
        await bus.open()
        await bus.declare(place.topics(TOPICS))
        await asyncio.to_thread(prepare, place)
    except SERVERS_AWAY as exc:
        shutil.rmtree(place.folder)
        with contextlib.suppress(*SERVERS_AWAY, OSError, KafkaError):
            await bus.close()
            await place.remove()
        raise needs_servers(exc) from exc
    return bus


async def _run(terms: Terms, place: Place, bus: Bus) -> dict[str, Any]:
    books = stores.of(place)
    try:
        producer, troupe, watch = Producer(bus, terms.seed, terms.rate), Troupe(place, STAGES), Watch(place, bus, books)
        roles = AllShare(troupe, watch) if place.settings.bus_kind == "kafka" else OneWorks(bus, troupe, watch)
        deeds = Deeds(place, troupe, watch, roles, producer.actors)
        return await Soak(terms, place, bus, books, producer, troupe, watch, deeds).run()
    finally:
        await books.close()
        await bus.close()
