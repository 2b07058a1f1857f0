"""How inspectors read: bus and stores opened so that nothing is made, owned or changed, living or stopped (CASES B32).

While a SQLite store is in use it is read with its `-shm` read-only; at rest everything is in the file itself, it is read as
immutable, and the answer counts only if it is still at rest after it. A PostgreSQL store is read in a session that may not
write; Kafka is asked without joining a group.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from bus.connect import connect, sqlite_path
from bus.errors import BusAway, BusError
from stores import engine as stores
from stores.sqlite import is_at_rest
from tools.output import WrongUse
from tools.services import SERVICES
from topics import TOPICS

if TYPE_CHECKING:
    from bus.log import Bus
    from config.settings import Settings

TRIES: Final = 20  # a worker starts or ends just now
AGAIN_S: Final = 0.01
LOCK_WAIT_S: Final = 2.0

T = TypeVar("T")

# Service → the topic of its mailbox. A consumer without a store (the gateway) is no service here.
MAILBOXES: Final[dict[str, str]] = {t.owner: t.name for t in TOPICS if t.owner in SERVICES and t.name.endswith(".commands")}


def services() -> tuple[str, ...]:
    """The services that have a store, by name."""
    return tuple(sorted(MAILBOXES))


def bus_path(settings: "Settings") -> Path:
    """The bus file."""
    return sqlite_path(settings.bus_url())


def store_path(settings: "Settings", service: str) -> Path:
    """The file of a service's store."""
    return stores.sqlite_path(settings.store_url(service))


def exists(path: Path) -> bool:
    """Whether the file is there. Raises WrongUse when this user may not even look."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise WrongUse(f"{path} cannot be looked at ({exc.strerror}): give this user read permission on its folder") from None
    return True


def must_exist(path: Path) -> None:
    """Raise WrongUse with what to do when nothing has been started in this folder yet."""
    if not exists(path):
        raise WrongUse(f"nothing here yet: there is no {path}; run `lendbus up` first, or name another folder with --data")
    if not os.access(path, os.R_OK):  # asked first: a connection that cannot be made leaves its thread behind
        raise WrongUse(
            f"{path} cannot be read: ask as the user that runs the workers, or give this user read permission on it, -wal and -shm"
        )


def bus_is_there(settings: "Settings") -> bool:
    """Whether there is a bus to ask; of a broker only asking tells. Raises WrongUse when this user may not even look."""
    return settings.bus_kind == "kafka" or exists(bus_path(settings))


@asynccontextmanager
async def reading_bus(settings: "Settings") -> "AsyncIterator[Bus]":
    """The bus, to be read only. Raises WrongUse when it is not there or cannot be read."""
    if settings.bus_kind == "sqlite":
        must_exist(bus_path(settings))
    bus = connect(settings.bus_url(), readonly=True)
    try:
        await bus.open()
        yield bus
    except BusAway as exc:
        start = "; `lendbus kafka up` starts one on this machine, --bus names another" if settings.bus_kind == "kafka" else ""
        raise WrongUse(f"{exc}{start}") from exc
    except BusError as exc:
        raise WrongUse(str(exc)) from exc
    finally:
        await bus.close()


async def ask(settings: "Settings", service: str, question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """The answer of a question to a service's store, which may be asked more than once. Raises WrongUse with the remedy."""
    if settings.db_kind == "postgresql":
        from tools.reading_postgresql import asked

        return await asked(settings.store_url(service), service, question)
    return await _ask_file(store_path(settings, service), question)


async def _ask_file(path: Path, question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    must_exist(path)
    for left in reversed(range(TRIES)):
        at_rest = is_at_rest(path)
        try:
            answer = await _asked(path, "immutable=1" if at_rest else "readonly_shm=1", question)
        except DatabaseError as exc:
            if not left:
                raise WrongUse(_remedy(path, exc)) from exc
        else:
            if not at_rest or is_at_rest(path):
                return answer
        await asyncio.sleep(AGAIN_S)
    raise WrongUse(f"the store {path} is being opened and closed just now: try again")


async def _asked(path: Path, how: str, question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    url = f"sqlite+aiosqlite:///file:{quote(str(path.absolute()))}?mode=ro&{how}&uri=true"
    engine = create_async_engine(url, connect_args={"timeout": LOCK_WAIT_S})
    try:
        async with engine.connect() as connection:
            return await question(connection)
    finally:
        await engine.dispose()


def _remedy(path: Path, exc: DatabaseError) -> str:
    if "no such table" in str(exc.orig):
        return f"the store {path} has no tables yet or is of another version ({exc.orig}): start its worker once, then ask again"
    return f"the store {path} cannot be read ({exc.orig}): ask while a worker runs, or give this user read permission on it, -wal and -shm"
