"""A serving process: its event loop, its signals, its end.

Ended by SIGTERM, SIGINT or SIGHUP it stops its parts gracefully and in bounded time; a second signal does not wait. A part
that ends by itself ends the process with one line that says why, and so does a loop that has gone deaf (`tools/watchdog.py`).
"""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

from config import faults, logs
from config.settings import Settings
from tools.crew import Crew, PartEnded
from tools.metrics_port import serving_metrics
from tools.output import WrongUse, flush
from tools.watchdog import Watchdog

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130
GRACE_PART, LAST_PART = 0.9, 0.97  # of the stop's time: the graceful part, then what is left is cancelled, then the process ended
GC_OBJECTS: Final = 50_000  # new objects between two looks of the collector: it looks less often at what a start imports
STOP_AFTER_FAILURE_S: Final = 3.0  # a process that has lost a part gives up the others sooner: a standby may be waiting

Main = Callable[[Crew], Awaitable[int]]


class Stopped(Exception):
    """Somebody has sent a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def run(settings: Settings, main: Main, *, interrupted: int = 0) -> int:
    """Run `main(crew)` with its parts until it returns its exit code, a signal comes (0; SIGINT: `interrupted`), or a part fails (1).

    `main` starts parts with `crew.start`; whoever serves waits for ever. WrongUse and Failed go on to the caller.
    """
    try:
        faults.install_from_environment()
    except ValueError as exc:
        raise WrongUse(str(exc)) from None
    gc.set_threshold(GC_OBJECTS, 10, 10)
    logs.configure(level=settings.log_level, format=settings.log_format)
    last_word = _LastWord()
    with serving_metrics(settings.metrics_port) as where, last_word, asyncio.Runner(loop_factory=loop_factory()) as runner:
        if where is not None:
            logs.get("process").info("metrics are served", url=where)
        return runner.run(_served(main, settings.stop_timeout_ms / 1000, interrupted, last_word))


async def serve_until_stopped() -> int:
    """What `main` ends with when everything is up."""
    await asyncio.Event().wait()
    return 0


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's loop where it is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


class _LastWord:
    """Ends the process when its own end takes too long; from `within` on until the interpreter has gone."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def within(self, seconds: float, code: int) -> None:
        """From now on there is so much time."""
        self._timer = threading.Timer(seconds, self._end, [seconds, code])
        self._timer.daemon = True
        self._timer.start()

    def _end(self, seconds: float, code: int) -> None:
        print(
            f"lendbus: the stop was not done after {seconds:.1f} s; ending this process, the next start finishes its work", file=sys.stderr
        )
        os._exit(code)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Go on only while there is a thread that the interpreter would wait for."""
        flush()
        gc.freeze()  # the interpreter's last collection would look at every module once more; measured: half a second
        if self._timer is not None and all(thread.daemon or thread is threading.main_thread() for thread in threading.enumerate()):
            self._timer.cancel()


async def _served(main: Main, stop_s: float, interrupted: int, last_word: _LastWord) -> int:
    crew, watchdog = Crew(), Watchdog()
    log = logs.get("process")
    with _signals() as signalled:
        watchdog.start()
        code = EXIT_FAILED
        working = asyncio.ensure_future(main(crew))
        try:
            code = await _first(working, signalled, crew.failed)
        except Stopped as stopped:
            code = interrupted if stopped.number == signal.SIGINT else 0
            log.info("stopping", signal=str(stopped))
        except PartEnded as exc:
            log.error("a part has ended: ending the process", why=str(exc))
            stop_s = min(stop_s, STOP_AFTER_FAILURE_S)
        finally:
            last_word.within(stop_s * LAST_PART, code)
            failures = await _stopped(working, crew, stop_s * GRACE_PART)
            watchdog.stop()
    for failure in failures:
        log.error("a part did not stop as it should", why=str(failure))
    return code or (EXIT_FAILED if failures else 0)


async def _first(working: "asyncio.Future[int]", *ends: "asyncio.Future[Any]") -> int:
    """The result of the main work, or what one of the ends raises."""
    done, _ = await asyncio.wait([working, *ends], return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        if end in done:
            end.result()
    return working.result()


async def _stopped(working: "asyncio.Future[int]", crew: Crew, grace_s: float) -> list[PartEnded]:
    working.cancel()
    await asyncio.wait([working])
    try:
        async with asyncio.timeout(grace_s):
            return await crew.stop_all()
    except TimeoutError:
        crew.cancel()
        return []


@contextmanager
def _signals() -> Iterator["asyncio.Future[None]"]:
    """A future that raises Stopped at the first signal; the second one ends the process at once."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[None] = loop.create_future()

    def on_signal(number: int) -> None:
        if came.done():
            _end_by(number)
        came.set_exception(Stopped(number))
        came.exception()  # it is looked at when the wait ends; asyncio need not add that nobody did

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    loop.add_signal_handler(signal.SIGUSR1, tell_tasks)
    yield came


def tell_tasks() -> None:
    """Write to standard error where every task of this loop stands; what a process that seems to do nothing waits for."""
    for task in asyncio.all_tasks():
        print(f"task {task.get_name()}", file=sys.stderr)
        awaited: object = task.get_coro()
        while awaited is not None:
            frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None) or getattr(awaited, "gi_frame", None)
            if frame is not None:
                print(f"  {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}", file=sys.stderr)
            inner = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None) or getattr(awaited, "gi_yieldfrom", None)
            if inner is None and frame is None:
                print(f"  {awaited!r}"[:300], file=sys.stderr)
            awaited = inner
    sys.stderr.flush()


def _end_by(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
