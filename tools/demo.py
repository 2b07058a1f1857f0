"""`lendbus demo`: the platform in this process, the bank in one of its own; a loan's whole life over HTTP, and what came of it.

Every run has a new folder, `data/demo/<when>`, of which the latest few stay; with `--data` (or LENDBUS_DATA) it is that one.
On Kafka and PostgreSQL it has a namespace and databases of its own, named after the folder, which go with it.
"""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tools.options import Options
from tools.output import Failed, say
from tools.port import PORT, with_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.settings import Settings
    from tools.crew import Crew
    from tools.demo_faults import Faults
    from tools.story.house import House
    from tools.story.outcome import Balance
    from tools.story.people import Staff
    from tools.story.scene import Scene

DEMO_WAIT_MS: Final = 1_000  # how long a request waits in the demo: one that meets a stopped service should not bore
SERVERS_WAIT_MS: Final = 3_000  # on Kafka and PostgreSQL, which may be cold
STARTED_WITHIN_S: Final = 60.0  # with `--once`, servers that are away included
WORKING_WITHIN_S: Final = 30.0  # the workers have joined their groups by then
STEP_WITHIN_S: Final = 30.0  # one step of the story, its faults included
CHECK_WITHIN_S: Final = 20.0


@dataclass
class Outcome:
    """What one run of the demo has to tell."""

    url: str
    folder: str
    bank_url: str = ""
    scenes: "list[Scene]" = field(default_factory=list)
    first_answer_ms: int | None = None
    story_ms: int = 0
    waited_ms: int = 0  # in the scenes that the demo's own faults have held up
    held_up: dict[str, str] = field(default_factory=dict)
    lost_webhooks: int = 0
    balances: "Mapping[str, Balance]" = field(default_factory=dict)
    unbalanced: list[str] = field(default_factory=list)
    trace: Any = None
    findings: list[str] = field(default_factory=list)
    ended: str | None = None  # why the story could not go on
    staff: "list[Staff]" = field(default_factory=list)
    place: tuple[str, ...] = ()  # the options, besides --data, under which other commands find it

    @property
    def held(self) -> bool:
        """Whether everything came as it must, every fen is where it belongs, and the stores agree."""
        clean = not (self.findings or self.unbalanced or self.ended)
        return clean and bool(self.scenes) and all(scene.held for scene in self.scenes)


def command(
    options: Options,
    once: Annotated[bool, typer.Option("--once", help="End after the story; exit code 1 when it did not hold.")] = False,
    port: PORT = None,
) -> int:
    """Start everything, play a loan's whole life over HTTP, show what happened, and serve until Ctrl-C."""
    from tools import processes
    from tools.demo_folder import demo_folder
    from tools.demo_place import apart
    from tools.platform_lock import platform_lock

    settings = _settings(with_port(options.settings, port))
    folder = settings.data if "data" in options.settings.model_fields_set else demo_folder(settings.data)
    with platform_lock(folder):
        settings = apart(settings, folder)
        return processes.run(settings, lambda crew: _demo(crew, options, settings, once=once), interrupted=processes.EXIT_INTERRUPTED)


def _settings(settings: "Settings") -> "Settings":
    """The demo is short and quiet, and takes another port when its own is in use, unless somebody has said otherwise."""
    from tools.demo_folder import port_is_free

    said = settings.model_fields_set
    wanted = {"wait_ms": DEMO_WAIT_MS if settings.may_generate_keys else SERVERS_WAIT_MS, "log_level": "error"}
    if "port" not in said and not port_is_free(settings.host, settings.port):
        wanted["port"] = 0
    return settings.model_copy(update={name: value for name, value in wanted.items() if name not in said})


async def _demo(crew: "Crew", options: Options, settings: "Settings", *, once: bool) -> int:
    from tools import demo_print
    from tools.demo_faults import Faults
    from tools.processes import EXIT_FAILED, serve_until_stopped
    from tools.story.house import House

    say(f"starting the bank, then bus, services and gateway in {settings.data}")
    faults = Faults()
    house = await House.build(settings, faults.fate)
    try:
        outcome = await _started(crew, house, once=once)
        await _play(crew, house, faults, outcome)
        await _judged(house, outcome)
        demo_print.show(options, outcome, serving=not once)
        if once or not outcome.held:
            return 0 if outcome.held else EXIT_FAILED
        say("serving until Ctrl-C")
        return await serve_until_stopped()
    finally:
        await house.close()


