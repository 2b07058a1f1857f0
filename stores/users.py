"""The user centre's tables: registrations, which stay, and the members that they make."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.users.model import Member, MemberStatus, Registration, Status
from stores.actors import Actors, Change, Wanted
from stores.engine import Row, Tx

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
)


def _registration_row(r: Registration) -> Row:
    return (r.login_name, r.status.value, r.reason, r.round, r.stuck, r.created_ms, r.changed_ms)


def _registration(key: str, row: Row, of: Member | None = None) -> Registration:
    login_name, status, reason, round_, stuck, created_ms, changed_ms = row
    return Registration(key, login_name, Status(status), reason, round_, bool(stuck), created_ms, changed_ms, of)


def _member_row(m: Member) -> Row:
    return (m.role, m.mobile, m.status.value, m.created_ms)


def _member(key: str, row: Row) -> Member:
    role, mobile, status, created_ms = row
    return Member(key, role, mobile, MemberStatus(status), created_ms)


class Registrations:
    """A registration and its member are one actor in two tables; each row has a version of its own."""

    def __init__(self) -> None:
        self._registrations: Actors[Registration] = Actors(registration, to_row=_registration_row, from_row=_registration)
        self._members: Actors[Member] = Actors(member, to_row=_member_row, from_row=_member)

    def load(self, tx: Tx, actors: Sequence[str], needs: Sequence[Wanted] = ()) -> dict[str, tuple[Registration, int]]:
        """The registrations that exist, each with its member and its version."""
        members = self._members.load(tx, actors)
        found = self._registrations.load(tx, actors)
        return {key: (r.but(member=members[key][0]) if key in members else r, version) for key, (r, version) in found.items()}

    def save(self, tx: Tx, changes: Sequence[Change[Registration]]) -> None:
        """Write both tables; raises StaleVersion."""
        before = self._members.load(tx, [c.actor for c in changes])
        self._registrations.save(tx, changes)
        of_members = [
            Change(c.actor, before[c.actor][1] if c.actor in before else None, c.after.member if c.after else None) for c in changes
        ]
        self._members.save(tx, [m for m in of_members if m.after is not None or m.version is not None])


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
