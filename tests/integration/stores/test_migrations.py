"""Migrations make exactly the declared tables, once, whoever starts first, and never touch a schema they do not know."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect

from bank import tables as bank
from stores import accounts, custody, repayments, trading, users
from stores.accounts import statuses
from stores.engine import Store, StoreAway, StoreRefused, is_postgresql
from stores.migrate import NotAStore, OtherKeys, SchemaNewer, check_look_up_key, create, migrate
from stores.runtime import RUNTIME
from tests.integration.stores.direct import execute, inspected, sqlite_only
from tests.postgresql_server import Databases, free_port, sql

METADATA = {
    "accounts": accounts.METADATA,
    "bank": bank.METADATA,
    "custody": custody.METADATA,
    "repayments": repayments.METADATA,
    "trading": trading.METADATA,
    "users": users.METADATA,
}
every_service = pytest.mark.parametrize("service", METADATA)


def together(service: str) -> MetaData:
    """The runtime's tables and the service's own."""
    whole = MetaData()
    for metadata in (RUNTIME, METADATA[service]):
        for table in metadata.sorted_tables:
            table.to_metadata(whole)
    return whole


def differences(url: str, metadata: MetaData) -> list[object]:
    def compared(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    return inspected(url, compared)


def schema_of(url: str) -> list[tuple[str, ...]]:
    if is_postgresql(url):
        return execute(
            url, "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        )
    return execute(url, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")


def described(connection: Connection) -> dict[str, tuple[Any, ...]]:
    """Every table but Alembic's own: columns, keys, indexes."""
    found = inspect(connection)
    return {
        name: (
            sorted(str({**column, "default": None}) for column in found.get_columns(name)),
            found.get_pk_constraint(name)["constrained_columns"],
            sorted(str(index) for index in found.get_indexes(name)),
            sorted(str(key["constrained_columns"]) for key in found.get_foreign_keys(name)),
        )
        for name in found.get_table_names()
        if name != "alembic_version"
    }


@every_service
def test_migrations_make_what_is_declared(service: str, store_url: str) -> None:
    migrate(service, store_url)
    assert differences(store_url, together(service)) == []


@every_service
def test_a_difference_would_be_seen(service: str, store_url: str) -> None:
    migrate(service, store_url)
    execute(store_url, "DROP INDEX inbox_by_trace")
    assert differences(store_url, together(service)) != []


