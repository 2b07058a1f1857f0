"""`lendbus bench story`: complete loan lives a second, as people live them over HTTP; many at once on one platform and one bank.

A life is a loan of three bids and three instalments from its publication to its settlement, with everything that the story has
on the way (a bid without the money, one too late, an audit refused). Its people have registered and have brought their money
before. The bank's days are closed for all lives together, one after the other. Platform and people are in this process, the
bank is in its own; it takes a millisecond for an instruction, since it is not the bank's patience that is measured.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from agents.runtime.worker import Worker
from bus.connect import connect
from config.keys import load_or_create
from config.settings import Settings
from tools.bench.place import Place, a_place
from tools.bench.report import Report, conditions
from tools.children import NotStarted
from tools.crew import Crew
from tools.output import Failed
from tools.starting import start_platform
from tools.story import terms
from tools.story.house import House
from tools.story.http import Http, StoryEnded, session
from tools.story.people import Staff, cast
from tools.story.play import Story
from tools.story.scene import Scene
from topics import TOPICS

if TYPE_CHECKING:
    import aiohttp

BANK_DELAY_MS: Final = 1
STARTED_WITHIN_S: Final = 60.0
STEP_WITHIN_S: Final = 300.0  # one step of one life, while all the others take theirs
BIDS: Final = len(terms.BIDS)


@dataclass
class Calendar:
    """The bank's days, which all lives share: a day is closed when every one of them has asked for the next."""

    close: Callable[[], Awaitable[date]]
    lives: int
    days: int = 0
    _stands: date | None = None
    _meeting: asyncio.Barrier = field(init=False)

    def __post_init__(self) -> None:
        self._meeting = asyncio.Barrier(self.lives)

    async def roll(self) -> date:
        """The date on which the bank stands then, the same for all."""
        if await self._meeting.wait() == 0:
            self._stands = await self.close()
            self.days += 1
        await self._meeting.wait()
        assert self._stands is not None, "somebody has closed the day"
        return self._stands


@dataclass
class Measured:
    """What one run took, in seconds, and how many messages went through the bus meanwhile."""

    members_s: float = 0.0
    lent_s: float = 0.0
    repaid_s: float = 0.0
    days: int = 0
    messages: int = 0


async def run(settings: Settings, lives: int) -> Report:
    """So many lives at once. Raises Failed when one of them does not come to its end."""
    said = {"lives_at_once": lives, "bids": BIDS, "instalments": terms.SHOP.months, "bank_delay_ms": BANK_DELAY_MS}
    report = Report("story", {**conditions(settings), **said})
    async with a_place(settings) as place:
        try:
            measured = await _measured(place, lives)
        finally:
            if place.settings.bus_kind == "kafka":
                await Place(place.settings.of_bank(), place.folder).remove_topics()
    took_s = measured.lent_s + measured.repaid_s
    report.figure("complete loan lives/s", round(lives / took_s, 2))
    report.figure("messages/s", round(measured.messages / took_s))
    report.figure("messages a life", round(measured.messages / lives))
    report.figure("loans published, filled and disbursed/s", round(lives / measured.lent_s, 2))
    report.figure("instalments repaid/s", round(lives * terms.SHOP.months / measured.repaid_s, 2))
    report.figure("days closed meanwhile", measured.days)
    report.figure("members registered, with account and money/s", round(lives * len(terms.RECHARGES) / measured.members_s, 2))
    return report


async def _measured(place: Place, lives: int) -> Measured:
    settings = place.settings.model_copy(
        update={"port": 0, "log_level": "error", "bank_delay_ms": BANK_DELAY_MS, "bank_delay_jitter_ms": 0}
    )
    if not settings.may_generate_keys:
        load_or_create(settings.key_path(), may_generate=True)  # the place is nobody else's
    async with _platform(settings) as (url, house), session() as people:
        calendar = Calendar(house.roll, lives)
        stories = await _stories(settings, url, people, calendar)
        return await _told(settings, stories, calendar)


async def _told(settings: Settings, stories: Sequence[Story], calendar: Calendar) -> Measured:
    """All lives at once, part by part."""
    measured = Measured()
    measured.members_s = await _part([story.members() for story in stories])
    before = await _messages(settings)
    measured.lent_s = await _part([story.lend() for story in stories])
    measured.repaid_s = await _part([story.repay() for story in stories])
    measured.messages = await _messages(settings) - before
    measured.days = calendar.days
    return measured


async def _part(tellings: Sequence[AsyncIterator[Scene]]) -> float:
    """The same part of every life; the seconds until the last one is through. Raises Failed."""
    began_s = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as together:
            for telling in tellings:
                together.create_task(_one(telling))
    except* (StoryEnded, Failed) as failed:
        raise Failed(f"a life has not come to its end: {failed.exceptions[0]}") from None
    return time.perf_counter() - began_s


async def _one(telling: AsyncIterator[Scene]) -> None:
    async for scene in telling:
        if not scene.held:
            raise Failed(f"{scene.told}, which is not how it goes")


async def _stories(settings: Settings, url: str, people: "aiohttp.ClientSession", calendar: Calendar) -> list[Story]:
    """The lives, each with people of its own; the auditors are the same."""
    first, second = [await _employed(settings, part) for part in ("first auditor", "second auditor")]
    seed = secrets.token_hex(4)
    return [Story(cast(f"{seed}:{n}"), first, second, Http(url, people, STEP_WITHIN_S), calendar.roll) for n in range(calendar.lives)]


async def _employed(settings: Settings, part: str) -> Staff:
    from tools.admin import created
    from tools.operate import acting

    staff = Staff(part, "auditor", part.replace(" ", "_"), secrets.token_urlsafe(12))
    here: Any = SimpleNamespace(settings=settings)
    await created(here, staff.login_name, staff.role, staff.password, acting("bench"))
    return staff


@asynccontextmanager
async def _platform(settings: Settings) -> AsyncIterator[tuple[str, House]]:
    """Every service and the gateway in this process, the bank in its own; the gateway's URL. Raises Failed."""
    crew = Crew()
    house = await House.build(settings, lambda _: "pass")
    try:
        try:
            async with asyncio.timeout(STARTED_WITHIN_S):
                _, url = await asyncio.gather(house.open(), start_platform(crew, house.settings))
                house.lead_to(url)
                await asyncio.gather(*(part.working.wait() for part in crew.parts if isinstance(part, Worker)))
        except (NotStarted, StoryEnded) as exc:
            raise Failed(f"not started: {exc}") from None
        except TimeoutError:
            raise Failed(f"not started within {STARTED_WITHIN_S:g} s") from None
        yield url, house
    finally:
        await crew.stop_all()
        await house.close()


async def _messages(settings: Settings) -> int:
    """How many messages the platform's bus has taken so far."""
    bus = connect(settings.bus_url())
    await bus.open()
    try:
        return sum([end for topic in TOPICS for _, end in (await bus.ends(topic.name)).values()])
    finally:
        await bus.close()
