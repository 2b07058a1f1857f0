"""The notifier's tables: notices with their exact bytes, and a row for every try."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bank.notifier_model import Notice, State
from stores.actors import Actors, Change, Wanted
from stores.engine import Row, Tx
from stores.statement import insert_row

METADATA = MetaData()

notice = Table(
    "notice",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("platform", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("webhook_id", Text, nullable=False),
    Column("body", Text, nullable=False),  # exactly what is signed
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Index("notice_by_state", "state", "changed_ms"),
)

notice_try = Table(
    "notice_try",
    METADATA,
    Column("notice", Text, ForeignKey("notice.id"), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("took_ms", BigInteger, nullable=False),
    Column("status", Integer),
    Column("error", Text),
)

_TRY = insert_row(notice_try)


def _notice_row(n: Notice) -> Row:
    return (n.platform, n.type, n.webhook_id, n.body, n.state.value, n.tries, n.created_ms, n.changed_ms)


def _notice(key: str, row: Row) -> Notice:
    platform, type_, webhook_id, body, state, tries, created_ms, changed_ms = row
    return Notice(key, platform, type_, webhook_id, body, State(state), tries, created_ms, changed_ms)


class Notices:
    """A notice is one row, and its new tries are rows beside it."""

    def __init__(self) -> None:
        self._notices: Actors[Notice] = Actors(notice, to_row=_notice_row, from_row=_notice)

    def load(self, tx: Tx, actors: Sequence[str], needs: Sequence[Wanted] = ()) -> dict[str, tuple[Notice, int]]:
        """The notices that exist; of their tries only the count."""
        return self._notices.load(tx, actors, needs)

    def save(self, tx: Tx, changes: Sequence[Change[Notice]]) -> None:
        """Write notices and new tries. Raises StaleVersion."""
        self._notices.save(tx, changes)
        tried = [(c.actor, t.n, t.at_ms, t.took_ms, t.status, t.error) for c in changes if c.after for t in c.after.new_tries]
        tx.many(_TRY, sorted(tried))


NOTICES = Notices()


async def notices_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Every notice in key order (primary key)."""
    query = select(notice).where(notice.c.id > after).order_by(notice.c.id).limit(limit)
    return list((await connection.execute(query)).all())


async def notice_by_id(connection: AsyncConnection, key: str) -> Any:
    """One notice: of a request number, or of a platform's business date (primary key)."""
    return (await connection.execute(select(notice).where(notice.c.id == key))).first()


async def tries_of(connection: AsyncConnection, key: str) -> list[Any]:
    """The tries of one notice, in order (primary key)."""
    return list((await connection.execute(select(notice_try).where(notice_try.c.notice == key).order_by(notice_try.c.n))).all())


async def notices_of_state(connection: AsyncConnection, state: State, *, limit: int) -> list[Any]:
    """Notices in a state, longest there first (notice_by_state)."""
    query = select(notice).where(notice.c.state == state.value).order_by(notice.c.changed_ms).limit(limit)
    return list((await connection.execute(query)).all())


async def counts_by_state(connection: AsyncConnection) -> dict[str, int]:
    """How many notices are in which state (notice_by_state)."""
    rows = await connection.execute(select(notice.c.state, func.count().label("notices")).group_by(notice.c.state))
    return {row.state: row.notices for row in rows}
