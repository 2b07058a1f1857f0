"""The Faust transport of the URL scheme `lendbus-kafka`, entry point `faust.transports`; `kafka` is Faust's own."""

from typing import ClassVar

import aiokafka
from faust.transport import base
from faust.transport.drivers import TRANSPORTS

from bus.kafka.address import PORT_DEFAULT, Address
from bus.kafka.bus import KafkaBus
from bus.kafka.consumer import Consumer
from bus.producer import Producer

SCHEME = "lendbus-kafka"


class Transport(base.Transport):
    """What Faust makes of an App's broker URLs; who may log in, and the namespace, are the App's (`bus.app.make_app`)."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    Producer: ClassVar[type[Producer]] = Producer
    default_port: ClassVar[int] = PORT_DEFAULT
    driver_version = f"aiokafka={aiokafka.__version__}"

    def bus(self) -> KafkaBus:
        """A bus of its own on the App's address; all of one loop share what is open."""
        address = getattr(self.app, "address", None)
        return KafkaBus(address or Address(tuple(f"{url.host}:{url.port or PORT_DEFAULT}" for url in self.url)))


def register() -> None:
    """Make Faust know the scheme also when the package is not installed, e.g. in a checkout."""
    TRANSPORTS.aliases.setdefault(SCHEME, f"{__name__}:Transport")
