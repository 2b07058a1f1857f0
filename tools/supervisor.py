"""The worker processes of `lendbus up --workers N`: each runs every service, and one that ends is started again, with back-off.

They end with this process, however it ends: each holds the reading end of a pipe whose other end is open here only. What they
write on standard error goes on to ours, line by line; the last one is repeated when a worker has ended.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from config import logs
from config.retry import WORKER_RESTART
from config.settings import Settings

PIPE: Final = "LENDBUS_SUPERVISOR_PIPE"  # the descriptor that a worker watches
STEADY_S: Final = 60.0  # who has lived so long is started again as if it were the first time
OFTEN: Final = 5  # so many starts in a row are worth an alarm
LINE_BYTES_MAX: Final = 1024 * 1024
LAST_CHARS_MAX: Final = 300
CHILDS_STOP, KILL_AFTER = 0.75, 0.85  # of our stop's time: what a worker gets for its own, and when it is ended by force
COMMAND: Final = (sys.executable, "-P", "-c", "from tools.cli import main; main()", "worker")

log = logs.get("supervisor")


class Supervisor:
    """A part of `up`: `count` processes of a command, numbered from 1. Giving up is an operator's business, never ours."""

    name = "workers"

    def __init__(self, command: Sequence[str], environments: Sequence[Mapping[str, str]], stop_s: float) -> None:
        self.started = asyncio.Event()
        self._stop = asyncio.Event()
        self._stop_s = stop_s
        self._pipe, self._ours = os.pipe()
        self._places = [_Place(number, command, each, self._pipe) for number, each in enumerate(environments, 1)]

    @property
    def pids(self) -> list[int]:
        """The processes that run now, in the order of their numbers."""
        return [place.process.pid for place in self._places if place.process is not None and place.process.returncode is None]

    async def run(self) -> None:
        """Keep every worker running until `request_stop`, then end them all; bounded."""
        lives = [asyncio.create_task(place.live(self._stop), name=f"worker {place.number}") for place in self._places]
        ending: asyncio.Task[None] | None = None
        try:
            for place in self._places:
                await place.begun.wait()
            self.started.set()
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait([stopping, *lives], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            for place in self._places:
                place.send(signal.SIGTERM)
            ending = asyncio.create_task(self._end_by_force())
            await asyncio.gather(*lives)
        finally:
            for place in self._places:
                place.send(signal.SIGKILL)
            tasks = [*lives, *([] if ending is None else [ending])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            os.close(self._ours)
            os.close(self._pipe)

    async def _end_by_force(self) -> None:
        await asyncio.sleep(self._stop_s * KILL_AFTER)
        for place in self._places:
            if place.send(signal.SIGKILL):
                log.error("worker did not stop in time; ended by force", worker=place.number)

    def request_stop(self) -> None:
        """End `run`: every worker is asked to stop."""
        self._stop.set()


class _Place:
    """One of the workers, and the process that it is now."""

    def __init__(self, number: int, command: Sequence[str], environment: Mapping[str, str], pipe: int) -> None:
        self.number = number
        self.process: asyncio.subprocess.Process | None = None
        self.begun = asyncio.Event()
        self._command = command
        self._environment = {**environment, PIPE: str(pipe)}
        self._pipe = pipe
        self._last = ""

    async def live(self, stop: asyncio.Event) -> None:
        """Start it, wait for its end, say why, start it again, until `stop`."""
        in_a_row = 0
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            since_s = loop.time()
            why = await self._once()
            if stop.is_set():
                return
            in_a_row = 1 if loop.time() - since_s >= STEADY_S else in_a_row + 1
            delay_ms = WORKER_RESTART.delay_ms(in_a_row - 1, f"worker {self.number}")
            self._tell(why, in_a_row, delay_ms)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_ms / 1000):
                    await stop.wait()

    def send(self, number: signal.Signals) -> bool:
        """A signal to the present process; False when there is none."""
        if self.process is None or self.process.returncode is not None:
            return False
        self.process.send_signal(number)
        return True

    async def _once(self) -> str:
        """One process from its start to its end; why it ended."""
        self._last = ""
        try:
            self.process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                pass_fds=(self._pipe,),
                start_new_session=True,  # Ctrl-C is ours; they get SIGTERM from us
                limit=LINE_BYTES_MAX,
            )
        except OSError as exc:
            return f"it could not be started: {exc.strerror}"
        finally:
            self.begun.set()
        log.info("worker started", worker=self.number, pid=self.process.pid)
        assert self.process.stderr is not None
        await self._pass_on(self.process.stderr)
        return _described(await self.process.wait())

    async def _pass_on(self, errors: asyncio.StreamReader) -> None:
        """Its lines go on to our standard error until it has closed its own."""
        while True:
            try:
                line = await errors.readline()
            except ValueError:  # longer than any line of ours: what was read of it is gone, the rest follows
                continue
            if not line:
                return
            if text := line.decode(errors="replace").strip():
                self._last = text[:LAST_CHARS_MAX]
            with contextlib.suppress(OSError):
                sys.stderr.buffer.write(line if line.endswith(b"\n") else line + b"\n")
                sys.stderr.buffer.flush()

    def _tell(self, why: str, in_a_row: int, delay_ms: int) -> None:
        pid = self.process.pid if self.process is not None else None
        said = {"worker": self.number, "pid": pid, "why": why, "last_line": self._last, "again_in_ms": delay_ms}
        if in_a_row >= OFTEN:
            log.error("a worker ends again and again; it is started again all the same", **said, times_in_a_row=in_a_row)
        else:
            log.warning("a worker has ended; it is started again", **said)


def of_platform(settings: Settings, count: int) -> Supervisor:
    """The workers of a platform: every service in each, metrics on the ports that follow ours."""
    from tools.assemble import SERVICES

    environments = [_environment(settings, number) for number in range(1, count + 1)]
    return Supervisor([*COMMAND, *SERVICES], environments, settings.stop_timeout_ms / 1000)


def _environment(settings: Settings, number: int) -> dict[str, str]:
    """What a worker is told; by its environment, since everybody may read a command line, and URLs hold passwords."""
    here = str(Path(__file__).resolve().parent.parent)
    said = {
        "LENDBUS_BUS": settings.bus,
        "LENDBUS_DB": settings.db,
        "LENDBUS_DATA": str(settings.data),
        "LENDBUS_STOP_TIMEOUT_MS": str(max(100, int(settings.stop_timeout_ms * CHILDS_STOP))),
        "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH")))),  # the code that runs here
    }
    if settings.metrics_port is not None:
        said["LENDBUS_METRICS_PORT"] = str(settings.metrics_port + number if settings.metrics_port else 0)
    return {**os.environ, **said}


def end_with_supervisor() -> None:
    """In a worker: stop, as if by SIGTERM, when the process that supervises this one has gone. Does nothing without one."""
    if (said := os.environ.pop(PIPE, None)) is None:
        return
    pipe, loop = int(said), asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(pipe)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)  # nobody reads our lines any more
        os.close(nowhere)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(pipe, gone)


def _described(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
