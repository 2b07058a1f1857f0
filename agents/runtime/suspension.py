"""Suspended actors: a message that cannot be handled stops its own actor, in order, and nobody else (DESIGN 1).

The head of the queue is tried again in place, with back-off; its budget spent, the actor is *stuck* until an operator
redrives (tries again) or skips (gives the head up). Messages that come meanwhile queue behind.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update

from agents.runtime.envelope import Delivery
from bus.record import Record, pack_headers, unpack_headers
from config.retry import HEALING
from stores.engine import Tx
from stores.runtime import parked, suspended
from stores.statement import Statement, first, in_list, insert_row

_AMONG = Statement(select(suspended.c.actor).where(in_list(suspended.c.actor, "ids")), "ids")
_SUSPEND = insert_row(suspended)
_PARK = insert_row(parked, skip=("seq",))
_QUEUE = Statement(
    first(
        select(
            parked.c.seq,
            parked.c.topic,
            parked.c.partition,
            parked.c.offset,
            parked.c.timestamp_ms,
            parked.c.appended_ms,
            parked.c.key,
            parked.c.value,
            parked.c.headers,
        )
        .where(parked.c.actor == bindparam("of"))
        .order_by(parked.c.seq),
        "n",
    ),
    "of",
    "n",
)
_UNPARK = Statement(delete(parked).where(in_list(parked.c.seq, "seqs")), "seqs")
_RELEASE = Statement(delete(suspended).where(suspended.c.actor == bindparam("of")), "of")
_AGAIN = Statement(
    update(suspended)
    .where(suspended.c.actor == bindparam("of"))
    .values(reason=bindparam("why"), error=bindparam("what"), tries=bindparam("count"), next_ms=bindparam("at")),
    "why",
    "what",
    "count",
    "at",
    "of",
)
_DUE = Statement(
    first(
        select(suspended.c.actor, suspended.c.tries)
        .where(suspended.c.partition == bindparam("of"), suspended.c.next_ms <= bindparam("until"))
        .order_by(suspended.c.next_ms),
        "n",
    ),
    "of",
    "until",
    "n",
)
_WAKE = Statement(
    update(suspended).where(suspended.c.partition == bindparam("of"), suspended.c.next_ms.is_not(None)).values(next_ms=bindparam("at")),
    "at",
    "of",
)
_SEALED = re.compile(r"s1\.[\w.=-]+")


@dataclass(frozen=True, slots=True)
class Queued:
    """One parked record of a suspended actor, in its place in the queue."""

    seq: int
    record: Record


def among(tx: Tx, actors: Sequence[str]) -> set[str]:
    """Which of these actors are suspended."""
    return {row[0] for row in tx.all(_AMONG, tx.list(actors))}


def suspend(tx: Tx, actor: str, partition: int, *, reason: str, error: str, now_ms: int) -> None:
    """The actor waits; it is tried again by itself after the first delay of `config.retry.HEALING`."""
    tx.run(_SUSPEND, actor, partition, reason, error, 0, now_ms + HEALING.delay_ms(0, actor), now_ms)


def park(tx: Tx, deliveries: Sequence[Delivery], *, now_ms: int) -> None:
    """Queue messages of suspended actors, in order, with their bytes as they came."""
    rows = [
        (
            d.actor,
            d.id,
            d.record.topic,
            d.record.partition,
            d.record.offset,
            d.record.timestamp_ms,
            d.record.appended_ms,
            d.record.key,
            d.record.value,
            pack_headers(d.record.headers),
            now_ms,
        )
        for d in deliveries
    ]
    tx.many(_PARK, rows)


def queue(tx: Tx, actor: str, *, limit: int) -> list[Queued]:
    """The actor's parked records, head first."""
    return [Queued(seq, Record(t, p, o, ts, at, k, v, unpack_headers(h))) for seq, t, p, o, ts, at, k, v, h in tx.all(_QUEUE, actor, limit)]


def unpark(tx: Tx, seqs: Sequence[int]) -> None:
    """These records have been handled or given up."""
    if seqs:
        tx.run(_UNPARK, tx.list(seqs))


def release(tx: Tx, actor: str) -> None:
    """The queue is empty: the actor is like any other again."""
    tx.run(_RELEASE, actor)


def failed_again(tx: Tx, actor: str, tries: int, *, reason: str, error: str, now_ms: int) -> bool:
    """Note a further failure; True when that spent the budget and the actor is stuck now."""
    stuck = HEALING.is_spent(tries)
    tx.run(_AGAIN, reason, error, tries, None if stuck else now_ms + HEALING.delay_ms(tries, actor), actor)
    return stuck


def try_again_now(tx: Tx, actor: str, *, now_ms: int) -> None:
    """An operator's redrive: a fresh budget, due at once."""
    tx.run(_AGAIN, "redriven", "", 0, now_ms, actor)


def due(tx: Tx, partition: int, *, now_ms: int, limit: int) -> list[tuple[str, int]]:
    """Actors that are to be tried again, and how often they were."""
    return [(actor, tries) for actor, tries in tx.all(_DUE, partition, now_ms, limit)]


def wake_all(tx: Tx, partition: int, *, now_ms: int) -> None:
    """At a start everything that is not stuck is due: the new version may have mended it."""
    tx.run(_WAKE, now_ms, partition)


def describe(exc: BaseException) -> str:
    """An exception as one line for a table or a log; sealed values are cut out of it."""
    return _SEALED.sub("s1.…", f"{type(exc).__name__}: {exc}")[:500]
