"""From a URL to a bus: the one place that knows which transports there are."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bus.errors import BusError
from bus.log import Bus
from bus.sqlite import lease
from bus.sqlite.bus import SqliteBus
from bus.sqlite.inspect import ReadOnlyBus

SQLITE = "sqlite:///"


def connect(url: str, *, readonly: bool = False) -> Bus:
    """The bus of a URL, not opened yet. Raises BusError for a URL that names none.

    `sqlite:///data/bus.db` is relative to the working directory, `sqlite:////var/lib/lendbus/bus.db` absolute, as SQLAlchemy has it;
    a `kafka://` URL is told in `bus.kafka.address`.
    """
    if is_kafka(url):
        from bus.kafka.address import parse
        from bus.kafka.bus import KafkaBus

        return KafkaBus(parse(url))
    path = sqlite_path(url)
    return ReadOnlyBus(path) if readonly else SqliteBus(path)


def writers_of(url: str) -> Callable[[int, int], bool]:
    """Whether the process (pid, start) has opened this bus to write: who stands still with a lock and is one of these may be ended.

    Kafka knows no processes, so there nobody is.
    """
    if is_kafka(url):
        return lambda pid, start: False
    return partial(lease.is_writer, sqlite_path(url).absolute())


def is_kafka(url: str) -> bool:
    """Whether a URL names a Kafka bus."""
    return url.startswith("kafka://")


def sqlite_path(url: str) -> Path:
    """The log file of a `sqlite:///` URL. Raises BusError for another."""
    if not url.startswith(SQLITE) or len(url) == len(SQLITE):
        raise BusError(
            f"{url!r} names no bus: expected sqlite:///relative/path.db, sqlite:////absolute/path.db or kafka://host:port/NAMESPACE"
        )
    return Path(url.removeprefix(SQLITE))
