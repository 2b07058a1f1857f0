"""The accounts service's tables: one row a login account; who owns which name stands in the runtime's claims."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.accounts.model import Account, Status
from stores.actors import Actors
from stores.engine import Row

METADATA = MetaData()

account = Table(
    "account",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("login_name", Text, nullable=False),
    Column("mobile", Text, nullable=False),  # sealed
    Column("mobile_lookup", Text, nullable=False),
    Column("password_hash", Text, nullable=False),  # sealed
    Column("status", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("role", Text, nullable=False, server_default=text("''")),
    Index("account_by_login_name", "login_name"),
    Index("account_by_mobile", "mobile_lookup"),
)


def _to_row(a: Account) -> Row:
    return (a.login_name, a.mobile, a.mobile_lookup, a.password_hash, a.status.value, a.created_ms, a.role)


def _from_row(key: str, row: Row) -> Account:
    login_name, mobile, mobile_lookup, password_hash, status, created_ms, role = row
    return Account(key, login_name, mobile, mobile_lookup, password_hash, Status(status), created_ms, role)


ACCOUNTS: Actors[Account] = Actors(account, to_row=_to_row, from_row=_from_row)


async def account_by_id(connection: AsyncConnection, key: str) -> Account | None:
    """The account of a registration, in whatever status (primary key)."""
    found = (await connection.execute(select(account).where(account.c.id == bindparam("key")), {"key": key})).first()
    return _from_row(found.id, tuple(found)[2:]) if found else None


async def statuses(connection: AsyncConnection, *, after: str, limit: int) -> list[tuple[str, str]]:
    """Every account's id and status, in key order, a page at a time (primary key); for `lendbus check`."""
    query = select(account.c.id, account.c.status).where(account.c.id > after).order_by(account.c.id).limit(limit)
    rows: list[Any] = list((await connection.execute(query)).all())
    return [(row.id, row.status) for row in rows]


async def account_by_login(connection: AsyncConnection, *, login_name: str, mobile_lookup: str) -> Account | None:
    """The account that somebody logs in to, by name or by mobile number (account_by_login_name, account_by_mobile)."""
    names = account.c.login_name == bindparam("login_name")
    numbers = account.c.mobile_lookup == bindparam("mobile_lookup")
    of = (numbers, {"mobile_lookup": mobile_lookup}) if mobile_lookup else (names, {"login_name": login_name})
    found = (await connection.execute(select(account).where(of[0]), of[1])).first()
    return _from_row(found.id, tuple(found)[2:]) if found else None


async def count_of_role(connection: AsyncConnection, role: str) -> int:
    """How many log-ins have this role; there are few but members'."""
    return int((await connection.execute(select(func.count()).where(account.c.role == role))).scalar_one())
