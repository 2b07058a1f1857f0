"""The scanner of one owned partition: fires timers, tries suspended actors again, asks due attempts. All of it is rows.

It sleeps until the next row is due, or until the loop says that there is a new one; a rare look besides is the safety net.
"""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from sqlalchemy import bindparam, func, select

from agents.runtime import attempts, metrics, outbox, suspension, timers
from agents.runtime import batch as batches
from agents.runtime.batch import Batch
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.runtime.outbox import Pending
from agents.runtime.partition import Partition
from config import faults
from config.limits import ATTEMPT_CALL_MS_MAX, ATTEMPTS_AT_ONCE, PARKED_RUN_MAX, SCAN_EVERY_MS, TIMER_STEP_ROWS
from stores.engine import RowRejected, Tx
from stores.runtime import suspended
from stores.statement import Statement

log = structlog.get_logger("lendbus.scanner")

_NEXT_HEAL = Statement(select(func.min(suspended.c.next_ms)).where(suspended.c.partition == bindparam("of")), "of")


@dataclass(frozen=True, slots=True)
class Scan:
    """What is due now and when the next thing will be."""

    leaving: list[Pending]
    heal: list[tuple[str, int]]
    ask: list[attempts.Due]
    next_ms: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """A transaction that only sends."""

    leaving: list[Pending] = field(default_factory=list)


class Scanner:
    """Runs until it is cancelled; raises LostEpoch when somebody else owns the partition."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._service = partition.service
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._broken: BaseException | None = None  # what ended an attempt's transaction ends the scanner

    async def run(self) -> None:
        """Scan, sleep until something is due, scan again."""
        try:
            await self._partition.transaction("heal.commit", _wake_all)
            while True:
                self._partition.wake.clear()
                if self._broken is not None:
                    raise self._broken
                scan = await self._partition.transaction("timers.commit", _scan)
                for actor, tries in scan.heal:
                    await self._heal(actor, tries)
                self._ask(scan.ask)
                await self._sleep(scan.next_ms)
        finally:
            for task in self._asking.values():
                task.cancel()
            await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _sleep(self, next_ms: int | None) -> None:
        wait_ms = SCAN_EVERY_MS if next_ms is None else min(max(next_ms - self._partition.clock(), 0), SCAN_EVERY_MS)
        try:
            async with asyncio.timeout(wait_ms / 1000):  # Python 3.11's `wait_for` swallows a cancellation that meets the event
                await self._partition.wake.wait()
        except TimeoutError:
            return

    async def _heal(self, actor: str, tries: int) -> None:
        try:
            healed = await self._heal_by_halves(actor, tries)
        except RowRejected as exc:
            told = await self._partition.transaction("heal.commit", _note_failure, actor, tries, suspension.describe(exc))
            self._tell(actor, stuck=told.stuck, error=told.error)
        else:
            self._partition.relay.unblock(actor)
            self._tell(actor, stuck=healed.stuck, error=healed.error)
            if not healed.released and healed.error is None:
                self._partition.wake.set()  # there is more of its queue
            if healed.released:
                log.info("actor healed", service=self._service.name, actor=actor)

    def _tell(self, actor: str, *, stuck: bool, error: str | None) -> None:
        if stuck:
            metrics.STUCK.labels(self._service.name).inc()
            log.error("actor is stuck until an operator redrives or skips", service=self._service.name, actor=actor, error=error)

    async def _heal_by_halves(self, actor: str, tries: int) -> batches.Healed:
        try:
            return await self._partition.transaction("heal.commit", batches.heal, actor, tries, PARKED_RUN_MAX)
        except RowRejected:
            return await self._partition.transaction("heal.commit", batches.heal, actor, tries, 1)

    def _ask(self, due: list[attempts.Due]) -> None:
        for which in due:
            if which.number not in self._asking and len(self._asking) < ATTEMPTS_AT_ONCE:
                task = asyncio.create_task(self._ask_one(which), name=f"attempt {which.number}")
                self._asking[which.number] = task
                task.add_done_callback(partial(self._asked, which.number))

    def _asked(self, number: str, task: asyncio.Task[None]) -> None:
        self._asking.pop(number, None)
        if not task.cancelled():
            self._broken = self._broken or task.exception()
        self._partition.wake.set()

    async def _ask_one(self, which: attempts.Due) -> None:
        try:
            with faults.around("attempts.call"):
                async with asyncio.timeout(ATTEMPT_CALL_MS_MAX / 1000):
                    answer = await self._service.callers[which.target](which.number, which.content)
        except Exception as exc:  # noqa: BLE001 - whatever went wrong outside, the answer is unknown: ask again
            error = suspension.describe(exc)
            log.warning("attempt not answered", service=self._service.name, number=which.number, tries=which.tries + 1, error=error)
            await self._partition.transaction("attempts.commit", _unanswered, which, error)
        else:
            await self._partition.transaction("attempts.commit", _answered, which, answer)


def _wake_all(tx: Tx, batch: Batch) -> Told:
    suspension.wake_all(tx, batch.tenure.partition, now_ms=batch.now_ms)
    return Told()


def _scan(tx: Tx, batch: Batch) -> Scan:
    partition, now_ms = batch.tenure.partition, batch.now_ms
    leaving = [*outbox.take_strays(tx, partition), *_fire(tx, batch)]
    heal = suspension.due(tx, partition, now_ms=now_ms, limit=TIMER_STEP_ROWS)
    ask = attempts.due(tx, partition, now_ms=now_ms, limit=ATTEMPTS_AT_ONCE) if batch.service.callers else []
    nexts = [timers.next_due_ms(tx, partition), tx.all(_NEXT_HEAL, partition)[0][0]]
    if len(ask) < ATTEMPTS_AT_ONCE:
        nexts.append(attempts.next_due_ms(tx, partition))
    known = [n for n in nexts if n is not None and n > now_ms]
    return Scan(leaving, heal, ask, min(known, default=None) if len(leaving) < TIMER_STEP_ROWS else now_ms)


def _fire(tx: Tx, batch: Batch) -> list[Pending]:
    due = timers.due(tx, batch.tenure.partition, now_ms=batch.now_ms, limit=TIMER_STEP_ROWS)
    if not due:
        return []
    registry: Mapping[str, type[Message]] = batch.service.registry
    said = []
    for t in due:
        message = registry[t.type].model_validate_json(t.body)
        origin = Origin(t.causation, t.trace, "timer")
        said.append((t.actor, encode(message, key=t.actor, message_id=t.firing_id, origin=origin, now_ms=batch.now_ms)))
    timers.fired(tx, [t.id for t in due])
    return outbox.insert(tx, batch.tenure.partition, said)


@dataclass(frozen=True, slots=True)
class Noted:
    """A failure that was counted."""

    leaving: list[Pending]
    stuck: bool
    error: str


def _note_failure(tx: Tx, batch: Batch, actor: str, tries: int, error: str) -> Noted:
    return Noted([], batches.note_failure(tx, batch, actor, tries, error), error)


def _unanswered(tx: Tx, batch: Batch, which: attempts.Due, error: str) -> Told:
    attempts.failed(tx, which, error, batch.service.attempts, now_ms=batch.now_ms)
    return Told()


def _answered(tx: Tx, batch: Batch, which: attempts.Due, answer: Any) -> Told:
    attempts.answered(tx, which)
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"lendbus:attempt:{batch.service.name}:{which.number}"))
    record = encode(
        answer, key=which.actor, message_id=identity, origin=Origin(which.causation, which.trace, "attempt"), now_ms=batch.now_ms
    )
    return Told(outbox.insert(tx, batch.tenure.partition, [(which.actor, record)]))
