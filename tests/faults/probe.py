"""The smallest flow that passes every fault point of the runtime: a thing that is begun, waits for a timer, asks outside, ends.

Besides: one thing whose behaviour raises until it is mended (healing), and one record that nobody can read (redrive).
"""

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import faust
from sqlalchemy import Column, Integer, MetaData, Table, Text

from agents.runtime.decision import Attempt, Context, Decision, Message, Send, SetTimer
from agents.runtime.envelope import MESSAGE_ID, Origin, encode
from agents.runtime.mailbox import Mailbox, raw
from agents.runtime.pruning import DAY_MS, Keep
from agents.runtime.service import Service
from agents.runtime.worker import House, Surroundings, Worker
from bus.connect import connect
from bus.log import Bus, TopicSpec
from bus.record import Outgoing
from stores.actors import Actors
from stores.engine import Row
from stores.migrate import create

COMMANDS, EVENTS, DEAD = "probe.commands", "probe.events", "dead.letters"
OLD = "probe.old"  # what stands here is past its retention at once
TOPICS = (TopicSpec(COMMANDS), TopicSpec(EVENTS), TopicSpec(DEAD), TopicSpec(OLD, retention_ms=1))
METADATA = MetaData()
KEEP = Keep(9 * DAY_MS, 90 * DAY_MS, 9 * DAY_MS, 30 * DAY_MS, DAY_MS, 7 * DAY_MS, DAY_MS // 2, 0.4)

table = Table(
    "thing",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("steps", Integer, nullable=False),
)


class Begin(Message):
    """Begin a thing."""

    type = "probe.Begin"
    topic = COMMANDS
    fragile: bool = False


class Tick(Message):
    """Its timer."""

    type = "probe.Tick"
    topic = COMMANDS


class Told(Message):
    """What the outside world said."""

    type = "probe.Told"
    topic = COMMANDS


class Ended(Message):
    """The thing has ended, after so many steps."""

    type = "probe.Ended"
    topic = EVENTS
    id: str
    steps: int


@dataclass(frozen=True, slots=True)
class Thing:
    """BEGUN, ASKING, ENDED; each step counted, so that a doubled effect shows."""

    state: str
    steps: int


def _to_row(t: Thing) -> Row:
    return (t.state, t.steps)


def _from_row(_: str, row: Row) -> Thing:
    return Thing(*row)


class World:
    """One folder with a bus and a store; what breaks can be built anew in it as often as one likes."""

    def __init__(self, folder: Path) -> None:
        self.bus_url = f"sqlite:///{folder / 'bus.db'}"
        self.store_url = f"sqlite:///{folder / 'probe.db'}"
        self.store_path = folder / "probe.db"
        self.fragile_raises = 1  # how often the fragile thing's behaviour raises before it is mended
        self.asked: list[str] = []
        create(self.store_url, METADATA)

    def behave(self, thing: Thing | None, message: Message, context: Context) -> Decision[Thing]:
        """Begun, told by the timer, asked outside, ended; a step that comes twice would count twice."""
        if isinstance(message, Begin):
            if message.fragile and self.fragile_raises > 0:
                self.fragile_raises -= 1
                raise RuntimeError("not mended yet")
            return Decision(
                Thing("BEGUN", 1), timers=(SetTimer("tick", context.instant_ms + 20, Tick()),), aliases=(f"alias-{context.actor}",)
            )
        assert thing is not None, "nothing comes before Begin"
        thing = replace(thing, steps=thing.steps + 1)
        if isinstance(message, Tick):
            return Decision(replace(thing, state="ASKING"), attempts=(Attempt("outside", f"ask-{context.actor}", {"n": 1}),))
        return Decision(replace(thing, state="ENDED"), sends=(Send(context.actor, Ended(id=context.actor, steps=thing.steps)),))

    async def outside(self, number: str, content: Mapping[str, Any]) -> Message:
        """The outside world: idempotent by number, as it has to be."""
        self.asked.append(number)
        return Told()

    def house(self) -> House:
        """The service with its agent."""
        store: Actors[Thing] = Actors(table, to_row=_to_row, from_row=_from_row)
        service: Service[Any] = Service("probe", COMMANDS, (Begin, Tick, Told), store, self.behave, callers={"outside": self.outside})

        def listen(app: faust.App, mailbox: Mailbox) -> None:
            @app.agent(raw(app, COMMANDS), name="probe", concurrency=1)
            async def agent(stream: Any) -> None:
                async for event in stream.noack().events():
                    await mailbox.handle(event)

        return House(service, listen)

    def worker(self) -> Worker:
        """A new worker, as after a restart."""
        return Worker(self.house(), Surroundings(self.bus_url, self.store_url, TOPICS, KEEP))

    async def bus(self) -> Bus:
        """The bus, open, its topics declared."""
        bus = connect(self.bus_url)
        await bus.open()
        await bus.declare(TOPICS)
        return bus


def begin(key: str, *, fragile: bool = False) -> Outgoing:
    """A command that begins a thing."""
    identity = str(uuid.uuid4())
    origin = Origin(identity, f"trace-{key}", "test")
    return encode(Begin(fragile=fragile), key=key, message_id=identity, origin=origin, now_ms=time.time_ns() // 1_000_000)


def stale() -> Outgoing:
    """A record that the pruner takes away."""
    return begin("old")._replace(topic=OLD)


def unreadable(key: str) -> Outgoing:
    """A Begin whose body is no JSON; mended, it begins a thing."""
    good = begin(key)
    return good._replace(value=b"{", packed=None)


async def ended(bus: Bus) -> dict[str, int]:
    """Who has ended after how many steps, each message counted once; a second Ended under another id is a doubled effect."""
    seen: set[bytes | None] = set()
    found: dict[str, int] = {}
    start, end = (await bus.ends(EVENTS))[0]
    for record in await bus.read(EVENTS, 0, start, limit=end - start + 1):
        identity = dict(record.headers)[MESSAGE_ID]
        if identity in seen:
            continue
        seen.add(identity)
        message = Ended.model_validate_json(record.value or b"")
        assert message.id not in found, f"{message.id} has ended twice"
        found[message.id] = message.steps
    return found


async def until_all_ended(bus: Bus, keys: set[str], within_s: float) -> dict[str, int]:
    """Wait until every key has ended. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not keys <= (found := await ended(bus)).keys():
            await bus.wait(0.1)
    return found
