"""`lendbus up`: the whole platform in one process: every worker and the gateway, on one data folder."""

from typing import TYPE_CHECKING

from tools.options import Options
from tools.port import PORT, with_port

if TYPE_CHECKING:
    from config.settings import Settings
    from tools.crew import Crew


def command(options: Options, port: PORT = None) -> int:
    """Run everything in this process until Ctrl-C. A data folder has one platform; a second `up` says who runs it."""
    from tools import processes
    from tools.platform_lock import platform_lock

    settings = with_port(options.settings, port)
    with platform_lock(settings.data):
        return processes.run(settings, lambda crew: _up(crew, options, settings))


async def _up(crew: "Crew", options: Options, settings: "Settings") -> int:
    from tools.processes import serve_until_stopped
    from tools.starting import start_platform

    url = await start_platform(crew, settings)
    options.out.block(where(settings, url))
    return await serve_until_stopped()


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
