"""Processes of this machine: who is alive, who holds a SQLite file's write lock, and ending one that froze with it.

A process is its pid *and* its start time: pids are used again. What cannot be known for certain is None, and nobody is ended on a guess.
"""

import functools
import logging
import os
import re
import signal
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

WRITE_LOCK_BYTE = 120  # of the -shm file: SQLite's WAL_WRITE_LOCK (sqlite.org/walformat.html, 2.3.1)
FROZEN_STATES = frozenset("Tt")  # stopped by a signal, stopped by a tracer
DEAD_STATES = frozenset("ZXx")

log = logging.getLogger("lendbus.bus")


class Process(NamedTuple):
    """A process of a machine: `boot` names the running system and its pid namespace, `started` is in clock ticks since boot."""

    pid: int
    started: int
    boot: str
    host: str


def monotonic_ms() -> int:
    """Milliseconds on the clock that all processes of this boot share."""
    return time.monotonic_ns() // 1_000_000


@functools.cache
def boot_id() -> str:
    """Names this boot of this machine and this pid namespace: only inside one may pids and monotonic clocks be compared."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{uuid.getnode():x}/{int(time.time() - time.monotonic()) // 60}"  # no /proc: the minute of the boot


def this_process() -> Process:
    """This process."""
    return Process(os.getpid(), process_start(os.getpid()) or 0, boot_id(), socket.gethostname())


def process_start(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when there is none, or this system does not tell."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def process_state(pid: int) -> str | None:
    """The process' state letter as proc(5) has it; None when there is none, or this system does not tell."""
    fields = _stat(pid)
    return fields[0] if fields else None


def is_alive(process: Process) -> bool | None:
    """Whether this very process still runs; None when it is of another boot or namespace, which cannot be known from here."""
    if process.boot != boot_id():
        return False if process.host == socket.gethostname() and process.boot.split("/")[0] != boot_id().split("/")[0] else None
    if not os.path.isdir("/proc/self"):
        return _answers(process.pid)
    fields = _stat(process.pid)
    return fields is not None and fields[0] not in DEAD_STATES and int(fields[19]) == process.started


def write_lock_holder(path: Path) -> int | None:
    """The pid that holds the write lock of this SQLite file in WAL mode; None when nobody does, or this system does not tell.

    The `-shm` file is never opened: closing a descriptor of it would drop every POSIX lock of this process on it.
    """
    shm = f"{path}-shm"
    try:
        inode = os.stat(shm).st_ino
        table = Path("/proc/locks").read_text()
    except OSError:
        return None
    for kind, pid, start, end in re.findall(rf"POSIX\s+\S+\s+(READ|WRITE)\s+(\d+)\s+\S+:{inode}\s+(\d+)\s+(\d+|EOF)", table):
        covers = int(start) <= WRITE_LOCK_BYTE and (end == "EOF" or int(end) >= WRITE_LOCK_BYTE)
        if kind == "WRITE" and covers and _has_open(int(pid), shm):
            return int(pid)
    return None


def end_frozen_holder(path: Path, registered: Callable[[int, int], bool], *, even_running: bool = False) -> int | None:
    """End the process that holds the file's write lock, if it is one of ours and frozen; its pid when it was ended, else None.

    `registered(pid, started)` says whether that very process is known to be ours. Without `even_running` only a stopped one
    (SIGSTOP, a debugger) is ended; with it the caller knows that its lease has been over for another lease (DESIGN 1).
    """
    pid = write_lock_holder(path)
    if pid is None or pid == os.getpid():
        return None
    started, state = process_start(pid), process_state(pid)
    if started is None or not registered(pid, started) or not (even_running or state in FROZEN_STATES):
        return None
    if write_lock_holder(path) != pid or not _kill(pid, started):
        return None
    log.error("ended process %d (state %s): it held the write lock of %s and did not run; its work goes to a standby", pid, state, path)
    return pid


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()  # a command's name may hold blanks and brackets


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _has_open(pid: int, path: str) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        mine = os.stat(path)
        for name in os.listdir(folder):
            try:
                if os.path.samestat(os.stat(f"{folder}/{name}"), mine):
                    return True
            except OSError:
                continue
    except OSError:
        return False
    return False


def _kill(pid: int, started: int) -> bool:
    """SIGKILL to this very process: its descriptor is opened before the start time is compared, so that no reused pid is hit."""
    try:
        fd = os.pidfd_open(pid)
    except (OSError, AttributeError):
        return False
    try:
        if process_start(pid) != started:
            return False
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
