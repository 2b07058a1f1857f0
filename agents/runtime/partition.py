"""One owned partition of a service: its tenure, its relay, and every transaction that is made in its name.

Transactions go one at a time, and their outbox rows are handed to the relay in the order of their COMMITs, so that an
actor's messages never overtake each other on their way out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Protocol, TypeVar

import structlog

from agents.runtime import batch as batches
from agents.runtime import metrics, outbox, ownership, position
from agents.runtime.batch import Batch, Done
from agents.runtime.outbox import Pending
from agents.runtime.ownership import Tenure
from agents.runtime.patience import until_back
from agents.runtime.relay import Relay
from agents.runtime.service import Service
from bus.errors import BusAway
from bus.log import Bus
from bus.record import Fence, Record
from stores.engine import RowRejected, Store, StoreAway, Tx

log = structlog.get_logger("lendbus.loop")


class Leaves(Protocol):
    """What a transaction returns: at least the outbox rows that have to leave."""

    @property
    def leaving(self) -> list[Pending]:
        """The rows, in the order of their numbers."""
        ...


R = TypeVar("R", bound=Leaves)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms partitions are worked: how long the inbox remembers, how many messages one transaction handles, the clock."""

    horizon_ms: int
    batch_max: int
    clock: Callable[[], int]


class Partition:
    """A partition for as long as its epoch stands; made by `take_over`."""

    def __init__(
        self,
        service: Service[Any],
        store: Store,
        relay: Relay,
        tenure: Tenure,
        incarnation: str,
        terms: Terms,
    ) -> None:
        self.service = service
        self.store = store
        self.relay = relay
        self.tenure = tenure
        self.clock = terms.clock
        self.wake = asyncio.Event()  # the scanner has something new to look at
        self._one_at_a_time = asyncio.Lock()
        relay.in_work = self._one_at_a_time.locked
        self.incarnation = incarnation
        self._batch = Batch(service, tenure, incarnation, 0, terms.horizon_ms)
        self._batch_max = terms.batch_max
        self._registry = service.registry

    async def apply(self, run: Sequence[Record]) -> None:
        """Return when the run is committed. Raises LostEpoch, and nothing else but cancellation."""
        for start in range(0, len(run), self._batch_max):
            await self._apply(run[start : start + self._batch_max])

    async def _apply(self, run: Sequence[Record]) -> None:
        await self.relay.room()
        try:
            done = await self._commit(run, None)
        except RowRejected as exc:
            if len(run) == 1:
                log.error("the database refuses what a message makes; its actor is suspended", service=self.service.name, error=str(exc))
                self._note(await self._commit(run, str(exc)))
            else:
                half = len(run) // 2
                await self._apply(run[:half])
                await self._apply(run[half:])
        else:
            self._note(done)

    async def _commit(self, run: Sequence[Record], rejected: str | None) -> Done:
        """The loop's transaction; the records are decoded before it begins, once however often it is repeated."""
        decode = cache(lambda: batches.decoded(run, self._registry))

        def commit(batch: Batch) -> Awaitable[Done]:
            return self.store.prepared(decode, "loop.commit", lambda tx, items: _owned(tx, batches.apply, batch, items, rejected))

        return await self._in_turn(commit)

    async def transaction(self, operation: str, work: Callable[..., R], *args: Any) -> R:
        """One transaction `work(tx, batch, …)` in this partition's name, repeated while the store is away; its rows go to the relay.

        Raises LostEpoch, RowRejected, or what `work` raises.
        """
        return await self._in_turn(lambda batch: self.store.transaction(operation, _owned, work, batch, *args))

    async def begin_anew(self, offset: int) -> None:
        """The log was made anew: what was reached on the earlier one says nothing of this one. Durable before anything is read.

        The incarnation alone does not tell on Kafka, where it names the cluster: a topic made anew in it would find its
        fresh records below the highest position, and old ones among them would be refused as expired.
        """
        await self.transaction("takeover.commit", _begun_anew, offset)

    async def _in_turn(self, commit: Callable[[Batch], Awaitable[R]]) -> R:
        async def once() -> R:
            async with self._one_at_a_time:
                sent = self.relay.take_sent()
                try:
                    done = await commit(replace(self._batch, now_ms=self.clock(), sent=sent))
                except BaseException:
                    self.relay.give_back(sent)
                    raise
                self.relay.hand(done.leaving)
                return done

        return await until_back(
            once, StoreAway, what=f"store of {self.service.name}", on_away=metrics.STORE_AWAY.labels(self.service.name).inc
        )

    def _note(self, done: Done) -> None:
        name = self.service.name
        metrics.HANDLED.labels(name).inc(done.handled)
        if done.repeated:
            metrics.REPEATED.labels(name).inc(done.repeated)
        for dead in done.dead:
            metrics.DEAD.labels(name, dead.reason).inc()
            log.warning("dead letter", service=name, offset=dead.record.offset, partition=dead.record.partition, reason=dead.reason)
        for actor, (reason, error) in done.suspended.items():
            metrics.SUSPENDED.labels(name).inc()
            log.error("actor suspended", service=name, actor=actor, reason=reason, error=error)
        if done.wakes:
            self.wake.set()


def _owned(tx: Tx, work: Callable[..., R], batch: Batch, *args: Any) -> R:
    """Every transaction begins by reading the epoch, and takes along what the bus has acknowledged."""
    ownership.check(tx, batch.tenure)
    done = work(tx, batch, *args)
    outbox.forget(tx, batch.sent)
    return done


@dataclass(frozen=True, slots=True)
class _Quiet:
    """A transaction that sends nothing."""

    leaving: list[Pending] = field(default_factory=list)


def _begun_anew(tx: Tx, batch: Batch, offset: int) -> _Quiet:
    position.begin_anew(tx, batch.tenure.partition, offset, batch.incarnation)
    return _Quiet()


def _taken(tx: Tx, number: int, now_ms: int) -> tuple[Tenure, position.Position | None]:
    return ownership.take_over(tx, number, now_ms=now_ms), position.read(tx, number)


async def take_over(
    service: Service[Any], store: Store, bus: Bus, fence: Fence, number: int, terms: Terms
) -> tuple[Partition, position.Position | None]:
    """Epoch + 1 in the store; then read the position; then send what the partition left behind; only then may the loop start."""

    def taken() -> Awaitable[tuple[Tenure, position.Position | None]]:
        return store.transaction("takeover.commit", _taken, number, terms.clock())

    tenure, known = await until_back(taken, StoreAway, what=f"store of {service.name}")
    relay = Relay(bus, store, fence, tenure, terms.clock)
    resent = await relay.resend()
    log.info("partition taken over", service=service.name, partition=number, epoch=tenure.epoch, resent=resent)
    return Partition(service, store, relay, tenure, await until_back(bus.incarnation, BusAway, what="bus"), terms), known
