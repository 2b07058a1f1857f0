"""How far a service is: what inspectors ask of `position` and `owner`. Nothing is written."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.runtime import owner, position


class Reached(NamedTuple):
    """Where a service is on one partition, and on which log."""

    next_offset: int
    incarnation: str


class Owner(NamedTuple):
    """Who took a partition over last."""

    epoch: int
    pid: int
    since_ms: int


async def reached(connection: AsyncConnection) -> dict[int, Reached]:
    """Partition → where the service is; partitions of which nothing was ever handled are not there (all rows: one a partition)."""
    rows = await connection.execute(select(position.c.partition, position.c.next_offset, position.c.incarnation))
    return {number: Reached(*rest) for number, *rest in rows.all()}


async def owners(connection: AsyncConnection) -> dict[int, Owner]:
    """Partition → who took it over last (all rows: one a partition)."""
    rows = await connection.execute(select(owner.c.partition, owner.c.epoch, owner.c.pid, owner.c.since_ms))
    return {number: Owner(*rest) for number, *rest in rows.all()}
