"""Migrations, applied at start: the runtime's tables and the service's own, each with its line of revisions (Alembic).

Two processes that start together on one database take turns: the upgrade runs inside one write transaction.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, create_engine, event

from stores.engine import sqlite_path
from stores.runtime import RUNTIME
from stores.sqlite import LOCK_WAIT_S

MIGRATIONS = Path(str(files("stores") / "migrations"))


class SchemaNewer(Exception):
    """The database was written by a newer Lendbus; this one does not know its schema."""


def migrate(service: str, url: str) -> list[str]:
    """Bring a service's database to the newest schema; return its revisions. Raises SchemaNewer."""
    path = sqlite_path(url)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": LOCK_WAIT_S})
    event.listen(engine, "connect", _autocommit)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            config = _config(service, connection)
            heads = sorted(ScriptDirectory.from_config(config).get_heads())
            if sorted(MigrationContext.configure(connection).get_current_heads()) != heads:
                _upgrade(connection, config, service)
            return heads
    finally:
        engine.dispose()


def _upgrade(connection: Connection, config: Config, service: str) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        connection.exec_driver_sql("ROLLBACK")
        raise SchemaNewer(
            f"the store of {service} has the schema {', '.join(sorted(unknown))}, which this version does not know: update Lendbus"
        )
    command.upgrade(config, "heads")
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
    path = sqlite_path(url)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    try:
        for metadata in (RUNTIME, *tables):
            metadata.create_all(engine)
    finally:
        engine.dispose()