async def _started(crew: "Crew", house: "House", *, once: bool) -> Outcome:
    """Bank and platform, started and working, and who works there."""
    from tools.children import NotStarted
    from tools.starting import start_platform

    settings = house.settings
    try:
        async with asyncio.timeout(STARTED_WITHIN_S if once else None):  # without `--once` somebody may start a server meanwhile
            _, url = await asyncio.gather(house.open(), start_platform(crew, settings))
            house.lead_to(url)
            await _until_working(crew)
            staff = [await _employed(settings, f"{which}_auditor", "auditor") for which in ("first", "second")]
    except NotStarted as exc:
        raise Failed(str(exc)) from None
    except TimeoutError:
        raise Failed(
            f"not started within {STARTED_WITHIN_S:g} s: do the servers that --bus and --db name answer? `lendbus kafka up` starts a broker"
        ) from None
    return Outcome(url, str(settings.data), bank_url=house.bank.where["url"], staff=staff, place=_place(settings))


async def _employed(settings: "Settings", part: str, role: str) -> "Staff":
    """A log-in with a password made by chance (DESIGN 3); a demo that is told in an old folder makes another one."""
    from types import SimpleNamespace

    from tools.admin import created
    from tools.operate import acting
    from tools.story.people import Staff

    name, password = f"{part}_{secrets.token_hex(3)}", secrets.token_urlsafe(12)
    here: Any = SimpleNamespace(settings=settings)
    await created(here, name, role, password, acting("demo"))
    return Staff(part.replace("_", " "), role, name, password)


async def _until_working(crew: "Crew") -> None:
    """A group on Kafka is joined in a second or two; the story's first person does not wait for that."""
    from agents.runtime.worker import Worker

    async with asyncio.timeout(WORKING_WITHIN_S):
        await asyncio.gather(*(part.working.wait() for part in crew.parts if isinstance(part, Worker)))


def _place(settings: "Settings") -> tuple[str, ...]:
    """A password is left out: whoever may use it says it in LENDBUS_DB or LENDBUS_BUS."""
    shown = {row.name: row.value for row in settings.rows()}
    bus = ("--bus", shown["bus"]) if settings.bus_kind == "kafka" else ()
    return (*bus, *(("--db", shown["db"]) if settings.db_kind == "postgresql" else ()))


async def _play(crew: "Crew", house: "House", faults: "Faults", outcome: Outcome) -> None:
    from tools.demo_faults import SERVICE, Hands
    from tools.starting import start_workers
    from tools.story import terms
    from tools.story.http import Http, StoryEnded, session
    from tools.story.outcome import outcome as ended
    from tools.story.outcome import unbalanced
    from tools.story.people import cast
    from tools.story.play import Story
    from tools.story.scene import line

    faults.hands = Hands(
        house.down, house.up, stop=lambda: crew.stop(SERVICE), start=lambda: start_workers(crew, house.settings, [SERVICE])
    )
    loop = asyncio.get_running_loop()
    async with session() as connections:
        first, second = outcome.staff
        story = Story(cast(secrets.token_hex(4)), first, second, Http(outcome.url, connections, STEP_WITHIN_S), house.roll)
        began_s = loop.time()
        with _spinner() as tell:
            try:
                async for scene in faults.tell(story):
                    outcome.first_answer_ms = outcome.first_answer_ms or _age_ms()
                    outcome.scenes.append(scene)
                    tell(line(scene))
                outcome.story_ms = round((loop.time() - began_s) * 1000)
                end = await ended(story, house.balances)
                outcome.balances, outcome.unbalanced = end.balances, unbalanced(end, terms.RECHARGES)
            except StoryEnded as exc:
                outcome.ended = str(exc)
    outcome.waited_ms, outcome.held_up, outcome.lost_webhooks = faults.waited_ms, faults.held_up, len(house.road.lost)
    outcome.trace = await _traced(house.settings, story.loans.get("shop"))


async def _judged(house: "House", outcome: Outcome) -> None:
    """What `lendbus check` would find, at the bank as well."""
    from tools.bank_check import findings
    from tools.check import disagreements

    async with asyncio.timeout(CHECK_WITHIN_S):
        found = [f"{f.rule}: {f.id}: {f.detail}" for f in await disagreements(house.settings, with_bank=True)]
        found += [f"bank: {row['rule']}: {row['id']}: {row['detail']}" for row in await findings(house.settings.of_bank())]
    outcome.findings = found


async def _traced(settings: "Settings", loan: str | None) -> Any:
    """The story of the loan, message by message."""
    from tools.tracing import story

    return await story(settings, loan) if loan else None


def _age_ms() -> int | None:
    """How old this process is; None where the system does not tell."""
    import time

    from stores.process import process_start

    started = process_start(os.getpid())
    if started is None:
        return None
    return round((time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")) * 1000)


@contextmanager
def _spinner() -> "Iterator[Any]":
    """On a terminal something turns while the story is played; lines go above it."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield say
        return
    with console.status("playing the story over HTTP"):
        yield lambda text: console.print(Text(text))
