"""Chaos from its company to its findings: an undisturbed story, then disturbed ones, each compared with it."""

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from bus.connect import connect
from bus.errors import BusAway
from tools.bench.place import SERVERS_AWAY, Place, needs_servers, new
from tools.chaos.arming import Hit
from tools.chaos.company import Company
from tools.chaos.flight import in_hand
from tools.chaos.plan import HITS_A_STORY_MIN, MESSAGES_DOUBLED_SHARE, TRIES_MAX, plan
from tools.chaos.roads import Doubler, fates
from tools.check import disagreements, looked
from tools.children import NotStarted
from tools.output import Failed, WrongUse, say
from tools.reading import MAILBOXES
from tools.story import terms
from tools.story.http import Http, StoryEnded, TooLong, session, wait
from tools.story.outcome import PLATFORM, Outcome, differences, outcome, unbalanced
from tools.story.people import Staff, cast
from tools.story.play import Story
from tools.webhook_relay import Fate

if TYPE_CHECKING:
    import aiohttp

    from config.settings import Settings

STEP_WITHIN_S: Final = 180.0  # one step of a story; its deadlines are far off
QUIET_WITHIN_S: Final = 90.0  # after a story until nothing is under way any more
TRY_DEADLINE_MS: Final = 10 * 60_000
EXAMPLES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Terms:
    """How many stories, from which seed; `keep`: the folder stays in any case."""

    stories: int
    seed: int
    keep: bool = False


@dataclass
class Told:
    """One telling: how it has ended (None: it could not go on), and what struck it."""

    end: Outcome | None
    wrong: list[str]
    hits: int


@dataclass
class Chaos:
    """One run."""

    terms: Terms
    place: Place
    people: "aiohttp.ClientSession"
    company: Company = field(init=False)
    staff: list[Staff] = field(default_factory=list)
    hits: int = 0
    again: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)
    played: int = 0
    _story: int = 0
    _struck: list[Hit] = field(default_factory=list)
    _noting: set["asyncio.Task[None]"] = field(default_factory=set)
    _fate: Any = None

    async def run(self) -> dict[str, Any]:
        """Everything. Raises Failed when the company does not start, or the undisturbed story does not hold."""
        self.company = await Company.gather(self.place.settings, self._fate_of, self._heard)
        try:
            try:
                await self.company.open()
            except (NotStarted, TooLong) as exc:
                raise Failed(f"the company has not started: {exc}") from None
            await self._employ()
            usual = await self._undisturbed()
            for number in range(1, self.terms.stories + 1):
                await self._disturbed(number, usual)
        finally:
            await self.company.close()
            await asyncio.gather(*self._noting, return_exceptions=True)
        return self._findings()

    def _fate_of(self, body: bytes) -> Fate:
        return self._fate(body) if self._fate is not None else "pass"

    def _heard(self, hit: Hit) -> None:
        """A fault has struck: it is told with the message that was in hand."""
        self._struck.append(hit)
        task = asyncio.ensure_future(self._note(hit, self._story))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _note(self, hit: Hit, story: int) -> None:
        had = await in_hand(self.company.house.settings, hit.fault.target)
        what = "killed" if hit.fault.is_kill else f"frozen for {hit.fault.frozen_s:g} s"
        say(f"  story {story}, scene {hit.fault.scene}: {hit.fault.target} {what} at {hit.point}; in hand: {had}")

    async def _employ(self) -> None:
        from tools.admin import created
        from tools.operate import acting

        here: Any = SimpleNamespace(settings=self.company.house.settings)
        for part in ("first auditor", "second auditor"):
            staff = Staff(part, "auditor", part.replace(" ", "_"), f"the {part}'s pass phrase")
            await created(here, staff.login_name, staff.role, staff.password, acting("chaos"))
            self.staff.append(staff)

    async def _undisturbed(self) -> Outcome:
        """How it ends when nobody disturbs it; that must hold by itself."""
        began_s = time.monotonic()
        told = await self._tell("0", 0, [])
        if told.end is None or told.wrong or any("NOT HELD" in scene for scene in told.end.scenes):
            raise Failed(f"the undisturbed story does not hold: {'; '.join(told.wrong) or told.end}")
        say(f"undisturbed story: {len(told.end.scenes)} scenes, {time.monotonic() - began_s:.1f} s")
        return told.end

    async def _disturbed(self, number: int, usual: Outcome) -> None:
        """One disturbed story, played again while too little has struck it."""
        self._story = number
        for attempt in range(TRIES_MAX):
            began_s = time.monotonic()
            seed = f"{self.terms.seed}:{number}:{attempt}"
            faults = plan(self.terms.seed, number, attempt, len(usual.scenes))
            async with self._doubling(seed):
                self._fate = fates(seed)
                told = await self._tell(seed, number, faults)
            self.hits += told.hits
            wrong = told.wrong + ([] if told.end is None else differences(usual, told.end))
            self.wrong += [f"story {number} (attempt {attempt}): {line}" for line in wrong]
            for line in wrong:
                say(f"  story {number}: DIFFERS: {line}")
            say(f"story {number}: {told.hits} hits of {len(faults)} faults, {len(wrong)} differences, {time.monotonic() - began_s:.1f} s")
            if told.hits >= HITS_A_STORY_MIN or wrong:
                break
            self.again += 1
        self.played += 1

    async def _tell(self, seed: str, number: int, faults: list[Any]) -> Told:
        """Tell a story with these faults, and wait until everything is quiet."""
        self._struck = []
        house, company = self.company.house, self.company
        fees = (await house.balances([]))[PLATFORM].available_fen
        first, second = self.staff
        http = Http(company.url, self.people, STEP_WITHIN_S)
        story = Story(cast(f"{self.terms.seed}:{seed}"), first, second, http, house.roll)
        wrong: list[str] = []
        end: Outcome | None = None
        try:
            await self._played(story, faults)
        except StoryEnded as exc:
            wrong.append(f"it could not go on after {len(story.scenes)} scenes: {exc}")
        self._fate = None
        company.look()
        company.calm()
        wrong += await self._settled()
        if not wrong:
            end = await outcome(story, house.balances, fees)
            wrong += unbalanced(end, terms.RECHARGES)
        return Told(end, wrong, len(self._struck))

    async def _played(self, story: Story, faults: list[Any]) -> None:
        """Every scene, with the faults that belong before it."""
        by_scene: dict[int, list[Any]] = {}
        for fault in faults:
            by_scene.setdefault(fault.scene, []).append(fault)
        scenes = story.play()
        while True:
            for fault in by_scene.get(len(story.scenes), ()):
                self.company.arm(fault)
            try:
                await anext(scenes)
            except StopAsyncIteration:
                return

    async def _settled(self) -> list[str]:
        """Wait until nothing is under way; what is broken or stuck then."""
        settings = self.company.house.settings

        async def quiet() -> bool | None:
            with contextlib.suppress(WrongUse, BusAway):
                return True if not (await looked(settings, with_bank=True)).in_flight() and not await self._stuck() else None
            return None

        try:
            await wait(quiet, QUIET_WITHIN_S, lambda: "still under way")
        except TooLong:
            flights = (await looked(settings, with_bank=True)).in_flight()
            under = [f"{flight.kind} {flight.id}: {flight.detail}" for flight in flights]
            return [f"still under way after {QUIET_WITHIN_S:g} s: {line}" for line in [*under, *await self._stuck()]]
        return [f"check: {f.rule}: {f.id}: {f.detail}" for f in await disagreements(settings, with_bank=True)] + await self._bank_wrong()

    async def _bank_wrong(self) -> list[str]:
        from tools.bank_check import findings

        return [f"bank check: {r['rule']}: {r['id']}: {r['detail']}" for r in await findings(self.company.house.settings.of_bank())]

    async def _stuck(self) -> list[str]:
        """What waits for a person."""
        from tools.stuck import waiting

        here: Any = SimpleNamespace(settings=self.company.house.settings)
        return [f"stuck: {row['kind']} {row['id']} of {row['service']}: {row['reason']}" for row in await waiting(here)]

    @asynccontextmanager
    async def _doubling(self, seed: str) -> AsyncIterator[None]:
        """Some messages come twice meanwhile."""
        bus = connect(self.company.house.settings.bus_url())
        await bus.open()
        doubler = Doubler(bus, seed, MESSAGES_DOUBLED_SHARE)
        topics = sorted(MAILBOXES.values())
        start = {(topic, partition): end for topic in topics for partition, (_, end) in (await bus.ends(topic)).items()}
        task = asyncio.create_task(doubler.run(topics, start))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.doubled += doubler.doubled
            await bus.close()

    def _findings(self) -> dict[str, Any]:
        settings, road = self.place.settings, self.company.house.road
        return {
            "chaos": settings.bus_kind,
            "stores_on": settings.db_kind,
            "stories": self.played,
            "seed": self.terms.seed,
            "hits": self.hits,
            "kills": self.company.counted["kills"],
            "freezes": self.company.counted["freezes"],
            "lost_webhooks": len(road.lost),
            "doubled_webhooks": road.doubled,
            "doubled_messages": self.doubled,
            "played_again": self.again,
            "differences": len(self.wrong),
            "examples": self.wrong[:EXAMPLES_MAX],
        }


