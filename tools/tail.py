"""`lendbus tail`: what is said on topics. Every read is short, so that no reader holds the log's WAL."""

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tools import instants
from tools.options import Options
from tools.output import WrongUse, flush, reader_is_gone, say, write, write_bytes

if TYPE_CHECKING:
    from bus.log import Bus
    from bus.record import Record

LAST_DEFAULT: Final = 10
LOOK_EVERY_S: Final = 0.3  # a quiet follower looks so often whether anybody still reads

Place = tuple[str, int]  # topic, partition


@dataclass(frozen=True)
class Wanted:
    """Which records are shown: those of a key and of a span of their own time, `from` included, `until` not."""

    start: instants.Start
    end: instants.End
    key: bytes | None
    last: int | None

    def has(self, record: "Record") -> bool:
        """Whether this record is one of them; a log is not sorted by the records' own time, so each is looked at."""
        return (
            (self.key is None or record.key == self.key)
            and (self.start.instant_ms is None or record.timestamp_ms >= self.start.instant_ms)
            and (self.end.instant_ms is None or record.timestamp_ms < self.end.instant_ms)
        )

    @property
    def is_filtered(self) -> bool:
        """Whether some records are left out, so that the last N cannot be counted from the end."""
        return self.key is not None or self.start.instant_ms is not None or self.end.instant_ms is not None


def command(
    options: Options,
    topics: Annotated[list[str] | None, typer.Argument(help="Topics; all of them when none is named.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is appended, until Ctrl-C.")] = False,
    last: Annotated[int | None, typer.Option("-n", min=0, help="The last N of each partition (10 when nothing else is said).")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="earliest|OFFSET|INSTANT", help="Where to begin; an instant is the records' own time.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="INSTANT", help="Only records before this instant (not at it).")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Only records of this key.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Only the values, as their bytes came, a newline after each.")] = False,
) -> None:
    """Show records in the order in which they were appended. Instants without a zone are UTC; `--from` is included, `--until` is not."""
    wanted = Wanted(instants.start(from_), instants.end(until), None if key is None else key.encode(), _last(last, from_, until, key))
    for note in (wanted.start.note, wanted.end.note):
        if note:
            say(note)
    options.run(_tail(options, topics or [], wanted, follow=follow, raw=raw))


def _last(last: int | None, *said: str | None) -> int | None:
    return LAST_DEFAULT if last is None and all(s is None for s in said) else last


async def _tail(options: Options, names: Sequence[str], wanted: Wanted, *, follow: bool, raw: bool) -> None:
    from tools.reading import reading_bus

    async with reading_bus(options.settings) as bus:
        known = [spec.name for spec in await bus.topics()]
        if missing := [name for name in names if name not in known]:
            raise WrongUse(f"there is no topic {', '.join(map(repr, missing))} on this bus: say one of {', '.join(known) or 'none yet'}")
        ends = {(t, number): span for t in dict.fromkeys(names or known) for number, span in (await bus.ends(t)).items()}
        async for record in selected(bus, ends, wanted):
            _print(options, record, raw=raw)
        flush()
        if follow:
            await _follow(options, bus, {place: end for place, (_, end) in ends.items()}, wanted, raw=raw)


async def selected(bus: "Bus", ends: dict[Place, tuple[int, int]], wanted: Wanted) -> AsyncIterator["Record"]:
    """The wanted records of all partitions up to their present ends, merged by the time of appending."""
    streams = [_partition(bus, place, start, end, wanted) for place, (start, end) in ends.items()]
    heap: list[tuple[int, int, Record]] = []
    for n, stream in enumerate(streams):
        async for record in stream:
            heapq.heappush(heap, (record.appended_ms, n, record))
            break
    while heap:
        _, n, record = heapq.heappop(heap)
        yield record
        async for following in streams[n]:
            heapq.heappush(heap, (following.appended_ms, n, following))
            break


async def _partition(bus: "Bus", place: Place, start: int, end: int, wanted: Wanted) -> AsyncIterator["Record"]:
    at = max(start, wanted.start.offset or 0)
    if wanted.last is not None and not wanted.is_filtered:
        at = max(at, end - wanted.last)
    matching = (r async for r in read_to(bus, place, at, end) if wanted.has(r))
    if wanted.last is None:
        async for record in matching:
            yield record
    elif wanted.last > 0:
        for record in deque([r async for r in matching], maxlen=wanted.last):
            yield record


async def read_to(bus: "Bus", place: Place, at: int, end: int) -> AsyncIterator["Record"]:
    """The records of one partition from an offset up to an end that does not move."""
    while at < end and (run := await bus.read(*place, at)):
        for record in run:
            if record.offset >= end:
                return
            yield record
        at = run[-1].offset + 1


async def _follow(options: Options, bus: "Bus", reached: dict[Place, int], wanted: Wanted, *, raw: bool) -> None:
    """Until nobody reads any more, which a quiet follower looks at too."""
    showing = asyncio.create_task(_show(options, bus, reached, wanted, raw=raw))
    try:
        while not (showing.done() or reader_is_gone()):
            await asyncio.wait([showing], timeout=LOOK_EVERY_S)
    finally:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing  # what it reads is closed by itself, when it reads no more


async def _show(options: Options, bus: "Bus", reached: dict[Place, int], wanted: Wanted, *, raw: bool) -> None:
    """For ever, run by run."""
    async with contextlib.aclosing(bus.follow(list(dict.fromkeys(topic for topic, _ in reached)), reached)) as runs:
        async for run in runs:
            for record in run:
                if wanted.has(record):
                    _print(options, record, raw=raw)
            flush()


def _print(options: Options, record: "Record", *, raw: bool) -> None:
    from tools.record_view import as_lines, as_row

    if raw:
        write_bytes((record.value or b"") + b"\n")
    elif options.out.is_table:
        write(as_lines(record))
    else:
        options.out.json(as_row(record))
