"""One run of records as one transaction (DESIGN 1, the loop, steps 1 to 7), and one healing of a suspended actor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.runtime import deadletters, inbox, outbox, position, suspension
from agents.runtime.deadletters import Dead
from agents.runtime.envelope import Delivery, Registry, Undecodable, decode
from agents.runtime.outbox import Pending
from agents.runtime.ownership import Tenure
from agents.runtime.service import Service
from agents.runtime.work import Work
from bus.record import Record
from stores.engine import Tx

Item = Delivery | Dead


@dataclass(frozen=True, slots=True)
class Batch:
    """What a transaction is given besides its records; `sent` are outbox rows that the bus has acknowledged since the last one."""

    service: Service[Any]
    tenure: Tenure
    incarnation: str
    now_ms: int
    horizon_ms: int
    sent: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a run, for the relay, the log and the metrics."""

    leaving: list[Pending]
    handled: int
    repeated: int
    dead: list[Dead]
    suspended: dict[str, tuple[str, str]]
    wakes: bool  # timers, attempts or suspensions were written: the scanner has to look again


def decoded(run: Sequence[Record], registry: Registry) -> list[Item]:
    """Step 1: every record as a message, or as a dead letter with its reason."""
    return [_decoded(record, registry) for record in run]


def _decoded(record: Record, registry: Registry) -> Item:
    try:
        return decode(record, registry)
    except Undecodable as exc:
        return Dead(record, exc.reason, exc.detail)


def apply(tx: Tx, batch: Batch, items: Sequence[Item], rejected: str | None) -> Done:
    """Steps 2 to 7. `rejected`: the database has refused what this (single) message makes; suspend its actor instead."""
    partition = batch.tenure.partition
    before = position.read(tx, partition)
    dead = [item for item in items if isinstance(item, Dead)]
    alive: list[Delivery] = []
    for item in items:
        if isinstance(item, Delivery):
            if _expired(item.record, before, batch):
                dead.append(Dead(item.record, "expired", "below the position and older than the inbox remembers"))
            else:
                alive.append(item)
    fresh, repeats = inbox.take_new(tx, alive, now_ms=batch.now_ms)
    work = Work(batch.service, batch.tenure, batch.now_ms)
    work.load(tx, fresh, [d for d, _ in repeats if d.reply_to])
    for d in fresh:
        if rejected is None:
            work.handle(d)
        else:
            work.suspend(d, "row_rejected", rejected)
    for d, same in repeats:
        work.repeat(d, same=same)
    if dead:
        for actor, record in deadletters.write(tx, batch.service.name, batch.incarnation, dead, now_ms=batch.now_ms):
            work.say(actor, record)
    work.save(tx)
    records = [item.record for item in items]
    last = items[-1]
    reached = position.after(records, last.id if isinstance(last, Delivery) else None, before, batch.incarnation)
    position.write(tx, partition, reached, known=before is not None)
    return Done(work.leaving, work.handled, len(repeats), dead, work.newly_suspended, work.wakes)


def _expired(record: Record, before: position.Position | None, batch: Batch) -> bool:
    return (
        before is not None
        and record.offset < before.highest_offset
        and before.incarnation == batch.incarnation
        and record.appended_ms < batch.now_ms - batch.horizon_ms
    )


@dataclass(frozen=True, slots=True)
class Healed:
    """What came of trying a suspended actor again."""

    leaving: list[Pending]
    released: bool
    stuck: bool
    error: str | None


def heal(tx: Tx, batch: Batch, actor: str, tries: int, limit: int) -> Healed:
    """Run the head of the actor's queue again in place, under its own id, past the inbox; then its followers, in order."""
    queue = suspension.queue(tx, actor, limit=limit)
    items = [(q.seq, _decoded(q.record, batch.service.registry)) for q in queue]
    readable = [item for _, item in items if isinstance(item, Delivery)]
    work = Work(batch.service, batch.tenure, batch.now_ms)
    work.load(tx, readable, heal=actor)
    done: list[int] = []
    failure: tuple[str, str] | None = None
    for seq, item in items:
        failure = ("undecodable", item.detail) if isinstance(item, Dead) else work.attempt(item)
        if failure:
            break
        done.append(seq)
    work.save(tx)
    suspension.unpark(tx, done)
    again, whole = outbox.readmit(tx, actor), len(queue) < limit
    stuck = False
    if failure:
        stuck = suspension.failed_again(tx, actor, 1 if done else tries + 1, reason=failure[0], error=failure[1], now_ms=batch.now_ms)
    elif again:  # whether the bus takes them now shows at the next try; until then this one counts
        what = f"{len(again)} refused rows were handed to the bus again"
        stuck = suspension.failed_again(tx, actor, tries + 1, reason="unsendable", error=what, now_ms=batch.now_ms)
    elif whole:
        suspension.release(tx, actor)
    released = failure is None and not again and whole
    return Healed([*again, *work.leaving], released, stuck, failure[1] if failure else None)


def note_failure(tx: Tx, batch: Batch, actor: str, tries: int, error: str) -> bool:
    """The database refuses what the head makes: count it as a failure of the healing. True: the actor is stuck now."""
    return suspension.failed_again(tx, actor, tries + 1, reason="row_rejected", error=error, now_ms=batch.now_ms)
