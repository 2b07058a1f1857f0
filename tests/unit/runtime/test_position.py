"""Where a store has come to: what it writes is what it reads, a set-back keeps the highest, another log starts from nothing."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.runtime import ownership, position
from agents.runtime.ownership import LostEpoch, Tenure
from agents.runtime.position import Position
from bus.record import Record
from tests.integration.stores.memory import Memory, memory
from tests.integration.stores.world import NOW_MS, boxes, ids

FIRST, SECOND = ids(2, "position")


def run(*offsets: int, appended_ms: int = 0) -> list[Record]:
    return [Record("t", 0, offset, NOW_MS, appended_ms + offset, b"a", b"{}", ()) for offset in offsets]


@pytest.fixture
def store() -> Iterator[Memory]:
    with memory(boxes()) as opened:
        yield opened


CASES = {
    "the first run": ((0, 1, 2), None, (3, 3)),
    "a first run that begins late": ((40, 41), None, (42, 42)),
    "one record": ((7,), (7, 7), (8, 8)),
    "holes are no records": ((7, 9, 30), (7, 7), (31, 31)),
    "a set-back": ((2, 3), (10, 10), (4, 10)),
    "a set-back that reaches the highest": ((8, 9), (4, 10), (10, 10)),
    "a set-back that goes beyond it": ((8, 12), (4, 10), (13, 13)),
    "read again after a set-back": ((4,), (4, 10), (5, 10)),
    "beyond what 32 bits hold": ((2**40,), (1, 1), (2**40 + 1, 2**40 + 1)),
}


@pytest.mark.parametrize(("offsets", "before", "reached"), CASES.values(), ids=CASES)
def test_a_run_ends_behind_its_last_record_and_the_highest_never_shrinks(
    offsets: tuple[int, ...], before: tuple[int, int] | None, reached: tuple[int, int]
) -> None:
    known = Position(*before, 0, 0, FIRST, "log-1") if before else None
    found = position.after(run(*offsets), SECOND, known, "log-1")
    assert (found.next_offset, found.highest_offset) == reached
    assert (found.last_offset, found.last_appended_ms, found.last_message_id) == (offsets[-1], offsets[-1], SECOND)


ROWS = {
    "all known": Position(3, 5, 2, NOW_MS, FIRST, "log-1"),
    "set by hand": Position(3, 5, None, None, None, "log-1"),
    "last record without an id": Position(3, 5, 2, NOW_MS, None, "log-1"),
    "far beyond 32 bits": Position(2**62, 2**62, 2**62 - 1, 2**52, FIRST, "log-1"),
    "an incarnation with quotes": Position(1, 1, 0, 0, FIRST, 'it\'s "one"'),
}


@pytest.mark.parametrize("before", [None, Position(9, 9, 8, 8, SECOND, "log-0")], ids=["first", "later"])
@pytest.mark.parametrize("wanted", ROWS.values(), ids=ROWS)
def test_what_is_written_is_what_is_read(wanted: Position, before: Position | None, store: Memory) -> None:
    if before:
        position.write(store.tx, 0, before, known=False)
    position.write(store.tx, 0, wanted, known=before is not None)
    assert position.read(store.tx, 0) == wanted


def test_a_partition_that_handled_nothing_has_no_position_whatever_others_have(store: Memory) -> None:
    position.write(store.tx, 1, ROWS["all known"], known=False)
    position.write(store.tx, 2, ROWS["set by hand"], known=False)
    position.write(store.tx, 1, ROWS["far beyond 32 bits"], known=True)
    assert [position.read(store.tx, n) for n in range(3)] == [None, ROWS["far beyond 32 bits"], ROWS["set by hand"]]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9), st.sampled_from(["log-1", "log-1", "log-1", "log-2"])), max_size=12))
def test_through_any_set_backs_the_highest_is_the_furthest_since_the_log_began(runs: list[tuple[int, int, str]]) -> None:
    highest, log = 0, None
    with memory(boxes()) as store:
        for start, length, incarnation in runs:
            before = position.read(store.tx, 0)
            reached = position.after(run(*range(start, start + length)), FIRST, before, incarnation)
            position.write(store.tx, 0, reached, known=before is not None)
            highest = max(start + length, highest if incarnation == log else 0)
            log = incarnation
            found = position.read(store.tx, 0)
            assert found is not None and (found.next_offset, found.highest_offset, found.incarnation) == (start + length, highest, log)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), max_size=15))
def test_of_any_take_overs_only_the_last_of_each_partition_may_write(partitions: list[int]) -> None:
    with memory(boxes()) as store:
        tenures = [store.tenure, *(ownership.take_over(store.tx, number, now_ms=NOW_MS) for number in partitions)]
        last = {tenure.partition: tenure for tenure in tenures}
        for tenure in tenures:
            if tenure == last[tenure.partition]:
                ownership.check(store.tx, tenure)
            else:
                with pytest.raises(LostEpoch, match=f"epoch is {last[tenure.partition].epoch}, this process had {tenure.epoch}"):
                    ownership.check(store.tx, tenure)
        assert {t.partition: t.epoch for t in last.values()} == {n: [0, *partitions].count(n) for n in last}


@pytest.mark.parametrize(
    ("tenure", "says"),
    [
        (Tenure(0, 0), "partition 0: epoch is 1, this process had 0"),
        (Tenure(0, 2), "partition 0: epoch is 1, this process had 2"),
        (Tenure(7, 1), "partition 7: epoch is None, this process had 1"),
    ],
    ids=["an epoch before", "an epoch that is not yet", "a partition that nobody has"],
)
def test_any_other_epoch_is_no_owner_and_the_error_says_both(tenure: Tenure, says: str, store: Memory) -> None:
    with pytest.raises(LostEpoch, match=says):
        ownership.check(store.tx, tenure)
