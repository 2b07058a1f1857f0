"""A group's lease in the log file: one active member, an epoch that grows with each, standbys, and the processes that are ours.

The lease runs on the machine's monotonic clock. A dead owner is out at once, a silent one when its lease is over; of an
owner on another boot or in another pid namespace only its renewals can be watched.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bus.errors import LostLease
from bus.log import GroupRow
from bus.record import Fence
from stores.process import Process, boot_id, is_alive, monotonic_ms
from stores.sqlite import immediate

LEASE_MS = 1000
RENEW_EVERY_S = 0.3

Stuck = Callable[[float], None]


class Lease(NamedTuple):
    """The row of a group as a waiter saw it; `owner` None: it was given back, or nobody ever had it."""

    epoch: int
    owner: str | None
    process: Process | None
    since_ms: int | None
    renewed_ms: int | None  # on the monotonic clock of the owner's boot


NEVER = Lease(0, None, None, None, None)


def register(c: sqlite3.Connection, me: Process, *, stuck: Stuck) -> None:
    """Write this process down as one of ours, so that whoever finds it frozen with the write lock may end it; forget the dead."""
    with immediate(c, "bus.declare", stuck=stuck):
        for row in c.execute("SELECT pid, started, boot, host FROM process").fetchall():
            if is_alive(Process(*row)) is False:
                c.execute("DELETE FROM process WHERE pid=? AND started=? AND boot=?", row[:3])
        c.execute("INSERT OR IGNORE INTO process(pid, started, boot, host) VALUES(?,?,?,?)", me)


def is_registered(c: sqlite3.Connection, pid: int, started: int) -> bool:
    """Whether this very process of this boot has written itself down."""
    row = c.execute("SELECT 1 FROM process WHERE boot=? AND pid=? AND started=?", (boot_id(), pid, started)).fetchone()
    return row is not None


def is_writer(path: Path, pid: int, started: int) -> bool:
    """The same, asked from any thread, on a connection of its own to the file at an absolute path."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0)) as c:
        return is_registered(c, pid, started)


def look(c: sqlite3.Connection, group: str) -> Lease:
    """The group's lease as it stands."""
    row = c.execute("SELECT epoch, owner, pid, started, boot, host, since_ms, renewed_ms FROM lease WHERE grp=?", (group,)).fetchone()
    if row is None:
        return NEVER
    epoch, owner, *process, since_ms, renewed_ms = row
    return Lease(epoch, owner, Process(*process) if owner else None, since_ms, renewed_ms)


def acquire(
    c: sqlite3.Connection, group: str, member: str, me: Process, seen: Lease, *, wait_s: float, stuck: Stuck | None
) -> Fence | None:
    """Take the lease with the next epoch, if it still is as it was seen; None when somebody was quicker, or the owner renewed."""
    with immediate(c, "bus.acquire", wait_s=wait_s, stuck=stuck):
        if look(c, group) != seen:
            return None
        c.execute(
            "INSERT OR REPLACE INTO lease(grp, epoch, owner, pid, started, boot, host, since_ms, renewed_ms) VALUES(?,?,?,?,?,?,?,?,?)",
            (group, seen.epoch + 1, member, *me, time.time_ns() // 1_000_000, monotonic_ms()),
        )
        c.execute("DELETE FROM standby WHERE member=?", (member,))
    return Fence(group, seen.epoch + 1)


def renew(c: sqlite3.Connection, held: dict[str, Fence], *, wait_s: float, stuck: Stuck | None) -> list[str]:
    """Renew the leases of these members; those that have lost theirs. No fsync: after a power cut no lease is left anyway."""
    c.execute("PRAGMA synchronous=NORMAL")
    try:
        with immediate(c, "bus.renew", wait_s=wait_s, stuck=stuck):
            now_ms = monotonic_ms()
            return [
                member
                for member, fence in held.items()
                if not c.execute(
                    "UPDATE lease SET renewed_ms=? WHERE grp=? AND epoch=? AND owner=?", (now_ms, fence.group, fence.epoch, member)
                ).rowcount
            ]
    finally:
        c.execute("PRAGMA synchronous=FULL")


def release(c: sqlite3.Connection, member: str, fence: Fence | None, *, wait_s: float) -> None:
    """Give the lease back, or stop being a standby; the epoch stays."""
    with immediate(c, "bus.acquire", wait_s=wait_s):
        c.execute("DELETE FROM standby WHERE member=?", (member,))
        if fence is not None:
            c.execute("UPDATE lease SET owner=NULL WHERE grp=? AND epoch=? AND owner=?", (fence.group, fence.epoch, member))


def stand_by(c: sqlite3.Connection, group: str, member: str, me: Process, *, wait_s: float) -> None:
    """Be listed as waiting for the group."""
    with immediate(c, "bus.declare", wait_s=wait_s):
        c.execute("INSERT OR REPLACE INTO standby(member, grp, pid, started, boot, host) VALUES(?,?,?,?,?,?)", (member, group, *me))


def still_held(c: sqlite3.Connection, fence: Fence, member: str) -> None:
    """Raise LostLease when the lease is not this member's any more."""
    lease = look(c, fence.group)
    if (lease.epoch, lease.owner) != (fence.epoch, member):
        raise LostLease(f"group {fence.group!r} is in epoch {lease.epoch} now, epoch {fence.epoch} is over")


def silent_ms(lease: Lease) -> int | None:
    """For how long the owner has not renewed, in milliseconds; None when its clock is not ours."""
    if lease.process is None or lease.renewed_ms is None or lease.process.boot != boot_id():
        return None
    return monotonic_ms() - lease.renewed_ms


def groups(c: sqlite3.Connection) -> list[GroupRow]:
    """Every group that was ever declared or had a member, by name."""
    names = c.execute("SELECT grp FROM consumes UNION SELECT grp FROM lease UNION SELECT grp FROM committed ORDER BY 1").fetchall()
    return [_row(c, name) for (name,) in names]


def _row(c: sqlite3.Connection, group: str) -> GroupRow:
    lease = look(c, group)
    waiting = c.execute("SELECT pid, started, boot, host FROM standby WHERE grp=? ORDER BY pid", (group,)).fetchall()
    pids = tuple(row[0] for row in waiting if is_alive(Process(*row)) is not False)
    if lease.process is None:
        return GroupRow(group, lease.epoch, None, None, None, False, pids)
    silent = silent_ms(lease)
    alive = is_alive(lease.process) is not False and (silent is None or silent <= LEASE_MS)
    return GroupRow(group, lease.epoch, lease.process.pid, lease.process.host, lease.since_ms, alive, pids)
