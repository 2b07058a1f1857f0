"""A record's own time on a log that overwrites it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.headers import Headers
from bus.kafka.times import OWN_TIME, TIME, own_time, with_own_time

APPENDED_MS = 1_700_000_000_000
headers = st.lists(st.tuples(st.sampled_from(["a", TIME, OWN_TIME]), st.none() | st.binary(max_size=4)), max_size=4).map(tuple)


@given(headers=headers, timestamp_ms=st.integers(-(1 << 63), (1 << 63) - 1))
def test_what_travels_comes_back_as_it_was(headers: Headers, timestamp_ms: int) -> None:
    assert own_time(with_own_time(headers, timestamp_ms), APPENDED_MS) == (timestamp_ms, headers)


def test_the_runtimes_records_need_no_further_header() -> None:
    sent = (("id", b"1"), (TIME, b"1700000000123"))
    assert with_own_time(sent, 1_700_000_000_123) is sent
    assert own_time(sent, APPENDED_MS) == (1_700_000_000_123, sent)


@pytest.mark.parametrize("said", [None, b"", b"soon", b"1.5", b"9" * 21, b"\xff", b"99999999999999999999"])
def test_a_strangers_record_has_the_time_of_appending(said: bytes | None) -> None:
    assert own_time(((TIME, said),), APPENDED_MS) == (APPENDED_MS, ((TIME, said),))
    assert own_time((), APPENDED_MS) == (APPENDED_MS, ())
