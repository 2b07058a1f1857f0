"""What `lendbus check` asks one store about its own accounts."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.accounts import account


async def account_names(connection: AsyncConnection, *, after: str, limit: int) -> list[Any]:
    """Every account's id, status, role and the values that it must own, in key order, a page at a time (primary key)."""
    query = (
        select(account.c.id, account.c.status, account.c.login_name, account.c.mobile_lookup, account.c.role)
        .where(account.c.id > after)
        .order_by(account.c.id)
        .limit(limit)
    )
    return list((await connection.execute(query)).all())
