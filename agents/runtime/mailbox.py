"""A service's mailbox: what its agent hands runs of records to, and what Faust asks for positions (FAUST 1, the seam).

Partitions are worked beside each other, each in a lane of its own; how many transactions are under way at once is the
store's to say. Nothing but cancellation leaves `handle`. Whatever ends a lane, a relay or a scanner is reported through
`failed`, and the worker decides; where the group can be asked for a new assignment (`rejoin`), a partition that somebody
else has taken is dropped, and the others go on.
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

import faust
import structlog
from faust.types import TP

from agents.runtime import identity, metrics
from agents.runtime.lane import Lane
from agents.runtime.ownership import LostEpoch
from agents.runtime.partition import Partition, Terms, take_over
from agents.runtime.patience import until_back
from agents.runtime.scanner import Scanner
from agents.runtime.service import Service
from agents.runtime.start import Start, where_to_start
from bus.errors import BusAway, LostLease, RunMissing
from bus.log import Bus
from bus.record import Fence
from stores.engine import OutcomeUnknown, Store, StoreAway

log = structlog.get_logger("lendbus.mailbox")

# What ends one partition and nothing else, where the group can give it to somebody (also to us) anew.
LOST = (LostEpoch, LostLease, OutcomeUnknown, RunMissing)


def raw(app: faust.App, topic: str) -> Any:
    """The topic as bytes: a decoder of Faust's would acknowledge poison and drop it (FAUST 1)."""
    return app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


