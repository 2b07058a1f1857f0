"""A small service of the tests' own, its store, and a bus in memory that may refuse, be away, or lose its lease."""

import asyncio
import dataclasses
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, select

from agents.runtime import batch as batches
from agents.runtime import outbox, ownership
from agents.runtime.batch import Batch, Done
from agents.runtime.decision import Attempt, Claim, ClearTimer, Context, Decision, Message, Send, SetTimer
from agents.runtime.envelope import Origin, encode
from agents.runtime.ownership import Tenure
from agents.runtime.service import Service
from bus.errors import BusError, RecordRefused
from bus.record import Fence, Headers, Outgoing, Record
from stores.actors import Actors
from stores.engine import Row, Store, StoreAway, Tx
from stores.runtime import RUNTIME
from stores.statement import Statement

TOPIC = "test.commands"
NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
HORIZON_MS = 10 * DAY_MS
PATIENCE_S = 20.0
TRIES_MAX = 10
IDLE = "idle-in-transaction timeout"
NOBODY = Tenure(0, 0)
METADATA = MetaData()

box = Table(
    "box",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("log", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Box:
    """An actor that adds up, and notes in which order it was spoken to."""

    id: str
    total: int = 0
    log: str = ""

    def plus(self, number: int, word: str) -> "Box":
        return dataclasses.replace(self, total=self.total + number, log=f"{self.log}{word} ")


class Do(Message):
    """What a box shall do; `tags` are claimed."""

    type = "test.Do"
    topic = TOPIC
    id: str = ""
    what: str = "add"
    number: int = 0
    word: str = "x"
    tags: tuple[str, ...] = ()

    def claims(self) -> tuple[Claim, ...]:
        return tuple(Claim("tag", tag) for tag in self.tags)


class Said(Message):
    """What a box says."""

    type = "test.Said"
    topic = "test.answers"
    id: str
    what: str
    number: int = 0


def ids(count: int, prefix: str = "m") -> list[str]:
    """Message ids that are the same in every run."""
    return [str(uuid.uuid5(uuid.NAMESPACE_OID, f"{prefix}{n}")) for n in range(count)]


def behave(state: Box | None, do: Any, context: Context) -> Decision[Box]:
    """Whatever the message says."""
    now = state or Box(context.actor)
    after = now.plus(do.number, do.word)
    said = Said(id=context.actor, what=do.what, number=after.total)
    match do.what:
        case "add":
            return Decision(after)
        case "ask":
            return Decision(after, answer=said)
        case "hold" if context.claims_lost:
            return Decision.refuse(Said(id=context.actor, what="lost:" + ",".join(context.claims_lost)), state=state)
        case "hold":
            return Decision(after, answer=said)
        case "refuse":
            return Decision.refuse(said, state=state)
        case "forget":
            return Decision.forget(answer=said)
        case "say":
            return Decision(after, sends=tuple(Send(f"{do.word}{n}", Said(id="", what="said", number=n)) for n in range(do.number)))
        case "timer":
            return Decision(after, timers=(SetTimer(do.word, do.number, Do(what="add", number=1, word="rang")),))
        case "clear":
            return Decision(after, timers=(ClearTimer(do.word),))
        case "attempt":
            return Decision(after, attempts=(Attempt("bank", do.word, {"number": do.number}),))
        case "end":
            return Decision(after, reply=said)
        case "alias":
            return Decision(after, aliases=do.tags)
        case "big":
            return Decision(Box(context.actor, 2**70))
    raise AssertionError(f"unknown {do.what}")


@dataclass
class Weather:
    """Which words make the behaviour raise just now; what mends them stands for another version of the code."""

    broken: set[str] = field(default_factory=set)

    def behave(self, state: Box | None, do: Any, context: Context) -> Decision[Box]:
        if do.word in self.broken:
            raise RuntimeError(f"cannot {do.word} s1.k1.c2VjcmV0")
        return behave(state, do, context)


BOXES: Actors[Box] = Actors(box, to_row=lambda b: (b.total, b.log), from_row=lambda key, row: Box(key, *row))


def boxes(weather: Weather | None = None, **changes: Any) -> Service[Box]:
    """The service of this test."""
    return Service("boxes", TOPIC, (Do,), BOXES, (weather or Weather()).behave, **changes)


@dataclass
class World:
    """One partition of the service over a real store, with a clock that stands still and the next offset."""

    store: Store
    weather: Weather = field(default_factory=Weather)
    now_ms: int = NOW_MS
    offset: int = 0
    tenure: Tenure = NOBODY
    incarnation: str = "log-1"
    service: Service[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.service = boxes(self.weather)

    async def take_over(self) -> Tenure:
        self.tenure = await self.store.transaction("takeover.commit", ownership.take_over, 0, now_ms=self.now_ms)
        return self.tenure

    def record(self, actor: str, message: Message | None = None, *, message_id: str | None = None, **changes: Any) -> Record:
        """The next record of the log: a message to this actor."""
        offset, self.offset = self.offset, self.offset + 1
        identity = message_id or str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.incarnation}/{offset}"))
        origin = Origin(identity, changes.pop("trace", actor), changes.pop("principal", "member-1"))
        sent_ms = changes.pop("sent_ms", self.now_ms)
        out = encode(message or Do(), key=actor, message_id=identity, origin=origin, now_ms=sent_ms, **changes)
        return Record(TOPIC, 0, offset, sent_ms, self.now_ms, out.key, out.value, out.headers)

    def poison(self, value: bytes | None = b"{") -> Record:
        """The next record of the log: one that nobody can read."""
        return self.record("poison")._replace(value=value)

    def batch(self, sent: Sequence[int] = ()) -> Batch:
        return Batch(self.service, self.tenure, self.incarnation, self.now_ms, HORIZON_MS, sent)

    async def run(self, *records: Record, rejected: str | None = None, sent: Sequence[int] = ()) -> Done:
        """One transaction of the loop."""
        items = batches.decoded(records, self.service.registry)
        done: Done = await self.owned(batches.apply, items, rejected, sent=sent)
        return done

    async def tell(self, actor: str, **do: Any) -> Done:
        """One message in a transaction of its own."""
        return await self.run(self.record(actor, Do(**do)))

    async def heal(self, actor: str, *, tries: int = 0, limit: int = 100) -> batches.Healed:
        healed: batches.Healed = await self.owned(batches.heal, actor, tries, limit)
        return healed

    async def owned(self, work: Callable[..., Any], *args: Any, sent: Sequence[int] = ()) -> Any:
        """A transaction in this owner's name, as `Partition` makes it."""

        def transaction(tx: Tx) -> Any:
            ownership.check(tx, self.tenure)
            done = work(tx, self.batch(sent), *args)
            outbox.forget(tx, sent)
            return done

        for _ in range(TRIES_MAX):
            try:
                return await self.store.transaction("loop.commit", transaction)
            except StoreAway as exc:  # on a busy machine the second that a transaction may do nothing is over soon
                if IDLE not in str(exc):
                    raise
        raise AssertionError(f"{TRIES_MAX} transactions did nothing for a second")

    async def rows(self, table: Table) -> list[Row]:
        """A table's rows in key order."""
        return await self.store.transaction("loop.commit", lambda tx: tx.all(Statement(select(table).order_by(*table.primary_key))))

    async def column(self, column: Column[Any]) -> list[Any]:
        """One column of a table, in key order."""
        assert isinstance(column.table, Table)
        at = list(column.table.columns).index(column)
        return [row[at] for row in await self.rows(column.table)]

    async def everything(self) -> dict[str, list[Row]]:
        """Every row of every table."""
        return {table.name: await self.rows(table) for table in (*RUNTIME.sorted_tables, *METADATA.sorted_tables)}

    async def box(self, actor: str) -> Box | None:
        found = await self.store.transaction("loop.commit", BOXES.load, [actor])
        return found[actor][0] if actor in found else None


@dataclass
class FakeBus:
    """What a relay and a scanner need of a bus; `refuses` says why a record can never be appended."""

    records: list[Outgoing] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)  # how many records each append had
    failures: list[BusError] = field(default_factory=list)  # raised by the next calls, one each
    refuses: Callable[[Outgoing], str | None] = lambda _: None
    open: asyncio.Event = field(default_factory=asyncio.Event)
    read_from: list[Record] = field(default_factory=list)
    first: int = 0
    end: int = 0

    def __post_init__(self) -> None:
        self.open.set()

    async def append(self, records: Sequence[Outgoing], *, fence: Fence | None = None) -> list[tuple[int, int]]:
        await self.open.wait()
        self.calls.append(len(records))
        if self.failures:
            raise self.failures.pop(0)
        for record in records:
            if why := self.refuses(record):
                raise RecordRefused(why)
        self.records += records
        return [(0, n) for n in range(len(records))]

    async def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        return {0: (self.first, self.end)}

    async def read(self, topic: str, partition: int, offset: int, limit: int = 1, max_bytes: int = 0) -> list[Record]:
        return [r for r in self.read_from if r.offset >= offset][:limit]

    async def incarnation(self) -> str:
        return "log-1"

    def words(self) -> list[tuple[str, int]]:
        """Who was told what, in order."""
        return [((r.key or b"").decode(), Said.model_validate_json(r.value or b"").number) for r in self.records]


def message_id(record: Record | Outgoing) -> str:
    """The id in a record's headers."""
    return (dict[str, bytes | None](record.headers)["message-id"] or b"").decode()


def header(headers: Headers, name: str) -> str | None:
    """A header as text."""
    value = dict[str, bytes | None](headers).get(name)
    return None if value is None else value.decode()


async def until(holds: Callable[[], Any]) -> Any:
    """Wait for a condition, which may be asynchronous; its value."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = holds()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s"
        await asyncio.sleep(0.002)
