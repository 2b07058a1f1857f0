"""`lendbus worker SERVICE…`: the workers of some services in a process of their own.

Each works, or waits as standby while another process has the service, and says so; whoever loses a service waits again.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from tools.options import Options
from tools.output import WrongUse

if TYPE_CHECKING:
    from config.settings import Settings
    from tools.crew import Crew


def command(
    options: Options,
    services: Annotated[list[str], typer.Argument(metavar="SERVICE...", help="Which services; `accounts users` are all there are.")],
) -> int:
    """Run the workers of services until Ctrl-C; a second worker of a service waits as standby and takes over."""
    from tools import processes
    from tools.assemble import SERVICES

    if unknown := [name for name in services if name not in SERVICES]:
        raise WrongUse(f"there is no service {', '.join(map(repr, unknown))}: say one or more of {', '.join(SERVICES)}")
    settings, named = options.settings, list(dict.fromkeys(services))
    return processes.run(settings, lambda crew: _work(crew, settings, named))


async def _work(crew: "Crew", settings: "Settings", services: list[str]) -> int:
    from tools.processes import serve_until_stopped
    from tools.starting import guard_files, start_workers
    from tools.supervisor import end_with_supervisor

    end_with_supervisor()
    await start_workers(crew, settings, services)
    guard_files(crew, settings, services)
    return await serve_until_stopped()
