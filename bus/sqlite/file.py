"""One log file in one process: one connection that writes, one that reads, group commit, wake-up, and the leases kept alive.

All `SqliteBus` objects of a loop on one file share it; the last to close it closes it.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from bus.errors import BusAway, BusError, LostLease
from bus.record import Fence, Outgoing
from bus.sqlite import lease, read, schema
from bus.sqlite.append import Call
from bus.sqlite.append import append as append_calls
from bus.sqlite.wake import Listener, Waker
from stores.process import end_frozen_holder, this_process
from stores.sqlite import Locked, SqliteFile

APPEND_WAIT_S = 5.0  # how long an append waits for the file before it is BusAway
STUCK_AFTER_S = 2.0  # from then on a waiting writer looks whether the holder is one of ours and frozen
RENEW_WAIT_S = 0.25
AGAIN_S = 0.05  # after a step that the file could not do: who owns a lease must be quick once the file is free
LOOK_EVERY_S = 0.25  # the safety net under the wake-up
GROUP_RECORDS_MAX = 5000  # records of one transaction, so that nobody waits long behind others
WAL_BYTES_MAX = 16 * 1024 * 1024
WAL_LOOK_EVERY = 64  # transactions

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("lendbus.bus")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """What SQLite says, as the bus says it: BusAway for what passes, BusError for a file that is no log."""
    try:
        yield
    except Locked as exc:
        raise BusAway(str(exc)) from exc
    except sqlite3.OperationalError as exc:
        raise BusAway(f"the log file cannot be used just now: {exc}") from exc
    except sqlite3.DatabaseError as exc:
        raise BusError(f"the log file is damaged or is none: {exc}") from exc


class LogFile:
    """The shared side of a log file. Use `LogFile.shared` and `close`."""

    _open: ClassVar[dict[tuple[str, asyncio.AbstractEventLoop], "LogFile"]] = {}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.me = this_process()
        self.ends: dict[int, int] = {}  # partition id → end, as last heard of
        self.news = 0  # grows with everything heard of
        self._users = 0
        self._opening = asyncio.Lock()
        self._calls: list[tuple[Call, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._held: dict[str, tuple[Fence, Callable[[BaseException], None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._looks: set[asyncio.Future[None]] = set()
        self._looking = False
        self._transactions = 0
        self.incarnation = ""

    @classmethod
    def shared(cls, path: Path) -> "LogFile":
        """This loop's one object for the file, whatever path leads to it."""
        key = (os.path.realpath(path), asyncio.get_running_loop())
        file = cls._open.get(key)
        if file is None:
            file = cls._open[key] = cls(Path(key[0]))
        return file

    async def open(self) -> None:
        """One more user. Raises BusAway or BusError when the file cannot be opened."""
        async with self._opening:
            if self._users == 0:
                try:
                    with translated():
                        await self._start()
                except BaseException:
                    self._open.pop((str(self.path), asyncio.get_running_loop()), None)
                    raise
            self._users += 1

    async def _start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = await SqliteFile.open(self.path)
        try:
            self.incarnation = await self._writer.run(schema.create)
            await self._writer.run(lease.register, self.me, stuck=self.stuck)
            self._reader = await SqliteFile.open(self.path)
        except BaseException:
            await self._writer.close()
            raise
        self.ends = await self._reader.run(read.all_ends)
        self._listener = Listener(self.path, self._heard)
        self._listener.open()
        self._waker = Waker(self.path, self._listener.name)
        self._tasks = [
            asyncio.create_task(self._forever(*step)) for step in ((self._look, LOOK_EVERY_S), (self._renew, lease.RENEW_EVERY_S))
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        """One user less; the last one waits for what is being written and closes the file."""
        async with self._opening:
            self._users -= 1
            if self._users:
                return
            self._open.pop((str(self.path), asyncio.get_running_loop()), None)
            if self._flushing is not None:
                await asyncio.wait([self._flushing])
            self._listener.close()
            for task in (*self._tasks, *self._looks):
                task.cancel()
            await asyncio.gather(*self._tasks, *self._looks, return_exceptions=True)
            self._waker.close()
            await self._reader.close()
            await self._writer.close()

    # asking and writing

    async def ask(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a short reading function on the reading connection; it waits for no writer."""
        with translated():
            return await self._reader.run(work, *args, **kwargs)

    async def write(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a writing function on the writing connection."""
        with translated():
            return await self._writer.run(work, *args, **kwargs)

    def stuck(self, waited_s: float) -> None:
        """A writer of this process waits for the lock: end its holder if that is one of ours and stopped (in the writer's thread)."""
        if waited_s >= STUCK_AFTER_S:
            end_frozen_holder(self.path, self.is_ours)

    def is_ours(self, pid: int, started: int) -> bool:
        """Whether a process has registered in this file; a look of its own, as it is asked from any thread."""
        return lease.is_writer(self.path, pid, started)

    # appending

    async def append(self, records: list[Outgoing], fence: Fence | None) -> list[tuple[int, int]]:
        """Append with whatever else this process appends just now; see `Bus.append`."""
        call = Call(records, fence)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls.append((call, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await self._withdraw(call, done)
            raise
        if call.refused is not None:
            raise call.refused
        return call.placed

    async def _withdraw(self, call: Call, done: asyncio.Future[None]) -> None:
        """A cancelled caller: take the call back if it is not being written, else wait until it has ended."""
        if (call, done) in self._calls:
            self._calls.remove((call, done))
        elif not done.done():
            await asyncio.wait([done])
        if done.done() and not done.cancelled():
            done.exception()  # seen: nobody else asks

    async def _flush(self) -> None:
        try:
            while self._calls:
                group = self._next_group()
                calls = [call for call, _ in group]
                try:
                    grown = await self.write(self._append, calls)
                except Exception as exc:  # noqa: BLE001  (every caller gets it)
                    for _, done in group:
                        done.set_exception(exc)
                else:
                    for _, done in group:
                        done.set_result(None)
                    self._grown(grown)
        finally:
            self._flushing = None

    def _next_group(self) -> list[tuple[Call, asyncio.Future[None]]]:
        taken, records = 0, 0
        while taken < len(self._calls) and (taken == 0 or records + len(self._calls[taken][0].records) <= GROUP_RECORDS_MAX):
            records += len(self._calls[taken][0].records)
            taken += 1
        group, self._calls = self._calls[:taken], self._calls[taken:]
        return group

    def _append(self, c: sqlite3.Connection, calls: list[Call]) -> dict[int, int]:
        grown = append_calls(c, calls, wait_s=APPEND_WAIT_S, stuck=self.stuck)
        self._waker.wake()
        self._transactions += 1
        if self._transactions % WAL_LOOK_EVERY == 0:
            keep_wal_small(c, self.path)
        return grown

    # hearing of news

    def _grown(self, ends: dict[int, int]) -> None:
        news = False
        for id_, end in ends.items():
            if end > self.ends.get(id_, 0):
                self.ends[id_] = end
                news = True
        if news:
            self.poke()

    def poke(self) -> None:
        """Wake everybody in this process who waits."""
        self.news += 1
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _heard(self) -> None:
        if not self._looking and self._users:
            self._looking = True
            task = asyncio.ensure_future(self._look_now())
            self._looks.add(task)
            task.add_done_callback(self._looks.discard)

    async def _look_now(self) -> None:
        self._looking = False  # before the look: what is heard of during it is looked at again
        with contextlib.suppress(BusAway):
            await self._look()

    async def _look(self) -> None:
        self._grown(await self.ask(read.all_ends))

    async def changed(self, seen: int, timeout_s: float) -> int:
        """Wait until there is news beyond `seen`, or the time is over; what has been seen now."""
        if self.news == seen:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await asyncio.wait([waiter], timeout=timeout_s)
            finally:
                self._waiters.discard(waiter)
        return self.news

    # leases

    def hold(self, member: str, fence: Fence, lost: Callable[[BaseException], None]) -> None:
        """Renew this lease from now on; `lost` is called, once, when it is somebody else's or cannot be renewed any more."""
        self._held[member] = fence, lost

    def let_go(self, member: str) -> None:
        """Renew it no more."""
        self._held.pop(member, None)

    async def _renew(self) -> None:
        held = {member: fence for member, (fence, _) in self._held.items()}
        if not held:
            return
        for member in await self.write(lease.renew, held, wait_s=RENEW_WAIT_S, stuck=None):
            if member in self._held:
                fence, lost = self._held.pop(member)
                lost(LostLease(f"group {fence.group!r} has another member now, epoch {fence.epoch} is over"))

    async def _forever(self, step: Callable[[], Coroutine[Any, Any, None]], every_s: float) -> None:
        """Do the step again and again; what the file cannot do just now is tried at the next turn."""
        away = False
        while True:
            try:
                await step()
                away = False
            except BusError as exc:
                if not away:
                    log.warning("%s: %s; trying on", self.path.name, exc)
                away = True
            await asyncio.sleep(min(every_s, AGAIN_S) if away else every_s)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A step failed in a way that nobody foresaw: no lease may seem to be held that nobody renews."""
        if task.cancelled() or (reason := task.exception()) is None:
            return
        held, self._held = self._held, {}
        for _, lost in held.values():
            lost(reason)


def keep_wal_small(c: sqlite3.Connection, path: Path) -> None:
    """Cut a WAL that has grown beyond its limit, if no reader stands in it just now."""
    try:
        if os.stat(f"{path}-wal").st_size > WAL_BYTES_MAX:
            c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except (OSError, sqlite3.OperationalError) as exc:
        log.debug("the WAL of %s stays as it is: %s", path.name, exc)
