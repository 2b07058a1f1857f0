"""Which schema a store has, and which one this version knows; read without writing."""

from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from stores.migrate import MIGRATIONS


def heads(service: str) -> list[str]:
    """The newest revisions that this version knows for a service's store."""
    return sorted(ScriptDirectory(str(MIGRATIONS), version_locations=[str(MIGRATIONS / line) for line in ("runtime", service)]).get_heads())


async def revisions(connection: AsyncConnection) -> list[str]:
    """The revisions that the store has."""
    rows = await connection.execute(text("SELECT version_num FROM alembic_version ORDER BY version_num"))
    return [str(row[0]) for row in rows]
