"""A data folder has one platform: whoever runs `up` or `demo` on it holds a lock in the real folder, however it is spelled.

The kernel gives the lock back when its process ends, however it ends, so that no stale file keeps a platform from starting.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tools.output import WrongUse, instant

NAME: Final = "platform.lock"  # says who holds the folder; the lock is on the folder itself, which nobody removes by the way


@contextmanager
def platform_lock(folder: Path) -> Iterator[Path]:
    """Hold the folder for the length of the block; the real folder. Raises WrongUse with the pid and start of who has it."""
    real, fd = _opened(folder)
    try:
        if not _taken(fd):
            raise WrongUse(f"{real} has its platform already: {_holder(real)}; stop it, or say another folder with --data")
        (real / NAME).write_text(json.dumps({"pid": os.getpid(), "since_ms": time.time_ns() // 1_000_000}))
        yield real
    finally:
        os.close(fd)


def is_free(folder: Path) -> bool:
    """Whether nobody runs a platform on the folder just now."""
    _, fd = _opened(folder)
    try:
        return _taken(fd)
    finally:
        os.close(fd)


def _opened(folder: Path) -> tuple[Path, int]:
    real = folder.expanduser().resolve()
    try:
        real.mkdir(mode=0o700, parents=True, exist_ok=True)
        return real, os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise WrongUse(f"{real} cannot be the data folder: {exc.strerror}; say another one with --data") from None


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(real: Path) -> str:
    try:
        note = json.loads((real / NAME).read_text())
        return f"process {int(note['pid'])}, since {instant(int(note['since_ms']))}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "a process that is just starting"
