"""What came of a soak: counted at the far end of two hops and in the stages' own stores."""

import collections
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from agents.runtime.envelope import MESSAGE_ID
from bus.log import Bus
from bus.record import Record
from tools.output import Output
from tools.soak.books import Books, told
from tools.soak.roles import Fall
from tools.soak.stage import NAMES
from tools.soak.troupe import Ending
from tools.soak.watch import Change

SHOWN_MAX: Final = 20
MUST_BE_NONE: Final = (
    "lost",
    "doubled",
    "out_of_order",
    "wrongly_parked",
    "offsets_went_back",
    "offsets_unlike_positions",
    "left_suspended",
    "left_unread",
    "left_in_outboxes",
)


@dataclass
class FarEnd:
    """What has arrived, record after record: a message id counts once, its repeats are the relay's good right."""

    seen: set[str] = field(default_factory=set)
    numbers: dict[str, set[int]] = field(default_factory=lambda: collections.defaultdict(set))
    highest: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    doubled: int = 0  # one number of an actor under two ids: it took effect twice
    out_of_order: int = 0
    offsets: dict[int, int] = field(default_factory=dict)  # of each partition, the next to be read
    examples: list[str] = field(default_factory=list)

    def take(self, records: Iterable[Record]) -> None:
        """Count these too."""
        for record in records:
            self.offsets[record.partition] = record.offset + 1
            identity = next((value or b"").decode() for name, value in record.headers if name == MESSAGE_ID)
            if identity in self.seen:
                self.repeats += 1
            else:
                self.seen.add(identity)
                self._first(record)

    async def follow(self, bus: Bus, topic: str, partitions: int) -> None:
        """Take what comes to the topic, from its first record on, for ever."""
        start = {(topic, partition): self.offsets.get(partition, 0) for partition in range(partitions)}
        async with aclosing(bus.follow([topic], start)) as runs:
            async for run in runs:
                self.take(run)

    def _first(self, record: Record) -> None:
        actor, number = (record.key or b"").decode(), int(orjson.loads(record.value or b"")["seq"])
        if number in self.numbers[actor]:
            self.doubled += 1
            self._example(f"doubled: {actor} number {number} at {record.offset}")
        if number < self.highest.get(actor, -1):
            self.out_of_order += 1
            self._example(f"out of order: {actor} number {number} after {self.highest[actor]} at {record.offset}")
        self.numbers[actor].add(number)
        self.highest[actor] = max(number, self.highest.get(actor, -1))

    def _example(self, text: str) -> None:
        if len(self.examples) < SHOWN_MAX:
            self.examples.append(text)

    @property
    def applied(self) -> int:
        """How many different messages have arrived."""
        return sum(map(len, self.numbers.values()))

    def lost(self, sent: Mapping[str, int]) -> int:
        """How many of those sent have not."""
        return sum(len(set(range(count)) - self.numbers[actor]) for actor, count in sent.items())


async def counted_twice(books: Books, sent: Mapping[str, int]) -> dict[str, list[str]]:
    """By stage, the actors whose counter says more than was sent to them, and how."""
    wrong: dict[str, list[str]] = {}
    for name in NAMES.values():
        rows = {actor: (handled, last) for actor, handled, last in await told(books, name, "SELECT id, handled, last FROM counter")}
        wrong[name] = [
            f"{name} counted {rows.get(actor)} of {count} messages to {actor}"
            for actor, count in sent.items()
            if (row := rows.get(actor)) is not None and (row[0] > count or row[1] >= count)
        ]
    return wrong


async def parked(books: Books) -> collections.Counter[str]:
    """The dead letters of the first stage, by reason."""
    rows = await told(books, NAMES[1], "SELECT reason, count(*) FROM dead_letter GROUP BY reason")
    return collections.Counter(dict(rows))


async def left(books: Books, table: str, where: str = "") -> int:
    """How many rows a table of both stores has."""
    return sum([int((await told(books, name, f"SELECT count(*) FROM {table} {where}"))[0][0]) for name in NAMES.values()])


async def positions(books: Books, stage: int) -> dict[int, int]:
    """Of each partition of a stage, the next offset to handle as its store has it."""
    return dict(await told(books, NAMES[stage], "SELECT partition, next_offset FROM position"))


def unlike(offsets: Mapping[tuple[str, int], int], positions: Mapping[int, int], topic: str) -> list[str]:
    """Where the group's offset is another than the store's position; nothing committed and nothing handled are the same."""
    committed = {partition: offset for (of, partition), offset in offsets.items() if of == topic}
    return [
        f"{topic}/{partition}: the group is at {committed.get(partition)}, the store at {positions.get(partition)}"
        for partition in sorted(committed.keys() | positions.keys())
        if committed.get(partition, 0) != positions.get(partition, 0)
    ]


def struck(endings: Iterable[Ending]) -> collections.Counter[str]:
    """The fault points at which processes killed themselves or raised."""
    raised = [e for e in endings if e.at_fault or (e.code > 0 and ":raise" in e.fault)]
    return collections.Counter(e.fault.rpartition(":")[0] for e in raised)


def takeovers(falls: Sequence[Fall], owners: Mapping[int, Sequence[Change]]) -> dict[str, dict[str, float]]:
    """By what had befallen the owner: how long until the stores had the next one of each partition that was its, in seconds."""
    took: dict[str, list[float]] = collections.defaultdict(list)
    for fall in falls:
        last_s = max((_followed_s(owners.get(fall.stage, ()), *each) for each in fall.epochs.items()), default=math.inf) - fall.at_s
        if last_s < min(fall.within_s, math.inf):
            took[fall.kind].append(last_s)
    return {
        kind: {
            "count": len(times),
            "p50_s": round(statistics.median(times), 3),
            "p95_s": round(sorted(times)[math.ceil(len(times) * 0.95) - 1], 3),
            "max_s": round(max(times), 3),
        }
        for kind, times in sorted(took.items())
    }


def _followed_s(changes: Sequence[Change], partition: int, epoch: int) -> float:
    """When the partition had its next owner."""
    return next((change.at_s for change in changes if change.partition == partition and change.epoch > epoch), math.inf)


def judged(findings: dict[str, Any]) -> dict[str, Any]:
    """The findings with their verdict."""
    wrong = [name for name in MUST_BE_NONE if findings[name]]
    return {**findings, "ok": not wrong, "wrong": wrong}


def print_table(findings: Mapping[str, Any], out: Output) -> None:
    """The findings for eyes: what was asked for first, then the rest."""
    flat: dict[str, Any] = {}
    for name, value in findings.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}, {part}": _spelled(each) for part, each in value.items()}
        else:
            flat[name] = value
    out.block(flat)


def _spelled(value: Any) -> Any:
    return ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, Mapping) else value
