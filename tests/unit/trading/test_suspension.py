"""A SUSPENDED loan: what stops it, what the bank may still say, what an operator may do; and that nothing is lost by it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.custody.messages import OrderDisputed, OrderEnded
from agents.repayments.messages import PlanMissing, PlanSettled
from agents.runtime.decision import Message
from agents.trading.messages import FailListing, PassFirstAudit, RefuseFull, ResumeLoan, RetryDisbursement, Withdraw
from agents.trading.model import BidStatus, Status, may_fail, may_resume
from tests.unit.trading.desk import DAY, LOAN, Desk, bid_id, disbursing, full, publish, raising, repaying

RESUME, FAIL = ResumeLoan(id=LOAN, operator="op"), FailListing(id=LOAN, operator="op", reason="hopeless")


def dispute(desk: Desk, number: str | None) -> None:
    assert number is not None
    desk.tell(OrderDisputed(id=number, noticed="SUCCEEDED", queried="REFUSED"))


def failing() -> Desk:
    desk = full()
    desk.tell(RefuseFull(id=LOAN, auditor="bo", reason="x"))
    desk.loop()
    return desk


def last(desk: Desk, kind: str) -> str:
    return desk.orders(kind)[-1].id


def test_a_bid_whose_hold_is_disputed_keeps_its_room_and_stops_its_loan() -> None:
    desk = raising()
    desk.place(1, 60_000)
    dispute(desk, bid_id(1))
    assert (desk.stands(), desk.now.stood, desk.bid(1).status) == (Status.SUSPENDED, "RAISING", BidStatus.SUSPENDED)
    assert desk.now.reserved_fen == 60_000 and desk.answer().status == "SUSPENDED" and desk.timers == {}
    assert desk.place(2, 10_000) is BidStatus.REFUSED


def test_a_hold_of_another_amount_than_was_ordered_is_in_doubt_too() -> None:
    desk = raising()
    desk.place(1, 60_000)
    desk.tell(OrderEnded(id=bid_id(1), kind="hold", result="succeeded", booked_date=DAY.isoformat(), amount_fen=59_900))
    assert (desk.stands(), desk.bid(1).status, desk.now.accepted_fen) == (Status.SUSPENDED, BidStatus.SUSPENDED, 0)


def test_a_listing_that_goes_on_gives_back_what_is_in_doubt_and_takes_bids_again() -> None:
    desk = raising()
    desk.place(1, 60_000)
    dispute(desk, bid_id(1))
    desk.tell(RESUME)
    assert (desk.stands(), desk.bid(1).status, desk.now.room_fen) == (Status.RAISING, BidStatus.RELEASING, 100_000)
    assert desk.orders("release")[0].content == {"hold_no": bid_id(1)}
    desk.bank(last(desk, "release"), "refused", reason="not_held")
    assert (desk.stands(), desk.bid(1).status, desk.now.ending) == (Status.RAISING, BidStatus.RELEASED, 0)
    desk.place(2, 100_000)
    desk.bank(bid_id(2))
    assert desk.stands() is Status.FULL


def test_a_release_that_fails_while_raising_is_asked_again_by_an_operator() -> None:
    desk = raising()
    desk.place(1, 60_000)
    dispute(desk, bid_id(1))
    desk.tell(RESUME)
    first = last(desk, "release")
    desk.bank(first, "refused", reason="broken")
    assert (desk.stands(), desk.now.stood) == (Status.SUSPENDED, "RAISING")
    desk.tell(RESUME)
    assert last(desk, "release") != first and desk.now.room_fen == 100_000
    desk.bank(last(desk, "release"))
    assert desk.bid(1).status is BidStatus.RELEASED


def test_a_listing_that_is_given_up_gives_back_what_is_in_doubt() -> None:
    desk = raising()
    for n in (1, 2):
        desk.place(n, 40_000)
    desk.bank(bid_id(2))
    dispute(desk, bid_id(1))
    desk.tell(FAIL)
    desk.loop()
    assert {order.content["hold_no"] for order in desk.orders("release")} == {bid_id(1), bid_id(2)}
    for order in desk.orders("release"):
        desk.bank(order.id)
    desk.bank(last(desk, "close_project"))
    assert (desk.stands(), desk.now.reserved_fen, desk.now.accepted_fen) == (Status.FAILED, 0, 0)


def test_the_bank_s_word_about_a_bid_is_taken_while_its_loan_is_suspended() -> None:
    desk = raising()
    for n, fen in ((1, 60_000), (2, 40_000)):
        desk.place(n, fen)
    desk.bank(bid_id(1))
    dispute(desk, bid_id(1))
    assert desk.bid(1).status is BidStatus.ACCEPTED
    desk.bank(bid_id(2))
    assert (desk.stands(), desk.now.stood, desk.now.accepted_fen) == (Status.SUSPENDED, "FULL", 100_000)
    desk.tell(RESUME)
    assert desk.stands() is Status.FULL


def test_a_dispute_that_custody_ends_decides_the_bid() -> None:
    desk = raising()
    desk.place(1, 60_000)
    dispute(desk, bid_id(1))
    desk.bank(bid_id(1))
    assert desk.bid(1).status is BidStatus.ACCEPTED and desk.now.accepted_fen == 60_000
    desk.tell(RESUME)
    assert desk.stands() is Status.RAISING and not desk.orders("release")


def test_a_disputed_project_may_only_be_given_up() -> None:
    desk = Desk()
    desk.tell(publish())
    desk.tell(PassFirstAudit(id=LOAN, auditor="an"))
    dispute(desk, desk.now.establish_no)
    desk.tell(RESUME)
    assert (desk.stands(), desk.now.stood) == (Status.SUSPENDED, "ESTABLISHING")
    assert getattr(desk.answer(), "refused", None) == "not_now"
    desk.tell(FAIL)
    desk.loop()
    desk.bank(last(desk, "close_project"), "refused", reason="project_closed")
    assert desk.stands() is Status.FAILED


@pytest.mark.parametrize("command", [RESUME, FAIL, RetryDisbursement(id=LOAN, operator="op")])
def test_nobody_touches_a_disbursement_of_which_nobody_knows_whether_it_has_happened(command: Message) -> None:
    desk = disbursing()
    dispute(desk, desk.now.confirm_no)
    desk.tell(command)
    assert (desk.stands(), len(desk.orders("confirm_loan")), desk.orders("release")) == (Status.SUSPENDED, 1, [])
    desk.bank(desk.now.confirm_no)
    assert desk.stands() is Status.REPAYING, "custody has ended the break"


def test_a_refused_disbursement_goes_on_under_a_new_number() -> None:
    desk = disbursing()
    desk.bank(desk.now.confirm_no, "refused", reason="set_differs")
    desk.tell(RESUME)
    assert desk.stands() is Status.DISBURSING and len({order.id for order in desk.orders("confirm_loan")}) == 2


def test_a_refused_release_is_asked_again_and_the_listing_fails_all_the_same() -> None:
    for command in (RESUME, FAIL):
        desk = failing()
        first, second = (order.id for order in desk.orders("release"))
        desk.bank(first, "refused", reason="broken")
        desk.bank(second)
        assert (desk.stands(), desk.now.stood) == (Status.SUSPENDED, "FAILING")
        desk.tell(command)
        desk.loop()
        assert desk.now.ending == 1 and last(desk, "release") not in (first, second)
        desk.bank(last(desk, "release"))
        desk.bank(last(desk, "close_project"))
        assert desk.stands() is Status.FAILED


def test_a_step_that_comes_while_the_loan_is_suspended_is_begun_again() -> None:
    desk = full()
    desk.tell(RefuseFull(id=LOAN, auditor="bo", reason="x"))
    dispute(desk, bid_id(1))
    desk.loop()
    assert desk.stands() is Status.SUSPENDED and not desk.orders("release")
    desk.tell(RESUME)
    desk.loop()
    assert len(desk.orders("release")) == 2 == desk.now.ending


def test_a_project_that_cannot_be_closed_waits_and_is_closed_again() -> None:
    desk = failing()
    for order in desk.orders("release"):
        desk.bank(order.id)
    desk.bank(last(desk, "close_project"), "refused", reason="holds_left")
    assert (desk.stands(), desk.now.stood) == (Status.SUSPENDED, "FAILING")
    desk.tell(RESUME)
    desk.loop()
    assert len({order.id for order in desk.orders("close_project")}) == 2
    desk.bank(last(desk, "close_project"))
    assert desk.stands() is Status.FAILED


def test_a_settled_loan_s_project_is_closed_again_too() -> None:
    desk = repaying()
    desk.tell(PlanSettled(id=LOAN, date="2026-06-02"))
    desk.bank(desk.now.close_no, "refused", reason="holds_left")
    assert (desk.stands(), desk.now.stood) == (Status.SUSPENDED, "SETTLED")
    desk.tell(FAIL)
    assert desk.stands() is Status.SUSPENDED
    desk.tell(RESUME)
    assert desk.stands() is Status.SETTLED
    desk.bank(desk.now.close_no)
    assert desk.stands() is Status.SETTLED and len(desk.orders("close_project")) == 2


def test_a_loan_that_repays_is_repaid_while_it_is_suspended() -> None:
    desk = repaying()
    dispute(desk, bid_id(1))
    desk.tell(PlanMissing(id=LOAN, steps=0))
    desk.tell(PlanSettled(id=LOAN, date="2026-06-02"))
    assert (desk.stands(), desk.now.stood, desk.now.outstanding_fen) == (Status.SUSPENDED, "SETTLED", 0)
    desk.tell(RESUME)
    assert desk.stands() is Status.SETTLED and len(desk.orders("close_project")) == 1


def test_of_a_loan_that_has_ended_only_custody_keeps_the_break() -> None:
    desk = repaying()
    desk.tell(PlanSettled(id=LOAN, date="2026-06-02"))
    dispute(desk, bid_id(1))
    assert desk.stands() is Status.SETTLED


def test_a_loan_that_is_not_suspended_needs_no_operator() -> None:
    desk = raising()
    for command in (RESUME, FAIL, RetryDisbursement(id=LOAN, operator="op")):
        desk.tell(command)
        assert desk.stands() is Status.RAISING and getattr(desk.answer(), "refused", None) == "not_now"


def test_what_an_operator_may_do_is_what_the_state_says() -> None:
    assert [stood for stood in Status if may_resume(stood, "no")] == [s for s in Status if s not in ("ESTABLISHING", "DISBURSING")]
    assert may_resume("DISBURSING", None) and may_fail("DISBURSING", None) and not may_fail("DISBURSING", "no")
    assert [stood for stood in Status if may_fail(stood, None)] == ["ESTABLISHING", "RAISING", "FULL", "DISBURSING", "FAILING"]


WORDS = st.lists(
    st.one_of(
        st.tuples(st.just("bid"), st.integers(1, 6), st.sampled_from([10_000, 30_000, 50_000, 100_000])),
        st.tuples(st.just("dispute"), st.integers(1, 6)),
        st.tuples(st.just("hold"), st.integers(1, 6), st.booleans()),
        st.tuples(st.just("release"), st.integers(0, 9), st.sampled_from(["succeeded", "not_held", "broken"])),
        st.tuples(st.sampled_from(["withdraw", "resume", "fail", "loop", "close", "holds_left"])),
    ),
    max_size=40,
)


def say(desk: Desk, word: Any) -> None:
    """One word of a story; what the bank says of an order it says once."""
    match word:
        case ("bid", n, fen):
            desk.place(n, fen)
        case ("dispute", n):
            dispute(desk, bid_id(n))
        case ("hold", n, well) if bid_id(n) in desk.now.seen and desk.bid(n).status.is_open:
            desk.bank(bid_id(n), "succeeded" if well else "refused")
        case ("release", n, how) if orders := desk.orders("release"):
            desk.bank(orders[n % len(orders)].id, "succeeded" if how == "succeeded" else "refused", reason=how)
        case ("withdraw",):
            desk.tell(Withdraw(id=LOAN, borrower="wang"))
        case ("resume",):
            desk.tell(RESUME)
        case ("fail",):
            desk.tell(FAIL)
        case ("loop",):
            desk.loop()
        case (("close" | "holds_left") as how,) if desk.now.close_no is not None:
            desk.bank(desk.now.close_no, "succeeded" if how == "close" else "refused", reason=how)


def sums_hold(desk: Desk) -> None:
    loan, bids = desk.now, list(desk.now.seen.values())
    accepted = [bid.amount_fen for bid in bids if bid.status is BidStatus.ACCEPTED]
    assert (sum(accepted), len(accepted)) == (loan.accepted_fen, loan.accepted)
    assert sum(bid.amount_fen for bid in bids if bid.status.is_open) == loan.reserved_fen
    assert loan.accepted_fen + loan.reserved_fen <= loan.amount_fen and loan.ending >= 0
    if loan.status is Status.FULL:
        assert loan.accepted_fen == loan.amount_fen
    if loan.status is Status.FAILED:
        assert all(bid.status.is_final for bid in bids)


@settings(max_examples=400, deadline=None)
@given(WORDS)
def test_whatever_stops_a_listing_an_operator_brings_it_to_its_end_and_no_hold_is_forgotten(words: list[Any]) -> None:
    desk = raising()
    for word in words:
        say(desk, word)
        sums_hold(desk)
    for _ in range(4):
        for end in (("withdraw",), ("fail",), ("loop",)):
            say(desk, end)
        for bid in list(desk.now.seen.values()):
            if bid.status.is_open:
                desk.bank(bid.id, "closed")
            elif bid.release_no is not None:
                desk.bank(bid.release_no)
        say(desk, ("close",))
        sums_hold(desk)
    held = {bid.id for bid in desk.now.seen.values() if bid.status is BidStatus.ACCEPTED}
    assert (desk.stands() is Status.FAILED and not held) or desk.stands() is Status.FULL
