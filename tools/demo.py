"""`lendbus demo`: the whole platform in one process, a story played over HTTP, and what came of it.

Every run has a new folder, `data/demo/<when>`, of which the latest few stay; with `--data` (or LENDBUS_DATA) it is that one.
On Kafka and PostgreSQL it has a namespace and databases of its own, named after the folder, which go with it.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tools.options import Options
from tools.output import Failed, say
from tools.port import PORT, with_port

if TYPE_CHECKING:
    from config.settings import Settings
    from tools.crew import Crew
    from tools.demo_story import Scene

DEMO_WAIT_MS: Final = 1_000  # how long a request waits in the demo: the one without its accounts agent should not bore
SERVERS_WAIT_MS: Final = 3_000  # on Kafka and PostgreSQL, which may be cold
STARTED_WITHIN_S: Final = 60.0  # with `--once`, servers that are away included
WORKING_WITHIN_S: Final = 30.0  # the workers have joined their groups by then
CHECK_WITHIN_S: Final = 10.0


@dataclass
class Outcome:
    """What one run of the demo has to tell."""

    url: str
    folder: str
    scenes: "list[Scene]" = field(default_factory=list)
    first_answer_ms: int | None = None
    trace: Any = None
    findings: list[str] = field(default_factory=list)
    place: tuple[str, ...] = ()  # the options, besides --data, under which other commands find it

    @property
    def held(self) -> bool:
        """Whether everything came as it must, and the stores agree."""
        return bool(self.scenes) and all(scene.held for scene in self.scenes) and not self.findings


def command(
    options: Options,
    once: Annotated[bool, typer.Option("--once", help="End after the story; exit code 1 when it did not hold.")] = False,
    port: PORT = None,
) -> int:
    """Start everything, play the story over HTTP, show what happened, and serve until Ctrl-C."""
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
    wanted = {"wait_ms": DEMO_WAIT_MS if settings.may_generate_keys else SERVERS_WAIT_MS, "log_level": "warning"}
    if "port" not in said and not port_is_free(settings.host, settings.port):
        wanted["port"] = 0
    return settings.model_copy(update={name: value for name, value in wanted.items() if name not in said})


async def _demo(crew: "Crew", options: Options, settings: "Settings", *, once: bool) -> int:
    from tools import demo_print
    from tools.processes import EXIT_FAILED, serve_until_stopped
    from tools.starting import start_platform

    say(f"starting bus, accounts, users and gateway in {settings.data}")
    try:
        async with asyncio.timeout(STARTED_WITHIN_S if once else None):  # without `--once` somebody may start a server meanwhile
            outcome = Outcome(await start_platform(crew, settings), str(settings.data), place=_place(settings))
            await _until_working(crew)
    except TimeoutError:
        raise Failed(
            f"not started within {STARTED_WITHIN_S:g} s: do the servers that --bus and --db name answer? `lendbus kafka up` starts a broker"
        ) from None
    await _play(crew, settings, outcome)
    outcome.findings = await _disagreements(settings)
    outcome.trace = await _traced(settings, outcome.scenes)
    demo_print.show(options, outcome, serving=not once)
    if once or not outcome.held:
        return 0 if outcome.held else EXIT_FAILED
    say("serving until Ctrl-C")
    return await serve_until_stopped()


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


async def _play(crew: "Crew", settings: "Settings", outcome: Outcome) -> None:
    from tools.demo_print import line
    from tools.demo_story import Accounts, Story, session
    from tools.starting import start_workers

    accounts = Accounts(stop=lambda: crew.stop("accounts"), start=lambda: start_workers(crew, settings, ["accounts"]))
    async with session() as http:
        story = Story(outcome.url, accounts, http)
        with _spinner() as tell:
            async for scene in story.play():
                outcome.first_answer_ms = outcome.first_answer_ms or _age_ms()
                outcome.scenes.append(scene)
                tell(line(scene))


async def _disagreements(settings: "Settings") -> list[str]:
    """What `lendbus check` would find."""
    from tools.check import pictured
    from tools.consistency import broken

    async with asyncio.timeout(CHECK_WITHIN_S):
        return [f"{finding.rule}: {finding.id}: {finding.detail}" for finding in broken(await pictured(settings))]


async def _traced(settings: "Settings", scenes: "list[Scene]") -> Any:
    """The story of the registration that had to wait."""
    from tools.tracing import story

    waited = next((scene.id for scene in reversed(scenes) if scene.id), None)
    return await story(settings, waited) if waited else None


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
