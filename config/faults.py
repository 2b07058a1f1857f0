"""Fault points: a name before and after every commit, append, send, ack and take-over, where a test may stop the world.

Without a hook a point costs one comparison. `LENDBUS_FAULT=point:action:nth` installs a hook in a real process:
action `kill` (SIGKILL itself), `freeze` (SIGSTOP itself) or `raise`; `nth` is the hit at which it acts, counted from 1.
`LENDBUS_FAULT=@FILE` reads the description from a file, again whenever the file is another one: so a fault can be put into a
process that runs. Before it acts it writes what it does to `FILE.hit`.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Hook = Callable[[str], None]
_DESCRIPTION = re.compile(r"([a-z.]+):([a-z]+)(?::([1-9]\d{0,8}))?", re.ASCII)

# Every operation that changes something durable or says that it did. Each is two points: `<name>.before`, `<name>.after`.
OPERATIONS: tuple[str, ...] = (
    "loop.commit",  # the batch: inbox, actors, outbox, position
    "loop.ack",  # the run is done, the group's offset may follow
    "takeover.commit",  # epoch + 1 in the store
    "takeover.resend",  # outbox rows that the partition left behind
    "relay.append",  # outbox rows to the bus
    "relay.commit",  # deleting the rows that the bus has
    "timers.commit",  # a firing and its message
    "attempts.call",  # the outside world is asked
    "attempts.commit",  # its outcome becomes a message
    "heal.commit",  # a suspended actor is tried again
    "operator.commit",  # redrive, skip
    "prune.commit",  # what is past its horizon goes
    "gateway.send",  # a command of a person
    "bus.append",  # records into the log file
    "bus.offsets",  # the group's offsets
    "bus.acquire",  # a group's lease taken, epoch + 1
    "bus.renew",  # the lease stays ours
    "bus.declare",  # topics, groups and processes written down
    "bus.prune",  # records past their retention
)


# A stop signal reaches the threads of a process one after another: measured on a busy machine, this one could still commit.
STOPPED_WITHIN_S = 0.2


class InjectedFault(Exception):
    """What the `raise` action raises; nothing in the product catches it."""


_hook: Hook | None = None


def points() -> tuple[str, ...]:
    """Every point's name, in the order of `OPERATIONS`."""
    return tuple(f"{name}.{side}" for name in OPERATIONS for side in ("before", "after"))


def reach(point: str) -> None:
    """Tell the hook, if there is one, that this point has been reached; the hook may raise, kill or freeze."""
    if _hook is not None:
        _hook(point)


@contextmanager
def around(operation: str) -> Iterator[None]:
    """The wrapper of one durable operation: its two points around the body."""
    assert operation in OPERATIONS, f"undeclared fault operation {operation!r}"
    reach(f"{operation}.before")
    yield
    reach(f"{operation}.after")


@contextmanager
def installed(hook: Hook) -> Iterator[None]:
    """Install a hook for the length of a test."""
    global _hook
    before, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = before


def install_from_environment() -> None:
    """Install the hook that `LENDBUS_FAULT` describes; does nothing without it. Raises ValueError for a wrong description."""
    global _hook
    if text := os.environ.get("LENDBUS_FAULT"):
        _hook = from_file(Path(text[1:])) if text.startswith("@") else parse(text)


def from_file(path: Path) -> Hook:
    """The hook that does what the file says now; an empty file, none, or one that says nothing that can be done, is no fault.

    Whoever changes the description puts another file in its place (`os.replace`): its inode tells.
    """
    known: tuple[int, int] | None = None
    inner: Hook | None = None

    def hook(reached: str) -> None:
        nonlocal known, inner
        try:
            found = os.stat(path)
            if (now := (found.st_ino, found.st_mtime_ns)) != known:
                known, inner = now, _said(path, path.read_text())
        except FileNotFoundError:
            known = inner = None
        if inner is not None:
            inner(reached)

    return hook


def _said(path: Path, text: str) -> Hook | None:
    try:
        return parse(text.strip(), told=lambda point: path.with_suffix(f"{path.suffix}.hit").write_text(f"{point} {os.getpid()}\n"))
    except ValueError:
        return None


def parse(text: str, told: Callable[[str], object] = lambda _: None) -> Hook:
    """Make the hook of `point:action[:nth]`; `told` hears of the point just before it acts."""
    found = _DESCRIPTION.fullmatch(text)
    point, action, nth = found.groups() if found else ("", "", None)
    if point not in points() or action not in _ACTIONS:
        raise ValueError(f"LENDBUS_FAULT={text!r}: expected point:kill|freeze|raise[:nth], point one of {', '.join(points())}")
    left = int(nth or 1)

    def hook(reached: str) -> None:
        nonlocal left
        if reached == point:
            left -= 1
            if left == 0:
                told(point)
                _ACTIONS[action](point)

    return hook


def _raise(point: str) -> None:
    raise InjectedFault(point)


def _freeze(point: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(STOPPED_WITHIN_S)


_ACTIONS: dict[str, Callable[[str], None]] = {
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "freeze": _freeze,
    "raise": _raise,
}
