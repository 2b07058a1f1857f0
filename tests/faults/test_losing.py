"""Whoever notices first that somebody else owns the service (DESIGN 1): the worker goes on as standby, and works again when it may.

What a process that was frozen finds when it wakes up, without the process: the group's lease, the store's epoch, or both are
another's by now. Nothing of that is a failure, so nothing of it may end the worker.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agents.runtime import relay, scanner
from agents.runtime.worker import Worker
from bus.log import Bus
from bus.sqlite import lease
from config import faults
from stores.process import boot_id, monotonic_ms, process_start
from tests.faults.probe import World, begin, until_all_ended

ENDS_WITHIN_S = 20.0
NEVER_S, NEVER_MS = 3600.0, 3_600_000


@dataclass
class Place:
    """A worker that owns the probe, its bus, and the hand of the other owner."""

    world: World
    worker: Worker
    running: "asyncio.Task[None]"
    bus: Bus
    bus_path: Path

    def change(self, path: Path, statement: str, *values: object) -> None:
        """What another process has written meanwhile."""
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as c:
            c.execute(statement, values)

    def take_lease(self) -> None:
        """Another process, which lives, has the group and keeps it."""
        other = os.getppid()
        self.change(
            self.bus_path,
            "UPDATE lease SET epoch=epoch+1, owner='another', pid=?, started=?, boot=?, renewed_ms=?",
            *(other, process_start(other), boot_id(), monotonic_ms() + NEVER_MS),
        )

    def take_epoch(self) -> None:
        """Another process has taken the store over."""
        self.change(self.world.store_path, "UPDATE owner SET epoch=epoch+1")

    def free_lease(self) -> None:
        """The other one has gone, and has given the group back."""
        self.change(self.bus_path, "UPDATE lease SET owner=NULL WHERE owner='another'")

    async def send(self) -> str:
        """Begin a thing; its key."""
        key = str(uuid.uuid4())
        await self.bus.append([begin(key)])
        return key

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for a condition; the worker must live meanwhile."""
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                while not holds():
                    assert not self.running.done(), f"the worker has ended: {self.running}"
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pytest.fail(what)

    async def waits(self) -> None:
        """Until the worker is listed as standby."""

        def listed() -> bool:
            with contextlib.closing(sqlite3.connect(self.bus_path, timeout=10)) as c:
                return bool(c.execute("SELECT 1 FROM standby").fetchall())

        await self.until(listed, "the worker never became standby")

    async def works(self) -> None:
        """Until a new thing has ended."""
        key = await self.send()
        ended = asyncio.create_task(until_all_ended(self.bus, {key}, ENDS_WITHIN_S))
        await asyncio.wait([ended, self.running], return_when=asyncio.FIRST_COMPLETED)
        assert not self.running.done(), f"the worker has ended: {self.running}"
        assert (await ended)[key] == 3


@asynccontextmanager
async def owning(folder: Path) -> AsyncIterator[Place]:
    """A worker of the probe that owns it."""
    world = World(folder)
    bus = await world.bus()
    worker = world.worker()
    running = asyncio.create_task(worker.run())
    place = Place(world, worker, running, bus, folder / "bus.db")
    try:
        await place.works()
        yield place
    finally:
        worker.request_stop()
        async with asyncio.timeout(ENDS_WITHIN_S):
            await asyncio.gather(running, return_exceptions=True)
        await bus.close()


@contextlib.contextmanager
def at(point: str, deed: Callable[[], None]) -> Iterator[list[str]]:
    """Do it once, the first time that this point is reached; the list says whether it was."""
    reached: list[str] = []

    def hook(name: str) -> None:
        if name == point and not reached:
            reached.append(name)
            deed()

    with faults.installed(hook):
        yield reached


async def test_the_renewal_notices_that_the_lease_is_anothers_and_that_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with owning(tmp_path) as place:
        place.take_lease()
        await place.waits()
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
        place.free_lease()
        await place.works()


async def test_the_commit_of_offsets_notices_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_EVERY_S", NEVER_S)
    async with owning(tmp_path) as place:
        with at("loop.ack.before", place.take_lease):
            await place.send()
            await place.waits()
        place.free_lease()
        await place.works()


async def test_the_relay_notices_it_when_it_appends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_EVERY_S", NEVER_S)
    async with owning(tmp_path) as place:
        with at("relay.append.before", place.take_lease) as reached:
            await place.send()
            await place.waits()
        assert reached
        place.free_lease()
        await place.works()


@pytest.mark.parametrize("noticed_by", ["the loop", "the scanner", "the relay that deletes"])
async def test_whoever_reads_the_epoch_notices_that_the_store_is_anothers(
    noticed_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if noticed_by != "the scanner":
        monkeypatch.setattr(scanner, "SCAN_EVERY_MS", NEVER_MS)
    if noticed_by == "the loop":
        monkeypatch.setattr(relay, "OUTBOX_DELETE_DELAY_S", NEVER_S)  # so that rows wait to be deleted, as under load
    async with owning(tmp_path) as place:
        first = place.worker.mailbox
        if noticed_by == "the relay that deletes":
            with at("relay.append.after", place.take_epoch) as reached:
                await place.send()
                await place.until(lambda: bool(reached) and place.worker.mailbox not in (None, first), "nothing was built anew")
        else:
            place.take_epoch()
            if noticed_by == "the loop":
                await place.send()
            await place.until(lambda: place.worker.mailbox not in (None, first), "nothing was built anew")
        await place.works()


@pytest.mark.parametrize("point", ["takeover.commit.before", "takeover.commit.after", "takeover.resend.before"])
async def test_an_owner_that_lost_both_inside_its_take_over_is_standby(point: str, tmp_path: Path) -> None:
    async with owning(tmp_path) as place:
        place.take_lease()
        await place.waits()

        def lose() -> None:
            place.take_lease()
            if point == "takeover.commit.after":  # nobody holds the store's lock there
                place.take_epoch()

        with at(point, lose) as reached:
            place.free_lease()
            await place.until(lambda: bool(reached), f"{point} was never reached")
            await place.waits()
        place.free_lease()
        await place.works()


@pytest.mark.parametrize("lost", ["epoch", "lease", "both"])
async def test_a_stop_that_meets_a_loss_is_a_clean_stop(lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "SCAN_EVERY_MS", NEVER_MS)
    monkeypatch.setattr(relay, "OUTBOX_DELETE_DELAY_S", NEVER_S)  # what it has sent is deleted when it stops
    async with owning(tmp_path) as place:
        if lost != "lease":
            place.take_epoch()
        if lost != "epoch":
            place.take_lease()
        place.worker.request_stop()
        async with asyncio.timeout(ENDS_WITHIN_S):
            await place.running
