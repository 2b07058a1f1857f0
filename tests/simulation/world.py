"""Two services on real SQLite files, a log in memory, and owners that come, die and come back: what the simulator moves.

Everything runs in one thread, by the transaction functions themselves, so a run follows from its seed alone.
"""

import sqlite3
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Table, select
from sqlalchemy.schema import CreateIndex, CreateTable

import stores.accounts
import stores.users
from agents.accounts.agent import service as accounts_service
from agents.runtime import outbox
from agents.runtime.batch import Batch
from agents.runtime.decision import Context, Decision
from agents.runtime.outbox import Pending
from agents.runtime.ownership import Tenure
from agents.runtime.partition import Leaves, _owned, _taken
from agents.runtime.scanner import Told, _wake_all
from agents.runtime.service import Service
from agents.users.agent import service as users_service
from bus.errors import LostLease
from bus.record import Outgoing, Record
from config.registration import Policy
from config.retry import Schedule
from stores.engine import Row, Tx
from stores.runtime import RUNTIME
from stores.sqlite_store import SqliteTx
from stores.statement import SQLITE, Statement
from tests.integration.stores.world import DAY_MS, HORIZON_MS, NOW_MS, message_id

PARTITIONS = 2
POLICY = Policy(try_deadline_ms=1_000, second_phase=Schedule(first_ms=500, factor=2, cap_ms=4_000, budget=3))
TABLES = {"users": stores.users.METADATA, "accounts": stores.accounts.METADATA}


class Crash(Exception):
    """The process dies here; what was not committed never was."""


class Violation(AssertionError):
    """The platform broke one of its promises; says which, and how to have this run again."""


def partition_of(key: bytes | None) -> int:
    """Which partition a key's records and rows are in."""
    return zlib.crc32(key or b"") % PARTITIONS


@dataclass
class Log:
    """Topics as lists that only grow; an append by a lost epoch is refused, as both buses do it."""

    partitions: dict[tuple[str, int], list[Record]] = field(default_factory=lambda: defaultdict(list))
    epochs: dict[tuple[str, int], int] = field(default_factory=dict)
    undamaged: dict[tuple[str, int, int], bytes | None] = field(default_factory=dict)  # what a mangled record held

    def append(self, o: Outgoing, now_ms: int, *, mangled: bool = False) -> None:
        number = partition_of(o.key) if o.partition is None else o.partition
        records = self.partitions[o.topic, number]
        if mangled:
            self.undamaged[o.topic, number, len(records)] = o.value
        value = b'{"rotten' if mangled else o.value
        records.append(Record(o.topic, number, len(records), o.timestamp_ms, now_ms, o.key, value, o.headers))

    def fenced(self, owner: "Owner", rows: Iterable[Pending], now_ms: int, mangled: Callable[[Outgoing], bool]) -> None:
        """Append in the name of an owner. Raises LostLease when it is the owner no more."""
        at = (owner.side.service.name, owner.tenure.partition)
        if self.epochs[at] != owner.tenure.epoch:
            raise LostLease(f"{at}: epoch {owner.tenure.epoch} is over")
        for row in rows:
            self.append(row.record, now_ms, mangled=mangled(row.record))

    def all_of(self, topic: str) -> list[Record]:
        return [record for number in range(PARTITIONS) for record in self.partitions[topic, number]]


@dataclass
class Weather:
    """Actors whose behaviour raises just now, and all whose ever did."""

    broken: set[tuple[str, str]] = field(default_factory=set)
    ever: set[tuple[str, str]] = field(default_factory=set)

    def breaks(self, name: str, actor: str) -> None:
        self.broken.add((name, actor))
        self.ever.add((name, actor))

    def over(self, service: Service[Any]) -> Service[Any]:
        """The service, under this weather."""

        def behave(state: Any, message: Any, context: Context) -> Decision[Any]:
            if (service.name, context.actor) in self.broken:
                raise RuntimeError("this version has a bug")
            return service.behave(state, message, context)

        return replace(service, behave=behave)


@lru_cache
def _made(table: Table) -> list[str]:
    """What makes the table with its indexes."""
    indexes = [str(CreateIndex(index).compile(dialect=SQLITE)) for index in table.indexes]
    return [str(CreateTable(table).compile(dialect=SQLITE)), *indexes]


@lru_cache
def _select(table: Table) -> Statement:
    return Statement(select(table).order_by(*table.primary_key))


