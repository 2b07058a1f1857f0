"""`lendbus up`: the whole platform: every worker and the gateway, on one data folder, in one process or with `--workers N` in several."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from tools.options import Options
from tools.output import say
from tools.port import PORT, with_port

if TYPE_CHECKING:
    from config.settings import Settings
    from tools.crew import Crew

WORKERS_MAX: Final = 64
WORKERS = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", min=1, max=WORKERS_MAX, help="So many worker processes, watched and started again; else all in one."
    ),
]


def command(options: Options, port: PORT = None, workers: WORKERS = None) -> int:
    """Run everything until Ctrl-C. A data folder has one platform; a second `up` says who runs it.

    With --workers the gateway is in this process and every service in each of the worker processes. On Kafka they share the
    partitions; on the embedded bus one has a service, the others wait as standby.
    """
    from tools import processes
    from tools.platform_lock import platform_lock

    settings = with_port(options.settings, port)
    with platform_lock(settings.data):
        return processes.run(settings, lambda crew: _up(crew, options, settings, workers))


async def _up(crew: "Crew", options: Options, settings: "Settings", workers: int | None) -> int:
    from tools.processes import serve_until_stopped
    from tools.starting import start_platform

    if workers is None:
        options.out.block(where(settings, await start_platform(crew, settings)))
    else:
        url, pids = await _start_supervised(crew, settings, workers)
        options.out.block({**where(settings, url), "workers": pids})
    return await serve_until_stopped()


async def _start_supervised(crew: "Crew", settings: "Settings", workers: int) -> "tuple[str, list[int]]":
    """The gateway here, the workers in processes of their own; its URL and their pids. What is wrong with the place is said here, once."""
    from tools import starting, supervisor
    from tools.assemble import SERVICES

    ring = await starting.loaded_keyring(settings)
    for service in SERVICES:
        await starting.built_worker(settings, service, ring)  # migrated, and seen to be of these keys, before N processes ask the same
    gateway = await starting.opened_gateway(settings, ring)
    supervised = supervisor.of_platform(settings, workers)
    crew.start(supervised)
    crew.start(gateway)
    starting.guard_files(crew, settings, SERVICES)
    _say_how_they_share(settings, workers)
    await supervised.started.wait()
    return gateway.url, supervised.pids


def _say_how_they_share(settings: "Settings", workers: int) -> None:
    if settings.bus_kind == "sqlite" and workers > 1:
        say(f"the embedded bus gives a service to one worker at a time: one works, {workers - 1} wait as standby and take over")
    elif settings.db_kind == "sqlite" and workers > 1:
        say("the stores are SQLite files: the workers share the partitions, and take turns at each store")


def where(settings: "Settings", url: str) -> dict[str, object]:
    """Where a platform is, as it is printed when it serves."""
    import os

    return {
        "registrations": f"{url}/api/v1/registrations",
        "openapi": f"{url}/openapi.json",
        "ready": f"{url}/readyz",
        "data": str(settings.data.expanduser().resolve()),
        "pid": os.getpid(),
    }
