"""The databases that the bank's stores are held against: files and a real PostgreSQL, as the migrations make them."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bank.notifier_store import METADATA as NOTIFIER
from bank.tables import METADATA as BANK
from stores.engine import Store
from stores.migrate import migrate
from stores.runtime import RUNTIME
from tests.integration.bank.world import House
from tests.postgresql_server import Databases, wipe

TABLES = {"bank": BANK, "notifier": NOTIFIER}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """Which database a test is held against."""
    return str(request.param)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each service as its migration makes it, made once: each table costs an fsync."""
    folder = tmp_path_factory.mktemp("templates")
    for service in TABLES:
        migrate(service, f"sqlite:///{folder}/{service}.db")
    return {service: folder / f"{service}.db" for service in TABLES}


@pytest.fixture(scope="session")
def worn_databases(databases: Databases) -> dict[str, str]:
    """The databases that this worker's tests use one after another: making and dropping one costs a second."""
    urls = {service: databases.url() for service in TABLES}
    for service, url in urls.items():
        migrate(service, url)
    return urls


@pytest.fixture
def store_urls(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """An empty database for each of the bank's services."""
    if database == "postgresql":
        urls: dict[str, str] = request.getfixturevalue("worn_databases")
        for service, url in urls.items():
            wipe(url, (RUNTIME, TABLES[service]))
        return urls
    for service, file in request.getfixturevalue("templates").items():
        shutil.copy(file, tmp_path / f"{service}.db")
    return {service: f"sqlite:///{tmp_path}/{service}.db" for service in TABLES}


@pytest.fixture
async def house(store_urls: dict[str, str]) -> AsyncIterator[House]:
    """The bank with its first day begun."""
    stores = {service: await Store.open(service, url) for service, url in store_urls.items()}
    made = House(stores, store_urls["bank"])
    await made.begin()
    yield made
    for store in stores.values():
        await store.close()
