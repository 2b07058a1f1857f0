"""How the parts of a platform are built and started in a serving process: stores migrated, workers running, the gateway listening.

Everything that may fail for a reason of the place (a port in use, a store that nobody may write) fails here, with its sentence.
"""

import asyncio
import errno
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from agents.runtime.worker import Worker
from bus.errors import BusError
from config.keys import KeyFileError
from config.settings import Settings
from stores.engine import sqlite_path
from stores.migrate import NotAStore, OtherKeys, SchemaNewer
from tools import assemble
from tools.crew import Crew
from tools.file_guard import FileGuard
from tools.output import Failed, WrongUse

if TYPE_CHECKING:
    from tools.serving_gateway import ServingGateway


async def start_platform(crew: Crew, settings: Settings) -> str:
    """Everything in this process: every worker, then the gateway; its URL. Raises WrongUse or Failed; nothing runs then."""
    workers = [await built_worker(settings, service) for service in assemble.SERVICES]
    gateway = await opened_gateway(settings)
    for worker in workers:
        crew.start(worker)
    crew.start(gateway)
    crew.start(FileGuard(files(settings, assemble.SERVICES)))
    return gateway.url


async def start_workers(crew: Crew, settings: Settings, services: Iterable[str]) -> None:
    """Start the workers of these services; each works, or waits as standby. Raises Failed for a store that cannot be used."""
    for worker in [await built_worker(settings, service) for service in services]:  # one by one: Alembic has one context a process
        crew.start(worker)


def files(settings: Settings, services: Iterable[str]) -> list[Path]:
    """The files that a process with these services has open for as long as it runs."""
    return [sqlite_path(settings.bus_url()), *(sqlite_path(settings.store_url(service)) for service in services)]


async def built_worker(settings: Settings, service: str) -> Worker:
    """A worker that has not started yet, its store migrated. Raises Failed for a store that cannot be used."""
    try:
        return await asyncio.to_thread(assemble.worker, settings, service)
    except (SchemaNewer, OtherKeys, NotAStore, BusError, KeyFileError) as exc:
        raise Failed(str(exc)) from None
    except (OperationalError, OSError) as exc:
        reason = exc.orig if isinstance(exc, OperationalError) else exc.strerror
        raise Failed(f"the store of {service} cannot be opened: {reason}; is {settings.data} writable, does somebody lock it?") from None


async def opened_gateway(settings: Settings) -> "ServingGateway":
    """The gateway, listening. Raises WrongUse for an address that cannot be had, Failed for keys or a bus that cannot be used."""
    from tools.serving_gateway import ServingGateway

    gateway = ServingGateway(settings)
    try:
        await gateway.open()
    except (OSError, BusError, KeyFileError, OtherKeys) as exc:
        await gateway.close()
        raise _explained(exc, settings) from None
    return gateway


def _explained(exc: Exception, settings: Settings) -> Exception:
    match exc:
        case OSError(errno=errno.EADDRINUSE):
            return WrongUse(
                f"port {settings.port} of {settings.host} is in use: stop who listens there, or say another --port (0: a free one)"
            )
        case OSError():
            return WrongUse(f"cannot listen on {settings.host}, port {settings.port}: {exc.strerror}; say another --port or LENDBUS_HOST")
    return Failed(str(exc))
