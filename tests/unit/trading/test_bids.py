"""Bids: room, the hold's end, lateness; and a listing that fails gives everything back."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.trading.behaviour_bids import amount_unacceptable
from agents.trading.messages import BidDeadline, FailStep, RaisingEnded, RefuseFull, Withdraw
from agents.trading.model import BidStatus, Status
from tests.unit.trading.desk import LOAN, Desk, bid_id, full, raising


def test_a_bid_reserves_room_and_asks_for_its_hold_on_the_investors_page() -> None:
    desk = raising()
    assert desk.place(1, 60_000) is BidStatus.PENDING
    assert (desk.now.reserved_fen, desk.now.room_fen) == (60_000, 40_000)
    [order] = desk.orders("hold")
    assert (order.id, order.page, order.content) == (bid_id(1), True, {"project_no": LOAN, "custody_no": "61", "amount_fen": 60_000})
    desk.page(1)
    assert (desk.answer().status, getattr(desk.answer(), "page_url", None)) == ("PENDING", "http://bank/p")


def test_a_bid_that_is_placed_again_is_answered_and_not_done_twice() -> None:
    desk = raising()
    desk.place(1, 60_000)
    desk.place(1, 60_000)
    assert desk.now.reserved_fen == 60_000 and len(desk.orders("hold")) == 1


@pytest.mark.parametrize(
    ("fen", "room", "code"),
    [
        (100_000, 100_000, None), (10_000, 100_000, None), (9_999, 100_000, "bid_too_small"), (10_050, 100_000, "bid_step"),
        (100_100, 100_000, "no_room"), (90_000, 100_000, None), (90_100, 100_000, "rest_too_small"), (99_999, 100_000, "bid_step"),
        (9_900, 9_900, None), (5_000, 9_900, "only_the_rest"), (10_000, 9_900, "no_room"), (9_950, 9_950, None), (1, 1, None),
    ],
)  # fmt: skip
def test_what_a_bid_may_be_and_what_it_may_leave(fen: int, room: int, code: str | None) -> None:
    assert amount_unacceptable(fen, room) == code


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_bid_that_is_taken_leaves_nothing_or_enough_for_another_one(fen: int, room: int) -> None:
    if amount_unacceptable(fen, room) is None:
        assert room - fen == 0 or (fen >= 10_000 and fen % 100 == 0 and room - fen >= 10_000)


def refused(desk: Desk, n: int) -> str | None:
    assert desk.bid(n).status is BidStatus.REFUSED and getattr(desk.answer(), "reason", None) == desk.bid(n).reason
    return desk.bid(n).reason


def test_the_borrower_is_no_investor_of_his_own_loan_under_whatever_membership() -> None:
    desk = raising()
    desk.place(1, 10_000, investor="wang")
    assert refused(desk, 1) == "own_loan"


def test_an_investor_has_one_open_reservation_a_loan() -> None:
    desk = raising()
    desk.place(1, 10_000, investor="lin")
    desk.place(2, 10_000, investor="lin")
    assert refused(desk, 2) == "bid_open"
    desk.bank(bid_id(1))
    assert desk.place(3, 10_000, investor="lin") is BidStatus.PENDING


def test_a_loan_that_does_not_raise_takes_no_bid() -> None:
    desk = full()
    desk.place(3, 10_000)
    assert refused(desk, 3) == "not_raising" and desk.now.reserved_fen == 0


def test_a_hold_that_is_refused_gives_its_room_back() -> None:
    desk = raising()
    desk.place(1, 60_000)
    desk.bank(bid_id(1), "refused", reason="insufficient")
    assert (refused(desk, 1), desk.now.room_fen, desk.timers) == ("insufficient", 100_000, {})


def test_a_bid_that_takes_too_long_is_closed_at_the_bank_whose_answer_decides() -> None:
    desk = raising()
    desk.place(1, 60_000)
    deadline = desk.timers[f"bid:{bid_id(1)}"]
    desk.tell(deadline)
    assert desk.closings() == [bid_id(1)] and desk.bid(1).status is BidStatus.PENDING
    desk.bank(bid_id(1))
    assert desk.bid(1).status is BidStatus.ACCEPTED
    desk.tell(BidDeadline(id=bid_id(1)))
    assert desk.closings() == [bid_id(1)]


def test_the_last_fen_makes_it_full() -> None:
    desk = full()
    assert (desk.now.accepted_fen, desk.now.accepted, desk.now.reserved_fen) == (100_000, 2, 0)


def test_what_is_told_twice_counts_once() -> None:
    desk = raising()
    desk.place(1, 60_000)
    desk.bank(bid_id(1))
    desk.bank(bid_id(1))
    desk.bank(bid_id(1), "refused")
    assert (desk.now.accepted_fen, desk.now.accepted, desk.bid(1).status) == (60_000, 1, BidStatus.ACCEPTED)


def gives_back(desk: Desk) -> None:
    """Play the bank until nothing is under way."""
    desk.loop()
    for order in desk.orders("release"):
        desk.bank(order.id)
    for order in desk.orders("close_project"):
        desk.bank(order.id)


@pytest.mark.parametrize("how", ["deadline", "withdrawn", "refused"])
def test_a_listing_that_fails_releases_every_hold_and_then_closes_the_project(how: str) -> None:
    desk = full() if how == "refused" else raising()
    if how != "refused":
        desk.place(1, 60_000)
        desk.bank(bid_id(1))
    match how:
        case "deadline":
            desk.tell(RaisingEnded(id=LOAN, date="2026-03-07"))
            assert desk.stands() is Status.RAISING, "the last day is a day of raising"
            desk.tell(RaisingEnded(id=LOAN, date="2026-03-08"))
        case "withdrawn":
            desk.tell(Withdraw(id=LOAN, borrower="somebody"))
            assert desk.stands() is Status.RAISING
            desk.tell(Withdraw(id=LOAN, borrower="wang"))
        case "refused":
            desk.tell(RefuseFull(id=LOAN, auditor="bo", reason="x"))
    assert desk.stands() is Status.FAILING and not desk.orders("close_project")
    gives_back(desk)
    assert desk.stands() is Status.FAILED and (desk.now.accepted_fen, desk.now.reserved_fen, desk.now.ending) == (0, 0, 0)
    assert {bid.status for bid in desk.now.seen.values()} == {BidStatus.RELEASED}


def test_a_listing_without_bids_fails_too() -> None:
    desk = raising()
    desk.tell(Withdraw(id=LOAN, borrower="wang"))
    gives_back(desk)
    assert desk.stands() is Status.FAILED


def test_an_open_bid_of_a_failing_listing_is_closed_and_a_hold_that_still_succeeds_is_released() -> None:
    desk = raising()
    for n in (1, 2):
        desk.place(n, 40_000)
    desk.tell(Withdraw(id=LOAN, borrower="wang"))
    desk.loop()
    assert desk.closings() == [bid_id(1), bid_id(2)] and desk.now.ending == 2
    desk.bank(bid_id(1), "closed")
    desk.bank(bid_id(2))
    assert desk.bid(2).status is BidStatus.RELEASING and not desk.orders("close_project")
    gives_back(desk)
    assert desk.stands() is Status.FAILED


def test_a_hold_that_is_over_at_the_bank_is_given_back_and_one_that_cannot_be_released_waits_for_a_person() -> None:
    for reason, after in (("not_held", Status.FAILING), ("broken", Status.SUSPENDED)):
        desk = full()
        desk.tell(RefuseFull(id=LOAN, auditor="bo", reason="x"))
        desk.loop()
        desk.bank(desk.orders("release")[0].id, "refused", reason=reason)
        assert desk.stands() is after


def test_a_step_that_was_taken_is_not_taken_again() -> None:
    desk = full()
    desk.tell(RefuseFull(id=LOAN, auditor="bo", reason="x"))
    desk.loop()
    desk.tell(FailStep(id=LOAN, after="0"))
    assert len(desk.orders("release")) == 2


WORDS = st.lists(
    st.one_of(
        st.tuples(st.just("bid"), st.integers(1, 8), st.sampled_from([10_000, 20_000, 50_000, 100_000])),
        st.tuples(st.just("succeeds"), st.integers(1, 8)),
        st.tuples(st.just("refused"), st.integers(1, 8)),
        st.tuples(st.just("late"), st.integers(1, 8)),
        st.tuples(st.just("withdraw")),
        st.tuples(st.just("loop")),
        st.tuples(st.just("release"), st.integers(0, 8)),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(WORDS)
def test_whatever_comes_no_fen_too_much_is_accepted_and_a_failed_listing_keeps_nothing(words: list[Any]) -> None:
    desk = raising()
    ended: dict[str, str] = {}
    for word in words:
        match word:
            case ("bid", n, fen):
                desk.place(n, fen)
            case ("succeeds" | "refused" as result, n) if bid_id(n) in desk.now.seen:
                if any(order.id == bid_id(n) for order in desk.orders("hold")):
                    result = ended.setdefault(bid_id(n), "succeeded" if result == "succeeds" else "refused")
                    desk.bank(bid_id(n), result, reason=None if result == "succeeded" else "insufficient")
            case ("late", n):
                desk.tell(BidDeadline(id=bid_id(n)))
            case ("withdraw",):
                desk.tell(Withdraw(id=LOAN, borrower="wang"))
            case ("loop",):
                desk.loop()
            case ("release", n) if desk.orders("release"):
                orders = desk.orders("release")
                desk.bank(orders[n % len(orders)].id)
        loan, bids = desk.now, list(desk.now.seen.values())
        assert sum(b.amount_fen for b in bids if b.status is BidStatus.ACCEPTED) == loan.accepted_fen <= loan.amount_fen
        assert sum(b.status is BidStatus.ACCEPTED for b in bids) == loan.accepted
        assert sum(b.amount_fen for b in bids if b.status is BidStatus.PENDING) == loan.reserved_fen
        assert loan.accepted_fen + loan.reserved_fen <= loan.amount_fen and loan.ending >= 0
    desk.tell(Withdraw(id=LOAN, borrower="wang"))
    desk.loop()
    for bid in list(desk.now.seen.values()):
        if bid.status is BidStatus.PENDING:
            desk.bank(bid.id, ended.get(bid.id, "closed"))
    if desk.stands() is not Status.FULL:
        gives_back(desk)
        assert desk.stands() is Status.FAILED and desk.now.accepted_fen == desk.now.reserved_fen == 0
        assert all(b.status.is_final for b in desk.now.seen.values())
        assert {o.content["hold_no"] for o in desk.orders("release")} == {
            b.id for b in desk.now.seen.values() if b.status is BidStatus.RELEASED
        }
