"""What `lendbus doctor` looks at, one function a subject; each line says ok, warn or fail, and what to do."""

import os
import re
import socket
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from config import keys
from tools.output import instant, span

if TYPE_CHECKING:
    from config.settings import Settings

PYTHON_LEAST: Final = (3, 11)
SQLITE_LEAST: Final = (3, 35, 0)  # RETURNING, and reading a WAL without writing to it
WAL_WARN_BYTES: Final = 64 * 1024 * 1024
CLOCK_BEHIND_MS: Final = 2_000
CLOCK_LEAST_MS: Final = 1_735_689_600_000  # 2025: before that the clock was never set
DISTRIBUTION: Final = "lendbus"
OPTIONAL: Final = re.compile(r";.*\bextra\b")


class Line(NamedTuple):
    """One finding of the doctor."""

    result: str  # ok, warn, fail
    subject: str
    found: str
    todo: str = ""


def python() -> Iterator[Line]:
    """The interpreter and its SQLite."""
    found = ".".join(map(str, sys.version_info[:3]))
    fits = sys.version_info >= PYTHON_LEAST
    yield Line("ok" if fits else "fail", "python", found, "" if fits else "install Python 3.11 or newer")
    fits = sqlite3.sqlite_version_info >= SQLITE_LEAST
    yield Line("ok" if fits else "fail", "sqlite", sqlite3.sqlite_version, "" if fits else "use a Python with SQLite 3.35 or newer")


def libraries() -> Iterator[Line]:
    """Every library that the distribution names: pinned ones exactly, the others at least so new."""
    wrong = 0
    wanted = [r for r in metadata.requires(DISTRIBUTION) or [] if not OPTIONAL.search(r)]
    for requirement in wanted:
        if (line := library(requirement)) is not None:
            wrong += 1
            yield line
    if not wrong:
        yield Line("ok", "libraries", f"{len(wanted)} as pinned")


def library(requirement: str) -> Line | None:
    """None when the requirement is met."""
    parsed = re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*(==|>=)?\s*([\w.]*)", requirement)
    if parsed is None:
        return None
    name, how, version = parsed.groups()
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Line("fail", name, "not installed", "run `make setup`")
    meets = found == version if how == "==" else _numbers(found) >= _numbers(version)
    return None if meets else Line("fail", name, found, f"run `make setup`: {how}{version} is wanted")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version)[:3])


def folder(settings: "Settings") -> Iterator[Line]:
    """The data folder: there, ours, writable, not open to others."""
    path = settings.data.expanduser().absolute()
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        parent = next(p for p in path.parents if p.exists())
        makes = os.access(parent, os.W_OK | os.X_OK)
        todo = "" if makes else f"make {parent} writable, or name another folder with --data"
        yield Line("ok" if makes else "fail", "data folder", f"{path}: not made yet", todo)
        return
    except OSError as exc:
        yield Line("fail", "data folder", f"{path}: {exc.strerror}", "give it to the user that runs Lendbus")
        return
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield Line("warn", "data folder", f"{path}: not writable", "inspecting works; to run workers, be the user that owns it")
    elif mode & 0o077:
        yield Line("warn", "data folder", f"{path}: mode {mode:04o}, others can look in", f"chmod 700 {path}")
    else:
        yield Line("ok", "data folder", str(path))


def key_file(settings: "Settings") -> Iterator[Line]:
    """The key file: there when the stores are, readable by us only."""
    path = settings.key_path()
    try:
        keys.load(path)
    except FileNotFoundError:
        stores = [p for p in settings.data.expanduser().glob("*.db") if p.name != "bus.db"]
        if not settings.may_generate_keys:
            yield Line("fail", "key file", f"{path}: missing", "copy the platform's there, or make its first one: lendbus keys make")
        elif stores:
            yield Line(
                "fail", "key file", f"{path}: missing, and {stores[0].name} is here", "put the platform's key file back from its backup"
            )
        else:
            yield Line("ok", "key file", "the first start makes one")
    except keys.KeyFileError as exc:
        yield Line("fail", "key file", str(path), str(exc))
    else:
        yield Line("ok", "key file", f"{path}, mode 0600")


def sizes(path: Path, name: str) -> Iterator[Line]:
    """A database file and its WAL."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        yield Line("ok", name, "not made yet")
        return
    except OSError as exc:
        yield Line("fail", name, f"{path}: {exc.strerror}", "give this user read permission")
        return
    wal = Path(f"{path}-wal")
    wal_bytes = wal.stat().st_size if wal.exists() else 0
    found = f"{size:,} bytes, WAL {wal_bytes:,} bytes"
    if wal_bytes > WAL_WARN_BYTES:
        yield Line("warn", name, found, "a reader or a long transaction keeps the WAL: end it, the next checkpoint cuts it")
    else:
        yield Line("ok", name, found)


def port(settings: "Settings") -> Iterator[Line]:
    """Whether the gateway's port is free."""
    try:
        with socket.create_server((settings.host, settings.port)):
            yield Line("ok", "port", f"{settings.host}:{settings.port} is free")
    except OSError as exc:
        todo = "fine if it is this platform's gateway; else choose another with LENDBUS_PORT"
        yield Line("warn", "port", f"{settings.host}:{settings.port}: {exc.strerror}", todo)


def clock(last_append_ms: int | None) -> Iterator[Line]:
    """Whether the clock can be right: not before what is in the log."""
    now_ms = time.time_ns() // 1_000_000
    if now_ms < CLOCK_LEAST_MS:
        yield Line("fail", "clock", str(instant(now_ms)), "set the clock: deadlines go by it")
    elif last_append_ms is not None and now_ms < last_append_ms - CLOCK_BEHIND_MS:
        behind = span(last_append_ms - now_ms)
        yield Line(
            "warn", "clock", f"{behind} behind the last record", "set the clock: deadlines and retention wait until it has caught up"
        )
    else:
        yield Line("ok", "clock", str(instant(now_ms)))
