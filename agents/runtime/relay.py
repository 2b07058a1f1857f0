"""The relay: outbox rows of one partition to the bus, in order, and what the bus has acknowledged back out of the outbox.

Rows are handed over in memory after COMMIT; after a crash or a take-over they are read from the table first. A record that
the bus can never take suspends its own actor and nobody else; a bus that is away is asked again for as long as it takes.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from agents.runtime import metrics, outbox, ownership, suspension
from agents.runtime.outbox import Pending
from agents.runtime.ownership import Tenure
from agents.runtime.patience import until_back
from bus.errors import BusAway, RecordRefused
from bus.log import Bus
from bus.record import Fence
from config import faults
from config.limits import OUTBOX_DELETE_DELAY_S, RELAY_BATCH_MAX, RELAY_QUEUE_MAX
from stores.engine import Store, StoreAway, Tx

T = TypeVar("T")

log = structlog.get_logger("lendbus.relay")


class Relay:
    """Takes one partition's rows to the bus for as long as the tenure stands.

    `run` raises LostLease or LostEpoch when somebody else owns the partition, and nothing else but cancellation.
    """

    def __init__(self, bus: Bus, store: Store, fence: Fence, tenure: Tenure, clock: Callable[[], int]) -> None:
        self._bus = bus
        self._store = store
        self._fence = fence
        self._tenure = tenure
        self._clock = clock
        self._waiting: deque[Pending] = deque()
        self._sent: list[int] = []
        self._blocked: dict[str, str] = {}  # actor → why its rows stay
        self._deleting = asyncio.Lock()
        self._kick = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_work: Callable[[], bool] = lambda: False  # whether a transaction of this partition is under way, or waits for the store

    def hand(self, rows: Sequence[Pending]) -> None:
        """Rows that a COMMIT has made durable, in the order of their numbers."""
        if rows:
            self._waiting.extend(rows)
            self._idle.clear()
            self._kick.set()
            if len(self._waiting) > RELAY_QUEUE_MAX:
                self._room.clear()

    def unblock(self, actor: str) -> None:
        """The actor's refused rows have been handed over again: called before anything else runs, so nothing overtakes them."""
        self._blocked.pop(actor, None)

    async def room(self) -> None:
        """Back-pressure: wait while too many rows wait to leave."""
        await self._room.wait()

    def take_sent(self) -> list[int]:
        """The rows that the bus has and the outbox still holds; whoever takes them deletes them, or gives them back."""
        sent, self._sent = self._sent, []
        return sent

    def give_back(self, sent: Sequence[int]) -> None:
        """Their transaction did not commit."""
        self._sent[:0] = sent

    async def resend(self) -> int:
        """What the partition left behind, oldest first, before anything new is made; how many rows that were."""
        self._blocked = await self._patiently("takeover.resend", self._refused_before)
        count, after = 0, 0
        while rows := await self._patiently("takeover.resend", self._left_behind, after):
            await self._deliver(rows)
            count, after = count + len(rows), rows[-1].id
            await self._delete_sent()
        self._gauge(())
        return count

    async def run(self) -> None:
        """Send what is handed over, for ever; when nothing comes for a while, delete what was sent."""
        while True:
            try:
                async with asyncio.timeout(OUTBOX_DELETE_DELAY_S if self._sent else None):  # `wait_for` may swallow a cancellation
                    await self._kick.wait()
            except TimeoutError:
                if not self.in_work():  # else the next one takes them along: eight partitions wait long for one file (a COMMIT in three)
                    await self._delete_sent()
                continue
            self._kick.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(RELAY_BATCH_MAX, len(self._waiting)))]
                await self._deliver(batch)
                if len(self._waiting) <= RELAY_QUEUE_MAX // 2:
                    self._room.set()
            self._gauge(())
            self._idle.set()

    async def drain(self, within_s: float) -> bool:
        """Wait until nothing waits to leave; False when the time is over first."""
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        await self._delete_sent()
        return True

    def __len__(self) -> int:
        return len(self._waiting)

    async def _deliver(self, rows: Sequence[Pending]) -> None:
        """Append the rows, patiently; halve after a refusal until the one row is alone."""
        rows = await self._without_blocked(rows)
        if not rows:
            return
        try:
            await until_back(lambda: self._append(rows), BusAway, what="bus")
        except RecordRefused as exc:
            if len(rows) == 1:
                await self._refuse(rows[0], str(exc))
            else:
                half = len(rows) // 2
                await self._deliver(rows[:half])
                await self._deliver(rows[half:])
        else:
            self._sent += [row.id for row in rows]

    def _gauge(self, leaving: Sequence[Pending]) -> None:
        age_ms = self._clock() - leaving[0].record.timestamp_ms if leaving else 0
        place = self._store.service, str(self._tenure.partition)
        metrics.OUTBOX_WAITING.labels(*place).set(len(self._waiting) + len(leaving))
        metrics.OUTBOX_OLDEST.labels(*place).set(age_ms / 1000)

    async def _append(self, rows: Sequence[Pending]) -> None:
        self._gauge(rows)
        with faults.around("relay.append"):
            await self._bus.append([row.record for row in rows], fence=self._fence)

    async def _without_blocked(self, rows: Sequence[Pending]) -> Sequence[Pending]:
        if not self._blocked:
            return rows
        for row in rows:
            if row.actor in self._blocked:
                await self._refuse(row, self._blocked[row.actor])
        return [row for row in rows if row.actor not in self._blocked]

    async def _refuse(self, row: Pending, why: str) -> None:
        self._blocked.setdefault(row.actor, f"behind row {row.id}: {why}")
        log.error("the bus can never take this record; its actor is suspended", actor=row.actor, topic=row.record.topic, error=why)
        await self._patiently("relay.commit", self._refused, row, why)

    def _refused(self, tx: Tx, row: Pending, why: str) -> None:
        ownership.check(tx, self._tenure)
        outbox.refuse(tx, row.id, why)
        if not suspension.among(tx, [row.actor]):
            now_ms = self._clock()
            suspension.suspend(tx, row.actor, self._tenure.partition, reason="unsendable", error=why, now_ms=now_ms)

    def _refused_before(self, tx: Tx) -> dict[str, str]:
        ownership.check(tx, self._tenure)
        return outbox.blocked(tx, self._tenure.partition)

    def _left_behind(self, tx: Tx, after: int) -> list[Pending]:
        ownership.check(tx, self._tenure)
        return outbox.left_behind(tx, self._tenure.partition, after=after, limit=RELAY_BATCH_MAX)

    async def _delete_sent(self) -> None:
        """Return when nothing that was sent is left in the outbox, whoever was deleting it already."""
        async with self._deleting:
            if sent := self.take_sent():
                await self._patiently("relay.commit", self._delete, sent)

    def _delete(self, tx: Tx, sent: Sequence[int]) -> None:
        ownership.check(tx, self._tenure)
        outbox.forget(tx, sent)

    async def _patiently(self, operation: str, work: Callable[..., T], *args: object) -> T:
        return await until_back(lambda: self._store.transaction(operation, work, *args), StoreAway, what=f"store of {self._store.service}")
