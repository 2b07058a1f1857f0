"""What asyncpg raises, as what a store raises: ask again, never ask again, or no waiting mends it.

Again(Exception)                 a deadlock or a serialization failure: repeat at once
StoreAway, RowRejected, WrongSchema, StoreRefused: see `stores.engine`
"""

import ssl
from typing import Final

import asyncpg

from stores.engine import RowRejected, StoreAway, StoreRefused, WrongSchema


class Again(Exception):
    """The database has rolled back for somebody else's sake: the same transaction may succeed at once."""


DRIVER_ERRORS: Final = (  # a time-out is an OSError
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a connection says that the server has ended while it was asked for more
    OSError,
)
AGAIN: Final = ("40001", "40P01")
REFUSED: Final = ("28", "3D000", "42501")  # authorization, no such database, no right
SCHEMA: Final = ("42P01", "42703", "42P02", "3F000", "42883", "42804")
REJECTED: Final = ("21", "22", "23", "54")  # cardinality, data, constraint, program limit
AWAY: Final = (
    "08",
    "25",
    "40003",
    "53",
    "55",
    "57",
    "58",
    "0A000",
)  # lost, read-only or ended, no resources, locked, shut down, broken disk
NO_TLS: Final = "rejected SSL upgrade"  # the driver's words for a server that does not speak TLS
TLS_REFUSALS: Final = ("CERT", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "VERSION", "PROTOCOL", "PEM", "KEY")  # in OpenSSL's words


def is_fatal(exc: BaseException) -> bool:
    """Whether the server has ended the connection with this error, though the driver may not have noticed yet."""
    if isinstance(exc, asyncpg.InternalClientError | OSError):  # a time-out too: nobody knows what the server will still do
        return True
    return isinstance(exc, asyncpg.PostgresError) and getattr(exc, "severity_en", "") in ("FATAL", "PANIC")


def translated(exc: Exception, *, closed: bool) -> Exception:
    """The store's error for the driver's; `closed`: the connection is gone. What we did not foresee stays as it is."""
    if isinstance(exc, asyncpg.PostgresError):
        return _of_server(exc, str(exc.sqlstate or ""))
    if isinstance(exc, asyncpg.exceptions.ClientConfigurationError):
        return StoreRefused(f"the URL of the store cannot be used: {exc}")
    if isinstance(exc, OSError) and _is_of_tls(exc):
        return StoreRefused(f"the database server and we do not agree on TLS: {exc}; look at sslmode and the certificates in the URL")
    if closed or isinstance(exc, OSError | asyncpg.InternalClientError):
        return StoreAway(f"the database cannot be reached: {str(exc) or type(exc).__name__}")
    return exc


def _is_of_tls(exc: OSError) -> bool:
    """Whether the server speaks no TLS though it must, or a certificate does not hold; a handshake that was cut off is no such thing."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return True
    if isinstance(exc, ssl.SSLError):
        why = str(exc).upper().replace(" ", "_")
        return not isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError) and any(word in why for word in TLS_REFUSALS)
    return isinstance(exc, ConnectionError) and NO_TLS in str(exc)


def _of_server(exc: Exception, state: str) -> Exception:
    if state.startswith(AGAIN):
        return Again(str(exc))
    if state.startswith(REFUSED):
        return StoreRefused(f"the database server refuses us: {exc} (SQLSTATE {state}); {_remedy(state)}")
    if state.startswith(SCHEMA):
        return WrongSchema(f"the store has not the schema of this version: {exc}")
    if state.startswith(REJECTED):
        return RowRejected(f"the database refuses a row: {exc}")
    if state.startswith(AWAY):
        return StoreAway(f"the database does not answer: {exc} (SQLSTATE {state})")
    return exc


def _remedy(state: str) -> str:
    if state == "3D000":
        return "make the database, or start a worker once, which makes it"
    return "look at the user and the password in the URL, at pg_hba.conf, and at what this user may do"
