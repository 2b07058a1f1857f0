"""A worker runs one service: its store, its App, its watchdog. It ends loudly rather than stay deaf (DESIGN 1, FAUST 1).

Losing the group or a partition to somebody else, and a log that was made anew, are no failures: the worker builds a new App
and waits as standby, or takes over anew. A bus or a store that is away is asked again, with back-off, for as long as it
takes. Anything else that ends a part of it ends `run` with the reason.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import faust
import structlog

from agents.runtime import pruning
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.runtime.mailbox import Mailbox
from agents.runtime.ownership import LostEpoch
from agents.runtime.partition import Terms
from agents.runtime.service import Service
from bus.app import make_app
from bus.connect import connect, writers_of
from bus.errors import BusAway, LogMadeAnew, LostLease, RunMissing
from bus.log import Bus, TopicSpec
from config import faults
from config.limits import BATCH_MESSAGES_MAX, START_S_MAX, STOP_S_MAX
from config.retry import STORE_AWAY
from stores.engine import OutcomeUnknown, Store, StoreAway

log = structlog.get_logger("lendbus.worker")


def utc_now_ms() -> int:
    """The wall clock; the only place of the runtime that reads it."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class House:
    """A service and the function that shows its agent to an App.

    `opens` is what is said to its actors whenever a worker starts, `closing` lets go of what its callers hold.
    """

    service: Service[Any]
    listen: Callable[[faust.App, Mailbox], None]
    opens: tuple[tuple[str, Message], ...] = ()
    closing: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a worker stands on: where the bus and its store are, which topics are declared, what is kept how long."""

    bus_url: str
    store_url: str
    topics: Sequence[TopicSpec]
    keep: pruning.Keep
    batch_max: int = BATCH_MESSAGES_MAX
    clock: Callable[[], int] = utc_now_ms


class Worker:
    """One service in this process; `start`, `stop`, and `run` that does both and watches in between."""

    def __init__(self, house: House, around: Surroundings) -> None:
        self._house = house
        self._around = around
        self._stop = asyncio.Event()
        self._open = AsyncExitStack()
        self.name = house.service.name
        self.mailbox: Mailbox | None = None
        self._app: faust.App | None = None
        self._pruner: asyncio.Task[None] | None = None
        self._left_running = False
        self.working = asyncio.Event()  # the present App has had partitions of the service

    async def run(self) -> None:
        """Work (or stand by) until `request_stop`; raises what ended the service otherwise."""
        failures = 0
        while not self._stop.is_set():
            try:
                await self._started()
                if not self._stop.is_set():
                    await self.watch()
            except (LostLease, LostEpoch) as exc:
                log.warning("somebody else owns the service now; waiting as standby", service=self.name, why=str(exc))
                failures = 0
            except (LogMadeAnew, OutcomeUnknown, RunMissing) as exc:
                log.error("taking over anew", service=self.name, why=str(exc))
                failures = 0
            except (BusAway, StoreAway) as exc:
                failures = 0 if self.working.is_set() else failures
                self._tell_away(exc, failures)
                failures += 1
            finally:
                await self.stop()
            if self._left_running and not self._stop.is_set():  # it may hold the group still, and this process would wait for itself
                raise RuntimeError(f"the App of {self.name} that lost its group did not stop in time")
            if failures:
                await self._wait(STORE_AWAY.delay_ms(failures - 1, self.name))

    def request_stop(self) -> None:
        """End `run`, gracefully."""
        self._stop.set()

    async def start(self) -> None:
        """Open everything and start the App; returns when it waits for its assignment or has it. Bounded.

        Raises BusAway or StoreAway when something does not answer just now; `stop` lets go of what is open.
        """
        service, around, opened = self._house.service, self._around, self._open
        store = await Store.open(service.name, around.store_url, writers_of(around.bus_url))
        opened.push_async_callback(store.close)
        bus = connect(around.bus_url)
        opened.push_async_callback(bus.close)
        await _bounded(self._declare(bus), "the bus has not answered")
        await self._say_what_opens(bus)
        if self._house.closing is not None:
            opened.push_async_callback(self._house.closing)
        mailbox = self.mailbox = Mailbox(service, store, bus, Terms(around.keep.inbox_ms, around.batch_max, around.clock))
        opened.push_async_callback(mailbox.close)
        app = self._app = make_app(service.name, around.bus_url, mailbox)
        mailbox.assigned_once = self.working
        mailbox.rejoin = getattr(app, "rejoin", None)  # the embedded bus gives a group to one member: there is nothing to share anew
        self._house.listen(app, mailbox)
        opened.push_async_callback(self._stop_app, app)
        opened.push_async_callback(mailbox.pause, STOP_S_MAX / 2)
        await _bounded(app.start(), "the App has not started")
        self._pruner = asyncio.create_task(pruning.run(mailbox, bus, around.keep, around.clock), name=f"pruner {service.name}")
        opened.push_async_callback(_cancelled, self._pruner)

    async def _declare(self, bus: Bus) -> None:
        await bus.open()
        await bus.declare(self._around.topics)
        await bus.declare_group(self.name, [self._house.service.topic])

    async def _say_what_opens(self, bus: Bus) -> None:
        """To its own mailbox, under new ids: these messages mean the same however often they are said."""
        records = [
            encode(message, key=key, message_id=str(uuid.uuid4()), origin=Origin("start", key, "worker"), now_ms=self._around.clock())
            for key, message in self._house.opens
        ]
        if records:
            with faults.around("relay.append"):
                await bus.append(records)

    async def _started(self) -> None:
        """`start`, given up when a stop is requested meanwhile."""
        starting = asyncio.create_task(self.start(), name=f"start of {self.name}")
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
        finally:
            await _cancelled(starting, stopping)

    def _tell_away(self, exc: BaseException, failures: int) -> None:
        """Said once, not at each try."""
        if not failures:
            log.warning("bus or store is away; nothing is lost, asking again until it is back", service=self.name, why=str(exc))
        else:
            log.debug("still away", service=self.name, tries=failures, why=str(exc))

    async def _wait(self, delay_ms: int) -> None:
        try:
            async with asyncio.timeout(delay_ms / 1000):
                await self._stop.wait()
        except TimeoutError:
            return

    async def wait_until_owner(self, within_s: float) -> None:
        """Return when this process owns the service. Raises TimeoutError."""
        await asyncio.wait_for(self.working.wait(), within_s)

    async def stop(self) -> None:
        """Finish the run in work, let the outbox leave, give the group back, close everything; bounded by STOP_S_MAX.

        Whatever one of these raises, the others are done as well.
        """
        opened, self._open = self._open, AsyncExitStack()
        await opened.aclose()
        self.mailbox = self._app = self._pruner = None
        self.working.clear()

    async def _stop_app(self, app: faust.App) -> None:
        try:
            await asyncio.wait_for(app.stop(), STOP_S_MAX / 2)
        except TimeoutError:
            log.error("the App did not stop in time", service=self.name)
            self._left_running = True

    async def watch(self) -> None:
        """Return when a stop is requested; raise the reason when a part of the service has ended."""
        assert self._app is not None and self.mailbox is not None and self._pruner is not None
        ends: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._stop.wait()),
            asyncio.ensure_future(self._app.wait_until_stopped()),
            self.mailbox.failed,
            self._pruner,
        ]
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        ends[0].cancel()  # the App's ends with the App: cancelled, it would leave a task of mode's behind
        if self._stop.is_set():
            return
        if self.mailbox.failed in done:
            self.mailbox.failed.result()
        if self._pruner in done:
            self._pruner.result()
        reason = self._app.crash_reason
        raise reason if reason is not None else RuntimeError(f"the App of {self.name} has stopped by itself")


async def _bounded(step: Awaitable[object], what: str) -> None:
    """A step of the start; one that hangs (a coordinator that never answers, FAUST 1) is given up and tried anew."""
    try:
        await asyncio.wait_for(step, START_S_MAX)
    except TimeoutError:
        raise BusAway(f"{what} within {START_S_MAX:g} s") from None


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
