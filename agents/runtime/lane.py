"""The runs of one owned partition: one in work, the next one ready behind it; each is applied, then acknowledged, in order."""

import asyncio
from typing import Any, Final

from agents.runtime import metrics
from agents.runtime.partition import Partition
from bus.errors import RunMissing
from bus.record import Run
from config import faults

RUNS_AHEAD: Final = 1  # runs that wait for the one in work


class Lane:
    """Made for a partition that was taken over; `offset` is where its runs begin."""

    def __init__(self, partition: Partition, offset: int) -> None:
        self.partition = partition
        self.tasks: list[asyncio.Task[None]] = []  # this lane's work, the partition's relay and scanner
        self._next = offset
        self._runs: asyncio.Queue[Any] = asyncio.Queue(RUNS_AHEAD)
        self._closed = asyncio.Event()

    async def put(self, event: Any) -> None:
        """Hand a run over; waits while another one waits already. A closed lane takes it and does nothing."""
        await self._runs.put(event)
        if self._closed.is_set():
            self.close()

    async def work(self) -> None:
        """Apply and acknowledge, for ever. Raises LostEpoch, RunMissing, or whatever an acknowledgement raises."""
        while True:
            event = await self._runs.get()
            self._refuse_a_hole(event.value)
            if event.value[-1].offset >= self._next:  # else it is below what was handled: delivered twice
                with metrics.BATCH_SECONDS.labels(self.partition.service.name).time():
                    await self.partition.apply(event.value)
                self._next = event.value[-1].offset + 1
            with faults.around("loop.ack"):
                event.ack()
            self._runs.task_done()

    def _refuse_a_hole(self, run: Any) -> None:
        """What was not delivered must not be passed over: with the next COMMIT the position would stand behind it, for ever."""
        begins = run.begins if isinstance(run, Run) else self._next
        if begins > self._next:
            raise RunMissing(f"a run begins at {begins}, the one before it ended at {self._next}")

    async def idle(self) -> None:
        """Return when every run that was handed over is acknowledged, or nobody works here any more."""
        ends = [asyncio.ensure_future(self._runs.join()), asyncio.ensure_future(self._closed.wait())]
        try:
            await asyncio.wait([*ends, *self.tasks[:1]], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    def close(self) -> None:
        """What waits here is its next owner's; whoever waits to hand something over, or for idleness, goes on."""
        self._closed.set()
        while not self._runs.empty():
            self._runs.get_nowait()
