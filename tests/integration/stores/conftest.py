"""The databases that every store test is held against."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stores import accounts, custody, repayments, trading, users
from stores.engine import Store
from stores.migrate import create
from stores.runtime import RUNTIME
from tests.integration.stores.world import METADATA, World
from tests.postgresql_server import Databases, wipe

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """Which database a test is held against."""
    return str(request.param)


TABLES = (METADATA, accounts.METADATA, custody.METADATA, repayments.METADATA, trading.METADATA, users.METADATA)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the runtime's tables, the boxes and every service's, made once: each table costs an fsync."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    create(f"sqlite:///{path}", *TABLES)
    return path


@pytest.fixture(scope="session")
def worn(databases: Databases) -> str:
    """The database with the same tables that this worker's tests use one after another: making and dropping one costs a second."""
    url = databases.url()
    create(url, *TABLES)
    return url


@pytest.fixture
def store_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of its own for this test, without any table; with every table, and nothing in them, when it asks for `store`."""
    if database == "postgresql":
        if "store" not in request.fixturenames:
            return str(request.getfixturevalue("postgresql_url"))
        wipe(request.getfixturevalue("worn"), (RUNTIME, *TABLES))
        return str(request.getfixturevalue("worn"))
    if "store" in request.fixturenames:
        shutil.copy(request.getfixturevalue("template"), tmp_path / "store.db")
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store with every table."""
    opened = await Store.open("boxes", store_url)
    yield opened
    await opened.close()


@pytest.fixture
async def world(store: Store) -> World:
    """The owner of the one partition of a fresh store."""
    fresh = World(store)
    await fresh.take_over()
    return fresh
