import time

import pytest

from tools import instants
from tools.output import WrongUse

TEN_PAST_TEN_MS = 1_795_601_400_000  # 2026-11-25T10:10Z


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
@pytest.mark.parametrize("said", ["2026-11-25T10:10Z", "2026-11-25T18:10+08:00", "2026-11-25T10:10", "2026-11-25 10:10:00.000"])
def test_an_instant_is_the_same_however_it_is_said_and_wherever(monkeypatch: pytest.MonkeyPatch, zone: str, said: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert instants.start(said).instant_ms == instants.end(said).instant_ms == TEN_PAST_TEN_MS
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_zone_that_was_not_said_is_utc_and_that_is_told() -> None:
    note = instants.start("2026-11-25T10:10").note
    assert note is not None
    assert "UTC" in note and "2026-11-25T10:10:00.000Z" in note
    assert instants.start("2026-11-25T10:10Z").note is None


def test_earliest_and_offsets_are_no_instants() -> None:
    assert instants.start("earliest") == instants.Start(offset=0)
    assert instants.start("20261125") == instants.Start(offset=20261125)
    assert instants.start(None) == instants.Start()


def test_a_millisecond_is_kept_exactly() -> None:
    assert instants.end("2026-11-25T10:10:00.007Z").instant_ms == TEN_PAST_TEN_MS + 7
    assert instants.end("1969-12-31T23:59:59.999Z").instant_ms == -1


@pytest.mark.parametrize("said", ["", "-5", "yesterday", "10:10", "2026-13-01", "٣", "1" * 16])
def test_anything_else_is_wrong_use_that_says_what_is_right(said: str) -> None:
    with pytest.raises(WrongUse, match="2026-01-31T10:02:00Z"):
        instants.start(said)


def test_until_wants_an_instant() -> None:
    with pytest.raises(WrongUse):
        instants.end("17")
