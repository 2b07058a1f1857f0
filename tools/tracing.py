"""The story of one id, put together from every store's indexes and the records that they point at; nothing scans a log.

Two bounded looks go beyond the indexes: what a mailbox has not read yet, and what was said on topics that no store reads
(answers to the gateway, events) while the story went on.
"""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agents.runtime.envelope import CAUSATION, MESSAGE_ID, PRINCIPAL, TRACE
from bus.headers import unpack_headers
from bus.record import Record
from stores import inspection
from tools.output import WrongUse, instant
from tools.reading import MAILBOXES, ask, bus_is_there, reading_bus, services
from tools.record_view import header, type_of
from tools.tracing_states import states
from topics import BY_NAME

if TYPE_CHECKING:
    from bus.log import Bus
    from config.settings import Settings

LOOK_RECORDS_MAX: Final = 5_000  # of one topic, beyond what the indexes point at
LOOK_BEFORE_MS, LOOK_AFTER_MS = 1_000, 5_000
ACTORS_MAX: Final = 500
EDGE: Final = "gateway"
ASKING: Final = frozenset({"custody"})  # services that ask the outside world; the answers come to their own mailbox
_PLAIN = re.compile(r"[!-~]{1,200}", re.ASCII)


@dataclass
class Step:
    """One message of the story: who said it to whom, when it was handled, and what came of it."""

    at_ms: int
    type: str | None
    sender: str
    receiver: str
    actor: str
    effect: str
    message_id: str | None
    causation: str | None
    topic: str
    partition: int
    offset: int
    said_ms: int | None
    depth: int = 0


@dataclass
class Story:
    """Everything that is known of an id."""

    id: str
    trace: str
    steps: list[Step] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Nobody has heard of this id."""
        return not (self.steps or self.waiting or self.states)


async def story(settings: "Settings", which: str) -> Story:
    """Find the trace of an id and tell its story. Raises WrongUse for what can be no id, or when nothing is here."""
    if not _PLAIN.fullmatch(which):
        raise WrongUse(f"{which!r} is no id: ids are up to 200 printable ASCII characters without blanks")
    told = Story(which, await _trace(settings, which))
    actors: dict[str, set[str]] = defaultdict(set)
    if bus_is_there(settings):
        async with reading_bus(settings) as bus:
            for service in services():
                told.steps += [step async for step in _handled(settings, bus, service, told.trace, actors[service])]
                told.steps += [step async for step in _unread(settings, bus, service, told.trace)]
            told.steps += [step async for step in _answers(bus, told)]
    for service in services():
        await _wait(settings, service, told, sorted(actors[service] | {told.trace, which})[:ACTORS_MAX])
    _relate(told.steps)
    return told


async def _trace(settings: "Settings", which: str) -> str:
    """The trace of whatever the id names; a dead letter's is in its headers or its key."""
    for question in (inspection.trace_of, inspection.trace_of_pruned):
        for service in services():
            if found := await ask(settings, service, partial(question, which=which)):
                return found
    for service in services():
        if (letter := await ask(settings, service, partial(inspection.dead_letter_by_id, which=which))) is not None:
            said = header(unpack_headers(letter.headers), TRACE) or (letter.key or b"").decode("ascii", "replace")
            return said if _PLAIN.fullmatch(said) else which
    return which


async def _handled(settings: "Settings", bus: "Bus", service: str, trace: str, actors: set[str]) -> AsyncIterator[Step]:
    topic = MAILBOXES[service]
    rows = await ask(settings, service, partial(inspection.handled, trace=trace))
    actors |= {row.actor for row in rows}
    parked = {row.message_id for row in await ask(settings, service, partial(inspection.parked_of, actors=sorted(actors)[:ACTORS_MAX]))}
    for identity, actor, partition, offset, at_ms in rows:
        record = await _record(bus, topic, partition, offset, identity)
        effect = "parked, its actor is suspended" if identity in parked else "handled"
        yield _step(record, at_ms=at_ms, to=service, effect=effect, message_id=identity, actor=actor, place=(topic, partition, offset))


async def _record(bus: "Bus", topic: str, partition: int, offset: int, message_id: str) -> Record | None:
    """The record that an index row points at; None when retention took it, or the log was made anew."""
    found = await bus.read(topic, partition, offset, 1)
    return found[0] if found and found[0].offset == offset and header(found[0].headers, MESSAGE_ID) == message_id else None


async def _unread(settings: "Settings", bus: "Bus", service: str, trace: str) -> AsyncIterator[Step]:
    topic = MAILBOXES[service]
    if topic not in {spec.name for spec in await bus.topics()}:
        return
    known = await ask(settings, service, inspection.positions)
    for partition, (start, end) in (await bus.ends(topic)).items():
        async for record in _look(bus, topic, partition, max(start, known.get(partition, start)), end):
            if belongs(record, trace):
                yield _step(record, at_ms=record.appended_ms, to=service, effect=f"waits: {service} has not read it yet")


