"""A PostgreSQL store's URL as the driver's arguments; options have the names that PostgreSQL's own programs give them."""

import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy.engine import URL, make_url

from stores.statement import POSTGRESQL

NAME_BYTES_MAX: Final = 63  # the server cuts longer names, so two of them may be one
PLAIN_OPTIONS: Final = ("host", "port", "user", "password", "passfile", "target_session_attrs", "krbsrvname", "gsslib")
TLS_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
TLS_OPTIONS: Final = ("sslmode", *TLS_FILES, "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version")
TLS_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
TLS_CHECKING: Final = TLS_MODES[3:]  # `require` looks at the certificate when it is told whose
REPEATABLE: Final = ("host", "port")


def parsed(url: str) -> URL:
    """The URL's parts. Raises ValueError when it names no database or one that PostgreSQL cannot have, or has an option we do not know."""
    parts = make_url(url)
    if not parts.database:
        raise ValueError(f"store URL {parts.render_as_string()!r}: it names no database: postgresql://USER@HOST/NAME")
    if (size := len(parts.database.encode())) > NAME_BYTES_MAX:
        raise ValueError(
            f"PostgreSQL would cut the database's name at {NAME_BYTES_MAX} bytes, and {parts.database!r} has {size}: choose a shorter one"
        )
    _check_options(parts.query)
    return parts


def engine_url(url: str) -> URL:
    """The URL for an engine of SQLAlchemy's."""
    return _for_driver(parsed(url)).set(drivername="postgresql+asyncpg")


def connect_arguments(url: str | URL, settings: Mapping[str, str]) -> dict[str, Any]:
    """What `asyncpg.connect` is called with: the URL's parts and options, and the session's settings."""
    _, arguments = POSTGRESQL.create_connect_args(_for_driver(parsed(url) if isinstance(url, str) else url))
    return {**arguments, "server_settings": dict(settings)}


def _for_driver(parts: URL) -> URL:
    """A mode of TLS as the driver's `ssl`; for files it has no arguments, but reads them in a URL as libpq does."""
    query = dict(parts.query)
    if "ssl" in query:
        query["sslmode"] = query.pop("ssl")
    tls: dict[str, object] = {name: query.pop(name) for name in TLS_OPTIONS if name in query}
    if len(tls) == 1 and "sslmode" in tls:
        return parts.set(query={**query, "ssl": str(tls["sslmode"])})
    return parts.set(query={**query, "dsn": f"postgresql://?{urlencode(tls)}"} if tls else query)


def _check_options(query: Mapping[str, Any]) -> None:
    for name, value in query.items():
        if name not in (*PLAIN_OPTIONS, *TLS_OPTIONS, "ssl"):
            raise ValueError(f"the option {name!r} is not known here: say {', '.join((*TLS_OPTIONS, *PLAIN_OPTIONS))}")
        if not isinstance(value, str) and name not in REPEATABLE:
            raise ValueError(f"the option {name!r} is there twice: say it once")
        if name in TLS_FILES and not (os.path.isfile(value) and os.access(value, os.R_OK)):
            raise ValueError(f"the option {name!r} names {value!r}, which is no file that can be read")
    if "ssl" in query and "sslmode" in query:
        raise ValueError("the options 'ssl' and 'sslmode' mean the same: say sslmode")
    mode = query.get("sslmode", query.get("ssl"))
    if mode is not None and mode not in TLS_MODES:
        raise ValueError(f"sslmode={mode} is not one of {', '.join(TLS_MODES)}")
    if "sslrootcert" in query and mode not in TLS_CHECKING:
        raise ValueError(f"sslrootcert is only looked at with sslmode={' or '.join(TLS_CHECKING)}")
