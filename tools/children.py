"""Processes of ours that another command starts beside itself: the bank of a demo, the troupe of a chaos. They end with it.

Each is `lendbus WORD…` with its settings in the environment, its words in a log file. It may be killed, frozen, woken and
started again; whoever ends without being asked is started again where `keep` says so.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tools.supervisor import PIPE

START_S_MAX: Final = 60.0
END_S_MAX: Final = 15.0
LINES_SHOWN: Final = 5
PROGRAM: Final = (sys.executable, "-c", "from tools.cli import main; main()")
HERE: Final = Path(__file__).resolve().parent.parent


class NotStarted(Exception):
    """A child has ended, or has said nothing, before it served; the text has its last words."""


@dataclass
class Child:
    """One place for a process; `words` are the command's, `environment` what it is told."""

    name: str
    words: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    keep: bool = False
    starts: int = 0
    endings: list[int] = field(default_factory=list)
    where: dict[str, Any] = field(default_factory=dict)  # what it printed when it served, if it prints anything
    _process: asyncio.subprocess.Process | None = None
    _life: "asyncio.Task[None] | None" = None
    _closing: bool = False
    _pipe: tuple[int, int] | None = None

    @property
    def log(self) -> Path:
        """Its words."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """Of the present process; 0 between two."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    async def start(self, *, says_where: bool = False) -> None:
        """Start it, and with `keep` again whenever it ends. Raises NotStarted; `says_where`: wait for the line that says it serves."""
        self._closing = False
        loop = asyncio.get_running_loop()
        served: asyncio.Future[None] = loop.create_future()
        self._life = asyncio.create_task(self._live(served, says_where))
        try:
            async with asyncio.timeout(START_S_MAX):
                await asyncio.wait([served, self._life], return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            await self.stop(signal.SIGKILL)
            raise NotStarted(f"{self.name} did not say within {START_S_MAX:g} s that it serves: {self.last_words()}") from None
        if not served.done():
            await self._life
            raise NotStarted(f"{self.name} has ended with {self.endings[-1] if self.endings else '?'}: {self.last_words()}")

    def send(self, number: signal.Signals) -> bool:
        """A signal to the present process; False when there is none."""
        if not self.pid or self._process is None:
            return False
        self._process.send_signal(number)
        return True

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, by force when it takes too long, and start none again."""
        self._closing = True
        if self._life is None:
            return
        self.send(number)
        self.send(signal.SIGCONT)
        _, late = await asyncio.wait([self._life], timeout=END_S_MAX)
        if late:
            self.send(signal.SIGKILL)
        await self._life
        self._life = None
        if self._pipe is not None:
            for end in self._pipe:
                os.close(end)
            self._pipe = None

    def last_words(self) -> str:
        """The end of its log."""
        try:
            return " | ".join(self.log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]) or "it said nothing"
        except OSError:
            return "it said nothing"

    async def _live(self, served: "asyncio.Future[None]", says_where: bool) -> None:
        while True:
            with self.log.open("ab") as log:
                self._process = await self._begun(log)
            self.starts += 1
            await self._hear(self._process, served, says_where)
            self.endings.append(await self._process.wait())
            if self._closing or not self.keep or (says_where and not served.done()):
                return

    async def _begun(self, log: Any) -> asyncio.subprocess.Process:
        if self._pipe is None:
            self._pipe = os.pipe()
        path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, **self.environment, "PYTHONPATH": path, PIPE: str(self._pipe[0])}
        return await asyncio.create_subprocess_exec(
            *PROGRAM,
            *self.words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=environment,
            pass_fds=(self._pipe[0],),
            start_new_session=True,  # Ctrl-C is ours; it gets SIGTERM from us
        )

    async def _hear(self, process: asyncio.subprocess.Process, served: "asyncio.Future[None]", says_where: bool) -> None:
        """The first line says where it serves; the rest is read away, so that it never waits for us."""
        if not says_where and not served.done():
            served.set_result(None)
        assert process.stdout is not None
        while line := await process.stdout.readline():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                self.where = said if isinstance(said, dict) else {}
                if not served.done():
                    served.set_result(None)
