"""How the parts of a platform are built and started in a serving process: stores migrated, workers running, the gateway listening.

What is wrong with the place (a port in use, a store that nobody may write) fails here, with its sentence. A bus or a database
server that is away is waited for, which is said once; a signal ends the wait.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import OperationalError

from agents.runtime.sealing import Keyring
from agents.runtime.worker import Worker
from bus.connect import sqlite_path as bus_file
from bus.errors import BusAway, BusError
from config import logs
from config.keys import KeyFileError
from config.retry import STORE_AWAY
from config.settings import Settings
from stores.engine import StoreAway, StoreRefused, sqlite_path
from stores.migrate import NotAStore, OtherKeys, SchemaNewer
from tools import assemble
from tools.crew import Crew
from tools.file_guard import FileGuard
from tools.output import Failed, WrongUse

if TYPE_CHECKING:
    from tools.serving_gateway import ServingGateway

T = TypeVar("T")

log = logs.get("start")


async def start_platform(crew: Crew, settings: Settings) -> str:
    """Everything in this process: every worker, then the gateway; its URL. Raises WrongUse or Failed; nothing runs then."""
    ring = await loaded_keyring(settings)
    workers = [await built_worker(settings, service, ring) for service in assemble.SERVICES]
    gateway = await opened_gateway(settings, ring)
    for worker in workers:
        crew.start(worker)
    crew.start(gateway)
    guard_files(crew, settings, assemble.SERVICES)
    return gateway.url


async def start_workers(crew: Crew, settings: Settings, services: Iterable[str]) -> None:
    """Start the workers of these services; each works, or waits as standby. Raises Failed for a store that cannot be used."""
    ring = await loaded_keyring(settings)
    for worker in [await built_worker(settings, service, ring) for service in services]:  # one by one: Alembic has one context a process
        crew.start(worker)


def guard_files(crew: Crew, settings: Settings, services: Iterable[str]) -> None:
    """Let somebody look after the files that a process with these services has open, if bus or stores are files at all."""
    if paths := files(settings, services):
        crew.start(FileGuard(paths))


def files(settings: Settings, services: Iterable[str]) -> list[Path]:
    """The files that a process with these services has open for as long as it runs."""
    bus = [bus_file(settings.bus_url())] if settings.bus_kind == "sqlite" else []
    stores = [sqlite_path(settings.store_url(service)) for service in services] if settings.db_kind == "sqlite" else []
    return [*bus, *stores]


async def loaded_keyring(settings: Settings) -> Keyring:
    """The platform's keys, read once for everything in this process. Raises Failed with what to do."""
    try:
        return await asyncio.to_thread(assemble.keyring, settings)
    except KeyFileError as exc:
        raise Failed(str(exc)) from None


async def built_worker(
    settings: Settings, service: str, ring: Keyring | None = None, make: Callable[..., Worker] = assemble.worker
) -> Worker:
    """A worker that has not started yet, its store migrated. Raises Failed for a store that cannot be used."""

    def made() -> Awaitable[Worker]:
        return asyncio.to_thread(make, settings, service, ring)

    try:
        return await patiently(made, StoreAway, what=f"the database of {service}")
    except (SchemaNewer, OtherKeys, NotAStore, StoreRefused, BusError, KeyFileError) as exc:
        raise Failed(str(exc)) from None
    except (OperationalError, OSError) as exc:
        reason = exc.orig if isinstance(exc, OperationalError) else exc.strerror
        raise Failed(f"the store of {service} cannot be opened: {reason}; is {settings.data} writable, does somebody lock it?") from None


async def opened_gateway(settings: Settings, ring: Keyring | None = None) -> "ServingGateway":
    """The gateway, listening. Raises WrongUse for an address that cannot be had, Failed for keys or a bus that cannot be used."""
    away = (BusAway, StoreAway) if settings.bus_kind == "kafka" else (StoreAway,)  # a file that cannot be opened wants a person
    keyring = ring or await loaded_keyring(settings)
    try:
        return await patiently(lambda: _opened(settings, keyring), *away, what="the bus or the database of users")
    except (OSError, BusError, OtherKeys, StoreRefused) as exc:
        raise explained(exc, settings) from None


async def _opened(settings: Settings, keyring: Keyring) -> "ServingGateway":
    from tools.serving_gateway import ServingGateway

    gateway = ServingGateway(settings, keyring)
    try:
        await gateway.open()
    except BaseException:
        await gateway.close()
        raise
    return gateway


async def patiently(step: Callable[[], Awaitable[T]], *away: type[Exception], what: str) -> T:
    """A step of the start, asked again while something is away, for as long as it takes; said once."""
    tries = 0
    while True:
        try:
            return await step()
        except away as exc:
            if not tries:
                log.warning("away; starting when it is back", what=what, why=str(exc))
            await asyncio.sleep(STORE_AWAY.delay_ms(tries, what) / 1000)
            tries += 1


def explained(exc: Exception, settings: Settings) -> Exception:
    """What keeps a server from listening, as a sentence that says what to do."""
    match exc:
        case OSError(errno=errno.EADDRINUSE):
            return WrongUse(
                f"port {settings.port} of {settings.host} is in use: stop who listens there, or say another --port (0: a free one)"
            )
        case OSError():
            return WrongUse(f"cannot listen on {settings.host}, port {settings.port}: {exc.strerror}; say another --port or LENDBUS_HOST")
    return Failed(str(exc))
