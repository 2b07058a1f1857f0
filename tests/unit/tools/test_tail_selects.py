"""What `tail` selects, against a model that looks at every record: any times, any partitions, any options (CASES B18, B20)."""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus import following
from bus.errors import BusError
from bus.record import Record
from tools import instants, tail
from tools.options import Options
from tools.output import WrongUse
from tools.tail import Wanted, read_to, selected

RUN_MAX = 3
MOMENT_MS = 1_795_600_800_000  # 2026-11-25T10:00Z
ODD_TIMES = [-(2**63), -1, 0, 1, MOMENT_MS - 1, MOMENT_MS, MOMENT_MS + 1, MOMENT_MS * 1000, 2**63 - 1]
TIMES = st.one_of(st.sampled_from(ODD_TIMES), st.integers(MOMENT_MS - 5, MOMENT_MS + 5))
PARTITION = st.lists(st.tuples(TIMES, st.sampled_from([None, b"", b"a", b"b"]), st.integers(0, 2)), max_size=12)
WANTED = st.builds(
    Wanted,
    st.builds(instants.Start, st.none() | st.integers(0, 14), st.none() | TIMES),
    st.builds(instants.End, st.none() | TIMES),
    st.sampled_from([None, b"a", b""]),
    st.none() | st.integers(0, 5),
)

EVERYTHING = Wanted(instants.Start(None, None), instants.End(None), None, None)


class Log:
    """A bus that hands out short runs; what stands beyond `ends` was appended after the look at them."""

    def __init__(self, partitions: list[list[Record]], waits: int = 0) -> None:
        self.partitions = partitions
        self.waits = waits

    async def read(self, topic: str, partition: int, at: int, limit: int = RUN_MAX) -> list[Record]:
        """A run of records from an offset on, whatever offsets there are."""
        return [record for record in self.partitions[partition] if record.offset >= at][: min(limit, RUN_MAX)]

    async def ends(self, _: str) -> dict[int, tuple[int, int]]:
        """Where each partition begins and ends."""
        return {n: (records[0].offset, records[-1].offset + 1) if records else (0, 0) for n, records in enumerate(self.partitions)}

    async def wait(self, _: float) -> None:
        """Nothing happens, so often."""
        self.waits -= 1
        await asyncio.sleep(0)

    def follow(self, topics: Sequence[str], start: Mapping[tuple[str, int], int]) -> AsyncGenerator[list[Record], None]:
        """As the embedded bus does it."""
        return following.follow(cast(Any, self), topics, start)


def a_log(drawn: list[list[tuple[int, bytes | None, int]]], first: int = 0) -> Log:
    """Partitions whose records were appended at times that never go back, on a clock that all share."""
    partitions = []
    for number, records in enumerate(drawn):
        appended_ms, made = MOMENT_MS, []
        for n, (at_ms, key, later_ms) in enumerate(records):
            appended_ms += later_ms
            made.append(Record("t", number, first + n, at_ms, appended_ms, key, b"%d" % n, ()))
        partitions.append(made)
    return Log(partitions)


def modelled(log: Log, ends: dict[tuple[str, int], tuple[int, int]], wanted: Wanted) -> list[Record]:
    """Look at every record, partition by partition; then sort."""
    found: list[Record] = []
    for (_, number), (start, end) in ends.items():
        there = [r for r in log.partitions[number] if max(start, wanted.start.offset or 0) <= r.offset < end]
        mine = [
            r
            for r in there
            if (wanted.key is None or r.key == wanted.key)
            and not (wanted.start.instant_ms is not None and r.timestamp_ms < wanted.start.instant_ms)
            and not (wanted.end.instant_ms is not None and r.timestamp_ms >= wanted.end.instant_ms)
        ]
        found += mine if wanted.last is None else mine[max(0, len(mine) - wanted.last) :]
    return sorted(found, key=lambda r: (r.appended_ms, r.partition, r.offset))


@given(st.lists(PARTITION, min_size=1, max_size=4), WANTED, st.integers(0, 3), st.integers(0, 4))
async def test_exactly_the_wanted_records_come_in_the_order_of_appending(
    drawn: list[list[tuple[int, bytes | None, int]]], wanted: Wanted, first: int, later: int
) -> None:
    log = a_log(drawn, first)
    ends = {("t", n): (first, first + max(0, len(records) - later)) for n, records in enumerate(log.partitions)}
    assert [r async for r in selected(cast(Any, log), ends, wanted)] == modelled(log, ends, wanted)


@given(st.sets(st.integers(0, 40)), st.integers(0, 40), st.integers(0, 40))
async def test_holes_between_offsets_end_nothing_and_repeat_nothing(offsets: set[int], at: int, end: int) -> None:
    log = Log([[Record("t", 0, n, 0, 0, None, None, ()) for n in sorted(offsets)]])
    assert [r.offset async for r in read_to(cast(Any, log), ("t", 0), at, end)] == [n for n in sorted(offsets) if at <= n < end]


class Shown(Options):
    """Options that note what was printed."""

    def __init__(self) -> None:
        super().__init__(None, None, None, as_json=True, as_table=False)


@given(PARTITION, st.integers(0, 12), WANTED)
async def test_a_follower_shows_what_comes_once_each_in_order(
    drawn: list[tuple[int, bytes | None, int]], reached: int, wanted: Wanted
) -> None:
    log, printed = a_log([drawn]), list[int]()
    log.waits = 10
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tail, "reader_is_gone", lambda: log.waits <= 0)
        patched.setattr(tail, "LOOK_EVERY_S", 0)
        patched.setattr(tail, "_print", lambda _, record, raw: printed.append(record.offset))
        await tail._follow(Shown(), cast(Any, log), {("t", 0): reached}, wanted, raw=False)
    assert printed == [r.offset for r in log.partitions[0] if r.offset >= reached and wanted.has(r)]


