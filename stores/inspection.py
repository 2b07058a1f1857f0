"""What inspectors ask of the runtime's tables: the rows of a trace, what waits for a person, dead letters. Nothing is written."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.engine import Row
from stores.runtime import alias, attempt, claim, dead_letter, inbox, outbox, parked, position, seen, suspended, timer

ROWS_MAX: Final = 10_000  # of one question
ID_CHUNK: Final = 500


async def trace_of(connection: AsyncConnection, which: str) -> str | None:
    """The trace that an id belongs to: a business id, a message id, or the trace's own (indexes; the last one reads `seen`)."""
    for query in (
        select(alias.c.trace).where(alias.c.id == which),
        select(inbox.c.trace).where(inbox.c.id == which),
        select(inbox.c.trace).where(inbox.c.trace == which).limit(1),
        select(seen.c.trace).where(seen.c.trace == which).limit(1),
    ):
        if (found := (await connection.execute(query)).scalar()) is not None:
            return str(found)
    return None


async def trace_of_pruned(connection: AsyncConnection, which: str) -> str | None:
    """The trace of a message that the inbox has forgotten; `seen` is keyed by trace, so this reads it all."""
    return (await connection.execute(select(seen.c.trace).where(seen.c.message_id == which).limit(1))).scalar()


async def handled(connection: AsyncConnection, trace: str) -> list[Any]:
    """(id, actor, partition, offset, at_ms) of every message of a trace that this service has taken (inbox_by_trace, seen's key)."""
    known = select(inbox.c.id, inbox.c.actor, inbox.c.partition, inbox.c.offset, inbox.c.at_ms).where(inbox.c.trace == trace)
    pruned = select(seen.c.message_id, seen.c.actor, seen.c.partition, seen.c.offset, seen.c.at_ms).where(seen.c.trace == trace)
    return list((await connection.execute(union_all(known, pruned).limit(ROWS_MAX))).all())


async def parked_of(connection: AsyncConnection, actors: Sequence[str]) -> list[Any]:
    """(message_id, actor) of what waits behind suspended actors (parked_by_actor)."""
    query = select(parked.c.message_id, parked.c.actor).where(parked.c.actor.in_(actors)).order_by(parked.c.seq).limit(ROWS_MAX)
    return list((await connection.execute(query)).all())


async def queue_of(connection: AsyncConnection, actor: str, limit: int) -> list[Any]:
    """An actor's parked records, head first."""
    query = select(parked).where(parked.c.actor == actor).order_by(parked.c.seq).limit(limit)
    return list((await connection.execute(query)).all())


async def timers_of(connection: AsyncConnection, actors: Sequence[str]) -> list[Any]:
    """The timers of actors (unique by actor and name)."""
    query = select(timer.c.actor, timer.c.name, timer.c.type, timer.c.due_ms, timer.c.trace).where(timer.c.actor.in_(actors))
    return list((await connection.execute(query)).all())


async def leaving_of(connection: AsyncConnection, actors: Sequence[str]) -> list[Any]:
    """The outbox rows that these actors have said and that have not left; an outbox is short."""
    query = (
        select(outbox.c.id, outbox.c.actor, outbox.c.topic, outbox.c.key, outbox.c.headers, outbox.c.at_ms, outbox.c.refused)
        .where(outbox.c.actor.in_(actors))
        .order_by(outbox.c.id)
        .limit(ROWS_MAX)
    )
    return list((await connection.execute(query)).all())


async def suspended_actors(connection: AsyncConnection, actor: str | None = None) -> list[Any]:
    """Suspended actors, longest first, each with the length of its queue."""
    queued = select(func.count()).where(parked.c.actor == suspended.c.actor).scalar_subquery()
    query = select(suspended, queued.label("queued")).order_by(suspended.c.since_ms).limit(ROWS_MAX)
    return list((await connection.execute(query if actor is None else query.where(suspended.c.actor == actor))).all())


async def refused_rows(connection: AsyncConnection, actor: str | None = None) -> list[Any]:
    """Outbox rows that the bus can never take."""
    query = (
        select(outbox.c.id, outbox.c.actor, outbox.c.topic, outbox.c.headers, outbox.c.at_ms, outbox.c.refused)
        .where(outbox.c.refused.is_not(None))
        .order_by(outbox.c.id)
        .limit(ROWS_MAX)
    )
    return list((await connection.execute(query if actor is None else query.where(outbox.c.actor == actor))).all())


async def spent_attempts(connection: AsyncConnection) -> list[Any]:
    """Attempts whose budget is spent; there are few attempts."""
    query = select(attempt.c.number, attempt.c.actor, attempt.c.target, attempt.c.tries, attempt.c.last_error, attempt.c.at_ms)
    return list((await connection.execute(query.where(attempt.c.next_ms.is_(None)).limit(ROWS_MAX))).all())


async def attempts_of(connection: AsyncConnection, actors: Sequence[str]) -> list[Any]:
    """What these actors have asked of the outside world and not been answered; there are few attempts."""
    query = select(attempt.c.number, attempt.c.actor, attempt.c.target, attempt.c.tries, attempt.c.last_error, attempt.c.next_ms)
    return list((await connection.execute(query.where(attempt.c.actor.in_(actors)).order_by(attempt.c.at_ms))).all())


async def dead_letters(connection: AsyncConnection, *, every: bool) -> list[Any]:
    """Dead letters, oldest first (dead_letter_by_age); without `every` only those that nobody has redriven or skipped."""
    query = (
        select(dead_letter)
        .order_by(dead_letter.c.at_ms, dead_letter.c.topic, dead_letter.c.partition, dead_letter.c.offset)
        .limit(ROWS_MAX)
    )
    return list((await connection.execute(query if every else query.where(dead_letter.c.state == "new"))).all())


async def dead_letters_of(connection: AsyncConnection, keys: Sequence[str]) -> list[Any]:
    """Dead letters whose key is one of these actors'; there are few dead letters."""
    query = select(dead_letter).where(dead_letter.c.key.in_([key.encode() for key in keys])).limit(ROWS_MAX)
    return list((await connection.execute(query)).all())


async def dead_letter_by_id(connection: AsyncConnection, which: str) -> Any:
    """One dead letter by its id, or by the id of the copy that it was redriven as; None without (there are few dead letters)."""
    query = select(dead_letter).where(or_(dead_letter.c.id == which, dead_letter.c.redriven_as == which))
    return (await connection.execute(query)).first()


async def counts(connection: AsyncConnection) -> tuple[int, int]:
    """How many actors are suspended, and how many dead letters nobody has dealt with."""
    actors = (await connection.execute(select(func.count()).select_from(suspended))).scalar_one()
    letters = (await connection.execute(select(func.count()).where(dead_letter.c.state == "new"))).scalar_one()
    return actors, letters


async def claims_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Row]:
    """(value, owner) of every claim, in the order of values, a page at a time (primary key)."""
    query = select(claim.c.value, claim.c.owner).where(claim.c.value > after).order_by(claim.c.value).limit(limit)
    return [tuple(row) for row in (await connection.execute(query)).all()]


async def positions(connection: AsyncConnection) -> dict[int, int]:
    """Partition → the next offset that this service will handle."""
    return {row[0]: row[1] for row in (await connection.execute(select(position.c.partition, position.c.next_offset))).all()}
