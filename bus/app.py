"""The Faust App of a group, with the settings that were found by experiment (FAUST 1) and the seam for the store's positions."""

from collections.abc import Mapping
from importlib import metadata
from typing import Protocol

import faust
from faust.tables.manager import TableManager
from faust.types import TP
from yarl import URL

from bus.connect import sqlite_path
from bus.errors import BusError
from bus.record import Fence
from bus.sqlite import transport

# The transports override internals of exactly these.
PINNED = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}

BUFFERED_RUNS_MAX = 8  # runs that wait for an agent, each at most 500 records and 8 MiB
COMMIT_EVERY_S = 1.0
SEND_TIMEOUT_S = 10.0
SEEK_TIMEOUT_S = 600.0  # a take-over waits for a store that somebody else has locked (CASES B31)


class Positions(Protocol):
    """Where the positions are: the store (DESIGN 1)."""

    async def assigned(self, tps: set[TP], fence: Fence) -> Mapping[TP, int]:
        """The group is ours in this epoch: take the store over; the positions to read from. Partitions left out begin at 0."""

    async def revoked(self, tps: set[TP]) -> None:
        """The group is somebody else's: start nothing more of these partitions."""


class LendbusApp(faust.App):
    """An App that knows where its positions are, and leaves no folders behind."""

    positions: Positions
    standby_ok: bool

    def _create_directories(self) -> None:
        """Faust would make folders for tables, of which there are none."""


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

    `start` returns at once; the group is ours when `positions.assigned` is called. With `standby_ok` that may take until another
    process has given it up, else the App crashes with a BusError that names the other. When the group is lost the App crashes
    with LostLease: watch `app.wait_until_stopped()` and `app.crash_reason`. An App is never started twice.
    """
    check_versions()
    transport.register()
    path = sqlite_path(url).absolute()
    app = LendbusApp(
        group,
        broker=[URL.build(scheme=transport.SCHEME, path=str(path))],
        web_enabled=False,
        autodiscover=False,
        worker_redirect_stdouts=False,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_buffer_maxsize=BUFFERED_RUNS_MAX,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        broker_commit_interval=COMMIT_EVERY_S,
        broker_request_timeout=SEEK_TIMEOUT_S,
        producer_request_timeout=SEND_TIMEOUT_S,
        consumer_auto_offset_reset="earliest",
        key_serializer="raw",
        value_serializer="raw",
        TableManager=NoTables,
    )
    app.positions = positions
    app.standby_ok = standby_ok
    return app


def check_versions() -> None:
    """Raise BusError when a library is installed in another version than the transports were written for."""
    for name, wanted in PINNED.items():
        found = metadata.version(name)
        if found != wanted:
            raise BusError(f"{name} {found} is installed, but the transports override internals of {wanted}: install exactly that")
