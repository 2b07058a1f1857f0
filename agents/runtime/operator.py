"""What an operator may do to a store: redrive or skip a dead letter, a suspended actor, a spent attempt. Each leaves an audit row.

Every function runs inside one transaction (`operator.commit`) of the tool that acts, also while a worker runs: what it
writes are rows that the worker's scanner and relay find by themselves.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select, update

from agents.runtime import deadletters, outbox, suspension
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from stores.engine import Tx
from stores.runtime import attempt, audit, suspended
from stores.runtime import outbox as outbox_rows
from stores.statement import Statement, insert_row

_AUDIT = insert_row(audit, skip=("id",))
_SUSPENDED = Statement(select(suspended.c.partition).where(suspended.c.actor == bindparam("of")), "of")
_REFUSED = Statement(
    select(func.min(outbox_rows.c.id)).where(outbox_rows.c.actor == bindparam("of"), outbox_rows.c.refused.is_not(None)), "of"
)
_DROP = Statement(delete(outbox_rows).where(outbox_rows.c.id == bindparam("of")), "of")
_ASK_AGAIN = Statement(
    update(attempt)
    .where(attempt.c.number == bindparam("of"), attempt.c.next_ms.is_(None))
    .values(tries=bindparam("count"), next_ms=bindparam("at")),
    "count",
    "at",
    "of",
)


class NothingToDo(Exception):
    """There is nothing under this id that this action could be done to."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who does it, why, and when; goes into the audit row."""

    principal: str
    reason: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Mended:
    """What replaces the bytes of a dead letter; None keeps them as they came."""

    value: bytes | None = None
    key: bytes | None = None


def redrive_letter(tx: Tx, act: Act, which: str, mended: Mended, *, new_id: str) -> int:
    """Put a copy of the dead letter into the outbox under a new message id; its outbox number. Raises NoSuchDeadLetter."""
    pending = deadletters.redrive(tx, which, value=mended.value, key=mended.key, headers=None, new_id=new_id)
    _note(tx, act, "dlq.redrive", which)
    return pending.id


def skip_letter(tx: Tx, act: Act, which: str) -> None:
    """Nobody will handle the dead letter. Raises NoSuchDeadLetter."""
    deadletters.skip(tx, which)
    _note(tx, act, "dlq.skip", which)


def redrive_actor(tx: Tx, act: Act, actor: str) -> None:
    """The suspended actor is due at once, with a fresh budget; its refused rows may leave again then. Raises NothingToDo."""
    _partition_of(tx, actor)
    suspension.try_again_now(tx, actor, now_ms=act.now_ms)
    _note(tx, act, "stuck.redrive", actor)


def skip_head(tx: Tx, act: Act, actor: str) -> str:
    """Give up what the actor waits behind: its first refused outbox row, else its first parked message; what it was.

    What comes behind is tried at once. Raises NothingToDo.
    """
    _partition_of(tx, actor)
    queue = suspension.queue(tx, actor, limit=2)
    refused: int | None = tx.all(_REFUSED, actor)[0][0]
    if refused is not None:
        tx.run(_DROP, refused)
        what = f"outbox row {refused}"
    elif queue:
        record = queue[0].record
        suspension.unpark(tx, [queue[0].seq])
        what = f"{record.topic}/{record.partition}@{record.offset}"
    else:
        what = "nothing but the suspension"
    suspension.try_again_now(tx, actor, now_ms=act.now_ms)
    _note(tx, act, "stuck.skip", f"{actor} {what}")
    return what


def ask_again(tx: Tx, act: Act, number: str) -> None:
    """A spent attempt gets a fresh budget and is due at once. Raises NothingToDo."""
    if not tx.run(_ASK_AGAIN, 0, act.now_ms, number):
        raise NothingToDo(f"no attempt {number} has spent its budget")
    _note(tx, act, "attempt.redrive", number)


def tell(tx: Tx, act: Act, actor: str, message: Message, *, partition: int, message_id: str) -> int:
    """Say something to an actor in the operator's name; the number of its outbox row."""
    origin = Origin(message_id, actor, act.principal)
    record = encode(message, key=actor, message_id=message_id, origin=origin, now_ms=act.now_ms)
    (pending,) = outbox.insert_stray(tx, partition, [(actor, record)])
    _note(tx, act, f"tell {message.type}", actor)
    return pending.id


def _partition_of(tx: Tx, actor: str) -> int:
    rows = tx.all(_SUSPENDED, actor)
    if not rows:
        raise NothingToDo(f"actor {actor} is not suspended")
    return int(rows[0][0])


def _note(tx: Tx, act: Act, action: str, subject: str) -> None:
    tx.run(_AUDIT, act.now_ms, act.principal, action, subject, act.reason)
