"""The guard of the mutating commands: until operators exist they write to a store directly, on this machine, when that is said."""

import getpass
import re
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tools.output import Failed, WrongUse

if TYPE_CHECKING:
    from agents.runtime.operator import Act
    from stores.engine import Tx
    from tools.options import Options

T = TypeVar("T")

UNSAFE_LOCAL = Annotated[bool, typer.Option("--unsafe-local", help="Yes, write to the store directly, past the operators' API.")]


def must_be_said(options: "Options", unsafe_local: bool, command: str) -> None:
    """Raise WrongUse unless `--unsafe-local` was said, and the store is one of this machine (DESIGN 3)."""
    if not unsafe_local:
        raise WrongUse(f"`lendbus {command}` writes to a store directly, which nobody authorizes: say --unsafe-local if you mean it")
    if not options.settings.stores_are_here():
        raise WrongUse(f"`lendbus {command} --unsafe-local` is for a store of this machine: run it where the database listens on loopback")


def acting(reason: str) -> "Act":
    """This user of this machine, for the audit row. Raises WrongUse for an empty reason."""
    from agents.runtime.operator import Act

    if not reason.strip():
        raise WrongUse("say why with --reason TEXT: it goes into the audit row")
    name = re.sub(r"[^!-~]", "?", getpass.getuser())[:64]
    return Act(f"local:{name}", reason, time.time_ns() // 1_000_000)


async def write(options: "Options", service: str, work: "Callable[[Tx], T]") -> T:
    """One transaction `operator.commit` on a service's store. Raises Failed when it cannot be written or there is nothing to do."""
    from agents.runtime.deadletters import NoSuchDeadLetter
    from agents.runtime.operator import NothingToDo
    from stores.engine import OutcomeUnknown, RowRejected, Store, StoreAway, StoreRefused, WrongSchema
    from tools.reading import must_exist, store_path

    settings = options.settings
    where = f"the store of {service}"
    if settings.db_kind == "sqlite":
        path = store_path(settings, service)
        must_exist(path)
        where = f"the store {path}"
    try:
        store = await Store.open(service, settings.store_url(service))
        try:
            return await store.transaction("operator.commit", work)
        finally:
            await store.close()
    except (NoSuchDeadLetter, NothingToDo, RowRejected, StoreRefused, WrongSchema) as exc:
        raise Failed(str(exc)) from exc
    except OutcomeUnknown as exc:
        raise Failed(f"{where} was lost while it was written ({exc}): look whether it was done before you do it again") from exc
    except (StoreAway, sqlite3.OperationalError) as exc:
        raise Failed(f"{where} cannot be written ({exc}): run this as the user who runs the workers, and try again") from exc