async def _answers(bus: "Bus", told: Story) -> AsyncIterator[Step]:
    """What was said, while the story went on, on topics that no store reads."""
    if not told.steps:
        return
    first_ms, last_ms = min(s.at_ms for s in told.steps), max(s.at_ms for s in told.steps)
    for spec in await bus.topics():
        if spec.name in MAILBOXES.values():
            continue
        consumers = BY_NAME[spec.name].consumers if spec.name in BY_NAME else ()
        for partition, (_, end) in (await bus.ends(spec.name)).items():
            start = await bus.offset_at(spec.name, partition, first_ms - LOOK_BEFORE_MS)
            async for record in _look(bus, spec.name, partition, end if start is None else start, end):
                if record.appended_ms > last_ms + LOOK_AFTER_MS:
                    break
                if belongs(record, told.trace):
                    yield _step(record, at_ms=record.appended_ms, to=", ".join(consumers) or spec.name, effect="on the bus")


async def _look(bus: "Bus", topic: str, partition: int, at: int, end: int) -> AsyncIterator[Record]:
    left = LOOK_RECORDS_MAX
    while at < end and left > 0 and (run := await bus.read(topic, partition, at)):
        for record in run:
            yield record
        left -= len(run)
        at = run[-1].offset + 1


def belongs(record: Record, trace: str) -> bool:
    """Whether a record says that it is of this trace; one that says nothing is its key's."""
    said = header(record.headers, TRACE)
    return said == trace if said is not None else record.key == trace.encode()


def _step(
    record: Record | None,
    *,
    at_ms: int,
    to: str,
    effect: str,
    message_id: str | None = None,
    actor: str | None = None,
    place: tuple[str, int, int] | None = None,
) -> Step:
    if record is None:
        assert place is not None, "a step without a record has its place from an index"
        return Step(at_ms, None, "?", to, actor or "", f"{effect}; gone from the bus", message_id, None, *place, None)
    headers = record.headers
    principal = header(headers, PRINCIPAL)
    sender = principal if principal in ("timer", "attempt") else EDGE
    key = (record.key or b"").decode("ascii", "replace")
    identity = message_id or header(headers, MESSAGE_ID)
    place = (record.topic, record.partition, record.offset)
    said_ms = record.timestamp_ms
    return Step(at_ms, type_of(headers), sender, to, actor or key, effect, identity, header(headers, CAUSATION), *place, said_ms)


async def _wait(settings: "Settings", service: str, told: Story, actors: Sequence[str]) -> None:
    """What this service still has to do about the actors, and how they stand."""
    for timer in await ask(settings, service, partial(inspection.timers_of, actors=actors)):
        told.waiting.append(_waits(service, timer.actor, "timer", f"{timer.name}: {timer.type}", timer.due_ms))
    for row in await ask(settings, service, partial(inspection.leaving_of, actors=actors)):
        what = type_of(unpack_headers(row.headers)) or row.topic
        told.waiting.append(_waits(service, row.actor, "outbox", f"{what} to {row.topic}" + _because(row.refused), row.at_ms))
    for row in await ask(settings, service, partial(inspection.attempts_of, actors=actors)):
        what = f"asks {row.target}, {row.tries} tries{_because(row.last_error)}{'' if row.next_ms else ', spent'}"
        told.waiting.append(_waits(service, row.actor, "HTTP attempt", what, row.next_ms))
    for actor in actors:
        for row in await ask(settings, service, partial(inspection.suspended_actors, actor=actor)):
            what = f"{'stuck' if row.next_ms is None else 'tried again'}, {row.queued} queued{_because(row.reason)}: {row.error}"
            told.waiting.append(_waits(service, actor, "suspended", what, row.next_ms))
    letters = {row.id: row for row in await ask(settings, service, partial(inspection.dead_letters_of, keys=actors))}
    if (named := await ask(settings, service, partial(inspection.dead_letter_by_id, which=told.id))) is not None:
        letters[named.id] = named
    for row in letters.values():
        state = f"{row.state} as {row.redriven_as}" if row.redriven_as else row.state
        told.waiting.append(_waits(service, row.id, "dead letter", f"{state}: {row.reason}: {row.detail}", row.at_ms))
    told.states += [state for actor in actors for state in await states(settings, service, actor)]


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""


def _waits(service: str, which: str, kind: str, what: str, at_ms: int | None) -> dict[str, Any]:
    return {"service": service, "id": which, "kind": kind, "what": what, "at": instant(at_ms), "at_ms": at_ms}


def _relate(steps: list[Step]) -> None:
    """Who said a message is who handled its cause; in one millisecond a cause comes before what it caused."""
    by_id = {step.message_id: step for step in steps if step.message_id}
    for step in steps:
        cause = by_id.get(step.causation or "")
        if cause is not None and cause is not step:
            step.sender = f"{cause.receiver}{_how(step, cause)}"
        step.depth = _depth(step, by_id)
    steps.sort(key=lambda step: (step.at_ms, step.depth, step.said_ms or 0, step.offset))


def _how(step: Step, cause: Step) -> str:
    """Whether it was said by a timer of the sender, or is what the outside world has answered it over HTTP."""
    if step.sender == "attempt":
        return " (HTTP)" if step.receiver == cause.receiver and step.receiver in ASKING else ""
    return " (timer)" if step.sender == "timer" else ""


def _depth(step: Step, by_id: dict[str, Step]) -> int:
    seen: set[int] = set()
    at: Step | None = step
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        at = by_id.get(at.causation or "")
    return len(seen)


def caused(steps: Iterable[Step]) -> dict[str, list[str]]:
    """Message id → the types of what it caused."""
    found: dict[str, list[str]] = defaultdict(list)
    for step in steps:
        if step.causation and step.causation != step.message_id:
            found[step.causation].append(step.type or "?")
    return found
