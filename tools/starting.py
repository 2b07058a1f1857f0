"""How the parts of a platform are built and started in a serving process: stores migrated, workers running, the gateway listening."""

import asyncio
from collections.abc import Iterable

from sqlalchemy.exc import OperationalError

from bus.errors import BusError
from config.settings import Settings
from stores.migrate import SchemaNewer
from tools import assemble
from tools.crew import Crew
from tools.output import Failed


async def start_workers(crew: Crew, settings: Settings, services: Iterable[str]) -> None:
    """Start the worker of each service, its store migrated first. Raises Failed for a store that cannot be used."""
    for service in services:  # one after another: Alembic has one context a process
        await start_worker(crew, settings, service)


async def start_worker(crew: Crew, settings: Settings, service: str) -> None:
    """Start one worker; it works, or waits as standby. Raises Failed for a store that cannot be used."""
    try:
        worker = await asyncio.to_thread(assemble.worker, settings, service)
    except (SchemaNewer, BusError) as exc:
        raise Failed(str(exc)) from None
    except (OperationalError, OSError) as exc:
        reason = exc.orig if isinstance(exc, OperationalError) else exc.strerror
        raise Failed(f"the store of {service} cannot be opened: {reason}; is {settings.data} writable, does somebody lock it?") from None
    crew.start(worker)