async def test_a_follower_that_is_interrupted_while_it_waits_closes_what_it_reads_and_says_nothing_else() -> None:
    """Ctrl-C cancels the command's task."""
    closed = asyncio.Event()

    class Quiet(Log):
        async def wait(self, _: float) -> None:
            self.waits += 1
            try:
                await asyncio.Event().wait()
            finally:
                closed.set()

    log = Quiet([[]])
    task = asyncio.create_task(tail._follow(Shown(), cast(Any, log), {("t", 0): 0}, EVERYTHING, raw=False))
    while not log.waits:  # noqa: ASYNC110 - a fake's own counter
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


async def test_what_ends_the_reading_ends_the_follower() -> None:
    class Broken(Log):
        async def wait(self, _: float) -> None:
            raise BusError("no more")

    with pytest.raises(BusError, match="no more"):
        await tail._follow(Shown(), cast(Any, Broken([[]])), {("t", 0): 0}, EVERYTHING, raw=False)


ZONES = [timezone(timedelta(minutes=m)) for m in (0, 480, -570, 345, 840, -720)]
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2300, 1, 1), timezones=st.sampled_from(ZONES))  # noqa: DTZ001  (the zone is drawn)


@given(MOMENTS)
def test_an_instant_said_in_any_zone_is_the_millisecond_that_it_lies_in(at: datetime) -> None:
    millisecond = timedelta(milliseconds=1)
    said = instants.start(at.isoformat())
    assert said.instant_ms == (at - datetime(1970, 1, 1, tzinfo=UTC)) // millisecond == instants.end(at.isoformat()).instant_ms
    assert said.note is None


@given(MOMENTS)
def test_an_instant_without_a_zone_is_the_same_clock_in_utc_and_noted_for_each_option(at: datetime) -> None:
    plain = at.replace(tzinfo=None).isoformat()
    start, end = instants.start(plain), instants.end(plain)
    assert start.instant_ms == end.instant_ms == instants.start(f"{plain}Z").instant_ms
    assert re.match("--from has no zone and is taken as UTC: ", start.note or "")
    assert re.match("--until has no zone and is taken as UTC: ", end.note or "")


@pytest.mark.parametrize(
    ("said", "at_ms"),
    [
        pytest.param("2026-11-25", MOMENT_MS - 36_000_000, id="a day begins at midnight UTC"),
        pytest.param("2026-11-25T10", MOMENT_MS, id="an hour"),
        pytest.param("2026-11-25T10:00:00,001Z", MOMENT_MS + 1, id="a comma before the milliseconds"),
        pytest.param("2026-11-25T10:00:00.0019Z", MOMENT_MS + 1, id="what is shorter than a millisecond is left off"),
        pytest.param("2026-11-25T00:00:00-10:00", MOMENT_MS, id="the day of another zone"),
        pytest.param("2026-11-25T10:00:00+00:00", MOMENT_MS, id="zero is a zone"),
        pytest.param("1969-12-31T23:59:59.9995Z", -1, id="before 1970 the millisecond still begins before"),
        pytest.param("9999-12-31T23:59:59.999Z", 253_402_300_799_999, id="the last year"),
        pytest.param("0001-01-01T00:00+14:00", -62_135_596_800_000 - 50_400_000, id="before the first year in UTC"),
    ],
)
def test_each_form_of_an_instant(said: str, at_ms: int) -> None:
    assert instants.end(said).instant_ms == at_ms


@pytest.mark.parametrize(
    "said",
    [
        "now", "-1", "+5", "1.5", "1e3", "0x10", " 7", "EARLIEST", "latest", "2026-02-29", "2026-11-25T24:01Z", "2026-11-25T10:61Z",
        "2026-11-25T10:00+25:00", "10:00Z", "2026-11-25T10:00 Z+1", "２０２６", "2026-11-25T10:00Z\n", "10000-01-01", "\x1b[2J",
    ],
)  # fmt: skip
@pytest.mark.parametrize("read", [instants.start, instants.end], ids=["--from", "--until"])
def test_what_is_no_place_in_a_log_is_refused_with_the_forms_that_are(read: Any, said: str) -> None:
    with pytest.raises(WrongUse, match=r"is no place in a log: say .*2026-01-31T18:02\+08:00"):
        read(said)


LAST = [  # (-n, the other words) → how many of each partition
    pytest.param(None, (None, None, None), 10, id="nothing said: ten"),
    pytest.param(3, (None, None, None), 3, id="-n 3"),
    pytest.param(0, (None, None, None), 0, id="-n 0 is none"),
    pytest.param(None, ("earliest", None, None), None, id="--from: all of it"),
    pytest.param(None, (None, "2026-11-25", None), None, id="--until: all of it"),
    pytest.param(None, (None, None, "k"), None, id="--key: all of it"),
    pytest.param(None, ("", None, None), None, id="an empty word is a word"),
    pytest.param(2, ("earliest", None, "k"), 2, id="-n wins"),
]


@pytest.mark.parametrize(("last", "said", "shown"), LAST)
def test_ten_are_shown_only_when_nothing_else_is_said(last: int | None, said: tuple[str | None, ...], shown: int | None) -> None:
    assert tail._last(last, *said) == shown
