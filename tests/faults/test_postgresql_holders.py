"""Who takes a partition over and finds it held: by a process that works it waits, one that stands still it ends (DESIGN 1)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import asyncpg
import pytest

from agents.runtime import ownership
from agents.runtime.ownership import Tenure
from agents.runtime.patience import until_back
from stores.engine import Store, StoreAway
from stores.migrate import create
from stores.postgresql import HELD_MS_MAX, PARTITIONS
from stores.postgresql_errors import DRIVER_ERRORS

HOLD = f"BEGIN; SELECT pg_advisory_xact_lock_shared({PARTITIONS}, 3)"
WITHIN_S = 30.0


@pytest.fixture
async def store(postgresql_url: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(create, postgresql_url)
    opened = await Store.open("holders", postgresql_url)
    yield opened
    await opened.close()


@pytest.fixture
async def holder(postgresql_url: str, store: Store) -> AsyncIterator[asyncpg.Connection]:
    """Somebody's connection, without any time-out of the server's."""
    connection = await asyncpg.connect(postgresql_url.replace("+asyncpg", ""))
    yield connection
    connection.terminate()
    await asyncio.sleep(0)  # its socket is closed in the loop's next round


async def taken(store: Store) -> Tenure:
    """As a worker does: it asks again while the store is away."""

    def take_over() -> Awaitable[Tenure]:
        return store.transaction("takeover.commit", lambda tx: ownership.take_over(tx, 3, now_ms=0))

    async with asyncio.timeout(WITHIN_S):
        return await until_back(take_over, StoreAway, what="store of holders")


async def test_who_froze_between_a_statements_preparation_and_its_execution_is_ended_by_who_takes_over(
    store: Store, holder: asyncpg.Connection
) -> None:
    """The server calls it neither idle nor does it cancel it: asyncpg asks for the preparation without a Sync."""
    await holder.execute(HOLD)
    await holder.prepare("SELECT 1 + $1::integer")
    assert await taken(store) == Tenure(3, 1)
    with pytest.raises(DRIVER_ERRORS):
        await holder.execute("SELECT 1")


async def test_who_goes_on_working_is_waited_for(store: Store, holder: asyncpg.Connection) -> None:
    await holder.execute(HOLD)
    taking = asyncio.ensure_future(taken(store))
    for _ in range(20):
        await holder.fetch("SELECT pg_sleep($1)", HELD_MS_MAX / 1000 / 10)
    assert not taking.done()
    await holder.execute("COMMIT")
    assert (await taking).epoch == 1


async def test_who_holds_another_partition_is_left_alone(store: Store, holder: asyncpg.Connection) -> None:
    await holder.execute(HOLD.replace(", 3)", ", 4)"))
    await holder.prepare("SELECT 1 + $1::integer")
    await taken(store)
    assert await holder.fetchval("SELECT 2") == 2
