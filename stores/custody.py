"""Custody's tables: orders, the notices that came as evidence, breaks, and the bank's business date."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.custody.model import BankDate, Break, Evidence, Order, Result, Status, Stray
from stores.actors import Actors, Change, Wanted
from stores.engine import Row, Tx
from stores.kinds import MAIN, Kinds
from stores.statement import insert_new_row, insert_row

METADATA = MetaData()
NUMBER = BigInteger().with_variant(Integer, "sqlite")

order = Table(
    "order_",
    METADATA,
    Column("id", Text, primary_key=True),  # the request number
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("page", Boolean, nullable=False),
    Column("content", Text, nullable=False),  # what the bank is told, as JSON: evidence
    Column("sealed_content", Text),  # sealed
    Column("content_hash", Text, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("reply_topic", Text, nullable=False),
    Column("reply_key", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("page_url", Text),
    Column("result", Text),  # the bank's answer that ended it, as JSON
    Column("unverified", Boolean, nullable=False),
    Column("noticed", Text),  # what the last notice says, as JSON
    Column("disputed", Boolean, nullable=False),
    Column("closing", Boolean, nullable=False),
    Column("round", Integer, nullable=False),
    Column("asked", Integer, nullable=False),
    Column("asking_ms", BigInteger, nullable=False),
    Column("registrations", Integer, nullable=False),
    Column("trace", Text, nullable=False),
    Index("order_by_status", "status", "changed_ms"),
    Index("order_by_owner", "reply_key"),
)

notice = Table(
    "notice",
    METADATA,
    Column("webhook_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("body", Text, nullable=False),  # the exact text that was signed
    Column("at_ms", BigInteger, nullable=False),
    Index("notice_by_order", "order_id"),
)

break_ = Table(
    "break",
    METADATA,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("order_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("noticed", Text, nullable=False),
    Column("queried", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("break_by_order", "order_id"),
    sqlite_autoincrement=True,
)

bank_date = Table(
    "bank_date",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("day", Text),
    Column("asked", Integer, nullable=False),
    Column("asking_ms", BigInteger, nullable=False),
)


def _json(value: Result | None) -> str | None:
    if value is None:
        return None
    said = {"status": value.status, "amount_fen": value.amount_fen, "booked_date": value.booked_date, "reason": value.reason}
    return orjson.dumps({**said, "details": dict(value.details)}).decode()


def _result(text: str | None) -> Result | None:
    return None if text is None else Result(**orjson.loads(text))


def _to_row(o: Order) -> Row:
    return (
        o.kind, o.page, orjson.dumps(dict(o.content)).decode(), o.sealed_content, o.content_hash, o.amount_fen, o.reply_topic, o.reply_key,
        o.status.value, o.created_ms, o.changed_ms, o.page_url, _json(o.result), o.unverified, _json(o.noticed), o.disputed, o.closing,
        o.round, o.asked, o.asking_ms, o.registrations, o.trace,
    )  # fmt: skip


def _from_row(key: str, row: Row) -> Order:
    kind, page, content, sealed, mark, amount, topic, reply_key, status, created, changed, url, result, unverified, noticed, *rest = row
    disputed, closing, round_, asked, asking_ms, registrations, trace = rest
    return Order(
        key, kind, bool(page), orjson.loads(content), sealed, mark, amount, topic, reply_key, Status(status), created, changed, url,
        _result(result), bool(unverified), _result(noticed), bool(disputed), bool(closing), round_, asked, asking_ms, registrations, trace,
    )  # fmt: skip


class Orders:
    """Orders, and the rows beside them that a batch adds: evidence and breaks are never changed and never loaded."""

    def __init__(self) -> None:
        self._orders: Actors[Order] = Actors(order, to_row=_to_row, from_row=_from_row)
        self._keep = insert_new_row(notice)
        self._break = insert_row(break_, skip=("id",))

    def load(self, tx: Tx, actors: Sequence[str], needs: Sequence[Wanted] = ()) -> dict[str, tuple[Order, int]]:
        """The orders that exist, each with its version."""
        return self._orders.load(tx, actors)

    def save(self, tx: Tx, changes: Sequence[Change[Order | Stray]]) -> None:
        """Write the orders, the evidence that has come and the breaks that were found. Raises StaleVersion."""
        self._orders.save(tx, [Change(c.actor, c.version, c.after) for c in changes if isinstance(c.after, Order)])
        after = [c.after for c in sorted(changes, key=lambda c: c.actor) if c.after is not None]
        tx.many(self._keep, sorted(_evidence_row(e) for o in after for e in o.evidence))
        tx.many(self._break, [_break_row(b) for o in after for b in o.breaks])


def _evidence_row(e: Evidence) -> Row:
    return (e.webhook_id, e.order, e.status, e.body, e.at_ms)


def _break_row(b: Break) -> Row:
    return (b.order, b.kind, b.noticed, b.queried, b.at_ms)


def _date_row(b: BankDate) -> Row:
    return (b.day.isoformat() if b.day else None, b.asked, b.asking_ms)


def _date(key: str, row: Row) -> BankDate:
    return BankDate(key, date.fromisoformat(row[0]) if row[0] else None, row[1], row[2])


DATES: Actors[BankDate] = Actors(bank_date, to_row=_date_row, from_row=_date)
ORDERS = Kinds({MAIN: Orders(), "calendar": DATES})


async def order_by_id(connection: AsyncConnection, key: str) -> Order | None:
    """An order as it stands (primary key)."""
    found = (await connection.execute(select(order).where(order.c.id == key))).first()
    return _from_row(found.id, tuple(found)[2:]) if found else None


async def orders_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Orders in key order, a page at a time: id, kind, status, amount, result, content; for `lendbus check` (primary key)."""
    columns = (order.c.id, order.c.kind, order.c.status, order.c.amount_fen, order.c.result, order.c.content, order.c.unverified)
    return list((await connection.execute(select(*columns).where(order.c.id > after).order_by(order.c.id).limit(limit))).all())


