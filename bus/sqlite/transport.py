"""The Faust transport of the URL scheme `sqlite`, entry point `faust.transports`: consumer and producer over one log file."""

import sqlite3
from pathlib import Path
from typing import ClassVar

from faust.transport import base
from faust.transport.drivers import TRANSPORTS

from bus.producer import Producer
from bus.sqlite.bus import SqliteBus
from bus.sqlite.consumer import Consumer

SCHEME = "sqlite"


class Transport(base.Transport):
    """What Faust makes of an App's broker URL `sqlite:///absolute/path`."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    Producer: ClassVar[type[Producer]] = Producer
    default_port: ClassVar[int] = 0
    driver_version = f"sqlite={sqlite3.sqlite_version}"

    def bus(self) -> SqliteBus:
        """A bus of its own over the file; all of one loop share what is open."""
        return SqliteBus(Path(self.url[0].path))


def register() -> None:
    """Make Faust know the scheme also when the package is not installed, e.g. in a checkout."""
    TRANSPORTS.aliases.setdefault(SCHEME, f"{__name__}:Transport")
