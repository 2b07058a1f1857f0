"""Migrations make exactly the declared tables, once, whoever starts first, and never touch a schema they do not know."""

import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, inspect

from stores import accounts, users
from stores.engine import sqlite_path
from stores.migrate import SchemaNewer, create, migrate
from stores.runtime import RUNTIME

METADATA = {"accounts": accounts.METADATA, "users": users.METADATA}
every_service = pytest.mark.parametrize("service", METADATA)


def together(service: str) -> MetaData:
    """The runtime's tables and the service's own."""
    whole = MetaData()
    for metadata in (RUNTIME, METADATA[service]):
        for table in metadata.sorted_tables:
            table.to_metadata(whole)
    return whole


def differences(url: str, metadata: MetaData) -> list[object]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
            return list(compare_metadata(context, metadata))
    finally:
        engine.dispose()


def schema_of(url: str) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(sqlite_path(url))) as c:
        return c.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()


@every_service
def test_migrations_make_what_is_declared(service: str, store_url: str) -> None:
    migrate(service, store_url)
    assert differences(store_url, together(service)) == []


@every_service
def test_a_difference_would_be_seen(service: str, store_url: str) -> None:
    migrate(service, store_url)
    with closing(sqlite3.connect(sqlite_path(store_url))) as c:
        c.execute("DROP INDEX inbox_by_trace")
    assert differences(store_url, together(service)) != []


@every_service
def test_what_tests_create_is_what_migrations_make(service: str, store_url: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/created.db"
    migrate(service, store_url)
    create(other, METADATA[service])
    tables = []
    for url in (store_url, other):
        engine = create_engine(url)
        found = inspect(engine)
        tables.append(
            {
                name: (
                    sorted(str(column) for column in found.get_columns(name)),
                    found.get_pk_constraint(name)["constrained_columns"],
                    sorted(str(index) for index in found.get_indexes(name)),
                    sorted(str(key["constrained_columns"]) for key in found.get_foreign_keys(name)),
                )
                for name in found.get_table_names()
                if name != "alembic_version"
            }
        )
        engine.dispose()
    assert tables[0] == tables[1]


@every_service
def test_tables_without_a_rowid_and_numbers_that_never_come_back_are_migrated_too(service: str, store_url: str) -> None:
    migrate(service, store_url)
    sql = dict(schema_of(store_url))
    for table in together(service).sorted_tables:
        assert ("WITHOUT ROWID" in sql[table.name]) == (table.dialect_options["sqlite"]["with_rowid"] is False), table.name
        assert ("AUTOINCREMENT" in sql[table.name]) == table.dialect_options["sqlite"]["autoincrement"], table.name


@every_service
def test_upgrading_twice_changes_nothing(service: str, store_url: str) -> None:
    heads = migrate(service, store_url)
    with closing(sqlite3.connect(sqlite_path(store_url))) as c:
        c.execute("INSERT INTO meta VALUES ('a', 'b')")
        c.commit()
    before = schema_of(store_url)
    assert migrate(service, store_url) == heads
    assert schema_of(store_url) == before
    with closing(sqlite3.connect(sqlite_path(store_url))) as c:
        assert c.execute("SELECT * FROM meta").fetchall() == [("a", "b")]


def test_a_services_schema_is_the_runtimes_line_and_its_own(store_url: str) -> None:
    assert migrate("accounts", store_url) == ["accounts_0001", "runtime_0001"]


def test_a_database_of_a_newer_version_is_left_alone(store_url: str) -> None:
    migrate("accounts", store_url)
    with closing(sqlite3.connect(sqlite_path(store_url))) as c:
        c.execute("UPDATE alembic_version SET version_num = 'accounts_9999' WHERE version_num = 'accounts_0001'")
        c.commit()
    before = schema_of(store_url)
    with pytest.raises(SchemaNewer, match=r"store of accounts has the schema accounts_9999.*update Lendbus"):
        migrate("accounts", store_url)
    assert schema_of(store_url) == before


def test_another_services_database_is_not_taken_for_ones_own(store_url: str) -> None:
    migrate("accounts", store_url)
    with pytest.raises(SchemaNewer, match="accounts_0001"):
        migrate("users", store_url)


def test_an_upgrade_that_failed_half_way_has_done_nothing(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(config: Config, revision: str) -> None:
        upgrade(config, revision)
        raise KeyError(revision)

    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", half)
    with pytest.raises(KeyError):
        migrate("accounts", store_url)
    assert schema_of(store_url) == []
    monkeypatch.undo()
    assert migrate("accounts", store_url)


def test_processes_that_start_together_take_turns(store_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(2) as pool:
        heads = pool.starmap(migrate, [("accounts", store_url)] * 2, chunksize=1)
    assert heads == [["accounts_0001", "runtime_0001"]] * 2
    assert differences(store_url, together("accounts")) == []


@pytest.mark.parametrize("url", ["postgresql+asyncpg://host/lendbus", "lendbus.db", "mysql:///x"])
def test_a_store_that_is_not_there_yet_is_refused_with_what_to_do(url: str) -> None:
    with pytest.raises(ValueError, match="only sqlite:///PATH yet"):
        migrate("accounts", url)


def test_the_folder_of_a_store_is_its_owners_alone(tmp_path: Path) -> None:
    migrate("accounts", f"sqlite:///{tmp_path}/new/folder/store.db")
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700
