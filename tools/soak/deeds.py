"""Does what the plan says to the troupe, and notes what came of it."""

import asyncio
import collections
import contextlib
import math
import signal
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agents.runtime import operator
from stores.engine import Store, StoreAway
from stores.runtime import suspended
from tools.bench.place import Place
from tools.soak.patience import until
from tools.soak.plan import Deed, Frost
from tools.soak.roles import READY_S_MAX, Fall, Roles
from tools.soak.stage import NAMES
from tools.soak.troupe import Actor, Troupe, children, signal_all
from tools.soak.watch import Watch

FROZEN_LOOK_S: Final = 0.1
LEFT_FROZEN_S: Final = 6.0  # a process that stands still at a fault point is woken after this, if nobody has ended it


@dataclass
class Deeds:
    """The plan's hand; `run` goes through the plan, `settle` undoes what would undo itself only later."""

    place: Place
    troupe: Troupe
    watch: Watch
    roles: Roles
    actors: list[str]
    done: collections.Counter[str] = field(default_factory=collections.Counter)
    points: collections.Counter[str] = field(default_factory=collections.Counter)  # where processes stood still
    falls: list[Fall] = field(default_factory=list)
    _side: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        """Where the flags are that let a behaviour raise."""
        return self.place.folder

    async def run(self, plan: list[Deed]) -> None:
        """Each deed at its time; those that take long go on beside the next."""
        began_s = time.monotonic()
        for deed in plan:
            await asyncio.sleep(max(0.0, began_s + deed.at_s - time.monotonic()))
            self._beside(self._do(deed))

    async def freeze_servers(self, plan: list[Frost], pids: Sequence[int]) -> None:
        """A broker or a database stands still for a while, its backends too; whatever happens, they are woken."""
        began_s = time.monotonic()
        for frost in plan:
            await asyncio.sleep(max(0.0, began_s + frost.at_s - time.monotonic()))
            family = [pids[frost.which], *children(pids[frost.which])]
            try:
                signal_all(family, signal.SIGSTOP)
                self.done["freeze server"] += 1
                await asyncio.sleep(frost.length_s)
            finally:
                signal_all(family, signal.SIGCONT)

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

    async def _strike(self, deed: Deed, number: int) -> None:
        if (actor := self.roles.chosen(deed)) is None:
            return
        await self._note_fall(deed.kind, actor)
        if actor.send(number):
            self.done[f"{deed.kind} {self.roles.called(deed)}"] += 1

    async def _freeze(self, deed: Deed) -> None:
        actor = self.roles.chosen(deed)
        if actor is None or actor.frozen_by_us:
            return
        await self._note_fall("freeze", actor, deed.length_s)
        pid = actor.pid
        if actor.send(signal.SIGSTOP):
            self.done[f"freeze {self.roles.called(deed)}"] += 1
            await asyncio.sleep(deed.length_s)
            actor.is_frozen()  # so that its ending is known for what it was
            if actor.pid == pid:
                actor.send(signal.SIGCONT)

    async def _fault(self, deed: Deed) -> None:
        """Put a process that will meet the fault in a place of the stage, and let work come to it."""
        if (place := self.roles.armed(deed)) is None:
            return
        starts = place.starts
        place.next_fault = deed.fault
        await self._note_fall("kill", place)
        place.send(signal.SIGKILL)
        self.done["armed"] += 1
        await until(lambda: place.starts > starts and bool(place.pid), READY_S_MAX)
        if (owner := await self.roles.gives_way(place)) is not None:
            kind, number = ("kill", signal.SIGKILL) if deed.share < 0.5 else ("term", signal.SIGTERM)
            await self._note_fall(kind, owner)
            if owner.send(number):
                self.done[f"{kind} owner"] += 1

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
        store = await Store.open(NAMES[stage], self.place.store_url(NAMES[stage]))
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

    async def _note_fall(self, kind: str, actor: Actor, within_s: float = math.inf) -> None:
        """Only where another process is ready to follow is there a take-over to be timed."""
        held = self.watch.held(actor.stage, actor.pid)
        if held and not actor.is_frozen() and await self.roles.has_successor(actor):
            if any(a.is_frozen() for a in self.troupe.actors):
                kind += " beside a frozen process"  # which may hold a lock until it is ended, or a group until its session is over
            self.falls.append(Fall(kind, actor.stage, time.monotonic(), held, within_s))