async def chaos(terms_: Terms, settings: "Settings") -> dict[str, Any]:
    """Run it in a place of its own on what the settings name; the place stays when something differs."""
    from config.keys import load_or_create

    say(f"chaos: {terms_.stories} stories, seed {terms_.seed} (--seed {terms_.seed} draws the same faults again)")
    place = new(settings, Path(tempfile.mkdtemp(prefix="lendbus-chaos-")))
    far_off = {"log_level": "info", "log_format": "json", "try_deadline_ms": TRY_DEADLINE_MS}
    place = Place(place.settings.model_copy(update=far_off), place.folder)
    load_or_create(place.settings.key_path(), may_generate=True)  # the place is nobody else's
    try:
        await _answers(place)
    except SERVERS_AWAY as exc:
        shutil.rmtree(place.folder)
        raise needs_servers(exc) from exc
    found: dict[str, Any] = {"differences": 1}
    try:
        async with session() as people:
            found = await Chaos(terms_, place, people).run()
        return found
    finally:
        if found["differences"] or terms_.keep:
            say(f"stores, log and the processes' words stay in {place.folder}")
        else:
            await _removed(place)


async def _answers(place: Place) -> None:
    """Look whether the bus is there at all before a company is gathered. Raises BusAway."""
    bus = connect(place.bus_url)
    try:
        await bus.open()
        await bus.topics()
    finally:
        await bus.close()


async def _removed(place: Place) -> None:
    await place.remove()
    if place.settings.bus_kind == "kafka":
        await Place(place.settings.of_bank(), place.folder).remove_topics()
    shutil.rmtree(place.folder)
