import subprocess
import time
import uuid
from collections.abc import Callable

import pytest

from tests.integration.tools.conftest import NOW_MS, Folder, a_record, a_register

MINUTE_MS = 60_000
TEN_MS = 1_795_600_800_000  # 2026-11-25T10:00Z


@pytest.fixture
def four_times(folder: Folder) -> Folder:
    """10:00, 10:05, 09:00, 10:06, in this order, on one topic; 09:30 on another; a third one empty (CASES B18)."""
    for n, minutes in enumerate((0, 5, -60, 6)):
        folder.append(a_record(b"%d" % n, timestamp_ms=TEN_MS + minutes * MINUTE_MS))
    folder.append(a_record(b"other", topic="users.events", timestamp_ms=TEN_MS - 30 * MINUTE_MS))
    return folder


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
@pytest.mark.parametrize(
    ("from_", "until"),
    [
        ("2026-11-25T10:02Z", "2026-11-25T10:06Z"),
        ("2026-11-25T18:02+08:00", "2026-11-25T18:06+08:00"),
        ("2026-11-25T10:02", "2026-11-25T10:06"),
    ],
)
def test_from_and_until_are_the_records_own_times_the_end_not_included(
    four_times: Folder, monkeypatch: pytest.MonkeyPatch, zone: str, from_: str, until: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        ran = four_times.run("tail", "--from", from_, "--until", until)
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert ran.code == 0
    assert [row["value"] for row in ran.rows] == [1]
    assert ("taken as UTC" in ran.err) is ("Z" not in from_ and "+" not in from_)


def test_a_time_after_everything_finds_nothing_and_is_no_error(four_times: Folder) -> None:
    assert four_times.rows("tail", "--from", "2027-01-01T00:00Z") == []
    assert four_times.rows("tail", "dead.letters") == []


def test_the_last_n_are_the_last_of_what_is_wanted(four_times: Folder) -> None:
    assert [r["value"] for r in four_times.rows("tail", "users.commands", "-n", "2")] == [2, 3]
    assert [r["value"] for r in four_times.rows("tail", "users.commands", "-n", "1", "--until", "2026-11-25T10:01Z")] == [2]
    assert four_times.rows("tail", "-n", "0") == []


def test_from_an_offset_or_the_earliest(four_times: Folder) -> None:
    assert [r["offset"] for r in four_times.rows("tail", "users.commands", "--from", "2")] == [2, 3]
    assert [r["value"] for r in four_times.rows("tail", "--from", "earliest", "-n", "1")] == [3, "other"]
    assert len(four_times.rows("tail", "--from", "earliest")) == 5


def test_without_a_word_the_last_ten_of_every_topic_in_the_order_of_appending(folder: Folder) -> None:
    for n in range(12):
        folder.append(a_record(b"%d" % n), a_record(b"%d" % n, topic="users.events"))
    shown = folder.rows("tail")
    assert [r["value"] for r in shown] == sorted(r["value"] for r in shown)
    assert [r["value"] for r in shown if r["topic"] == "users.events"] == list(range(2, 12))


def test_many_records_are_read_in_short_runs_and_all_are_shown(folder: Folder) -> None:
    folder.append(*(a_record(b"%d" % n) for n in range(1200)))
    assert [r["value"] for r in folder.rows("tail", "users.commands", "--from", "earliest")] == list(range(1200))


def test_only_records_of_a_key(folder: Folder) -> None:
    folder.append(a_record(b"1", key=b"a"), a_record(b"2", key=b"b"), a_record(b"3", key=None), a_record(b"4", key=b"a"))
    assert [r["value"] for r in folder.rows("tail", "--key", "a")] == [1, 4]


def test_an_unknown_topic_is_wrong_use_that_names_the_known_ones(folder: Folder) -> None:
    ran = folder.run("tail", "users.comands")
    assert ran.code == 2
    assert "'users.comands'" in ran.err and "users.commands" in ran.err


def test_nothing_where_something_was_expected_is_shown_as_what_it_is(folder: Folder) -> None:
    folder.append(
        a_record(None),
        a_record(b""),
        a_record(b"{}", key=None),
        a_record(b"{}", key=b""),
        a_record(b"{}", key=b"\xff\xfe"),
        a_record(b"null"),
    )
    seen = [(r["key_kind"], r["value_kind"]) for r in folder.rows("tail")]
    assert seen == [("text", "null"), ("text", "empty"), ("null", "json"), ("empty", "json"), ("bytes", "json"), ("text", "json")]
    table = folder.run("tail", "--table").out
    assert table.count("<null>") == 2 and table.count("<empty>") == 2 and "<bytes fffe>" in table


def test_two_hundred_headers_are_all_shown_in_order(folder: Folder) -> None:
    headers = tuple((f"h{n % 7}", None if n % 3 == 0 else b"%d" % n) for n in range(200))
    folder.append(a_record(b"1", headers=headers))
    (row,) = folder.rows("tail")
    assert row["headers"] == [[name, None if value is None else value.decode()] for name, value in headers]


def test_odd_timestamps_are_shown_raw_with_a_mark_and_end_nothing(folder: Folder) -> None:
    odd = [-1, 0, NOW_MS * 1000, 400_000_000_000_000]
    folder.append(*(a_record(b"1", timestamp_ms=ms) for ms in (NOW_MS, *odd, NOW_MS)))
    rows = folder.rows("tail")
    assert [r["timestamp_ms"] for r in rows] == [NOW_MS, *odd, NOW_MS]
    assert [r["odd_time"] for r in rows] == [False, True, True, True, True, False]
    assert folder.run("tail", "--table").out.count("(odd time)") == 4
    topic = next(r for r in folder.rows("topics", "ls") if r["topic"] == "users.commands")
    assert (topic["records"], topic["last_append"][-3:]) == (6, "ago")
    assert 0 <= topic["last_append_age_ms"] < MINUTE_MS


def test_a_big_number_is_exact(folder: Folder) -> None:
    folder.append(a_record(b'{"amount_fen":9007199254740993}'), a_record(b'{"amount_fen":18446744073709551617}'))
    out = folder.run("tail", "--json").out
    assert '"value":{"amount_fen":9007199254740993}' in out
    assert '"value":{"amount_fen":18446744073709551617}' in out


def test_sealed_fields_are_never_shown(folder: Folder) -> None:
    folder.append(a_register(str(uuid.uuid4())))
    for how in ("--json", "--table"):
        out = folder.run("tail", how).out
        assert "s1.k1" not in out
        assert out.count('"sealed"') == 2


def test_raw_prints_the_values_as_their_bytes_came(folder: Folder, process: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    folder.append(a_record(b"\xff\x00"), a_record(b'{"n": 1.0}'), a_record(None))
    out, _ = process("tail", "--raw", "--data", str(folder.path)).communicate(timeout=20)
    assert out == b'\xff\x00\n{"n": 1.0}\n\n'


def test_the_counts_of_topics_are_of_the_bus_that_is_here(folder: Folder) -> None:
    folder.append(a_record(b"1"), a_record(b"2"))
    rows = {r["topic"]: r for r in folder.rows("topics", "ls")}
    assert rows["users.commands"]["records"] == 2
    assert rows["users.commands"]["partitions"] == 1
    assert (rows["users.events"]["records"], rows["users.events"]["last_append"]) == (0, "-")
