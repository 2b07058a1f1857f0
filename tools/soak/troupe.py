"""The soak's processes: two a stage, one works and one waits; whoever ends is started again. Only processes of ours are touched."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from stores.process import FROZEN_STATES, process_state
from tools.bench.place import Place
from tools.soak.patience import until

END_S_MAX: Final = 20.0  # a process that has been asked to end, and was given its time


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: `asked` is the signal that it got from us, `was_frozen` whether it stood still then."""

    stage: int
    pid: int
    code: int
    asked: int | None
    fault: str
    was_frozen: bool

    @property
    def by_waiter(self) -> bool:
        """Ended by another process because it stood still with a lock."""
        return self.code == -signal.SIGKILL and self.asked is None and self.was_frozen

    @property
    def at_fault(self) -> bool:
        """It killed itself at its fault point."""
        return self.code == -signal.SIGKILL and self.asked is None and not self.was_frozen and ":kill" in self.fault


@dataclass
class Actor:
    """One place in the troupe and the process that has it now."""

    stage: int
    number: int
    folder: Path
    environment: dict[str, str]
    process: asyncio.subprocess.Process | None = None
    asked: int | None = None
    fault: str = ""
    next_fault: str = ""
    frozen_by_us: bool = False
    seen_frozen: bool = False
    closing: bool = False
    lives: bool = False
    endings: list[Ending] = field(default_factory=list)
    starts: int = 0

    @property
    def pid(self) -> int:
        """Of the present process; 0 between two."""
        return self.process.pid if self.process is not None and self.process.returncode is None else 0

    def send(self, number: int) -> bool:
        """Send the present process a signal; False when there is none."""
        if not self.pid or self.process is None:
            return False
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.asked = number
        self.frozen_by_us = number == signal.SIGSTOP or (self.frozen_by_us and number != signal.SIGCONT)
        self.process.send_signal(number)
        return True

    def is_frozen(self) -> bool:
        """Whether the present process stands still."""
        frozen = bool(self.pid) and process_state(self.pid) in FROZEN_STATES
        self.seen_frozen = frozen if self.pid else self.seen_frozen
        return frozen

    async def live(self) -> None:
        """Start a process, wait for its end, start the next, until `closing`."""
        self.lives = True
        while not self.closing:
            with (self.folder / f"stage{self.stage}-{self.number}.log").open("ab") as log:
                self.process = await self._start(log)
            code = await self.process.wait()
            stood = self.seen_frozen or self.frozen_by_us  # whom we stopped may be ended before anybody has looked at it
            self.endings.append(Ending(self.stage, self.process.pid, code, self.asked, self.fault, stood))
        self.lives = False

    async def _start(self, log: IO[bytes]) -> asyncio.subprocess.Process:
        self.asked, self.frozen_by_us, self.seen_frozen = None, False, False
        self.fault, self.next_fault = self.next_fault, ""
        self.starts += 1
        environment = {**os.environ, **self.environment, "LENDBUS_FAULT": self.fault, "LENDBUS_LOG_FORMAT": "json"}
        command = (sys.executable, "-m", "tools.soak.stage", str(self.folder), str(self.stage))
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
        )


def kept_bytecode(folder: Path) -> dict[str, str]:
    """Where this process may not write compiled modules beside their sources: a folder of our own, or every start compiles anew."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder)} if sys.dont_write_bytecode else {}


class Troupe:
    """All processes of a run."""

    def __init__(self, place: Place, stages: Sequence[int], each: int = 2, bytecode: Path | None = None) -> None:
        environment = {**place.environment, **kept_bytecode(bytecode or place.folder / "bytecode")}
        self.actors = [Actor(stage, number, place.folder, environment) for stage in stages for number in range(each)]
        self._lives: list[asyncio.Task[None]] = []

    def start(self, actors: Sequence[Actor] | None = None) -> None:
        """Let these places, or all, have their processes from now on."""
        self._lives += [asyncio.create_task(actor.live()) for actor in (self.actors if actors is None else actors)]

    def of(self, stage: int) -> list[Actor]:
        """The places of a stage."""
        return [actor for actor in self.actors if actor.stage == stage]

    def by_pid(self, pid: int | None) -> Actor | None:
        """The place whose process has this pid."""
        return next((actor for actor in self.actors if pid and actor.pid == pid), None)

    @property
    def endings(self) -> list[Ending]:
        """How every process so far has ended."""
        return [ending for actor in self.actors for ending in actor.endings]

    def check(self) -> None:
        """Raise what a life has raised: a process that cannot be started at all."""
        for life in self._lives:
            if life.done() and not life.cancelled():
                life.result()

    async def end(self, *, gracefully: bool = True) -> None:
        """End every process and start none again; those that do not end in time are killed."""
        for actor in self.actors:
            actor.closing = True
            if gracefully:
                actor.send(signal.SIGTERM)
                actor.send(signal.SIGCONT)
            else:
                actor.send(signal.SIGKILL)
        if not self._lives:
            return
        _, late = await asyncio.wait(self._lives, timeout=END_S_MAX)
        for actor in self.actors if late else ():
            actor.send(signal.SIGKILL)
        await asyncio.gather(*self._lives, return_exceptions=True)

    async def restart_all(self) -> None:
        """A new version: every process is asked to end, and the next one starts."""
        starts = sum(actor.starts for actor in self.actors)
        asked = 0
        for actor in self.actors:
            asked += actor.send(signal.SIGTERM)
            actor.send(signal.SIGCONT)
        await until(lambda: sum(actor.starts for actor in self.actors) >= starts + asked, END_S_MAX)


def children(pid: int) -> list[int]:
    """The processes that this one has started: a database's backends. None where this system does not tell."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    """Send each of them a signal; who has ended meanwhile needs none."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
