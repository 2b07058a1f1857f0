"""The service that is measured and soaked: a counter per actor that remembers the last sequence number and says it on.

It runs on the product's own runtime; nothing of it is faked. The first stage reads `bench.first` and says each message on
to `bench.second`; the second stage says it on to `bench.end`, where nobody but the measuring reads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faust
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

from agents.runtime.decision import Context, Decision, Message, Send
from agents.runtime.mailbox import Mailbox, raw
from agents.runtime.service import Service
from agents.runtime.worker import House
from bus.log import TopicSpec
from stores.actors import Actors
from stores.engine import Row

FIRST, SECOND, END = "bench.first", "bench.second", "bench.end"
TOPICS = (TopicSpec(FIRST), TopicSpec(SECOND), TopicSpec(END))
METADATA = MetaData()

counter = Table(
    "counter",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("handled", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
)


class Count(Message):
    """Number `seq` of an actor; `filler` makes it as long as it is meant to be."""

    type = "bench.Count"
    topic = FIRST
    seq: int
    filler: str


class CountOn(Message):
    """The same, one stage on."""

    type = "bench.CountOn"
    topic = SECOND
    seq: int
    filler: str


class Counted(Message):
    """The same at the far end; `handled` is how many the second stage has counted."""

    type = "bench.Counted"
    topic = END
    seq: int
    handled: int
    filler: str


@dataclass(frozen=True, slots=True)
class Counter:
    """How many messages took effect on this actor, and the last one's number."""

    handled: int
    last: int


def first(state: Counter | None, message: Count, context: Context) -> Decision[Counter]:
    """Count, and say it on to the second stage."""
    return Decision(_counted(state, message.seq), sends=(Send(context.actor, CountOn(seq=message.seq, filler=message.filler)),))


def second(state: Counter | None, message: CountOn, context: Context) -> Decision[Counter]:
    """Count, and say it on to the far end."""
    after = _counted(state, message.seq)
    return Decision(after, sends=(Send(context.actor, Counted(seq=message.seq, handled=after.handled, filler=message.filler)),))


def _counted(state: Counter | None, seq: int) -> Counter:
    return Counter(1 + (state.handled if state else 0), seq)


def _to_row(c: Counter) -> Row:
    return (c.handled, c.last)


def _from_row(_: str, row: Row) -> Counter:
    return Counter(*row)


COUNTERS: Actors[Counter] = Actors(counter, to_row=_to_row, from_row=_from_row)


def house(stage: int, behave: Callable[..., Decision[Counter]] | None = None) -> House:
    """The first or the second stage, as a service with its agent."""
    name, topic, message = (("first", FIRST, Count), ("second", SECOND, CountOn))[stage - 1]
    usual: Callable[..., Decision[Counter]] = (first, second)[stage - 1]
    service: Service[Any] = Service(name, topic, (message,), COUNTERS, behave or usual)

    def listen(app: faust.App, mailbox: Mailbox) -> None:
        @app.agent(raw(app, topic), name=name, concurrency=1)
        async def agent(stream: Any) -> None:
            async for event in stream.noack().events():
                await mailbox.handle(event)

    return House(service, listen)
