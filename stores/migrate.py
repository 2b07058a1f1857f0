"""Migrations, applied at start: the runtime's tables and the service's own, each with its line of revisions (Alembic).

Two processes that start together on one database take turns: the upgrade runs inside one write transaction, on PostgreSQL
under a lock of its own (`stores.migrate_postgresql`).
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from stores.engine import is_postgresql, sqlite_path
from stores.runtime import RUNTIME
from stores.sqlite import LOCK_WAIT_S

_HELD = text("SELECT value FROM meta WHERE name = 'look_up_key'")
_HOLD = text("INSERT INTO meta(name, value) VALUES ('look_up_key', :key) ON CONFLICT DO NOTHING")
MIGRATIONS = Path(str(files("stores") / "migrations"))


class SchemaNewer(Exception):
    """The database was written by a newer Lendbus; this one does not know its schema."""


class OtherKeys(Exception):
    """The store keeps the fingerprint of another look-up key: what it holds cannot be recognized with this one (DESIGN 3)."""


class NotAStore(Exception):
    """The file is no database, or a damaged one."""


def migrate(service: str, url: str, look_up_key: str | None = None) -> list[str]:
    """Bring a service's database to the newest schema, and make it when there is none; return its revisions.

    `look_up_key` is the fingerprint of the key that look-ups are made with: the first one stays, another is refused.
    Raises SchemaNewer, OtherKeys, NotAStore; on PostgreSQL also StoreAway and StoreRefused.
    """
    if is_postgresql(url):
        from stores.migrate_postgresql import upgrade as upgrade_postgresql

        return upgrade_postgresql(url, lambda connection: bring(connection, service, look_up_key))
    path = sqlite_path(url)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": LOCK_WAIT_S})
    event.listen(engine, "connect", _autocommit)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            return bring(connection, service, look_up_key)
    except OperationalError:
        raise
    except DatabaseError as exc:
        raise NotAStore(f"{path} is no database of Lendbus ({exc.orig}): move it away, or put a backup in its place") from None
    finally:
        engine.dispose()


def bring(connection: Connection, service: str, look_up_key: str | None) -> list[str]:
    """The migration on an open connection."""
    config = _config(service, connection)
    heads = sorted(ScriptDirectory.from_config(config).get_heads())
    if sorted(MigrationContext.configure(connection).get_current_heads()) != heads:
        _upgrade(connection, config, service)
    if look_up_key is not None:
        connection.execute(_HOLD, {"key": look_up_key})
        _compare(service, connection.execute(_HELD).scalar_one(), look_up_key)
    return heads


def check_look_up_key(service: str, url: str, look_up_key: str) -> None:
    """For whoever only reads a store: nothing is wrong while there is none. Raises OtherKeys."""
    if is_postgresql(url):
        from stores.migrate_postgresql import ask

        ask(url, lambda connection: _check(connection, service, look_up_key))
        return
    path = sqlite_path(url)
    if path.exists():
        engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
        try:
            with engine.connect() as connection:
                _check(connection, service, look_up_key)
        finally:
            engine.dispose()


def _check(connection: Connection, service: str, look_up_key: str) -> None:
    if inspect(connection).has_table("meta"):
        _compare(service, connection.execute(_HELD).scalar(), look_up_key)


def _compare(service: str, held: str | None, look_up_key: str) -> None:
    if held not in (None, look_up_key):
        raise OtherKeys(
            f"the store of {service} was written with another key file (its look-up key is {held}, this one is {look_up_key}): "
            "put back the key file that it was written with; with another one nobody would be recognized"
        )


def _upgrade(connection: Connection, config: Config, service: str) -> None:
    sqlite = connection.dialect.name == "sqlite"  # elsewhere the transaction is the caller's
    if sqlite:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        if sqlite:
            connection.exec_driver_sql("ROLLBACK")
        raise SchemaNewer(
            f"the store of {service} has the schema {', '.join(sorted(unknown))}, which this version does not know: update Lendbus"
        )
    command.upgrade(config, "heads")
    if sqlite:
        connection.exec_driver_sql("COMMIT")


def _autocommit(dbapi_connection: Any, _: Any) -> None:
    dbapi_connection.isolation_level = None  # the transaction is ours: BEGIN IMMEDIATE


def _config(service: str, connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(MIGRATIONS / line) for line in ("runtime", service)))
    config.attributes["connection"] = connection
    return config


def create(url: str, *tables: MetaData) -> None:
    """Make the runtime's tables and these in a new database, without migrations; for stores that live as long as a test or a bench."""
    if is_postgresql(url):
        from stores.migrate_postgresql import upgrade as upgrade_postgresql

        upgrade_postgresql(url, lambda connection: _create_all(connection, tables))
        return
    path = sqlite_path(url)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            _create_all(connection, tables)
    finally:
        engine.dispose()


def _create_all(connection: Connection, tables: Sequence[MetaData]) -> None:
    for metadata in (RUNTIME, *tables):
        metadata.create_all(connection)
