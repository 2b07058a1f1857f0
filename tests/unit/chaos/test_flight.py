"""What a process had in hand: what waits in its mailbox, else what was handled last."""

from bus.record import Record
from tools.chaos.flight import UNKNOWN, Hand, likeliest


def hand(offset: int, *, waits: bool, appended_ms: int = 0, type_: str = "trading.PlaceBid") -> Hand:
    record = Record("trading.commands", 2, offset, 0, appended_ms, b"k", b"{}", (("type", type_.encode()),))
    return Hand(record, waits)


def test_what_waits_is_likelier_than_what_was_handled() -> None:
    assert likeliest([hand(8, waits=False, appended_ms=9), hand(3, waits=True)]) == "next trading.PlaceBid (trading.commands/2@3)"


def test_of_what_was_handled_the_latest_is_meant() -> None:
    hands = [hand(1, waits=False, appended_ms=5), hand(7, waits=False, appended_ms=9), hand(4, waits=False, appended_ms=7)]
    assert likeliest(hands) == "last trading.PlaceBid (trading.commands/2@7)"


def test_a_few_that_wait_are_all_said() -> None:
    assert likeliest([hand(n, waits=True) for n in range(9)]).count("next ") == 3


def test_nothing_is_unknown() -> None:
    assert likeliest([]) == UNKNOWN
