"""The user centre's tables: registrations, which stay, the members that they make, and the members' requests to the bank."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text, bindparam, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.users.model import Dealing, Kind, Member, MemberStatus, Registration, Standing, Status
from stores.actors import Actors, Change, Wanted
from stores.engine import Row, Tx
from stores.statement import Statement, in_list, put_row

METADATA = MetaData()

registration = Table(
    "registration",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("login_name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("round", Integer, nullable=False),
    Column("stuck", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Index("registration_by_status", "status", "changed_ms"),
)

member = Table(
    "member",
    METADATA,
    Column("id", Text, ForeignKey("registration.id"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("mobile", Text, nullable=False),  # sealed
    Column("status", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("custody_no", Text),
    Column("card", Text),  # masked
    Column("person_lookup", Text),
    Column("opening", Text),  # the one that is open
    Index("member_by_custody_no", "custody_no"),
)


def _dealing(name: str, *columns: Column[Any]) -> Table:
    """A table of one kind of request to the bank, under its request number."""
    return Table(
        name,
        METADATA,
        Column("id", Text, primary_key=True),
        Column("member", Text, ForeignKey("registration.id"), nullable=False),
        Column("status", Text, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("changed_ms", BigInteger, nullable=False),
        Column("page_url", Text),
        Column("reason", Text),
        *columns,
        Index(f"{name}_by_member", "member", "id"),
    )


opening = _dealing("opening", Column("person_lookup", Text), Column("custody_no", Text), Column("card", Text), Column("open_id", Text))
transfer = _dealing("transfer", Column("amount_fen", BigInteger, nullable=False))
authorization = _dealing("member_authorization", Column("cap_fen", BigInteger, nullable=False), Column("expires_on", Text))
_TABLES = {Kind.OPENING: opening, Kind.TRANSFER: transfer, Kind.AUTHORIZATION: authorization}


def _registration_row(r: Registration) -> Row:
    return (r.login_name, r.status.value, r.reason, r.round, r.stuck, r.created_ms, r.changed_ms)


def _registration(key: str, row: Row, of: Member | None = None) -> Registration:
    login_name, status, reason, round_, stuck, created_ms, changed_ms = row
    return Registration(key, login_name, Status(status), reason, round_, bool(stuck), created_ms, changed_ms, of)


def _member_row(m: Member) -> Row:
    return (m.role, m.mobile, m.status.value, m.created_ms, m.custody_no, m.card, m.person_lookup, m.opening)


def _member(key: str, row: Row) -> Member:
    role, mobile, status, created_ms, *bank = row
    return Member(*(key, role, mobile, MemberStatus(status), created_ms, *bank))


def _dealing_row(d: Dealing) -> Row:
    known = (d.id, d.member, d.status.value, d.created_ms, d.changed_ms, d.page_url, d.reason)
    match d.kind:
        case Kind.OPENING:
            return (*known, d.person_lookup, d.custody_no, d.card, d.open_id)
        case Kind.TRANSFER:
            return (*known, d.amount_fen)
        case Kind.AUTHORIZATION:
            return (*known, d.amount_fen, d.expires_on)


def _dealing_of(kind: Kind, row: Row) -> Dealing:
    number, of, status, created_ms, changed_ms, page_url, reason, *rest = row
    made = Dealing(kind, number, of, Standing(status), created_ms, changed_ms, page_url, reason)
    match kind:
        case Kind.OPENING:
            return made.but(**dict(zip(("person_lookup", "custody_no", "card", "open_id"), rest, strict=True)))
        case Kind.TRANSFER:
            return made.but(amount_fen=rest[0])
        case Kind.AUTHORIZATION:
            return made.but(amount_fen=rest[0], expires_on=rest[1])


class Registrations:
    """A registration, its member and his requests to the bank are one actor; registration and member have versions of their own.

    `Need` kinds: `opening`, `transfer`, `authorization` by request number; `order`: whichever of them has the number; `open_opening`:
    the one of the member that is open.
    """

    def __init__(self) -> None:
        self._registrations: Actors[Registration] = Actors(registration, to_row=_registration_row, from_row=_registration)
        self._members: Actors[Member] = Actors(member, to_row=_member_row, from_row=_member)
        self._by_id = {kind: Statement(select(table).where(in_list(table.c.id, "ids")), "ids") for kind, table in _TABLES.items()}
        self._put = {kind: put_row(table) for kind, table in _TABLES.items()}

    def load(self, tx: Tx, actors: Sequence[str], needs: Sequence[Wanted] = ()) -> dict[str, tuple[Registration, int]]:
        """The registrations that exist, each with its member, the requests that are needed, and its version."""
        members = self._members.load(tx, actors)
        found = self._registrations.load(tx, actors)
        seen: dict[str, dict[str, Dealing]] = {key: {} for key in found}
        open_ = {key: of.opening for key, (of, _) in members.items()}
        wanted = [(n.kind, n.key) if n.kind != "open_opening" else (Kind.OPENING, open_.get(actor)) for actor, n in needs]
        for kind in Kind if needs else ():
            ids = sorted({number for what, number in wanted if number and what in (kind.value, "order")})
            for row in tx.all(self._by_id[kind], tx.list(ids)) if ids else ():
                if row[1] in seen:
                    seen[row[1]][row[0]] = _dealing_of(kind, row)
        return {key: (r.but(member=members[key][0] if key in members else None, seen=seen[key]), v) for key, (r, v) in found.items()}

    def save(self, tx: Tx, changes: Sequence[Change[Registration]]) -> None:
        """Write every table; raises StaleVersion."""
        before = self._members.load(tx, [c.actor for c in changes])
        self._registrations.save(tx, changes)
        of_members = [
            Change(c.actor, before[c.actor][1] if c.actor in before else None, c.after.member if c.after else None) for c in changes
        ]
        self._members.save(tx, [m for m in of_members if m.after is not None or m.version is not None])
        dealings = [d for c in changes if c.after is not None for d in c.after.changed.values()]
        for kind in Kind if dealings else ():
            tx.many(self._put[kind], sorted((_dealing_row(d) for d in dealings if d.kind is kind), key=itemgetter(0)))


REGISTRATIONS = Registrations()


async def registration_by_id(connection: AsyncConnection, key: str) -> Registration | None:
    """A registration as it stands, its member with it (primary keys)."""
    found = (await connection.execute(select(registration).where(registration.c.id == bindparam("key")), {"key": key})).first()
    if found is None:
        return None
    of = (await connection.execute(select(member).where(member.c.id == bindparam("key")), {"key": key})).first()
    return _registration(found.id, tuple(found)[2:], _member(of.id, tuple(of)[2:]) if of else None)


async def statuses(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Every registration's id, status, whether it is stuck, and its member's status, in key order (primary keys); for `lendbus check`."""
    query = (
        select(registration.c.id, registration.c.status, registration.c.stuck, member.c.status.label("member_status"))
        .select_from(registration.outerjoin(member, member.c.id == registration.c.id))
        .where(registration.c.id > after)
        .order_by(registration.c.id)
        .limit(limit)
    )
    return list((await connection.execute(query)).all())


