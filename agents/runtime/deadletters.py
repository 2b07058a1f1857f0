"""Dead letters: records that could not be read, as rows with origin, reason, attempts and the bytes as they came (DESIGN 4).

Redriving appends a mended copy under a new id to the topic that it came from; skipping says that nobody will.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from agents.runtime import outbox
from agents.runtime.envelope import MESSAGE_ID, Origin, encode
from agents.runtime.messages import DeadLettered
from agents.runtime.outbox import Pending
from bus.record import Headers, Outgoing, Record, pack_headers, unpack_headers
from stores.engine import Tx
from stores.runtime import dead_letter
from stores.statement import Statement, insert_new_row

_INSERT = insert_new_row(dead_letter)
_ONE = Statement(
    select(
        dead_letter.c.topic,
        dead_letter.c.partition,
        dead_letter.c.timestamp_ms,
        dead_letter.c.key,
        dead_letter.c.value,
        dead_letter.c.headers,
        dead_letter.c.state,
        dead_letter.c.attempts,
    ).where(dead_letter.c.id == bindparam("of")),
    "of",
)
_END = Statement(
    update(dead_letter)
    .where(dead_letter.c.id == bindparam("of"))
    .values(state=bindparam("becomes"), redriven_as=bindparam("as_id"), attempts=bindparam("count")),
    "count",
    "becomes",
    "as_id",
    "of",
)


class NoSuchDeadLetter(Exception):
    """There is no dead letter of this id, or it has been redriven or skipped already."""


@dataclass(frozen=True, slots=True)
class Dead:
    """A record that nobody can handle, and why."""

    record: Record
    reason: str
    detail: str


def identity(service: str, incarnation: str, record: Record) -> str:
    """The dead letter's id follows from where the record stood, so a repeat makes the same.

    And from when the log took it: a topic made anew in the same Kafka cluster has the same places once more.
    """
    place = f"{record.topic}:{record.partition}:{record.offset}:{record.appended_ms}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"lendbus:dead:{service}:{incarnation}:{place}"))


def write(tx: Tx, service: str, incarnation: str, dead: Sequence[Dead], *, now_ms: int) -> list[tuple[str, Outgoing]]:
    """Store the dead letters; return their announcements as (key, record)."""
    rows, said = [], []
    for d in dead:
        r = d.record
        key = identity(service, incarnation, r)
        rows.append(
            (
                key,
                r.topic,
                r.partition,
                r.offset,
                r.timestamp_ms,
                r.appended_ms,
                r.key,
                r.value,
                pack_headers(r.headers),
                d.reason,
                d.detail,
                1,
                "new",
                None,
                now_ms,
            )
        )
        message = DeadLettered(id=key, service=service, source_topic=r.topic, partition=r.partition, offset=r.offset, reason=d.reason)
        said.append((key, encode(message, key=key, message_id=key, origin=Origin(key, key, "runtime"), now_ms=now_ms)))
    tx.many(_INSERT, sorted(rows, key=lambda row: row[0]))
    return said


def redrive(tx: Tx, which: str, *, value: bytes | None, key: bytes | None, headers: Headers | None, new_id: str) -> Pending:
    """Append a copy, mended where something is given, to the topic that the record came from; everything else as it came.

    The copy has a new message id and the record's own timestamp. Raises NoSuchDeadLetter.
    """
    topic, partition, timestamp_ms, old_key, old_value, packed, attempts = _open(tx, which)
    kept = headers if headers is not None else unpack_headers(packed)
    renamed = (*(h for h in kept if h[0] != MESSAGE_ID), (MESSAGE_ID, new_id.encode()))
    record = Outgoing(
        topic,
        old_key if key is None else key,
        old_value if value is None else value,
        renamed,
        timestamp_ms,
        partition if old_key is key is None else None,
    )
    tx.run(_END, attempts + 1, "redriven", new_id, which)
    (pending,) = outbox.insert_stray(tx, partition, [(which, record)])
    return pending


def skip(tx: Tx, which: str) -> None:
    """Nobody will handle this record. Raises NoSuchDeadLetter."""
    *_, attempts = _open(tx, which)
    tx.run(_END, attempts, "skipped", None, which)


def _open(tx: Tx, which: str) -> tuple[str, int, int, bytes | None, bytes | None, bytes, int]:
    rows = tx.all(_ONE, which)
    if not rows:
        raise NoSuchDeadLetter(f"no dead letter {which} in this service")
    topic, partition, timestamp_ms, key, value, headers, state, attempts = rows[0]
    if state != "new":
        raise NoSuchDeadLetter(f"dead letter {which} is {state} already")
    return topic, partition, timestamp_ms, key, value, headers, attempts
