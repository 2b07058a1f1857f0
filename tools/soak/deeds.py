"""Does what the plan says to the troupe, and notes what came of it."""

import asyncio
import collections
import contextlib
import math
import signal
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agents.runtime import operator
from bus.errors import BusAway
from bus.log import Bus
from stores.engine import Store, StoreAway
from stores.runtime import suspended
from tools.soak.patience import until
from tools.soak.plan import Deed
from tools.soak.stage import NAMES, store_url
from tools.soak.troupe import Actor, Troupe
from tools.soak.watch import Watch

READY_S_MAX: Final = 20.0  # a process that was started waits as standby by then
SLOW: Final = ("takeover.", "bus.")  # a standby that meets its fault before it has taken over
FROZEN_LOOK_S: Final = 0.1
LEFT_FROZEN_S: Final = 6.0  # a process that stands still at a fault point is woken after this, if nobody has ended it


@dataclass(frozen=True, slots=True)
class Fall:
    """An owner was killed or stopped at `at_s` (monotonic), while another process was waiting."""

    kind: str
    stage: int
    at_s: float
    epoch: int
    within_s: float = math.inf  # it was woken then: a later change is none of this fall's


@dataclass
class Deeds:
    """The plan's hand; `run` goes through the plan, `settle` undoes what would undo itself only later."""

    folder: Path
    bus: Bus
    troupe: Troupe
    watch: Watch
    actors: list[str]
    done: collections.Counter[str] = field(default_factory=collections.Counter)
    points: collections.Counter[str] = field(default_factory=collections.Counter)  # where processes stood still
    falls: list[Fall] = field(default_factory=list)
    _side: set[asyncio.Task[Any]] = field(default_factory=set)

    async def run(self, plan: list[Deed]) -> None:
        """Each deed at its time; those that take long go on beside the next."""
        began_s = time.monotonic()
        for deed in plan:
            await asyncio.sleep(max(0.0, began_s + deed.at_s - time.monotonic()))
            self._beside(self._do(deed))

    async def wake_frozen(self) -> None:
        """Wake, after a while, who stands still at a fault point and could not be ended by anybody; until cancelled."""
        since_s: dict[int, float] = {}
        while True:
            now_s = time.monotonic()
            frozen = [a for a in self.troupe.actors if a.is_frozen() and not a.frozen_by_us]
            for actor in frozen:
                if actor.pid not in since_s:
                    since_s[actor.pid] = now_s
                    self.done["frozen at a point"] += 1
                    self.points[actor.fault.rpartition(":")[0]] += 1
                elif now_s - since_s[actor.pid] > LEFT_FROZEN_S:
                    actor.send(signal.SIGCONT)
                    del since_s[actor.pid]
                    self.done["woken at a point"] += 1
            since_s = {pid: at for pid, at in since_s.items() if any(a.pid == pid for a in frozen)}
            await asyncio.sleep(FROZEN_LOOK_S)

    async def settle(self) -> None:
        """No more trouble: flags away, everybody awake, a new version everywhere, suspended actors tried again."""
        for task in self._side:
            task.cancel()
        await asyncio.gather(*self._side, return_exceptions=True)
        for name in ("raises", "bugs"):
            for flag in (self.folder / name).iterdir():
                flag.unlink()
        for actor in self.troupe.actors:
            actor.next_fault = ""
        await self.troupe.restart_all()

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._side.add(task)
        task.add_done_callback(self._side.discard)

    async def _do(self, deed: Deed) -> None:
        match deed.kind:
            case "kill" | "term":
                await self._strike(deed, signal.SIGKILL if deed.kind == "kill" else signal.SIGTERM)
            case "freeze":
                await self._freeze(deed)
            case "fault":
                await self._fault(deed)
            case "raise" | "bug":
                await self._trouble(deed, self.folder / ("raises" if deed.kind == "raise" else "bugs"))
            case "redrive":
                await self.redrive(deed.stage)

    def _chosen(self, deed: Deed) -> Actor | None:
        owner = self.troupe.by_pid(self.watch.owner(deed.stage))
        if deed.owner:
            return owner
        return next((a for a in self.troupe.of(deed.stage) if a is not owner and a.pid), None)

    async def _strike(self, deed: Deed, number: int) -> None:
        if (actor := self._chosen(deed)) is None:
            return
        await self._note_fall(deed.kind, actor)
        if actor.send(number):
            self.done[f"{deed.kind} {'owner' if deed.owner else 'standby'}"] += 1

    async def _freeze(self, deed: Deed) -> None:
        actor = self._chosen(deed)
        if actor is None or actor.frozen_by_us:
            return
        await self._note_fall("freeze", actor, deed.length_s)
        pid = actor.pid
        if actor.send(signal.SIGSTOP):
            self.done[f"freeze {'owner' if deed.owner else 'standby'}"] += 1
            await asyncio.sleep(deed.length_s)
            actor.is_frozen()  # so that its ending is known for what it was
            if actor.pid == pid:
                actor.send(signal.SIGCONT)

    async def _fault(self, deed: Deed) -> None:
        """Put a process that will meet the fault in the standby's place, then make it the owner."""
        owner = self.troupe.by_pid(self.watch.owner(deed.stage))
        place = next((a for a in self.troupe.of(deed.stage) if a is not owner), None)
        if owner is None or place is None:
            return
        starts = place.starts
        place.next_fault = deed.fault
        place.send(signal.SIGKILL)
        self.done["armed"] += 1
        await until(lambda: place.starts > starts and bool(place.pid), READY_S_MAX)
        await self._until_ready(deed.stage, place)
        if not place.is_frozen() and self.watch.owner(deed.stage) == owner.pid:
            number = signal.SIGKILL if deed.share < 0.5 else signal.SIGTERM
            await self._note_fall("kill" if number == signal.SIGKILL else "term", owner)
            if owner.send(number):
                self.done["kill owner" if number == signal.SIGKILL else "term owner"] += 1

    async def _until_ready(self, stage: int, place: Actor) -> None:
        """Until the process waits as standby, stands still at a point of its start, or takes too long."""
        deadline_s = time.monotonic() + READY_S_MAX
        while place.pid not in await self._standbys(stage) and not place.is_frozen() and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(FROZEN_LOOK_S)

    async def _trouble(self, deed: Deed, flags: Path) -> None:
        """Let the behaviour raise for an actor; a bug is there after a restart, and gone after one that finds no flag."""
        flag = flags / self.actors[int(deed.share * len(self.actors))]
        flag.touch()
        self.done[deed.kind] += 1
        if deed.kind == "bug":
            await self._strike(Deed(0, "kill", deed.stage, True, 0), signal.SIGKILL)
        await asyncio.sleep(deed.length_s)
        flag.unlink(missing_ok=True)
        if deed.kind == "bug":
            await self._strike(Deed(0, "term", deed.stage, True, 0), signal.SIGTERM)

    async def redrive(self, stage: int) -> None:
        """An operator redrives every suspended actor of a stage."""
        store = await Store.open(NAMES[stage], store_url(self.folder, stage))
        try:
            async with store.reading() as connection:
                found = [str(actor) for actor in (await connection.execute(suspended.select())).scalars()]
            for actor in found:
                act = operator.Act("soak", "the soak redrives", time.time_ns() // 1_000_000)
                with contextlib.suppress(StoreAway, operator.NothingToDo):
                    await store.transaction("operator.commit", operator.redrive_actor, act, actor)
                    self.done["redrive"] += 1
        finally:
            await store.close()

    async def _standbys(self, stage: int) -> tuple[int, ...]:
        try:
            groups = await self.bus.groups()
        except BusAway:
            return ()
        return next((g.standby for g in groups if g.group == NAMES[stage]), ())

    async def _note_fall(self, kind: str, actor: Actor, within_s: float = math.inf) -> None:
        """Only where another process waits is there a take-over to be timed."""
        waiting = [
            a for a in self.troupe.of(actor.stage) if a is not actor and a.pid and not a.is_frozen() and not a.fault.startswith(SLOW)
        ]
        if not waiting or not actor.pid or self.watch.owner(actor.stage) != actor.pid or actor.is_frozen():
            return
        standbys = await self._standbys(actor.stage)
        if any(a.pid in standbys for a in waiting):
            if any(a.is_frozen() for a in self.troupe.actors):
                kind += " beside a frozen process"  # which may hold the bus until it is ended
            self.falls.append(Fall(kind, actor.stage, time.monotonic(), self.watch.owners[actor.stage][-1].epoch, within_s))
