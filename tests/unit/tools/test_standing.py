"""How far a group is: what is not known is None, what is odd is said, and nothing stands for a number that nobody has (CASES B22)."""

from typing import Any

import pytest

from bus.log import GroupMember, GroupRow
from tools.groups import row as group_row
from tools.lag import row
from tools.standing import Standing

NOW_MS = 1_795_568_361_844


def service(**said: Any) -> Standing:
    """A partition of a service's mailbox."""
    return Standing("users", "users.commands", 0, **{"is_service": True, "ends": (0, 10), **said})


def other(**said: Any) -> Standing:
    """A partition that a group without a store has committed on."""
    return Standing("audit", "users.events", 0, **{"is_service": False, "ends": (0, 10), **said})


@pytest.mark.parametrize(
    ("standing", "lag"),
    [
        (service(position=10), 0),
        (service(position=4), 6),
        (service(position=0), 10),
        (service(position=4, committed=10), 6),
        (service(position=2, ends=(5, 10)), 5),
        (service(ends=(0, 0)), 0),
        (service(ends=(7, 7)), 0),
        (service(), None),
        (service(committed=3), None),
        (service(position=11), None),
        (service(position=4, ends=None), None),
        (service(position=4, other_log=True), None),
        (service(unreadable="no store"), None),
        (other(committed=4), 6),
        (other(), None),
        (other(committed=4, ends=None), None),
        (other(committed=12), None),
    ],
)
def test_lag_is_what_lies_between_and_none_when_nobody_knows(standing: Standing, lag: int | None) -> None:
    assert standing.lag == lag


@pytest.mark.parametrize(
    ("standing", "notes"),
    [
        (service(position=10), []),
        (service(ends=(0, 0)), []),
        (service(position=4, committed=4), []),
        (service(committed=0, ends=(0, 0)), []),
        (service(committed=7, ends=(7, 7)), []),
        (service(committed=3, ends=(7, 7)), ["the group's offset is 3"]),
        (service(position=4, committed=3), ["the group's offset is 3"]),
        (service(), ["nothing handled yet, 10 offsets from the start"]),
        (service(position=12), ["2 beyond the end: the log was made anew, or something is on its way"]),
        (service(position=2, ends=(5, 10)), ["3 offsets gone before they were handled: retention took them"]),
        (service(position=2, ends=None), ["not on the bus"]),
        (service(position=2, other_log=True), ["the position speaks of another log: the next owner begins at the earliest record"]),
        (service(unreadable="no store", committed=3), ["no store"]),
        (service(position=9, waits=False), ["no records, only what transactions leave behind"]),
        (other(committed=3), []),
        (other(committed=3, ends=None), ["not on the bus"]),
    ],
)
def test_what_a_reader_would_get_wrong_is_said(standing: Standing, notes: list[str]) -> None:
    assert standing.notes() == notes


@pytest.mark.parametrize(
    ("standing", "behind_ms"),
    [
        (service(position=10), 0),
        (service(position=4, waits_since_ms=NOW_MS - 1500), 1500),
        (service(position=4, waits_since_ms=NOW_MS + 20), 0),
        (service(position=4, waits_since_ms=-1), None),
        (service(position=4, waits_since_ms=NOW_MS * 1000), None),
        (service(position=4), None),
        (service(position=9, waits=False), 0),
        (service(waits_since_ms=NOW_MS - 7), 7),
    ],
)
def test_the_wait_is_that_of_the_first_record_or_unknown(standing: Standing, behind_ms: int | None) -> None:
    assert standing.behind_ms(NOW_MS) == behind_ms


@pytest.mark.parametrize(
    ("standing", "first"),
    [
        (service(position=4), 4),
        (service(position=2, ends=(5, 10)), 5),
        (service(), 0),
        (service(position=10), None),
        (service(position=11), None),
        (service(ends=(3, 3)), None),
        (service(position=4, ends=None), None),
        (service(position=4, other_log=True), None),
        (service(unreadable="no store"), None),
    ],
)
def test_the_first_unhandled_record_is_looked_for_where_it_can_be(standing: Standing, first: int | None) -> None:
    assert standing.first == first


def test_a_row_tells_what_its_lag_counts_and_whose_position_it_is() -> None:
    shown = row(service(position=4, committed=3), NOW_MS, "offsets")
    assert (shown["lag"], shown["lag_counts"], shown["position"], shown["position_of"], shown["committed"]) == (6, "offsets", 4, "store", 3)
    assert (shown["behind"], shown["behind_ms"], shown["note"]) == ("unknown", None, "the group's offset is 3")
    assert row(other(committed=3), NOW_MS, "offsets")["position_of"] == "group"
    assert row(service(ends=None), NOW_MS, "offsets")["log_end"] is None


def test_a_group_sums_what_is_known_and_counts_what_is_not() -> None:
    shown = group_row("users", None, [service(position=4), service(position=9), service(position=12)])
    assert (shown["lag"], shown["unknown"], shown["partitions"], shown["state"]) == (7, 1, 3, "never joined")


def test_a_group_of_which_nothing_is_known_has_no_lag_and_not_none_of_it() -> None:
    shown = group_row("users", None, [service(position=12), service(unreadable="no store")])
    assert (shown["lag"], shown["unknown"]) == (None, 2)


@pytest.mark.parametrize(
    ("known", "state", "members"),
    [
        (GroupRow("g", 3, 77, "host", NOW_MS, True), "lives", ["pid 77 on host"]),
        (GroupRow("g", 3, None, None, None, False), "has nobody", []),
        (GroupRow("g", 3, None, None, None, False, (78,)), "waits", []),
        (
            GroupRow("g", 3, 77, "host", None, True, (), (GroupMember("lendbus@host/77", "host", 77, (("t", 0), ("t", 1))),)),
            "lives",
            ["pid 77 on host (2)"],
        ),
        (GroupRow("g", 3, None, "h", None, True, (), (GroupMember("other", "h", None, (("t", 0),)),)), "lives", ["other on h (1)"]),
    ],
)
def test_members_are_named_by_what_they_say_of_themselves(known: GroupRow, state: str, members: list[str]) -> None:
    shown = group_row("g", known, [])
    assert (shown["state"], shown["members"]) == (state, members)
