"""What the edge asks of the runtime's tables about one thing: whether it waits for an operator, and what its command said."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.runtime import inbox, suspended


async def is_suspended(connection: AsyncConnection, actor: str) -> bool:
    """Whether the actor's messages wait behind one that cannot be handled (primary key)."""
    return (await connection.execute(select(suspended.c.actor).where(suspended.c.actor == actor))).first() is not None


async def mac_of(connection: AsyncConnection, message_id: str) -> str | None:
    """The content-mac of a message that was taken; None when it was not, or is forgotten (primary key)."""
    return (await connection.execute(select(inbox.c.mac).where(inbox.c.id == message_id))).scalar()
