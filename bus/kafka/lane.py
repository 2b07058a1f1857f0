"""One assigned partition on its way to its agent: a few runs that wait, those delivered and not acked yet, what is committed."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from faust.types import TP, ConsumerMessage

WAITING_RUNS_MAX = 2  # beside those in the agent's buffer; the rest stays in the fetcher, unparsed

Deliver = Callable[[ConsumerMessage], Awaitable[None]]


class Lane:
    """From its position on; made anew with each assignment."""

    def __init__(self, tp: TP, position: int, deliver: Deliver) -> None:
        self.tp = tp
        self.taken = position  # what is taken from the fetcher next
        self.delivered = position  # what the agent gets next
        self.committed: int | None = None
        self.highwater = 0  # the highest end ever heard of
        self._done = position  # the end of the acked prefix
        self._deliver = deliver
        self._waiting: deque[ConsumerMessage] = deque()
        self._unacked: deque[ConsumerMessage] = deque()
        self._news = asyncio.Event()
        self._room: asyncio.Future[None] | None = None
        self._task = asyncio.create_task(self._run(), name=f"deliver {tp.topic}/{tp.partition}")

    @property
    def has_room(self) -> bool:
        """Whether another run may be put."""
        return len(self._waiting) < WAITING_RUNS_MAX

    def room(self) -> "asyncio.Future[None]":
        """Done when there is room again."""
        if self._room is None or self._room.done():
            self._room = asyncio.get_running_loop().create_future()
        return self._room

    def put(self, message: ConsumerMessage) -> None:
        """A run that is delivered when those before it have been."""
        self._waiting.append(message)
        self._news.set()

    def acked_to(self) -> int:
        """The end of the longest acked prefix of what was delivered."""
        while self._unacked and self._unacked[0].acked:
            self._done = self._unacked.popleft().offset + 1
        return self._done

    async def stop(self) -> None:
        """Deliver nothing more; returns when nothing is under way to the agent."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            while self._waiting:
                message = self._waiting.popleft()
                if self._room is not None and not self._room.done():
                    self._room.set_result(None)
                self._unacked.append(message)
                await self._deliver(message)  # waits while the agent's buffer is full
                self.delivered = message.offset + 1
            self._news.clear()
