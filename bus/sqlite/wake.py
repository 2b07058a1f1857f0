"""Waking across processes: every listener has a FIFO beside the log file, and who appends writes one byte to each.

A listener that is gone leaves a FIFO without a reader; whoever finds it removes it. This is speed only: everybody also
looks by itself a few times a second.
"""

import asyncio
import contextlib
import errno
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path

DRAIN_BYTES = 4096

log = logging.getLogger("lendbus.bus")


def folder(path: Path) -> Path:
    """Where the listeners of a log file are."""
    return path.with_name(f"{path.name}.wake")


class Listener:
    """This process' FIFO: `woken` is called in the loop's thread soon after anybody has appended."""

    def __init__(self, path: Path, woken: Callable[[], None]) -> None:
        self._woken = woken
        self._path = folder(path) / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._fd: int | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def name(self) -> str:
        """The FIFO's file name, which a waker of the same process leaves out."""
        return self._path.name

    def open(self) -> None:
        """Make the FIFO and listen; without one (no permission, no FIFOs here) the slow look alone has to do."""
        hidden = self._path.with_name(f".{self._path.name}")  # a FIFO without a reader would be removed by the first waker
        try:
            self._path.parent.mkdir(exist_ok=True)
            os.mkfifo(hidden)
            self._fd = os.open(hidden, os.O_RDWR | os.O_NONBLOCK)  # also a writer: no end of file when the last appender goes
            os.rename(hidden, self._path)
            self._loop.add_reader(self._fd, self._drain)
        except (OSError, NotImplementedError, AttributeError) as exc:
            log.warning("no prompt wake-up beside %s: %s", self._path.parent, exc)
            self.close()

    def _drain(self) -> None:
        assert self._fd is not None, "a closed listener has no reader"
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, DRAIN_BYTES)
        self._woken()

    def close(self) -> None:
        """Stop listening and remove the FIFO."""
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None
        with contextlib.suppress(OSError):
            self._path.unlink()


class Waker:
    """The appenders' side: keeps the other listeners' FIFOs open and looks for new ones when the folder has changed."""

    def __init__(self, path: Path, own: str) -> None:
        self._folder = folder(path)
        self._own = own
        self._fds: dict[str, int] = {}
        self._changed_ns = -1

    def wake(self) -> None:
        """Write one byte to every other listener; never blocks, never fails."""
        self._look()
        for name, fd in list(self._fds.items()):
            try:
                os.write(fd, b".")
            except BlockingIOError:
                pass  # full of bytes that wake it anyway
            except OSError:
                self._forget(name)

    def close(self) -> None:
        """Close what is open."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def _look(self) -> None:
        try:
            changed_ns = os.stat(self._folder).st_mtime_ns
            if changed_ns == self._changed_ns:
                return
            names = {name for name in os.listdir(self._folder) if not name.startswith(".") and name != self._own}
        except OSError:
            return
        self._changed_ns = changed_ns
        for name in self._fds.keys() - names:
            os.close(self._fds.pop(name))
        for name in names - self._fds.keys():
            self._open(name)

    def _open(self, name: str) -> None:
        try:
            self._fds[name] = os.open(self._folder / name, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as exc:
            if exc.errno == errno.ENXIO:  # nobody reads it: its process is dead
                self._remove(name)

    def _forget(self, name: str) -> None:
        os.close(self._fds.pop(name))
        self._remove(name)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._folder / name)
