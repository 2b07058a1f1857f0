"""`lendbus kafka`: one Apache Kafka broker on this machine, for development and tests; without Docker, on loopback only."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tools.options import Options
from tools.output import Failed, WrongUse, instant, say, span

if TYPE_CHECKING:
    from bus.kafka.local.answering import Answer
    from bus.kafka.local.place import Place, Running

PORT_USUAL: Final = 9092
STATUS_S_MAX: Final = 5.0

PORT = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port of loopback to listen on: 9092; 0 takes a free one.")]
JARS = Annotated[str | None, typer.Option("--jars", metavar="DIR", help="Folder with Kafka's jars; else LENDBUS_KAFKA_JARS, else a cache.")]


def up(options: Options, port: PORT = None, jars: JARS = None) -> None:
    """Start the broker of this data folder, wait until it answers, and make the topics of the contract."""
    with _sentences():
        place = _place(options)
        place.make()
        with place.alone():
            running, answer = options.run(_upped(place, port, jars))
        answer = options.run(_declared(options, running)) or answer
    options.out.block(_described(options, running, "answers", answer))


def down(options: Options) -> None:
    """End the broker of this data folder; its records stay."""
    from bus.kafka.local import launch

    with _sentences():
        place = _place(options)
        if not place.folder.is_dir() or (place.noted() is None and place.stranger() is None):
            say(f"no broker has been started in {place.folder}")
            return
        if place.running() is None:
            place.refuse_stranger()
        with place.alone():
            if (running := place.running()) is None:
                say(f"the broker of {place.folder} had ended already")
                place.forget()
                return
            launch.end(place, running, say)
    options.out.block({"state": "ended", "pid": running.pid, "url": running.url})


def status(options: Options) -> int:
    """The broker's pid, URL, version, since when it runs, its topics; exit code 1 when it does not answer."""
    from bus.kafka.local import launch

    with _sentences():
        place = _place(options)
        noted, running = place.noted(), place.running()
        if running is None:
            place.refuse_stranger()
    if noted is None:
        options.out.block({"state": "down", "folder": str(place.folder), "todo": "lendbus kafka up"})
        return 1
    if running is None:
        options.out.block({**_described(options, noted, "ended", None), "why": place.last_words() or None, "todo": "lendbus kafka up"})
        return 1
    answer = options.run(launch.answering(running, STATUS_S_MAX))
    options.out.block({**_described(options, running, "answers" if answer else "silent", answer), "folder": str(place.folder)})
    return 0 if answer else 1


def fetch(options: Options, jars: JARS = None) -> None:
    """Fetch Kafka's jars into the cache, or see whether those in a folder are complete; nothing is started."""
    from bus.kafka.local.jars import VERSION

    with _sentences():
        _ = options.settings
        java, found = _needed(jars)
    options.out.block({"version": VERSION, "folder": str(found[0].parent), "jars": len(found), "java": str(java.path)})


@contextmanager
def _sentences() -> Iterator[None]:
    """What the launcher raises, as the command line says it."""
    from bus.errors import BusError
    from bus.kafka.local.errors import Unfit

    try:
        yield
    except Unfit as exc:
        raise WrongUse(str(exc)) from None
    except BusError as exc:
        raise Failed(str(exc)) from None
    except OSError as exc:
        if exc.filename is None:
            raise
        raise WrongUse(
            f"{exc.filename} cannot be used ({exc.strerror}): make it a folder that this user may write, or say another --data"
        ) from None


def _place(options: Options) -> "Place":
    from bus.kafka.local.place import Place

    return Place(options.settings.data.expanduser().absolute() / "kafka")


def _needed(jars: str | None) -> Any:
    """(java, jars), the jars fetched if they have to be."""
    from bus.kafka.local import jars as pinned
    from bus.kafka.local.java import find_java

    java = find_java()
    found = pinned.found(Path(jars) if jars else None)
    if found is None:
        say(f"fetching Kafka {pinned.VERSION} by Maven into {pinned.cache_folder()}, once")
        found = pinned.fetch(java)
    return java, found


async def _upped(place: "Place", port: int | None, jars: str | None) -> "tuple[Running, Answer]":
    from bus.kafka.local import launch

    if (running := place.running()) is not None:
        if port not in (None, 0, running.port):
            raise WrongUse(f"the broker runs already, at {running.url} (pid {running.pid}): `lendbus kafka down` ends it")
        if (answer := await launch.answering(running, STATUS_S_MAX)) is None:
            raise Failed(f"the broker (pid {running.pid}) runs and does not answer at {running.url}: `lendbus kafka down`, then up again")
        say(f"it runs already, as pid {running.pid}")
        return running, answer
    place.refuse_stranger()
    if place.noted() is not None:
        say(f"the last broker of {place.folder} has ended without `lendbus kafka down`: its log is recovered now")
    java, found = await asyncio.to_thread(_needed, jars)
    running = await asyncio.to_thread(launch.start, place, java, found, port=PORT_USUAL if port is None else port)
    return running, await launch.ready(place, running)


async def _declared(options: Options, running: "Running") -> "Answer | None":
    """Make the topics of the contract; what the broker says then."""
    from bus.connect import connect
    from bus.kafka.local import launch
    from tools import assemble

    bus = connect(_url(options, running))
    await bus.open()
    try:
        await bus.declare(assemble.specs(options.settings.model_copy(update={"bus": running.url})))
    finally:
        await bus.close()
    return await launch.answering(running, STATUS_S_MAX)


def _url(options: Options, running: "Running") -> str:
    """The broker's, with the namespace that the settings name."""
    from bus.kafka.address import parse

    namespace = parse(options.settings.bus_url()).namespace if options.settings.bus_kind == "kafka" else ""
    return f"{running.url}/{namespace}" if namespace else running.url


def _described(options: Options, running: "Running", state: str, answer: "Answer | None") -> dict[str, Any]:
    import time

    return {
        "state": state,
        "url": _url(options, running),
        "pid": running.pid,
        "version": running.version,
        "cluster": running.cluster,
        "since": instant(running.since_ms),
        "since_ms": running.since_ms,
        "age": span(time.time_ns() // 1_000_000 - running.since_ms),
        "topics": None if answer is None else list(answer.topics),
    }


COMMANDS = {"up": up, "down": down, "status": status, "fetch": fetch}
