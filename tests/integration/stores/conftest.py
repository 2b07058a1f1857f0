"""The databases that every store test is held against."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stores import accounts, users
from stores.engine import Store, sqlite_path
from stores.migrate import create
from tests.integration.stores.world import METADATA, World

DATABASES = ["sqlite"]  # PostgreSQL is one more name here


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of its own for this test, without any table."""
    assert request.param == "sqlite"
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the runtime's tables, the boxes and every service's, made once: each table costs an fsync."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    create(f"sqlite:///{path}", METADATA, accounts.METADATA, users.METADATA)
    return path


@pytest.fixture
async def store(store_url: str, template: Path) -> AsyncIterator[Store]:
    """An open store with every table."""
    shutil.copy(template, sqlite_path(store_url))
    opened = await Store.open("boxes", store_url)
    yield opened
    await opened.close()


@pytest.fixture
async def world(store: Store) -> World:
    """The owner of the one partition of a fresh store."""
    fresh = World(store)
    await fresh.take_over()
    return fresh
