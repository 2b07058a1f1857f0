"""The Faust App of a group, with the settings that were found by experiment (FAUST 1) and the seam for the store's positions."""

from collections.abc import Mapping
from importlib import metadata
from typing import Any, Protocol, cast

import faust
from faust.tables.manager import TableManager
from faust.types import TP
from mode.utils.objects import cached_property
from mode.utils.queues import FlowControlEvent
from yarl import URL

from bus.connect import is_kafka, sqlite_path
from bus.errors import BusError
from bus.kafka.address import Address, parse
from bus.record import Fence

# The transports override internals of exactly these.
PINNED = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}

BUFFERED_RUNS_MAX = 8  # runs that wait for an agent, each at most 500 records and 8 MiB
COMMIT_EVERY_S = 1.0
SEND_TIMEOUT_S = 10.0
SEEK_TIMEOUT_S = 600.0  # a take-over waits for a store that somebody else has locked (CASES B31)


class Positions(Protocol):
    """Where the positions are: the store (DESIGN 1)."""

    async def identity(self) -> str:
        """Which store it is, as every process of it says; empty where nobody needs to know. A group works on one store only."""

    async def assigned(self, tps: set[TP], fence: Fence) -> Mapping[TP, int]:
        """All of these are ours in this epoch, and nothing else: take the store over; the positions to read from.

        A partition that is left out is not delivered, and nothing is committed for it. Never called with none.
        """

    async def revoked(self, tps: set[TP]) -> None:
        """These are somebody else's: start nothing more of them, acknowledge nothing more when this has returned.

        It may come while `assigned` runs, which is cancelled before.
        """


class Flow(FlowControlEvent):
    """Suspends and resumes the agents' buffers without emptying them by the way, as mode's does at each resumption.

    Faust resumes once more than it suspends when a rebalance overtakes the one before: runs that had been delivered meanwhile
    were gone, and those behind them were handled (found by a soak: 378 messages). What is revoked is emptied by name (`clear`).
    """

    def resume(self) -> None:
        """Let the agents go on with what they have."""
        self._suspend.clear()
        self._resume.set()


class LendbusApp(faust.App):
    """An App that knows where its positions are, loses nothing that it was given, and leaves no folders behind."""

    positions: Positions
    standby_ok: bool = True

    @cached_property
    def flow_control(self) -> Flow:
        """The flow into its agents' buffers."""
        return Flow(loop=self.loop)

    def _create_directories(self) -> None:
        """Faust would make folders for tables, of which there are none."""


class KafkaApp(LendbusApp):
    """An App on Kafka: where its cluster is, and a way to ask for a new assignment."""

    address: Address

    def rejoin(self) -> None:
        """Ask for a new assignment, e.g. because somebody else has taken a partition over in the store."""
        cast(Any, self.consumer).rejoin()


class NoTables(TableManager):
    """Faust's table manager without its sleep of a second at each start."""

    async def on_start(self) -> None:
        """Be ready at once."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()

    async def wait_until_recovery_completed(self) -> bool:
        """There is nothing to recover, and a standby has started too: `app.start()` does not wait until the group is ours."""
        return False


def make_app(group: str, url: str, positions: Positions, *, standby_ok: bool = True) -> faust.App:
    """The App of a group; its agents take runs: `event.value` is a `list[Record]`, `event.ack()` lets the group's offset follow.

    `start` returns at once (BusAway: no broker answers; build a new App); partitions are ours when `positions.assigned` is called.
    Whatever ends the App is its `crash_reason`: watch `app.wait_until_stopped()`. An App is never started twice.

    Embedded: one member has the group. With `standby_ok` the others wait for it, else they crash with a BusError that names it.
    Who loses the group crashes with LostLease. Kafka: the members share the partitions, `standby_ok` means nothing; a log
    that is not the one the positions speak of any more ends the App with LogMadeAnew: a new one asks for its positions.
    """
    check_versions()
    app = _on_kafka(group, url) if is_kafka(url) else _embedded(group, url)
    app.positions = positions
    app.standby_ok = standby_ok
    return app


def _embedded(group: str, url: str) -> LendbusApp:
    from bus.sqlite import transport

    transport.register()
    return LendbusApp(group, broker=[URL.build(scheme=transport.SCHEME, path=str(sqlite_path(url).absolute()))], **_settings())


def _on_kafka(group: str, url: str) -> KafkaApp:
    from bus.kafka import transport

    transport.register()
    address = parse(url)
    app = KafkaApp(group, broker=[URL(f"{transport.SCHEME}://{server}") for server in address.servers], **_settings())
    app.address = address
    return app


def _settings() -> dict[str, Any]:
    return {
        "web_enabled": False,
        "autodiscover": False,
        "worker_redirect_stdouts": False,
        "table_standby_replicas": 0,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "stream_buffer_maxsize": BUFFERED_RUNS_MAX,
        "stream_wait_empty": False,
        "stream_recovery_delay": 0.0,
        "broker_commit_interval": COMMIT_EVERY_S,
        "broker_request_timeout": SEEK_TIMEOUT_S,
        "producer_request_timeout": SEND_TIMEOUT_S,
        "consumer_auto_offset_reset": "earliest",  # of no use to our consumers: they never reset by themselves
        "key_serializer": "raw",
        "value_serializer": "raw",
        "TableManager": NoTables,
    }


def check_versions() -> None:
    """Raise BusError when a library is installed in another version than the transports were written for."""
    for name, wanted in PINNED.items():
        found = metadata.version(name)
        if found != wanted:
            raise BusError(f"{name} {found} is installed, but the transports override internals of {wanted}: install exactly that")
