"""The contract against a bus: missing, surplus, other than declared, each said by name."""

from typing import Any

from bus.log import TopicSpec
from tools.contract import AS_DECLARED, DIFFERS, MISSING, SURPLUS, compared, remedies

A = TopicSpec("a", 8, 1000, 500)
SETTINGS = {"retention.ms": "1000", "message.timestamp.type": "LogAppendTime"}


def one(*args: Any) -> dict[str, Any]:
    """The only row."""
    [row] = compared(*args)
    assert isinstance(row, dict)
    return row


def test_what_is_as_declared_says_so() -> None:
    row = one([A], [A], {"a": (SETTINGS, SETTINGS)})
    assert (row["state"], row["differences"], row["partitions"]) == (AS_DECLARED, [], 8)


def test_settings_beyond_the_contract_are_their_operators() -> None:
    assert one([A], [A], {"a": (SETTINGS, SETTINGS | {"compression.type": "zstd"})})["state"] == AS_DECLARED


def test_each_other_setting_is_named_with_both_values() -> None:
    row = one([A], [A], {"a": (SETTINGS, {"retention.ms": "5"})})
    assert row["state"] == DIFFERS
    assert row["differences"] == ["retention.ms 5, declared 1000", "message.timestamp.type unknown, declared LogAppendTime"]


def test_another_number_of_partitions_is_for_life() -> None:
    row = one([A], [TopicSpec("a", 3, 1000, 500)], {"a": (SETTINGS, SETTINGS)})
    assert (row["state"], row["differences"]) == (DIFFERS, ["partitions 3, declared 8: fixed for life"])


def test_settings_that_may_not_be_read_are_no_agreement() -> None:
    row = one([A], [A], {"a": (SETTINGS, None)})
    assert (row["state"], row["differences"]) == (DIFFERS, ["its settings may not be read"])


def test_missing_and_surplus_topics_stand_beside_the_others_by_name() -> None:
    rows = compared([A, TopicSpec("c")], [TopicSpec("b", 2), A], {"a": (SETTINGS, SETTINGS)})
    assert [(row["topic"], row["state"]) for row in rows] == [("a", AS_DECLARED), ("b", SURPLUS), ("c", MISSING)]
    assert (rows[1]["partitions"], rows[1]["partitions_declared"]) == (2, None)
    assert (rows[2]["partitions"], rows[2]["partitions_declared"]) == (None, 1)


def test_each_kind_of_difference_has_its_own_remedy_and_a_surplus_topic_is_no_fault() -> None:
    found = [TopicSpec("a", 3, 1000, 500), TopicSpec("b", 2), TopicSpec("d", 8, 1000, 500)]
    wanted = [A, TopicSpec("c"), TopicSpec("d", 8, 1000, 500), TopicSpec("e", 8, 1000, 500)]
    settings = {"a": (SETTINGS, SETTINGS), "d": (SETTINGS, {**SETTINGS, "retention.ms": "5"}), "e": (SETTINGS, None)}
    rows = compared(wanted, [*found, TopicSpec("e", 8, 1000, 500)], settings)
    missing, counts, other, unreadable = remedies(rows)
    assert missing.startswith("missing: c;") and "topics declare" in missing
    assert counts.startswith("with another number of partitions: a;") and "declare" not in counts
    assert other.startswith("with other settings: d;")
    assert unreadable.startswith("with settings that this user may not read: e;")
    assert remedies(compared([A], [A, TopicSpec("b")], {"a": (SETTINGS, SETTINGS)})) == []
