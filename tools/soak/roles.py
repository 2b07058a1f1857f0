"""Who is who in a stage: on the embedded bus one process works and the other waits, on Kafka all share its partitions."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from bus.errors import BusAway
from bus.log import Bus
from tools.soak.patience import until
from tools.soak.plan import Deed
from tools.soak.stage import NAMES
from tools.soak.troupe import Actor, Troupe
from tools.soak.watch import Watch

READY_S_MAX: Final = 20.0  # a process that was started waits as standby by then
LOOK_S: Final = 0.1
SLOW: Final = ("takeover.", "bus.")  # a process that meets its fault before it has taken over


@dataclass(frozen=True, slots=True)
class Fall:
    """A process that owned partitions was killed or stopped at `at_s` (monotonic), while another one was ready to follow."""

    kind: str
    stage: int
    at_s: float
    epochs: Mapping[int, int]  # of the partitions that it owned
    within_s: float = math.inf  # it was woken then: a later change is none of this fall's


class Roles(Protocol):
    """Whom a deed meets, and who takes over from whom."""

    def chosen(self, deed: Deed) -> Actor | None:
        """The place that a deed is meant for; None when there is no such process just now."""

    def called(self, deed: Deed) -> str:
        """What the one that a deed meets is called in the findings."""

    def armed(self, deed: Deed) -> Actor | None:
        """The place whose next process shall meet the deed's fault."""

    async def gives_way(self, place: Actor) -> Actor | None:
        """Who has to end so that the armed process comes to work; None when nobody has to."""

    async def has_successor(self, actor: Actor) -> bool:
        """Whether another process is ready to take over what this one owns."""


class OneWorks:
    """The embedded bus: an owner and a standby a stage."""

    def __init__(self, bus: Bus, troupe: Troupe, watch: Watch) -> None:
        self._bus, self._troupe, self._watch = bus, troupe, watch

    def chosen(self, deed: Deed) -> Actor | None:
        """The owner, or who waits."""
        owner = self._owner(deed.stage)
        if deed.owner:
            return owner
        return next((a for a in self._troupe.of(deed.stage) if a is not owner and a.pid), None)

    def called(self, deed: Deed) -> str:
        """Owner or standby."""
        return "owner" if deed.owner else "standby"

    def armed(self, deed: Deed) -> Actor | None:
        """The standby, if there is an owner."""
        owner = self._owner(deed.stage)
        return next((a for a in self._troupe.of(deed.stage) if a is not owner), None) if owner else None

    async def gives_way(self, place: Actor) -> Actor | None:
        """The owner, as soon as the place's process waits; nobody when it stands still at a point of its start."""
        deadline_s = time.monotonic() + READY_S_MAX

        async def is_ready() -> bool:
            return place.pid in await self._standbys(place.stage) or place.is_frozen()

        while not await is_ready() and time.monotonic() < deadline_s:
            await until(place.is_frozen, LOOK_S)
        owner = self._owner(place.stage)
        return None if owner is place or place.is_frozen() else owner

    async def has_successor(self, actor: Actor) -> bool:
        """Whether the bus knows a standby that runs and will not fail before it has taken over."""
        waiting = [a for a in self._troupe.of(actor.stage) if a is not actor and a.pid and not a.is_frozen()]
        waiting = [a for a in waiting if not a.fault.startswith(SLOW)]
        standbys = await self._standbys(actor.stage) if waiting else ()
        return any(a.pid in standbys for a in waiting)

    def _owner(self, stage: int) -> Actor | None:
        return self._troupe.by_pid(self._watch.owner(stage))

    async def _standbys(self, stage: int) -> tuple[int, ...]:
        try:
            groups = await self._bus.groups()
        except BusAway:
            return ()
        return next((g.standby for g in groups if g.group == NAMES[stage]), ())


class AllShare:
    """Kafka: every process of a stage owns some of its partitions; any of them is as good as another."""

    def __init__(self, troupe: Troupe, watch: Watch) -> None:
        self._troupe, self._watch = troupe, watch

    def chosen(self, deed: Deed) -> Actor | None:
        """One of those that run, by the deed's share."""
        running = [a for a in self._troupe.of(deed.stage) if a.pid]
        return running[int(deed.share * len(running))] if running else None

    def called(self, deed: Deed) -> str:
        """They are all workers."""
        return "worker"

    def armed(self, deed: Deed) -> Actor | None:
        """The same one: its next process joins the group and meets the fault."""
        return self.chosen(deed)

    async def gives_way(self, place: Actor) -> Actor | None:
        """Nobody: partitions come to whoever joins."""
        return None

    async def has_successor(self, actor: Actor) -> bool:
        """Whether another process that runs owns partitions already: it is in the group."""
        others = [a for a in self._troupe.of(actor.stage) if a is not actor and a.pid and not a.is_frozen()]
        return any(self._watch.held(actor.stage, a.pid) for a in others if not a.fault.startswith(SLOW))
