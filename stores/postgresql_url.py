"""A PostgreSQL store's URL as the driver's arguments."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import URL, make_url

from stores.statement import POSTGRESQL


def parsed(url: str) -> URL:
    """The URL's parts. Raises ValueError when it names no database."""
    parts = make_url(url)
    if not parts.database:
        raise ValueError(f"store URL {parts.render_as_string()!r}: it names no database: postgresql://USER@HOST/NAME")
    return parts


def engine_url(url: str) -> URL:
    """The URL for an engine of SQLAlchemy's."""
    return parsed(url).set(drivername="postgresql+asyncpg")


def connect_arguments(url: str | URL, settings: Mapping[str, str]) -> dict[str, Any]:
    """What `asyncpg.connect` is called with: the URL's parts and options, and the session's settings."""
    _, arguments = POSTGRESQL.create_connect_args(parsed(url) if isinstance(url, str) else url)
    return {**arguments, "server_settings": dict(settings)}
