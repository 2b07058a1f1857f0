"""Where to start reading: the position in the store is the truth, unless the log is not the one it speaks of (CASES B6)."""

import dataclasses
from collections.abc import Sequence

import pytest

from agents.runtime.position import Position, after
from agents.runtime.start import Start, where_to_start
from bus.record import Record
from tests.integration.stores.world import FakeBus, ids

FIRST, SECOND = ids(2)
HERE = Position(next_offset=10, highest_offset=10, last_offset=9, last_appended_ms=5_000, last_message_id=FIRST, incarnation="log-1")


def at(offset: int, *, message_id: str | None = FIRST, appended_ms: int = 5_000) -> Record:
    headers = () if message_id is None else (("message-id", message_id.encode()),)
    return Record("t", 0, offset, 0, appended_ms, b"k", b"v", headers)


async def start(known: Position | None, *, first: int = 0, end: int = 10, records: Sequence[Record] = (), log: str = "log-1") -> Start:
    return await where_to_start(FakeBus(first=first, end=end, read_from=list(records)), "t", 0, known, log)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", [0, 7])
async def test_a_store_that_has_handled_nothing_starts_at_what_is_left(first: int) -> None:
    assert await start(None, first=first) == Start(first)


async def test_a_partition_that_has_nothing_yet_starts_at_its_beginning() -> None:
    assert await where_to_start(FakeBus(end=3), "t", 5, None, "log-1") == Start(0)  # type: ignore[arg-type]


async def test_the_position_of_the_store_is_where_it_goes_on() -> None:
    assert await start(HERE, end=15, records=[at(9)]) == Start(10)


async def test_everything_read_is_no_alarm() -> None:
    assert await start(HERE, end=10, records=[at(9)]) == Start(10)


async def test_another_log_is_read_from_its_beginning_with_one_line() -> None:
    found = await start(HERE, first=2, end=50, log="log-2")
    assert (found.offset, found.made_anew, found.skipped) == (2, True, 0)
    assert found.note == "t/0 is another log than the position speaks of: starting at 2"


async def test_a_log_that_ends_before_the_position_was_made_anew() -> None:
    found = await start(HERE, end=9)
    assert (found.offset, found.made_anew) == (0, True)
    assert found.note is not None and "ends at 9, before position 10" in found.note


@pytest.mark.parametrize(
    "other", [at(9, message_id=SECOND), at(9, appended_ms=5_001), at(9, message_id=None)], ids=["another id", "another time", "no id"]
)
async def test_another_record_before_the_position_is_another_log(other: Record) -> None:
    found = await start(HERE, end=50, records=[other])
    assert (found.offset, found.made_anew) == (0, True)
    assert found.note is not None and "another record before the position" in found.note


async def test_a_last_record_that_could_not_be_read_is_known_again_by_its_time() -> None:
    unreadable = dataclasses.replace(HERE, last_message_id=None)
    assert await start(unreadable, end=12, records=[at(9, message_id=None)]) == Start(10)
    assert (await start(unreadable, end=12, records=[at(9, message_id=None, appended_ms=1)])).made_anew


async def test_a_hole_before_the_position_is_no_other_log() -> None:
    """On Kafka a marker or a compacted record may stand there: the record found is a later one."""
    assert await start(HERE, end=15, records=[at(11, message_id=SECOND)]) == Start(10)


async def test_a_last_record_that_retention_took_is_no_alarm_when_nothing_was_skipped() -> None:
    assert await start(HERE, first=10, end=20) == Start(10)


async def test_what_retention_took_unread_is_one_loud_alarm_with_its_number() -> None:
    found = await start(HERE, first=25, end=30)
    assert (found.offset, found.made_anew, found.skipped) == (25, False, 15)
    assert found.note == "t/0: retention took 15 offsets that were never handled"


async def test_a_position_that_was_set_by_hand_has_no_last_record_to_compare() -> None:
    assert await start(Position(4, 10, None, None, None, "log-1"), end=12, records=[at(3, message_id=SECOND)]) == Start(4)


def test_the_position_after_a_run_is_behind_its_last_record() -> None:
    assert after([at(9), at(12, appended_ms=7)], SECOND, None, "log-1") == Position(13, 13, 12, 7, SECOND, "log-1")


def test_the_highest_offset_is_kept_on_the_same_log_only() -> None:
    before = Position(100, 100, 99, 1, FIRST, "log-1")
    assert after([at(4)], FIRST, before, "log-1").highest_offset == 100
    assert after([at(4)], FIRST, before, "log-2").highest_offset == 5
    assert after([at(150)], FIRST, before, "log-1").highest_offset == 151