class Mailbox:
    """The partitions of one service that this process owns, each with its lane, its relay and its scanner.

    `rejoin` asks the group for a new assignment; None where the group has one owner for all its partitions.
    """

    def __init__(self, service: Service[Any], store: Store, bus: Bus, terms: Terms) -> None:
        self.service = service
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.assigned_once = asyncio.Event()
        self.rejoin: Callable[[], None] | None = None
        self._store = store
        self._bus = bus
        self._terms = terms
        self._lanes: dict[TP, Lane] = {}
        self._taking: dict[TP, asyncio.Task[int | None]] = {}
        self._dropping: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()

    async def identity(self) -> str:
        """Which store the positions are of: two in one group would each handle a part of the messages."""
        once = partial(self._store.transaction, "takeover.commit", identity.of_store, str(uuid.uuid4()))
        return await until_back(once, StoreAway, what=f"store of {self.service.name}")

    async def assigned(self, tps: set[TP], fence: Fence) -> Mapping[TP, int]:
        """Take every assigned partition over in the store, anew each time; where to read on in each.

        An assignment is whole: what is not in it ends. A partition that was revoked, or lost to somebody else, while it was
        taken over is left out of the answer.
        """
        await self._end({*self._lanes, *self._taking})
        taking = {tp: asyncio.create_task(self._begin(tp, fence), name=f"take-over of {tp.topic}/{tp.partition}") for tp in sorted(tps)}
        self._taking.update(taking)
        try:
            if taking:
                await asyncio.wait(taking.values(), return_when=asyncio.FIRST_EXCEPTION)
            starts = {tp: task.result() for tp, task in taking.items() if task.done() and not task.cancelled()}
        finally:
            await _cancelled(taking.values())
            for tp, task in taking.items():
                if self._taking.get(tp) is task:
                    del self._taking[tp]
        self._count()
        self.assigned_once.set()
        return {tp: start for tp, start in starts.items() if start is not None and tp in self._lanes}

    async def revoked(self, tps: set[TP]) -> None:
        """These belong to somebody else from now on: stop everything of theirs; no run of theirs is acknowledged after this."""
        await self._end(tps)
        self._count()

    async def handle(self, event: Any) -> None:
        """Hand a run of records to its partition's lane, which applies and acknowledges runs one after another.

        The next run waits ready while one is in its transaction. What cannot be applied ends the work, which is reported.
        """
        await self._open.wait()
        if (lane := self._lanes.get(event.message.tp)) is not None:  # else it was revoked: its next owner reads the run again
            await lane.put(event)

    async def pause(self, within_s: float) -> None:
        """Take nothing more, finish the runs in work, let the outbox leave; all of it within the time, none of it after a failure."""
        self._open.clear()
        if self.failed.done():
            return
        try:
            async with asyncio.timeout(within_s):
                await self.idle()
                await asyncio.gather(*(partition.relay.drain(within_s) for partition in self.owned()))
        except LOST as exc:
            log.info("stopping; what is left is the next owner's", service=self.service.name, why=str(exc))
        except TimeoutError:
            log.warning("stopping with work left; the next owner finishes it", service=self.service.name)

    async def idle(self) -> None:
        """Wait until every run that was handed over is committed and acknowledged, or something has failed."""
        idle = asyncio.create_task(self._all_idle())
        try:
            await asyncio.wait([idle, self.failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled([idle])

    async def close(self) -> None:
        """End every partition."""
        await self._end({*self._lanes, *self._taking})

    def fail(self, exc: BaseException) -> None:
        """Something ended that must not: the worker reads it from `failed`."""
        if not self.failed.done():
            self.failed.set_exception(exc)
            self.failed.exception()  # whoever watches raises it; asyncio need not add that nobody did

    def owned(self) -> list[Partition]:
        """The partitions that this process owns now."""
        return [lane.partition for lane in self._lanes.values()]

    async def _all_idle(self) -> None:
        for lane in list(self._lanes.values()):
            await lane.idle()

    async def _begin(self, tp: TP, fence: Fence) -> int | None:
        """Where to read on; None when somebody else has taken the partition meanwhile."""
        try:
            partition, start = await self._take_over(tp, fence)
        except LOST as exc:
            if self.rejoin is None:
                raise
            self._lost(tp, exc)
            return None
        lane = self._lanes[tp] = Lane(partition, start.offset)
        self._watch(tp, lane, lane.work(), "work")
        self._watch(tp, lane, partition.relay.run(), "relay")
        self._watch(tp, lane, Scanner(partition).run(), "scanner")
        return start.offset

    async def _take_over(self, tp: TP, fence: Fence) -> tuple[Partition, Start]:
        partition, known = await take_over(self.service, self._store, self._bus, fence, tp.partition, self._terms)

        async def asked() -> Start:
            return await where_to_start(self._bus, tp.topic, tp.partition, known, partition.incarnation)

        start = await until_back(asked, BusAway, what="bus")
        if start.note:
            log.error("log alarm", service=self.service.name, made_anew=start.made_anew, skipped=start.skipped, note=start.note)
        if start.made_anew:
            await partition.begin_anew(start.offset)
        return partition, start

    def _watch(self, tp: TP, lane: Lane, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"{name} of {tp.topic}/{tp.partition}")
        task.add_done_callback(partial(self._ended, tp, lane))
        lane.tasks.append(task)

    def _ended(self, tp: TP, lane: Lane, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._lanes.get(tp) is not lane:
            return
        exc = task.exception() or RuntimeError(f"{task.get_name()} ended by itself")
        if self.rejoin is None or not isinstance(exc, LOST):
            self.fail(exc)
            return
        dropping = asyncio.create_task(_cancelled(self._let_go({tp})), name=f"dropping {tp.topic}/{tp.partition}")
        self._dropping.add(dropping)
        dropping.add_done_callback(self._dropping.discard)
        self._count()
        self._lost(tp, exc)

    def _lost(self, tp: TP, exc: BaseException) -> None:
        """This one partition is not ours any more: the group is asked for it anew, unless a new assignment is on its way."""
        log.warning("partition lost; the others go on", service=self.service.name, partition=tp.partition, why=str(exc))
        if self.rejoin is not None and not isinstance(exc, LostLease):
            self.rejoin()

    async def _end(self, tps: Iterable[TP]) -> None:
        await _cancelled(self._let_go(tps))
        await asyncio.gather(*self._dropping, return_exceptions=True)

    def _let_go(self, tps: Iterable[TP]) -> list[asyncio.Task[Any]]:
        """Forget partitions at once; the tasks of theirs that have to be ended."""
        ending: list[asyncio.Task[Any]] = []
        for tp in tps:
            if (taking := self._taking.pop(tp, None)) is not None:
                ending.append(taking)
            if (lane := self._lanes.pop(tp, None)) is not None:
                lane.close()
                ending += lane.tasks
                metrics.forget_partition(self.service.name, tp.partition)
        return ending

    def _count(self) -> None:
        metrics.OWNED.labels(self.service.name).set(len(self._lanes))


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End tasks, and wait for their end: a transaction under way is waited for."""
    ended = list(tasks)
    for task in ended:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)
