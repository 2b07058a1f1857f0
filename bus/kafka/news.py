"""`Bus.wait` on Kafka: while anybody waits, one follower hears of every append to the namespace. Who can, follows instead."""

import asyncio
import contextlib
import logging

from bus.errors import BusAway
from bus.kafka.cluster import AGAIN_S, Cluster
from bus.kafka.follow import follow

TOPICS_EVERY_S = 1.0  # how soon a topic that was declared meanwhile is heard of

log = logging.getLogger("lendbus.bus")


class News:
    """Counts appends that were heard of."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._count = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._listening: asyncio.Task[None] | None = None

    def poke(self) -> None:
        """Something was appended."""
        self._count += 1
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def changed(self, seen: int, timeout_s: float) -> int:
        """Wait until there is news beyond `seen`, or the time is over; what has been seen now."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name="news")
        if self._count == seen:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await asyncio.wait([waiter], timeout=timeout_s)
            finally:
                self._waiters.discard(waiter)
        return self._count

    async def close(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        """Follow what topics there are, begun anew when there are others."""
        while True:
            names = await self._names()
            self.poke()  # whatever was appended before this follower stands at the ends
            following = asyncio.create_task(self._follow(names))
            try:
                while await self._names() == names and not following.done():
                    await asyncio.wait([following], timeout=TOPICS_EVERY_S)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    async def _names(self) -> list[str]:
        while True:
            try:
                await self._cluster.patiently("looking at the topics", self._cluster.refresh)
                return self._cluster.topic_names()
            except BusAway as exc:
                log.debug("news: %s", exc)
                await asyncio.sleep(AGAIN_S)

    async def _follow(self, names: list[str]) -> None:
        if not names:
            return
        async with contextlib.aclosing(follow(self._cluster, names)) as runs:
            async for _ in runs:
                self.poke()