class Side:
    """One service's database, and everything that its committed transactions have said."""

    def __init__(self, service: Service[Any], path: Path, tables: MetaData) -> None:
        self.service = service
        self.connection = sqlite3.connect(path, isolation_level=None, cached_statements=512)
        self.connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        self.connection.execute("PRAGMA journal_mode=MEMORY")
        self.connection.execute("PRAGMA synchronous=OFF")
        self.tx = SqliteTx(self.connection)
        self.tables: list[Table] = [*RUNTIME.sorted_tables, *tables.sorted_tables]
        for table in self.tables:
            for statement in _made(table):
                self.connection.execute(statement)
        self.said: list[Outgoing] = []

    def transaction(self, work: Callable[..., Any], *args: Any, crash: str = "", **kwargs: Any) -> Any:
        """`work(tx, …)`, committed; `crash` is "" or "before": all is done but the COMMIT."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            done = work(self.tx, *args, **kwargs)
            if crash == "before":
                raise Crash
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return done

    def rows(self, table: Table) -> list[Row]:
        return self.tx.all(_select(table))

    def dicts(self, table: Table) -> list[dict[str, Any]]:
        names = [c.name for c in table.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows(table)]

    def everything(self) -> dict[str, list[Row]]:
        return {table.name: self.rows(table) for table in self.tables}


@dataclass(eq=False)
class Owner:
    """One process' hold on one partition: what it has in memory, which dies with it."""

    side: Side
    tenure: Tenure
    next_offset: int
    waiting: deque[Pending] = field(default_factory=deque)
    sent: list[int] = field(default_factory=list)
    alive: bool = True

    @property
    def at(self) -> tuple[str, int]:
        return self.side.service.name, self.tenure.partition

    def transaction(self, now_ms: int, work: Callable[..., Leaves], *args: Any, crash: str = "") -> Any:
        """As `Partition.transaction`: under the epoch, and with the acknowledged rows; `crash` may be "before" or "after" the COMMIT."""
        batch = Batch(self.side.service, self.tenure, "log-1", now_ms, HORIZON_MS, tuple(self.sent))
        done = self.side.transaction(_owned, work, batch, *args, crash=crash)
        self.side.said += [row.record for row in sorted(done.leaving, key=lambda row: row.id)]  # by their numbers: as they were said
        if crash == "after":
            raise Crash
        self.sent.clear()
        self.waiting.extend(done.leaving)
        return done

    def delete_sent(self, now_ms: int) -> None:
        """The relay's own transaction."""
        self.transaction(now_ms, _nothing)


def _nothing(_: Tx, __: Batch) -> Told:
    return Told()


class Platform:
    """Both sides, the log, the clock, and who owns what; ids of records that nobody's actor has said are in `foreign`."""

    def __init__(self, folder: Path) -> None:
        self.weather = Weather()
        services = (users_service(POLICY), accounts_service(DAY_MS))
        self.sides = {s.name: Side(self.weather.over(s), folder / f"{s.name}.db", TABLES[s.name]) for s in services}
        self.log = Log()
        self.now_ms = NOW_MS
        self.owners: dict[tuple[str, int], Owner] = {}
        self.ghosts: list[Owner] = []
        self.foreign: set[str] = set()
        self.mangles: Callable[[Outgoing], bool] = lambda _: False
        for name in self.sides:
            for number in range(PARTITIONS):
                self.take_over(name, number)

    def close(self) -> None:
        for side in self.sides.values():
            side.connection.close()

    def take_over(self, name: str, number: int, *, dies_between: bool = False) -> None:
        """A new epoch; what was left behind leaves first. The owner before, if it lives, does not know yet.

        `dies_between`: the new owner dies when the bus has the rows and the outbox still holds them.
        """
        side = self.sides[name]
        if (old := self.owners.get((name, number))) is not None and old.alive:
            self.ghosts.append(old)
        tenure, known = side.transaction(_taken, number, self.now_ms)
        owner = Owner(side, tenure, known.next_offset if known else 0)
        self.owners[name, number] = owner
        self.log.epochs[name, number] = tenure.epoch
        rows = side.transaction(outbox.left_behind, number, after=0, limit=10_000)
        self.log.fenced(owner, rows, self.now_ms, self.mangles)
        if dies_between:
            owner.alive = False
            return
        owner.sent += [row.id for row in rows]
        owner.delete_sent(self.now_ms)
        owner.transaction(self.now_ms, _wake_all)

    def relay(self, owner: Owner, count: int, *, dies_between: bool = False) -> None:
        """Take the next rows to the bus; the owner may die before their deletion is noted."""
        rows = [owner.waiting.popleft() for _ in range(min(count, len(owner.waiting)))]
        self.log.fenced(owner, rows, self.now_ms, self.mangles)
        owner.sent += [row.id for row in rows]
        if dies_between:
            owner.alive = False

    def run_of(self, owner: Owner, count: int) -> list[Record]:
        """The next records that this owner reads."""
        return self.log.partitions[owner.side.service.topic, owner.tenure.partition][owner.next_offset : owner.next_offset + count]

    def ids_at(self, topic: str) -> list[tuple[bytes | None, str]]:
        """Key and message id of a topic's records, in the order of each partition, the first occurrence of each id only."""
        return list(dict.fromkeys((r.key, message_id(r)) for r in self.log.all_of(topic) if r.headers))
