"""`lendbus gateway`: the HTTP gateway in a process of its own; the workers run elsewhere."""

from typing import TYPE_CHECKING

from tools.options import Options
from tools.port import PORT, with_port

if TYPE_CHECKING:
    from config.settings import Settings
    from tools.crew import Crew


def command(options: Options, port: PORT = None) -> int:
    """Run the HTTP gateway until Ctrl-C; `lendbus up` has one already."""
    from tools import processes

    settings = with_port(options.settings, port)
    return processes.run(settings, lambda crew: _serve(crew, options, settings))


async def _serve(crew: "Crew", options: Options, settings: "Settings") -> int:
    from tools.processes import serve_until_stopped
    from tools.starting import guard_files, opened_gateway
    from tools.up import where

    gateway = await opened_gateway(settings)
    crew.start(gateway)
    guard_files(crew, settings, ())
    options.out.block(where(settings, gateway.url))
    return await serve_until_stopped()
