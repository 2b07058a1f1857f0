"""The watchdog of the event loop: a process that has gone deaf ends, and says where it hung, so that a standby can take over.

It is a thread that listens for the loop's beats. It counts only while this process runs: one that was stopped (SIGSTOP, a
laptop's sleep) finds its first check late or silent, and has beaten again by the next one.
"""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

DEAF_S: Final = 10.0  # a loop that does not turn for so long is deaf
SILENT_CHECKS: Final = 2  # so many silent checks in a row
BEATS_PER_CHECK: Final = 4
EXIT_DEAF: Final = 1


class Pulse:
    """What the loop beats and the thread feels."""

    def __init__(self) -> None:
        self._beats = self._felt = 0
        self._silent = 0

    def beat(self) -> None:
        """The loop has turned."""
        self._beats += 1

    def is_deaf(self, *, late: bool = False) -> bool:
        """Whether this is one silent check too many; a late check means that the process itself did not run, and begins anew."""
        silent, self._felt = self._beats == self._felt, self._beats
        self._silent = self._silent + 1 if silent and not late else 0
        return self._silent >= SILENT_CHECKS


class Watchdog:
    """Watches the running loop from `start` to `stop`; `end` is what happens to a deaf process."""

    def __init__(self, deaf_s: float = DEAF_S, end: Callable[[], None] | None = None) -> None:
        self._check_s = deaf_s / SILENT_CHECKS
        self._end = end or self._end_process
        self._pulse = Pulse()
        self._over = threading.Event()
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, on the running loop."""
        self._beat(asyncio.get_running_loop())
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """No more beats are expected."""
        self._over.set()
        if self._next is not None:
            self._next.cancel()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._pulse.beat()
        self._next = loop.call_later(self._check_s / BEATS_PER_CHECK, self._beat, loop)

    def _watch(self) -> None:
        asked_s = time.monotonic()
        while not self._over.wait(self._check_s):
            now_s = time.monotonic()
            if self._pulse.is_deaf(late=now_s - asked_s > 2 * self._check_s):
                self._end()
                return
            asked_s = now_s

    def _end_process(self) -> None:
        print(f"lendbus: the event loop has not turned for {self._check_s * SILENT_CHECKS:g} s; ending this process", file=sys.stderr)
        faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr, all_threads=True)
        os._exit(EXIT_DEAF)
