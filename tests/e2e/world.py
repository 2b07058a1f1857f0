"""Real processes of the command line, started, asked over HTTP, signalled and ended; only those that were started here."""

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from agents.runtime.envelope import MESSAGE_ID, TYPE
from bus.connect import connect, sqlite_path
from bus.log import GroupRow
from config.settings import Settings, load
from tools.check import pictured
from tools.consistency import broken

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "from tools.cli import main; main()"
START_S_MAX, END_S_MAX = 30.0, 20.0
ROUTE = "/api/v1/registrations"
QUICK = {"LENDBUS_ARGON2_TIME_COST": "1", "LENDBUS_ARGON2_MEMORY_KIB": "8192", "NO_COLOR": "1"}


async def until(condition: Callable[[], Awaitable[Any]], what: str, within_s: float = START_S_MAX) -> Any:
    """What the condition returns when it is true; fails when that takes too long."""
    end_s = time.monotonic() + within_s
    while not (found := await condition()):
        assert time.monotonic() < end_s, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.02)
    return found


@dataclass
class Running:
    """One process of ours."""

    process: asyncio.subprocess.Process
    errors: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def where(self) -> dict[str, Any]:
        """What it prints when it serves."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), START_S_MAX)
        assert line, self.said()
        said: dict[str, Any] = json.loads(line)
        return said

    def send(self, number: signal.Signals) -> None:
        """A signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code."""
        return await asyncio.wait_for(self.process.wait(), END_S_MAX)

    def said(self) -> str:
        """Its standard error so far."""
        return self.errors.read_text()

    async def says(self, text: str) -> None:
        """Wait for words on its standard error."""

        async def heard() -> bool:
            return text in self.said()

        await until(heard, f"{text!r} in {self.errors}")


@dataclass
class World:
    """The processes of one test and its data folder."""

    tmp: Path
    bytecode: dict[str, str]
    bus: str | None = None  # not said: files in the data folder
    db: str | None = None
    running: list[Running] = field(default_factory=list)
    started: int = 0

    @property
    def data(self) -> Path:
        """The folder of the platform."""
        return self.tmp / "data"

    @property
    def settings(self) -> Settings:
        """What the platform is told."""
        return load(data=self.data, bus=self.bus, db=self.db)

    async def start(self, *arguments: str, cwd: Path | None = None, data: str | None = None, **environment: str) -> Running:
        """Start `lendbus ARGUMENTS --data …`."""
        errors = self.tmp / f"errors-{self.started}"
        self.started += 1  # before anything is awaited: several are started at a time
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LENDBUS_")}
        with errors.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", COMMAND, *arguments, "--data", data or str(self.data),
                cwd=cwd or self.tmp, stdout=asyncio.subprocess.PIPE, stderr=stderr,
                env={**inherited, **QUICK, **self.bytecode, **self._place, "PYTHONPATH": str(ROOT), **environment},
            )  # fmt: skip
        self.running.append(Running(process, errors))
        return self.running[-1]

    @property
    def _place(self) -> dict[str, str]:
        said = {"LENDBUS_BUS": self.bus, "LENDBUS_DB": self.db}
        return {name: value for name, value in said.items() if value is not None}

    async def end_all(self) -> None:
        """End what is left; what everybody has said is shown with a test that fails."""
        for each in self.running:
            ended = each.process.returncode
            if ended is None:
                each.send(signal.SIGKILL)
                await each.process.wait()
            print(f"process {each.pid}, {'still there at the end' if ended is None else f'ended with {ended}'}:\n{each.said()}")

    async def owner(self, service: str) -> GroupRow | None:
        """Who has a service now, if it lives."""
        rows = {row.group: row for row in await self.groups()}
        row = rows.get(service)
        return row if row is not None and row.alive else None

    async def groups(self) -> list[GroupRow]:
        """Every group of the bus; none while there is no bus yet."""
        if self.bus is None and not sqlite_path(self.settings.bus_url()).exists():
            return []
        bus = connect(self.settings.bus_url(), readonly=True)
        await bus.open()
        try:
            return await bus.groups()
        finally:
            await bus.close()

    async def owned_by_one_of(self, pids: list[int], *services: str) -> None:
        """Wait until these services belong to some of these processes."""

        async def owned() -> bool:
            owners = [await self.owner(service) for service in services]
            return all(row is not None and row.pid in pids for row in owners)

        await until(owned, f"{services} owned by one of {pids}")

    async def owned_by(self, process: Running, *services: str) -> None:
        """Wait until the process has these services."""

        async def owned() -> bool:
            owners = [await self.owner(service) for service in services]
            return all(row is not None and row.pid == process.pid for row in owners)

        await until(owned, f"{services} owned by {process.pid}: {process.said()}")

    async def members(self) -> Counter[str]:
        """How often each id became a member, at the far end of two hops; a message that left twice has one id and counts once."""
        bus = connect(self.settings.bus_url(), readonly=True)
        await bus.open()
        try:
            seen: set[tuple[str, bytes | None]] = set()
            for partition, (at, end) in (await bus.ends("users.events")).items():
                while at < end and (run := await bus.read("users.events", partition, at)):
                    headers = [(record.key, dict(record.headers)) for record in run]
                    seen |= {((key or b"").decode(), said[MESSAGE_ID]) for key, said in headers if said[TYPE] == b"users.MemberRegistered"}
                    at = run[-1].offset + 1
            return Counter(key for key, _ in seen)
        finally:
            await bus.close()

    async def agrees(self, people: "People") -> None:
        """Nothing lost, nothing doubled, and the stores say the same."""

        async def announced() -> bool:
            return len(await self.members()) == len(people.ids)

        await until(announced, "everybody is announced")  # the state is committed, its event is on its way
        assert await self.members() == Counter(dict.fromkeys(people.ids, 1))
        assert broken(await pictured(self.settings)) == []


class People:
    """Those who register, each with a key of their own; whoever gets no answer sends the same again, as people do."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self.url = url
        self._keys: list[str] = []
        self.ids: list[str] = []
        self.answered = 0
        self._places: dict[str, str] = {}

    async def register(self, count: int) -> None:
        """So many new people at once; returns when each is accepted."""
        first = len(self._keys)
        self._keys += [str(uuid.uuid4()) for _ in range(count)]
        await asyncio.gather(*(self._register(number) for number in range(first, first + count)))

    async def _register(self, number: int) -> None:
        body = {"login_name": f"person_{number}", "mobile": f"139{number:08d}", "password": "a long pass phrase", "role": "investor"}

        async def accepted() -> bool:
            try:
                async with self._http.post(f"{self.url}{ROUTE}", json=body, headers={"Idempotency-Key": self._keys[number]}) as answer:
                    said = await answer.json()
            except (aiohttp.ClientError, TimeoutError):
                return False
            assert answer.status in (201, 202, 503), (answer.status, said)
            if answer.status != 503:
                self._places[said["id"]] = answer.headers["Location"]
            return answer.status != 503

        await until(accepted, f"person {number} is accepted")
        self.answered += 1
        self.ids = list(self._places)

    async def answers(self, count: int) -> None:
        """Wait until so many have been answered."""

        async def enough() -> bool:
            return self.answered >= count

        await until(enough, f"{count} answers")

    async def all_members(self) -> None:
        """Wait until everybody is a member."""
        assert await self.ends() == {"CONFIRMED"}

    async def states(self) -> list[str]:
        """How each registration stands, once none is PENDING."""

        async def seen() -> list[str]:
            states = [await self._state(place) for place in self._places.values()]
            return [] if "PENDING" in states else states

        found: list[str] = await until(seen, "every registration has been seen")
        return found

    async def ends(self) -> set[str]:
        """Wait until every registration has ended; the ways in which they did."""

        async def ended() -> set[str]:
            states = [await self._state(place) for place in self._places.values()]
            return set(states) if len(states) == len(self._keys) and set(states) <= {"CONFIRMED", "CANCELLED"} else set()

        found: set[str] = await until(ended, "every registration has ended")
        return found

    async def _state(self, place: str) -> str:
        try:
            async with self._http.get(f"{self.url}{place}") as answer:
                return str((await answer.json()).get("status"))
        except (aiohttp.ClientError, TimeoutError):
            return "?"


@asynccontextmanager
async def people(url: str) -> AsyncIterator[People]:
    """People who know the gateway by its URL."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        yield People(http, url)


def base(where: dict[str, Any]) -> str:
    """The gateway's URL, of what a process prints."""
    return str(where["registrations"]).removesuffix(ROUTE)
