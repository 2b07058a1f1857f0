"""A demo's own place on servers that others use as well: a namespace on Kafka, databases on PostgreSQL, keys of its own.

Both are named after the demo's folder, so the same folder has the same place, a new one a fresh place. They go with the folder.
"""

import asyncio
import hashlib
import ipaddress
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.output import say

if TYPE_CHECKING:
    from config.settings import Settings

NOTE: Final = "demo.json"  # which bus and stores the folder's demo has; mode 0600, since URLs hold passwords
NAME_CHARS_MAX: Final = 24
REMOVE_S_MAX: Final = 10.0
LOCAL: Final = "localhost"


def apart(settings: "Settings", folder: Path) -> "Settings":
    """The settings of a demo in this folder. On loopback its keys are made as well.

    That breaks no rule of DESIGN 3: keys made by chance could only hurt stores that others write too, and these are nobody else's.
    A broker or a database of another machine is no playground: there a missing key file ends the demo like any start.
    """
    changes: dict[str, object] = {"data": folder}
    mark = _mark(folder)
    if settings.bus_kind == "kafka":
        changes["bus"] = _with_namespace(settings.bus_url(), f"demo-{mark}")
    if settings.db_kind == "postgresql":
        changes["db"] = _with_database(settings, f"demo_{mark.replace('-', '_')}")
    made = settings.model_copy(update=changes)
    if settings.may_generate_keys:
        return made
    note = folder / NOTE
    note.touch(mode=0o600)
    note.write_text(json.dumps({"bus": made.bus, "db": made.db}))
    if is_on_this_machine(settings) and settings.key_file is None:
        from config.keys import load_or_create

        load_or_create(made.key_path(), may_generate=True)
    return made


def remove(folder: Path) -> None:
    """Take away what an earlier demo has left on servers; one that is away keeps it, and that is said."""
    try:
        said = json.loads((folder / NOTE).read_text())
    except FileNotFoundError:
        return
    from config.settings import load
    from tools.bench.place import Place

    async def removed() -> None:
        async with asyncio.timeout(REMOVE_S_MAX):
            settings = load(data=folder, bus=said["bus"], db=said["db"])
            await Place(settings, folder).remove()
            if settings.bus_kind == "kafka":
                await Place(settings.of_bank(), folder).remove_topics()

    try:
        asyncio.run(removed())
    except Exception as exc:  # noqa: BLE001 - whatever a server says, the new demo starts
        say(f"what the demo of {folder} has left on its servers stays there: {type(exc).__name__}: {exc}")


def is_on_this_machine(settings: "Settings") -> bool:
    """Whether broker and database, as far as they are servers, listen on loopback."""
    hosts: list[str] = []
    if settings.bus_kind == "kafka":
        from bus.kafka.address import parse

        hosts += [server.rpartition(":")[0].strip("[]") for server in parse(settings.bus_url()).servers]
    if settings.db_kind == "postgresql":
        from stores.postgresql_url import parsed

        hosts.append(parsed(settings.store_url("users")).host or LOCAL)
    return all(_is_loopback(host) for host in hosts)


def _is_loopback(host: str) -> bool:
    if host == LOCAL or host.startswith(os.sep):  # a Unix socket's folder
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _mark(folder: Path) -> str:
    real = str(folder.expanduser().resolve())
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder.name.lower())[:NAME_CHARS_MAX].strip("-")
    return f"{plain or 'x'}-{hashlib.blake2b(real.encode(), digest_size=4).hexdigest()}"


def _with_namespace(url: str, name: str) -> str:
    address, question, options = url.partition("?")
    scheme, _, rest = address.partition("://")
    hosts, _, namespace = rest.partition("/")
    return f"{scheme}://{hosts}/{namespace}{'-' if namespace else ''}{name}{question}{options}"


def _with_database(settings: "Settings", name: str) -> str:
    from stores.postgresql_url import parsed

    service = "any"
    parts = parsed(settings.store_url(service))
    given = (parts.database or "").removesuffix(f"_{service}")[:NAME_CHARS_MAX]
    return parts.set(drivername="postgresql", database=f"{given}_{name}").render_as_string(hide_password=False)
