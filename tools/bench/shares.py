"""Who uses the processor while a bench runs: processor time of our processes, of the broker and of the database, from /proc.

Only what runs on this machine can be seen: the process that listens at a loopback address, and its children. Where there is no
/proc, or the server is elsewhere, its share is left out.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
TICKS_S: Final = os.sysconf("SC_CLK_TCK")
LISTENING: Final = "0A"
LOOPBACK: Final = ("localhost", "127.", "::1")


@dataclass
class Shares:
    """Between `begin` and `end`: processor seconds a second, one core is 1.0, by name of who used them."""

    who: Mapping[str, Sequence[int]]  # name → pids; their children count too
    _began_s: float = 0.0
    _before: dict[str, dict[int, float]] = field(default_factory=dict)
    _busy: float = 0.0

    def begin(self) -> None:
        """Start counting."""
        self._before = {name: used(family(pids)) for name, pids in self.who.items()}
        self._busy, self._began_s = busy(), time.monotonic()

    def end(self) -> dict[str, float]:
        """What was used since: of everybody asked for who is on this machine, and of the whole machine as `machine`."""
        seconds = time.monotonic() - self._began_s
        shares = {}
        for name, pids in self.who.items():
            after = used(family(pids))
            spent = sum(now - self._before[name].get(pid, 0.0) for pid, now in after.items())
            if after:
                shares[name] = spent / seconds
        if after_busy := busy():
            shares["machine"] = (after_busy - self._busy) / seconds
        return shares


def used(pids: Sequence[int]) -> dict[int, float]:
    """Processor seconds of each process that is there, its own and those of its children that have ended."""
    spent = {}
    for pid in pids:
        if fields := _stat(pid):
            spent[pid] = sum(map(int, fields[11:15])) / TICKS_S
    return spent


def family(pids: Sequence[int]) -> list[int]:
    """These processes and their children."""
    if not PROC.exists():
        return []
    running = [int(each.name) for each in PROC.iterdir() if each.name.isdigit()]
    return [pid for pid in running if pid in pids or ((fields := _stat(pid)) and int(fields[1]) in pids)]


def busy() -> float:
    """Processor seconds that all cores have been busy since the machine began; 0 where that cannot be known."""
    try:
        user, nice, system, _, _, irq, soft, *_ = map(int, (PROC / "stat").read_text().split("\n", 1)[0].split()[1:])
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system + irq + soft) / TICKS_S


def listener(host: str, port: int) -> int | None:
    """The process of this machine that listens there; None when it is elsewhere, or belongs to somebody whose files we may not see."""
    if not host.startswith(LOOPBACK) and host != socket.gethostname():
        return None
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for process in PROC.glob("[0-9]*"):
        try:
            if any(os.readlink(each) in sockets for each in (process / "fd").iterdir()):
                return _eldest(int(process.name), sockets)
        except OSError:
            continue
    return None


def _eldest(pid: int, sockets: set[str]) -> int:
    """Of a server that has forked with its socket open, the one that forked."""
    fields = _stat(pid)
    parent = int(fields[1]) if fields else 0
    try:
        inherited = parent > 1 and any(os.readlink(each) in sockets for each in (PROC / str(parent) / "fd").iterdir())
    except OSError:
        inherited = False
    return _eldest(parent, sockets) if inherited else pid


def _listening(port: int) -> list[str]:
    inodes = []
    for name in ("tcp", "tcp6"):
        try:
            rows = [line.split() for line in (PROC / "net" / name).read_text().splitlines()[1:]]
        except OSError:
            continue
        inodes += [row[9] for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port]
    return inodes


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, from the state on; none when there is no such process."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
