"""A service's mailbox: what its agent hands runs of records to, and what Faust asks for positions (FAUST 1, the seam).

Nothing but cancellation leaves `handle`: whatever ends a partition is reported through `failed`, and the worker decides.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import faust
import structlog
from faust.types import TP

from agents.runtime import metrics
from agents.runtime.partition import Partition, Terms, take_over
from agents.runtime.scanner import Scanner
from agents.runtime.service import Service
from agents.runtime.start import where_to_start
from bus.log import Bus
from bus.record import Fence
from config import faults
from stores.engine import Store

log = structlog.get_logger("lendbus.mailbox")


def raw(app: faust.App, topic: str) -> Any:
    """The topic as bytes: a decoder of Faust's would acknowledge poison and drop it (FAUST 1)."""
    return app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


RUNS_AHEAD = 1  # runs that wait for the one in work


class Mailbox:
    """The partitions of one service that this process owns, each with its relay and its scanner."""

    def __init__(self, service: Service[Any], store: Store, bus: Bus, terms: Terms) -> None:
        self.service = service
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.assigned_once = asyncio.Event()
        self._store = store
        self._bus = bus
        self._terms = terms
        self._partitions: dict[TP, Partition] = {}
        self._tasks: dict[TP, list[asyncio.Task[None]]] = {}
        self._ready: asyncio.Queue[tuple[Any, Partition]] = asyncio.Queue(RUNS_AHEAD)
        self._working: asyncio.Task[None] | None = None
        self._open = asyncio.Event()
        self._open.set()

    async def assigned(self, tps: set[TP], fence: Fence) -> Mapping[TP, int]:
        """Take over every assigned partition in the store, start its relay and scanner; return where to read on."""
        if self._working is None:
            self._working = self._watched(self._work(), f"work of {self.service.name}")
        starts = {}
        for tp in sorted(tps):
            await self._end(tp)
            starts[tp] = await self._begin(tp, fence)
        metrics.OWNED.labels(self.service.name).set(len(self._partitions))
        self.assigned_once.set()
        return starts

    async def revoked(self, tps: set[TP]) -> None:
        """These belong to somebody else from now on: stop everything of theirs."""
        for tp in tps:
            await self._end(tp)
        metrics.OWNED.labels(self.service.name).set(len(self._partitions))

    async def handle(self, event: Any) -> None:
        """Hand a run of records to the work, which applies and acknowledges runs one after another.

        The next run waits ready while one is in its transaction. What cannot be applied ends the work, which is reported.
        """
        await self._open.wait()
        if (partition := self._partitions.get(event.message.tp)) is not None:  # else it was revoked: its next owner reads the run again
            await self._ready.put((event, partition))

    async def pause(self, within_s: float) -> None:
        """Take nothing more, finish the runs in work, let the outbox leave; all of it within the time, none of it after a failure."""
        self._open.clear()
        if self.failed.done():
            return
        try:
            async with asyncio.timeout(within_s):
                await self.idle()
                for partition in self._partitions.values():
                    await partition.relay.drain(within_s)
        except TimeoutError:
            log.warning("stopping with work left; the next owner finishes it", service=self.service.name)

    async def idle(self) -> None:
        """Wait until every run that was handed over is committed and acknowledged."""
        await self._ready.join()

    async def _work(self) -> None:
        while True:
            event, partition = await self._ready.get()
            if self._partitions.get(event.message.tp) is partition:  # else it is somebody else's by now, who reads it again
                with metrics.BATCH_SECONDS.labels(self.service.name).time():
                    await partition.apply(event.value)
                with faults.around("loop.ack"):
                    event.ack()
            self._ready.task_done()

    async def close(self) -> None:
        """End every partition."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
            self._working = None
        for tp in list(self._partitions):
            await self._end(tp)

    def fail(self, exc: BaseException) -> None:
        """Something ended that must not: the worker reads it from `failed`."""
        if not self.failed.done():
            self.failed.set_exception(exc)

    def owned(self) -> list[Partition]:
        """The partitions that this process owns now."""
        return list(self._partitions.values())

    async def _begin(self, tp: TP, fence: Fence) -> int:
        partition, known = await take_over(self.service, self._store, self._bus, fence, tp.partition, self._terms)
        start = await where_to_start(self._bus, tp.topic, tp.partition, known, await self._bus.incarnation())
        if start.note:
            log.error("log alarm", service=self.service.name, made_anew=start.made_anew, skipped=start.skipped, note=start.note)
        self._partitions[tp] = partition
        self._tasks[tp] = [self._watched(partition.relay.run(), f"relay {tp}"), self._watched(Scanner(partition).run(), f"scanner {tp}")]
        return start.offset

    def _watched(self, work: Any, name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.fail(task.exception() or RuntimeError(f"{task.get_name()} ended by itself"))

    async def _end(self, tp: TP) -> None:
        self._partitions.pop(tp, None)
        tasks = self._tasks.pop(tp, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