@every_service
def test_what_tests_create_is_what_migrations_make(
    service: str, database: str, store_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    other = request.getfixturevalue("databases").url() if database == "postgresql" else f"sqlite:///{tmp_path}/created.db"
    migrate(service, store_url)
    create(other, METADATA[service])
    assert inspected(store_url, described) == inspected(other, described)


@sqlite_only
@every_service
def test_tables_without_a_rowid_and_numbers_that_never_come_back_are_migrated_too(service: str, store_url: str) -> None:
    migrate(service, store_url)
    made: dict[str, str] = {name: text for name, text in schema_of(store_url)}  # noqa: C416 - a row is a tuple of any length
    for table in together(service).sorted_tables:
        assert ("WITHOUT ROWID" in made[table.name]) == (table.dialect_options["sqlite"]["with_rowid"] is False), table.name
        assert ("AUTOINCREMENT" in made[table.name]) == table.dialect_options["sqlite"]["autoincrement"], table.name


@every_service
def test_upgrading_twice_changes_nothing(service: str, store_url: str) -> None:
    heads = migrate(service, store_url)
    execute(store_url, "INSERT INTO meta VALUES ('a', 'b')")
    before = schema_of(store_url)
    assert migrate(service, store_url) == heads
    assert schema_of(store_url) == before
    assert execute(store_url, "SELECT * FROM meta") == [("a", "b")]


def test_a_services_schema_is_the_runtimes_line_and_its_own(store_url: str) -> None:
    assert migrate("accounts", store_url) == ["accounts_0002", "runtime_0003"]


def test_a_store_of_the_first_version_is_brought_along_with_what_it_holds(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_then(config: Config, _: str) -> None:
        for revision in ("runtime_0001", "accounts_0001"):
            upgrade(config, revision)

    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", of_then)
    migrate("accounts", store_url)
    monkeypatch.undo()
    execute(store_url, "INSERT INTO meta VALUES ('a', 'b')")
    assert differences(store_url, together("accounts")) != []
    assert migrate("accounts", store_url) == ["accounts_0002", "runtime_0003"]
    assert differences(store_url, together("accounts")) == []
    assert execute(store_url, "SELECT * FROM meta") == [("a", "b")]


def test_a_database_of_a_newer_version_is_left_alone(store_url: str) -> None:
    migrate("accounts", store_url)
    execute(store_url, "UPDATE alembic_version SET version_num = 'accounts_9999' WHERE version_num = 'accounts_0002'")
    before = schema_of(store_url)
    with pytest.raises(SchemaNewer, match=r"store of accounts has the schema accounts_9999.*update Lendbus"):
        migrate("accounts", store_url)
    assert schema_of(store_url) == before


def test_another_services_database_is_not_taken_for_ones_own(store_url: str) -> None:
    migrate("accounts", store_url)
    with pytest.raises(SchemaNewer, match="accounts_0002"):
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
    assert heads == [["accounts_0002", "runtime_0003"]] * 2
    assert differences(store_url, together("accounts")) == []


@pytest.mark.parametrize("url", ["lendbus.db", "mysql:///x"])
def test_a_store_of_another_kind_is_refused_with_what_to_do(url: str) -> None:
    with pytest.raises(ValueError, match="it is sqlite:///PATH or postgresql://"):
        migrate("accounts", url)


def test_the_folder_of_a_store_is_its_owners_alone(tmp_path: Path) -> None:
    migrate("accounts", f"sqlite:///{tmp_path}/new/folder/store.db")
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700


def test_the_first_look_up_key_stays_and_another_one_is_refused(store_url: str) -> None:
    check_look_up_key("accounts", store_url, "key-1")
    migrate("accounts", store_url, "key-1")
    migrate("accounts", store_url, "key-1")
    check_look_up_key("accounts", store_url, "key-1")
    with pytest.raises(OtherKeys, match="its look-up key is key-1, this one is key-2"):
        migrate("accounts", store_url, "key-2")
    with pytest.raises(OtherKeys):
        check_look_up_key("accounts", store_url, "key-2")


def test_a_postgresql_database_that_sorts_otherwise_is_refused_with_what_to_do(databases: Databases) -> None:
    url = databases.url()
    name = url.rpartition("/")[2]
    sql(databases.address, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(NotAStore, match=f"encoding SQL_ASCII .*createdb -T template0 -E UTF8 -l C {name}"):
        migrate("accounts", url)


def test_a_postgresql_server_that_refuses_us_is_no_server_that_is_away(databases: Databases) -> None:
    with pytest.raises(StoreRefused, match=r"nobody_here.*look at the user and the password"):
        migrate("accounts", databases.url().replace("postgres@", "nobody_here@"))
    with pytest.raises(StoreAway, match="cannot be reached"):
        migrate("accounts", f"postgresql+asyncpg://postgres@127.0.0.1:{free_port()}/lendbus_accounts")


async def test_a_postgresql_server_without_tls_is_no_server_that_is_away(databases: Databases) -> None:
    url = databases.url()
    migrate("accounts", f"{url}?sslmode=disable")
    for work in (lambda: migrate("accounts", f"{url}?sslmode=require"), lambda: check_look_up_key("accounts", f"{url}?ssl=require", "k")):
        with pytest.raises(StoreRefused, match=r"do not agree on TLS: .*rejected SSL upgrade"):
            work()
    store = await Store.open("accounts", f"{url}?sslmode=require")
    try:
        with pytest.raises(StoreRefused, match="do not agree on TLS"):
            await store.transaction("loop.commit", lambda _: None)
    finally:
        await store.close()
    plain = await Store.open("accounts", f"{url}?sslmode=prefer")
    try:
        async with plain.reading() as connection:
            assert await statuses(connection, after="", limit=1) == []
    finally:
        await plain.close()


def test_a_store_url_without_a_database_is_refused() -> None:
    with pytest.raises(ValueError, match="names no database"):
        migrate("accounts", "postgresql://postgres@127.0.0.1")
