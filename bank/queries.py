"""What the bank's API, its pages and its tools ask of its store; every question names the index that answers it."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bank.messages import DAY
from bank.model import Account, HoldState, Request
from bank.store import request_of
from bank.tables import account, balance, day, hold, journal, project, request


async def request_by_id(connection: AsyncConnection, request_no: str) -> Request | None:
    """A request as it stands, None when nobody has put it (primary key)."""
    found = (await connection.execute(select(request).where(request.c.id == request_no))).first()
    return request_of(found.id, tuple(found)[2:]) if found else None


async def account_by_no(connection: AsyncConnection, custody_no: str) -> Account | None:
    """A member's account, with its sealed password hash: for the bank's own pages only (primary key)."""
    found = (await connection.execute(select(account).where(account.c.custody_no == custody_no))).first()
    return Account(*found) if found else None


async def balances_of(connection: AsyncConnection, custody_no: str) -> tuple[int, int]:
    """What stands on an account, available and held, in fen (primary keys)."""
    names = (f"available:{custody_no}", f"held:{custody_no}")
    rows = (await connection.execute(select(balance).where(balance.c.account.in_(names)))).all()
    found = {row.account: row.amount_fen for row in rows}
    return found.get(names[0], 0), found.get(names[1], 0)


async def business_date(connection: AsyncConnection) -> str | None:
    """The date on which the bank stands; None before its first day (primary key)."""
    return (await connection.execute(select(day.c.date).where(day.c.id == DAY))).scalar()


async def requests_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Requests in number order: id, platform, kind, status, amount_fen, booked_date, content as JSON (primary key)."""
    r = request.c
    return await _page(connection, select(r.id, r.platform, r.kind, r.status, r.amount_fen, r.booked_date, r.content), r.id, after, limit)


async def accounts_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Accounts in number order: custody_no, member_id (primary key)."""
    return await _page(connection, select(account.c.custody_no, account.c.member_id), account.c.custody_no, after, limit)


async def balances_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Ledger accounts in order: account, amount_fen, and journal_fen, which its lines add up to (primary key, journal_by_account)."""
    lines = select(_sum(journal.c.amount_fen)).where(journal.c.account == balance.c.account).scalar_subquery()
    query = select(balance.c.account, balance.c.amount_fen, lines.label("journal_fen"))
    return await _page(connection, query, balance.c.account, after, limit)


async def holds_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Holds in order of their request numbers: request_no, project_no, custody_no, amount_fen, purpose, state (primary key)."""
    return await _page(connection, select(hold), hold.c.request_no, after, limit)


async def projects_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Projects in order: the row, and what its holds are: counted, counted_fen (primary key, hold_by_project)."""
    standing = and_(hold.c.project_no == project.c.project_no, hold.c.state == HoldState.HELD.value)
    counted = select(func.count()).where(standing).scalar_subquery()
    counted_fen = select(_sum(hold.c.amount_fen)).where(standing).scalar_subquery()
    return await _page(
        connection, select(project, counted.label("counted"), counted_fen.label("counted_fen")), project.c.project_no, after, limit
    )


async def sets_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """What each request has entered, in number order: request_no, sum_fen, and moved_fen, its positive lines (journal_by_request)."""
    fen = journal.c.amount_fen
    moved = _sum(case((fen > 0, fen), else_=0))
    query = select(journal.c.request_no, _sum(fen).label("sum_fen"), moved.label("moved_fen")).group_by(journal.c.request_no)
    return await _page(connection, query, journal.c.request_no, after, limit)


async def accounts_without_balance(connection: AsyncConnection) -> list[Any]:
    """Ledger accounts that have journal lines and no balance row: account, journal_fen (journal_by_account)."""
    query = (
        select(journal.c.account, _sum(journal.c.amount_fen).label("journal_fen"))
        .outerjoin(balance, balance.c.account == journal.c.account)
        .where(balance.c.account.is_(None))
        .group_by(journal.c.account)
    )
    return list((await connection.execute(query)).all())


async def held_by_member(connection: AsyncConnection) -> list[Any]:
    """What each member's holds add up to: custody_no, held_fen; compares with the balance of his held account (hold_by_state)."""
    query = select(hold.c.custody_no, _sum(hold.c.amount_fen).label("held_fen")).where(hold.c.state == HoldState.HELD.value)
    return list((await connection.execute(query.group_by(hold.c.custody_no).order_by(hold.c.custody_no))).all())


def _sum(fen: ColumnElement[int]) -> ColumnElement[int]:
    """A sum that is a whole number in every database; PostgreSQL's own is a decimal."""
    return cast(func.coalesce(func.sum(fen), 0), BigInteger)


async def _page(connection: AsyncConnection, query: Select[Any], key: Any, after: str, limit: int) -> list[Any]:
    return list((await connection.execute(query.where(key > after).order_by(key).limit(limit))).all())
