"""How many partitions a topic has, and where an actor lives; the bus that the settings name decides."""

from typing import TYPE_CHECKING

from topics import BY_NAME

if TYPE_CHECKING:
    from config.settings import Settings


def partitions(settings: "Settings", topic: str) -> int:
    """How many partitions a topic has: as the contract says on Kafka, one on the embedded bus; fixed for life."""
    return BY_NAME[topic].partitions if settings.bus_kind == "kafka" else 1


def home_of(settings: "Settings", service: str, actor: str) -> int:
    """The partition of its service's mailbox where an actor lives."""
    from bus.partitioning import partition_of
    from tools.reading import MAILBOXES

    return partition_of(actor.encode(), partitions(settings, MAILBOXES[service]))
