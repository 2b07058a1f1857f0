"""Being a member of a group: wait as a standby, take the lease when its owner is out, keep it, give it back."""

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
import uuid
from collections.abc import Callable

from bus.errors import BusAway
from bus.record import Fence
from bus.sqlite import lease
from bus.sqlite.file import LogFile
from stores.process import Process, boot_id, end_frozen_holder, is_alive, write_lock_holder
from stores.sqlite import Locked, begin_when_free

LOOK_EVERY_S = 0.05  # a standby looks at the lease so often
ALARM_MS = 550  # a lease not renewed for so long makes the standby see whether the file can be written at all
GRACE_S = 0.4  # after the file was locked by others, the owner has so long to renew before the lease is taken
HELD_RUNNING_S = 5.0  # an owner that holds the lock and does not look stopped may have a slow disk: it gets more time
ACQUIRE_WAIT_S = 0.5
RELEASE_WAIT_S = 2.0

log = logging.getLogger("lendbus.bus")


class Membership:
    """One member of one group. `join` returns when it is the active one."""

    def __init__(self, file: LogFile, group: str) -> None:
        self.group = group
        self.member = str(uuid.uuid4())
        self.fence: Fence | None = None
        self._file = file
        self._seen = lease.NEVER  # the lease at the last look, and since when it has looked so
        self._seen_at_s = time.monotonic()
        self._writable_since_s: float | None = None
        self._owner_holds_since_s: float | None = None
        self._listed = False

    async def join(self, lost: Callable[[BaseException], None]) -> Fence:
        """Wait until the group is ours, by an epoch of its own; `lost` is called when it is ours no more."""
        while True:
            with contextlib.suppress(BusAway):  # locked: looked at again
                if (fence := await self._try()) is not None:
                    self.fence = fence
                    self._file.hold(self.member, fence, lost)
                    log.info("group %s: active, epoch %d, pid %d", self.group, fence.epoch, os.getpid())
                    return fence
                if not self._listed:
                    await self._file.write(lease.stand_by, self.group, self.member, self._file.me, wait_s=ACQUIRE_WAIT_S)
                    self._listed = True
                    owner = self._seen.process
                    log.info("group %s: waiting as standby, pid %s has it", self.group, owner.pid if owner else "-")
            await self._tick()

    async def owner(self) -> lease.Lease | None:
        """The lease of a living owner; None when the group is free to take."""
        seen = await self._file.ask(lease.look, self.group)
        return seen if seen.process is not None and is_alive(seen.process) is not False else None

    async def leave(self) -> None:
        """Give the lease back, so that a standby need not wait for its end; a file that cannot be written lets it run out."""
        self._file.let_go(self.member)
        fence, self.fence = self.fence, None
        if fence is None and not self._listed:
            return
        with contextlib.suppress(BusAway):
            await self._file.write(lease.release, self.member, fence, wait_s=RELEASE_WAIT_S)

    async def _try(self) -> Fence | None:
        seen = await self._file.ask(lease.look, self.group)
        if seen != self._seen:
            self._seen, self._seen_at_s = seen, time.monotonic()
        if not await self._is_out(seen):
            return None
        return await self._file.write(
            lease.acquire, self.group, self.member, self._file.me, seen, wait_s=ACQUIRE_WAIT_S, stuck=self._file.stuck
        )

    async def _is_out(self, seen: lease.Lease) -> bool:
        """Whether the owner has gone, died, or been silent for a lease while it could have renewed."""
        if seen.process is None or is_alive(seen.process) is False:
            return True
        silent_ms = lease.silent_ms(seen)
        if silent_ms is None:
            silent_ms = int((time.monotonic() - self._seen_at_s) * 1000)
        if silent_ms < ALARM_MS:
            self._writable_since_s = self._owner_holds_since_s = None
            return False
        if not await self._file.write(_can_write):
            self._writable_since_s = None
            await asyncio.to_thread(self._end_frozen, seen.process, silent_ms)
            return False
        self._owner_holds_since_s = None
        now_s = time.monotonic()
        self._writable_since_s = self._writable_since_s or now_s
        return silent_ms >= lease.LEASE_MS and now_s - self._writable_since_s >= GRACE_S

    def _end_frozen(self, owner: Process, silent_ms: int) -> None:
        """The file is locked and the owner silent: one lease after the lease ran out, end a holder that is stopped and one of ours.

        The owner is ended also when it does not look stopped (a frozen cgroup), if for long every look found it holding the lock.
        """
        now_s = time.monotonic()
        if owner.boot != boot_id() or write_lock_holder(self._file.path) != owner.pid:
            self._owner_holds_since_s = None
        elif self._owner_holds_since_s is None:
            self._owner_holds_since_s = now_s
        if silent_ms <= 2 * lease.LEASE_MS:
            return
        held_s = 0.0 if self._owner_holds_since_s is None else now_s - self._owner_holds_since_s
        if held_s > HELD_RUNNING_S:
            end_frozen_holder(self._file.path, lambda *who: who == owner[:2], even_running=True)
        else:
            end_frozen_holder(self._file.path, self._file.is_ours)

    async def _tick(self) -> None:
        """Until the next look; at once when the owner ends."""
        owner = self._seen.process
        fd = _pidfd(owner) if owner is not None and owner.boot == boot_id() else None
        if fd is None:
            await asyncio.sleep(LOOK_EVERY_S)
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        try:
            loop.add_reader(fd, ended.set)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):  # Python 3.11's `wait_for` swallows a cancellation that meets the event
                    await ended.wait()
        finally:
            loop.remove_reader(fd)
            os.close(fd)


def _pidfd(process: Process) -> int | None:
    """A descriptor that becomes readable when the process ends; None where there is no such thing, or it has ended."""
    try:
        return os.pidfd_open(process.pid)
    except (OSError, AttributeError):
        return None


def _can_write(c: sqlite3.Connection) -> bool:
    """Whether the write lock is free just now."""
    try:
        begin_when_free(c, wait_s=0)
    except Locked:
        return False
    c.execute("ROLLBACK")
    return True
