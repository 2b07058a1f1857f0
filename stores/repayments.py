"""The repayment service's tables, and what gateway and tools ask of them; how plans are loaded and saved: `stores.repayments_actors`."""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text, and_, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.repayments.model import CollectionStatus
from stores.calendars import calendar_table, day_of, waiting_table

METADATA = MetaData()

plan = Table(
    "plan",
    METADATA,
    Column("id", Text, primary_key=True),  # of the loan
    Column("version", Integer, nullable=False),
    Column("borrower", Text, nullable=False),
    Column("custody_no", Text, nullable=False),
    Column("project_no", Text, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("annual_rate", Text, nullable=False),
    Column("investor_rate", Text, nullable=False),
    Column("months", Integer, nullable=False),
    Column("method", Text, nullable=False),
    Column("start_date", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("bids", Integer, nullable=False),
    Column("made", Integer, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("outstanding_fen", BigInteger, nullable=False),
    Column("next_due", Text),
    Column("asked_on", Text),
    Column("collection", Text),
    Index("plan_by_next_due", "next_due", "id"),
    Index("plan_by_borrower", "borrower", "id"),
)

plan_bid = Table(
    "plan_bid",
    METADATA,
    Column("loan", Text, ForeignKey("plan.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("investor", Text, nullable=False),
    Column("custody_no", Text, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Index("plan_bid_by_investor", "investor", "loan"),
)

instalment = Table(
    "instalment",
    METADATA,
    Column("loan", Text, ForeignKey("plan.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("due_date", Text, nullable=False),
    Column("principal_fen", BigInteger, nullable=False),
    Column("pool_fen", BigInteger, nullable=False),
    Column("fee_fen", BigInteger, nullable=False),
    Column("balance_fen", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("principal_paid_fen", BigInteger, nullable=False),
    Column("pool_paid_fen", BigInteger, nullable=False),
    Column("fee_paid_fen", BigInteger, nullable=False),
    Column("penalty_paid_fen", BigInteger, nullable=False),
    Column("paid_on", Text),
)

receivable = Table(
    "receivable",
    METADATA,
    Column("loan", Text, ForeignKey("plan.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("investor", Text, nullable=False),
    Column("principal_fen", BigInteger, nullable=False),
    Column("interest_fen", BigInteger, nullable=False),
    Column("principal_paid_fen", BigInteger, nullable=False),
    Column("interest_paid_fen", BigInteger, nullable=False),
    Column("penalty_paid_fen", BigInteger, nullable=False),
    Index("receivable_by_investor", "investor", "loan", "number", "place"),
)

collection = Table(
    "collection",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("loan", Text, ForeignKey("plan.id"), nullable=False),
    Column("way", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("due_fen", BigInteger, nullable=False),
    Column("valid_on", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("amount_fen", BigInteger, nullable=False),
    Column("booked_date", Text),
    Column("page_url", Text),
    Column("reason", Text),
    Column("order_no", Text),
    Column("step_number", Integer),
    Column("step_place", Integer),
    Column("open_id", Text),
    Index("collection_by_loan", "loan", "created_ms"),
    Index("collection_by_status", "status", "changed_ms"),
)

allotment = Table(
    "allotment",
    METADATA,
    Column("collection", Text, ForeignKey("collection.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("penalty_fen", BigInteger, nullable=False),
    Column("pool_fen", BigInteger, nullable=False),
    Column("fee_fen", BigInteger, nullable=False),
    Column("principal_fen", BigInteger, nullable=False),
)

repayment_record = Table(
    "repayment_record",
    METADATA,
    Column("collection", Text, ForeignKey("collection.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("penalty_fen", BigInteger, nullable=False),
    Column("interest_fen", BigInteger, nullable=False),
    Column("principal_fen", BigInteger, nullable=False),
)

calendar = calendar_table(METADATA)
calendar_waiting = waiting_table(METADATA)

_CLAIMS = and_(plan_bid.c.loan == receivable.c.loan, plan_bid.c.place == receivable.c.place)


async def plan_by_loan(connection: AsyncConnection, loan: str) -> Any | None:
    """A plan as it stands (primary key)."""
    return (await connection.execute(select(plan).where(plan.c.id == loan))).first()


async def instalments_of(connection: AsyncConnection, loan: str) -> list[Any]:
    """The borrower's instalments, in order (primary key); a plan has as many as its months at most."""
    return list((await connection.execute(select(instalment).where(instalment.c.loan == loan).order_by(instalment.c.number))).all())


async def receivables_of_loan(connection: AsyncConnection, loan: str, *, after: tuple[int, int] = (0, -1), limit: int) -> list[Any]:
    """The next receivables of a loan after this instalment and place, each with its `bid` and `due_date` (primary keys)."""
    number, place = receivable.c.number, receivable.c.place
    query = (
        select(receivable, plan_bid.c.id.label("bid"), instalment.c.due_date)
        .join(plan_bid, _CLAIMS)
        .join(instalment, and_(instalment.c.loan == receivable.c.loan, instalment.c.number == number))
        .where(receivable.c.loan == loan, or_(number > after[0], and_(number == after[0], place > after[1])))
        .order_by(number, place)
        .limit(limit)
    )
    return list((await connection.execute(query)).all())


async def receivables_of_investor(
    connection: AsyncConnection, investor: str, *, loan: str | None = None, after: tuple[str, int, int] = ("", 0, -1), limit: int
) -> list[Any]:
    """The next receivables of an investor, of one loan or of all, after this loan, instalment and place (receivable_by_investor)."""
    of, number, place = receivable.c.loan, receivable.c.number, receivable.c.place
    query = (
        select(receivable, plan_bid.c.id.label("bid"), instalment.c.due_date)
        .join(plan_bid, _CLAIMS)
        .join(instalment, and_(instalment.c.loan == of, instalment.c.number == number))
        .where(receivable.c.investor == investor)
        .where(or_(of > after[0], and_(of == after[0], or_(number > after[1], and_(number == after[1], place > after[2])))))
        .order_by(of, number, place)
        .limit(limit)
    )
    return list((await connection.execute(query if loan is None else query.where(of == loan))).all())


async def collection_by_id(connection: AsyncConnection, key: str) -> Any | None:
    """A collection as it stands (primary key)."""
    return (await connection.execute(select(collection).where(collection.c.id == key))).first()


async def collections_of(connection: AsyncConnection, loan: str, *, limit: int) -> list[Any]:
    """The latest collections of a plan, newest first (collection_by_loan)."""
    query = select(collection).where(collection.c.loan == loan).order_by(collection.c.created_ms.desc(), collection.c.id).limit(limit)
    return list((await connection.execute(query)).all())


async def suspended_collections(connection: AsyncConnection, *, limit: int = 1000) -> list[Any]:
    """Collections that wait for an operator, the oldest first (collection_by_status)."""
    suspended = collection.c.status == CollectionStatus.SUSPENDED.value
    return list((await connection.execute(select(collection).where(suspended).order_by(collection.c.changed_ms).limit(limit))).all())


async def business_date(connection: AsyncConnection) -> str | None:
    """The business date whose scan was begun last; None before the first one was heard of."""
    return await day_of(connection, calendar)


async def plans_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """The next plans after this loan: id, status, amount_fen, outstanding_fen, project_no (primary key)."""
    columns = (plan.c.id, plan.c.status, plan.c.amount_fen, plan.c.outstanding_fen, plan.c.project_no, plan.c.collection)
    return list((await connection.execute(select(*columns).where(plan.c.id > after).order_by(plan.c.id).limit(limit))).all())


async def sums_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """The next plans after this loan, each with the sums of its instalments, of its receivables and of its bids; for `lendbus check`."""

    def total(column: Column[Any]) -> Any:
        table = column.table
        return (
            select(cast(func.coalesce(func.sum(column), 0), BigInteger))
            .where(table.c.loan == plan.c.id)
            .scalar_subquery()
            .label(f"{table.name}_{column.name}")
        )

    columns = [instalment.c[f"{part}{which}_fen"] for which in ("", "_paid") for part in ("principal", "pool", "fee")]
    columns += [receivable.c[f"{part}{which}_fen"] for which in ("", "_paid") for part in ("principal", "interest")]
    query = select(plan.c.id, plan.c.status, plan.c.amount_fen, plan.c.outstanding_fen, plan.c.collection).where(plan.c.id > after)
    query = query.add_columns(*map(total, columns), total(plan_bid.c.amount_fen)).order_by(plan.c.id).limit(limit)
    return list((await connection.execute(query)).all())


async def unequal_instalments(connection: AsyncConnection, *, limit: int = 100) -> list[Any]:
    """Instalments of made plans that their receivables do not add up to: loan, number and both sides; for `lendbus check`.

    What is paid is compared too, of plans that have no collection under way.
    """
    shares = (
        select(
            receivable.c.loan,
            receivable.c.number,
            cast(func.sum(receivable.c.principal_fen), BigInteger).label("principal"),
            cast(func.sum(receivable.c.interest_fen), BigInteger).label("interest"),
            cast(func.sum(receivable.c.principal_paid_fen), BigInteger).label("principal_paid"),
            cast(func.sum(receivable.c.interest_paid_fen), BigInteger).label("interest_paid"),
        )
        .group_by(receivable.c.loan, receivable.c.number)
        .subquery()
    )
    i = instalment.c
    planned = or_(shares.c.principal.is_(None), shares.c.principal != i.principal_fen, shares.c.interest != i.pool_fen)
    paid = or_(shares.c.principal_paid != i.principal_paid_fen, shares.c.interest_paid != i.pool_paid_fen)
    query = (
        select(i.loan, i.number, i.principal_fen, i.pool_fen, i.principal_paid_fen, i.pool_paid_fen, *list(shares.c)[2:])
        .join(plan, plan.c.id == i.loan)
        .outerjoin(shares, and_(shares.c.loan == i.loan, shares.c.number == i.number))
        .where(plan.c.status.in_(("REPAYING", "SETTLED")), or_(planned, and_(plan.c.collection.is_(None), paid)))
        .order_by(i.loan, i.number)
        .limit(limit)
    )
    return list((await connection.execute(query)).all())


async def collections_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """The next collections after this id, whole rows (primary key)."""
    return list((await connection.execute(select(collection).where(collection.c.id > after).order_by(collection.c.id).limit(limit))).all())
