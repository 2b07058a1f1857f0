"""The trading centre's tables: loans, their bids and their history, the calendar; and what gateway and tools ask of them."""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.trading.model import BidStatus, Status
from stores.calendars import calendar_table, day_of, waiting_table

METADATA = MetaData()
NUMBER = BigInteger().with_variant(Integer, "sqlite")

loan = Table(
    "loan",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("borrower", Text, nullable=False),
    Column("person_lookup", Text, nullable=False),
    Column("custody_no", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("annual_rate", Text, nullable=False),
    Column("investor_rate", Text, nullable=False),
    Column("months", Integer, nullable=False),
    Column("method", Text, nullable=False),
    Column("raising_days", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("reason", Text),
    Column("stood", Text),
    Column("first_auditor", Text),
    Column("second_auditor", Text),
    Column("raising_until", Text),
    Column("cap", Text),
    Column("lpr_since", Text),
    Column("accepted_fen", BigInteger, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("reserved_fen", BigInteger, nullable=False),
    Column("places", Integer, nullable=False),
    Column("establish_no", Text),
    Column("confirm_no", Text),
    Column("close_no", Text),
    Column("ending", Integer, nullable=False),
    Column("failing_after", Integer),
    Column("start_date", Text),
    Column("plan_round", Integer, nullable=False),
    Column("plan_checksum", Text),
    Column("outstanding_fen", BigInteger, nullable=False),
    Index("loan_by_status", "status", "id"),
    Index("loan_by_borrower", "borrower", "id"),
    Index("loan_by_raising_until", "raising_until", "id"),
)

bid = Table(
    "bid",
    METADATA,
    Column("id", Text, primary_key=True),  # the request number of its hold
    Column("loan", Text, ForeignKey("loan.id"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("investor", Text, nullable=False),
    Column("custody_no", Text, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("page_url", Text),
    Column("reason", Text),
    Column("release_no", Text),
    Index("bid_by_loan", "loan", "place"),
    Index("bid_by_investor", "investor", "id"),
    Index("bid_by_release", "release_no"),
)

history = Table(
    "loan_history",
    METADATA,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("loan", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text),
    Index("loan_history_by_loan", "loan", "id"),
    sqlite_autoincrement=True,
)

calendar = calendar_table(METADATA)
waiting = waiting_table(METADATA)


async def loan_by_id(connection: AsyncConnection, key: str) -> Any:
    """A loan as it stands, or None (primary key)."""
    return (await connection.execute(select(loan).where(loan.c.id == key))).first()


async def loans(connection: AsyncConnection, *, status: str | None, after: str, limit: int) -> list[Any]:
    """Loans in key order, of one status or of all, a page at a time (loan_by_status, primary key)."""
    query = select(loan).where(loan.c.id > after)
    if status is not None:
        query = query.where(loan.c.status == status)
    return list((await connection.execute(query.order_by(loan.c.id).limit(limit))).all())


async def bid_by_id(connection: AsyncConnection, key: str) -> Any:
    """A bid as it stands, or None (primary key)."""
    return (await connection.execute(select(bid).where(bid.c.id == key))).first()


async def bids_of_loan(connection: AsyncConnection, key: str, *, after: int, limit: int) -> list[Any]:
    """The bids of a loan in their order, a page at a time (bid_by_loan)."""
    query = select(bid).where(bid.c.loan == key, bid.c.place > after).order_by(bid.c.place).limit(limit)
    return list((await connection.execute(query)).all())


async def history_of(connection: AsyncConnection, key: str) -> list[Any]:
    """What a loan has been, in order (loan_history_by_loan)."""
    return list((await connection.execute(select(history).where(history.c.loan == key).order_by(history.c.id))).all())


async def loans_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Every loan's id, status, amount, accepted and reserved sums, borrower and own order numbers, in key order; for `lendbus check`."""
    c = loan.c
    columns = (c.id, c.status, c.amount_fen, c.accepted_fen, c.reserved_fen, c.custody_no, c.outstanding_fen, c.confirm_no, c.close_no)
    return list((await connection.execute(select(*columns).where(c.id > after).order_by(c.id).limit(limit))).all())


async def bids_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Every bid's id (its hold's number), loan, investor, account, status and amount, in key order; for `lendbus check`."""
    columns = (bid.c.id, bid.c.loan, bid.c.investor, bid.c.custody_no, bid.c.status, bid.c.amount_fen)
    return list((await connection.execute(select(*columns).where(bid.c.id > after).order_by(bid.c.id).limit(limit))).all())


async def sums_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Every loan's id and the sum of its accepted bids, in key order; for `lendbus check` (bid_by_loan)."""
    accepted = bid.c.status == BidStatus.ACCEPTED.value
    query = select(bid.c.loan, func.sum(bid.c.amount_fen).label("accepted_fen")).where(accepted, bid.c.loan > after)
    return list((await connection.execute(query.group_by(bid.c.loan).order_by(bid.c.loan).limit(limit))).all())


async def suspended_loans(connection: AsyncConnection) -> list[Any]:
    """Loans that wait for an operator (loan_by_status)."""
    query = select(loan).where(loan.c.status == Status.SUSPENDED.value).order_by(loan.c.changed_ms)
    return list((await connection.execute(query)).all())


async def business_date(connection: AsyncConnection) -> str | None:
    """The date on which trading stands."""
    return await day_of(connection, calendar)
