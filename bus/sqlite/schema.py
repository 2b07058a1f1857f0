"""The log file's tables, and how a partition's records lie in one."""

import sqlite3
import uuid

from bus.errors import BusError
from stores.sqlite import immediate

VERSION = 1

# A record's id is its partition's number << OFFSET_BITS plus its offset: a partition is one stretch of the table, read in order.
OFFSET_BITS = 44
OFFSET_MAX = (1 << OFFSET_BITS) - 1

TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE topic(
    name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, retention_ms INTEGER, max_bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE partition(
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL REFERENCES topic(name), number INTEGER NOT NULL,
    start INTEGER NOT NULL DEFAULT 0, end INTEGER NOT NULL DEFAULT 0, appended_ms INTEGER NOT NULL DEFAULT 0,
    UNIQUE(topic, number)
);
CREATE TABLE record(
    id INTEGER PRIMARY KEY, timestamp_ms INTEGER NOT NULL, appended_ms INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB
);
CREATE TABLE consumes(grp TEXT NOT NULL, topic TEXT NOT NULL, PRIMARY KEY(grp, topic)) WITHOUT ROWID;
CREATE TABLE committed(
    grp TEXT NOT NULL, partition INTEGER NOT NULL REFERENCES partition(id), offset INTEGER NOT NULL, PRIMARY KEY(grp, partition)
) WITHOUT ROWID;
CREATE TABLE lease(
    grp TEXT PRIMARY KEY, epoch INTEGER NOT NULL, owner TEXT, pid INTEGER, started INTEGER, boot TEXT, host TEXT,
    since_ms INTEGER, renewed_ms INTEGER
) WITHOUT ROWID;
CREATE TABLE standby(
    member TEXT PRIMARY KEY, grp TEXT NOT NULL, pid INTEGER NOT NULL, started INTEGER NOT NULL, boot TEXT NOT NULL, host TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE process(
    boot TEXT NOT NULL, pid INTEGER NOT NULL, started INTEGER NOT NULL, host TEXT NOT NULL, PRIMARY KEY(boot, pid, started)
) WITHOUT ROWID;
"""


def create(c: sqlite3.Connection) -> str:
    """Make the tables if they are not there; the incarnation. Raises BusError for a file that is something else."""
    if c.execute("PRAGMA user_version").fetchone()[0] != 0:
        return incarnation(c)  # a start needs no lock for this
    with immediate(c, "bus.declare"):
        version = c.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and c.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            for statement in TABLES.split(";\n"):
                c.execute(statement)
            c.execute("INSERT INTO meta VALUES('incarnation', ?)", (str(uuid.uuid4()),))
            c.execute(f"PRAGMA user_version={VERSION}")
    return incarnation(c)


def incarnation(c: sqlite3.Connection) -> str:
    """The id of this log. Raises BusError for a file that is no log of this version."""
    version = c.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise BusError(f"this file is not a Lendbus log of version {VERSION} (it says {version}): give the bus a file of its own")
    return str(c.execute("SELECT value FROM meta WHERE key='incarnation'").fetchone()[0])
