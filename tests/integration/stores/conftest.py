"""The databases that every store test is held against; one that is not there yet is skipped with its reason."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stores.engine import Store
from stores.migrate import create
from tests.integration.stores.world import METADATA, World

DATABASES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.skip(reason="the PostgreSQL stores come with the next issue")),
]


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of its own for this test, without any table."""
    assert request.param == "sqlite"
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store with the runtime's tables and the boxes."""
    create(store_url, METADATA)
    opened = await Store.open("boxes", store_url)
    yield opened
    await opened.close()


@pytest.fixture
async def world(store: Store) -> World:
    """The owner of the one partition of a fresh store."""
    fresh = World(store)
    await fresh.take_over()
    return fresh