async def orders_without_result_since(connection: AsyncConnection, *, until_ms: int, limit: int) -> list[Any]:
    """Orders that nobody has ended and that have not changed since (order_by_status)."""
    open_ = [Status.CREATED.value, Status.AWAITING_MEMBER.value, Status.ACCEPTED.value]
    query = select(order).where(order.c.status.in_(open_), order.c.changed_ms <= until_ms).order_by(order.c.changed_ms).limit(limit)
    return list((await connection.execute(query)).all())


async def orders_by_status(connection: AsyncConnection, status: str, *, after: str = "", limit: int = 100) -> list[Any]:
    """Orders in one state in key order, a page at a time (order_by_status, primary key)."""
    query = select(order).where(order.c.status == status, order.c.id > after).order_by(order.c.id).limit(limit)
    return list((await connection.execute(query)).all())


async def breaks(connection: AsyncConnection, *, limit: int = 1_000) -> list[Any]:
    """Breaks, latest first, each with its order's kind, status and whether it stands still (all None: there is no such order)."""
    query = (
        select(break_, order.c.kind.label("order_kind"), order.c.status, order.c.disputed)
        .outerjoin(order, order.c.id == break_.c.order_id)
        .order_by(break_.c.id.desc())
        .limit(limit)
    )
    return list((await connection.execute(query)).all())


async def breaks_of(connection: AsyncConnection, key: str) -> list[Any]:
    """The breaks of one request number as they were found (break_by_order)."""
    return list((await connection.execute(select(break_).where(break_.c.order_id == key).order_by(break_.c.id))).all())


async def disputed_orders(connection: AsyncConnection) -> list[Any]:
    """Orders with a break, each with what was noticed and what was answered, latest first (break_by_order)."""
    columns = (order.c.id, order.c.kind, order.c.status, break_.c.kind.label("what"), break_.c.noticed, break_.c.queried, break_.c.at_ms)
    query = select(*columns).join(break_, break_.c.order_id == order.c.id).where(order.c.disputed).order_by(break_.c.at_ms.desc())
    return list((await connection.execute(query)).all())


async def notices_of(connection: AsyncConnection, key: str) -> list[Any]:
    """The notices of an order as they came (notice_by_order)."""
    return list((await connection.execute(select(notice).where(notice.c.order_id == key).order_by(notice.c.at_ms))).all())


async def business_date(connection: AsyncConnection) -> str | None:
    """The bank's business date as custody knows it (a service has one calendar)."""
    return (await connection.execute(select(bank_date.c.day))).scalar()