async def stuck_registrations(connection: AsyncConnection) -> list[Any]:
    """Registrations whose second phase has spent its repeats (registration_by_status)."""
    undecided = (Status.CONFIRMING.value, Status.CANCELLING.value)
    query = select(registration).where(registration.c.status.in_(undecided), registration.c.stuck).order_by(registration.c.changed_ms)
    return list((await connection.execute(query)).all())


async def member_by_id(connection: AsyncConnection, key: str) -> Member | None:
    """A member as he stands (primary key)."""
    found = (await connection.execute(select(member).where(member.c.id == key))).first()
    return _member(found.id, tuple(found)[2:]) if found else None


async def opening_by_id(connection: AsyncConnection, key: str) -> Any:
    """An opening as it stands, or None (primary key)."""
    return (await connection.execute(select(opening).where(opening.c.id == key))).first()


async def transfer_by_id(connection: AsyncConnection, key: str) -> Any:
    """A transfer request as it stands, or None (primary key)."""
    return (await connection.execute(select(transfer).where(transfer.c.id == key))).first()


async def authorization_by_id(connection: AsyncConnection, key: str) -> Any:
    """An authorization as it stands, or None (primary key)."""
    return (await connection.execute(select(authorization).where(authorization.c.id == key))).first()


async def members_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Every member's id, role, status and custody account, in key order, a page at a time; for `lendbus check` (primary key)."""
    columns = (member.c.id, member.c.role, member.c.status, member.c.custody_no)
    return list((await connection.execute(select(*columns).where(member.c.id > after).order_by(member.c.id).limit(limit))).all())


async def openings_page(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Every opening's number, member, status and account, in key order; for `lendbus check` (primary key)."""
    columns = (opening.c.id, opening.c.member, opening.c.status, opening.c.custody_no)
    return list((await connection.execute(select(*columns).where(opening.c.id > after).order_by(opening.c.id).limit(limit))).all())


async def suspended_dealings(connection: AsyncConnection) -> list[Any]:
    """Requests to the bank that wait for an operator, oldest first, each with its kind; there are few (a scan of the three tables)."""
    found = [
        select(table.c.id, literal(kind.value).label("kind"), table.c.member, table.c.reason, table.c.changed_ms).where(
            table.c.status == Standing.SUSPENDED.value
        )
        for kind, table in _TABLES.items()
    ]
    return list((await connection.execute(union_all(*found).order_by("changed_ms", "id"))).all())
