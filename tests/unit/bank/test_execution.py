"""What each kind does in the ledger, and what it is refused for (docs/bank-api.md)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bank.execution import KINDS
from bank.ledger import Books, Overdrawn, sum_of
from bank.messages import ConfirmByMember
from bank.model import CARD_NETWORK, FEE, HoldState, Posting, ProjectState, Request, Status, Transfer
from config.bank import CARD_FEN_MAX, HOLDS_MAX
from tests.unit.bank.world import DATE, Bank, number

P = number("project")


@pytest.fixture
def bank() -> Bank:
    """A bank with a borrower and two investors of 1,000 yuan each, and a project that raises."""
    made = Bank()
    made.open("wang", cap_fen=10**9)
    made.open("lin", fen=100_000)
    made.open("zhao", fen=100_000, cap_fen=60_000)
    assert (
        made.do("establish", "establish_project", {"project_no": P, "custody_no": "6wang", "amount_fen": 80_000}).status is Status.SUCCEEDED
    )
    return made


def bid(who: str = "lin", fen: int = 30_000) -> dict[str, Any]:
    return {"project_no": P, "custody_no": f"6{who}", "amount_fen": fen}


def lent(bank: Bank) -> None:
    bank.do("b1", "hold", bid("lin", 50_000), page=True)
    bank.do("b2", "hold", bid("zhao", 30_000))
    assert bank.do("confirm", "confirm_loan", {"project_no": P, "count": 2, "sum_fen": 80_000}).status is Status.SUCCEEDED


def collected(bank: Bank, name: str = "c", due_fen: int = 20_000, *, page: bool = False, on: str = DATE) -> Request:
    return bank.do(name, "collect", {"project_no": P, "custody_no": "6wang", "due_fen": due_fen, "valid_on": on}, page=page)


def whole(bank: Bank) -> None:
    """The journal sums to zero and adds up to the balances, and the project's sums to its holds."""
    books = bank.books
    sums = sum_of(books.journal)
    assert sum(sums.values()) == 0
    assert sums == {account: fen for account, fen in books.balances.items() if account in sums}
    assert all(fen >= 0 for account, fen in books.balances.items() if account != CARD_NETWORK)
    for project in books.projects.values():
        held = [h for h in books.holds.values() if h.project_no == project.project_no and h.state is HoldState.HELD]
        assert (project.holds, project.held_fen) == (len(held), sum(h.amount_fen for h in held))


def test_every_kind_of_the_page_is_there() -> None:
    assert set(KINDS) == {
        "open_account", "recharge", "authorize", "establish_project", "hold", "release", "confirm_loan", "close_project", "collect",
        "confirm_repayment",
    }  # fmt: skip


def opening(bank: Bank, name: str, person: str = "p", *, refused: bool = False) -> Request:
    content = {"member_id": number("member"), "card": "6222****1111", "name_refused": refused}
    bank.put(name, "open_account", content, page=True, sealed_content="s1.k.x", person_lookup=person)
    bank.tell(number(name), ConfirmByMember(id=number(name), password_hash="s1.k.hash"))
    return bank.run(name)


def test_an_account_is_opened_with_a_number_that_follows_from_the_request_and_the_hash_is_kept_there_only(bank: Bank) -> None:
    done = opening(bank, "o")
    custody_no = done.details["custody_no"]
    assert done.status is Status.SUCCEEDED and custody_no.isdigit() and len(custody_no) == 18
    assert bank.books.accounts[custody_no].password_hash == "s1.k.hash" and done.password_hash is None


def test_a_person_has_one_account_and_a_refused_name_has_none(bank: Bank) -> None:
    assert opening(bank, "o1", refused=True).reason == "name_refused"
    assert opening(bank, "o2").status is Status.SUCCEEDED
    assert opening(bank, "o3").reason == "person_has_account"


def test_a_bid_is_held_and_counts_in_its_project(bank: Bank) -> None:
    assert bank.do("b", "hold", bid(), page=True).status is Status.SUCCEEDED
    assert (bank.books.available("6lin"), bank.books.balance("held:6lin")) == (70_000, 30_000)
    assert (bank.books.projects[P].holds, bank.books.projects[P].held_fen) == (1, 30_000)
    whole(bank)


@pytest.mark.parametrize(
    ("content", "page", "reason"),
    [
        (bid("lin", 100_001), True, "insufficient"),
        (bid("nobody"), True, "unknown_account"),
        ({**bid(), "project_no": number("no")}, True, "project_closed"),
        (bid("lin"), False, "not_authorized"),
        (bid("zhao", 60_001), False, "not_authorized"),
    ],
    ids=["too little money", "nobody's account", "no such project", "no authorization", "beyond the cap"],
)
def test_a_hold_is_refused(bank: Bank, content: dict[str, Any], page: bool, reason: str) -> None:
    assert bank.do("b", "hold", content, page=page).reason == reason
    assert bank.books.projects[P].holds == 0
    whole(bank)


def test_an_authorization_that_has_expired_is_none(bank: Bank) -> None:
    bank.do("a", "authorize", {"custody_no": "6lin", "scope": "bid", "cap_fen": 50_000, "expires_on": DATE}, page=True)
    assert bank.do("b1", "hold", bid()).status is Status.SUCCEEDED
    bank.roll()
    assert bank.do("b2", "hold", bid()).reason == "not_authorized"


def test_a_project_takes_no_more_than_so_many_holds(bank: Bank) -> None:
    bank.books.projects[P] = bank.books.projects[P].__class__(P, "6wang", 80_000, ProjectState.RAISING, HOLDS_MAX, 0)
    assert bank.do("b", "hold", bid(), page=True).reason == "project_closed"


def test_a_hold_is_released_once(bank: Bank) -> None:
    bank.do("b", "hold", bid(), page=True)
    assert bank.do("r1", "release", {"hold_no": number("b")}).amount_fen == 30_000
    assert bank.do("r2", "release", {"hold_no": number("b")}).reason == "not_held"
    assert bank.books.available("6lin") == 100_000 and bank.books.projects[P].holds == 0
    whole(bank)


def test_all_holds_of_a_project_become_the_borrowers_money_at_once(bank: Bank) -> None:
    lent(bank)
    assert (bank.books.available("6wang"), bank.books.balance("held:6lin"), bank.books.balance("held:6zhao")) == (80_000, 0, 0)
    assert bank.books.projects[P].state is ProjectState.CONFIRMED
    assert {h.state for h in bank.books.holds.values()} == {HoldState.POSTED}
    whole(bank)


@pytest.mark.parametrize(("count", "sum_fen"), [(1, 50_000), (3, 80_000), (2, 80_001), (0, 0)])
def test_a_set_that_differs_is_refused_whole(bank: Bank, count: int, sum_fen: int) -> None:
    bank.do("b1", "hold", bid("lin", 50_000), page=True)
    bank.do("b2", "hold", bid("zhao", 30_000))
    assert bank.do("confirm", "confirm_loan", {"project_no": P, "count": count, "sum_fen": sum_fen}).reason == "set_differs"
    assert bank.books.available("6wang") == 0 and bank.books.projects[P].holds == 2
    whole(bank)


def test_a_project_is_paid_out_once_and_takes_no_bid_after_it(bank: Bank) -> None:
    lent(bank)
    assert bank.do("again", "confirm_loan", {"project_no": P, "count": 2, "sum_fen": 80_000}).reason == "project_closed"
    assert bank.do("late", "hold", bid("lin", 10_000), page=True).reason == "project_closed"


def test_a_project_with_holds_is_not_closed(bank: Bank) -> None:
    bank.do("b", "hold", bid(), page=True)
    assert bank.do("close1", "close_project", {"project_no": P}).reason == "holds_left"
    bank.do("r", "release", {"hold_no": number("b")})
    assert bank.do("close2", "close_project", {"project_no": P}).status is Status.SUCCEEDED
    assert bank.do("late", "hold", bid(), page=True).reason == "project_closed"


def test_a_repayment_is_collected_and_given_to_investors_and_fee_as_one_set(bank: Bank) -> None:
    lent(bank)
    assert collected(bank).amount_fen == 20_000
    parts = [{"custody_no": "6lin", "amount_fen": 12_000}, {"custody_no": "6zhao", "amount_fen": 7_500}]
    done = bank.do("pay", "confirm_repayment", {"collect_no": number("c"), "parts": parts, "fee_fen": 500})
    assert done.status is Status.SUCCEEDED
    assert (bank.books.available("6lin"), bank.books.available("6zhao"), bank.books.balance(FEE)) == (62_000, 77_500, 500)
    assert bank.do("again", "confirm_repayment", {"collect_no": number("c"), "parts": parts, "fee_fen": 500}).reason == "not_held"
    whole(bank)


@pytest.mark.parametrize(("fee", "who", "reason"), [(499, "6zhao", "set_differs"), (500, "6nobody", "unknown_account")])
def test_a_repayment_that_does_not_add_up_moves_nothing(bank: Bank, fee: int, who: str, reason: str) -> None:
    lent(bank)
    collected(bank)
    parts = [{"custody_no": "6lin", "amount_fen": 12_000}, {"custody_no": who, "amount_fen": 7_500}]
    assert bank.do("pay", "confirm_repayment", {"collect_no": number("c"), "parts": parts, "fee_fen": fee}).reason == reason
    assert bank.books.balance("held:6wang") == 20_000
    whole(bank)


def test_by_authorization_what_there_is_is_collected_if_it_is_enough(bank: Bank) -> None:
    lent(bank)
    assert collected(bank, "c1", 95_000).amount_fen == 80_000
    assert collected(bank, "c2", 95_000).reason == "insufficient"


@pytest.mark.parametrize(
    ("left", "due", "held"), [(10_000, 20_000, 10_000), (9_999, 20_000, None), (5_000, 5_000, 5_000), (4_999, 5_000, None)]
)
def test_a_collection_is_at_least_a_hundred_yuan_or_all_that_is_due(bank: Bank, left: int, due: int, held: int | None) -> None:
    lent(bank)
    bank.books.balances["available:6wang"] = left
    done = collected(bank, "c", due)
    assert (done.amount_fen if done.status is Status.SUCCEEDED else None) == held


def test_on_its_page_exactly_what_is_due_is_collected(bank: Bank) -> None:
    lent(bank)
    assert collected(bank, "c1", 80_001, page=True).reason == "insufficient"
    assert collected(bank, "c2", 80_000, page=True).amount_fen == 80_000


def test_an_instruction_that_a_date_prices_is_refused_on_another_date(bank: Bank) -> None:
    lent(bank)
    bank.put("c", "collect", {"project_no": P, "custody_no": "6wang", "due_fen": 20_000, "valid_on": DATE})
    bank.roll()
    assert bank.run("c").reason == "date_passed" and bank.books.balance("held:6wang") == 0
    assert collected(bank, "c2", on=DATE).reason == "date_passed"


def test_a_project_is_not_closed_while_a_collection_is_held_for_it(bank: Bank) -> None:
    lent(bank)
    collected(bank)
    assert bank.do("close1", "close_project", {"project_no": P}).reason == "holds_left"
    bank.do("r", "release", {"hold_no": number("c")})
    assert bank.do("close2", "close_project", {"project_no": P}).status is Status.SUCCEEDED
    assert collected(bank, "late").reason == "project_closed"


def test_a_card_lets_through_only_so_much_at_once(bank: Bank) -> None:
    assert bank.do("r1", "recharge", {"custody_no": "6lin", "amount_fen": CARD_FEN_MAX + 1}, page=True).reason == "card_refused"
    assert bank.do("r2", "recharge", {"custody_no": "6lin", "amount_fen": CARD_FEN_MAX}, page=True).status is Status.SUCCEEDED
    assert bank.books.available("6lin") == 100_000 + CARD_FEN_MAX
    whole(bank)


@pytest.mark.parametrize("kind", ["recharge", "authorize", "establish_project", "collect"])
def test_nothing_is_done_for_an_account_that_there_is_not(bank: Bank, kind: str) -> None:
    content = {
        "custody_no": "6nobody", "project_no": number("q"), "amount_fen": 1, "due_fen": 1, "valid_on": DATE, "scope": "repay", "cap_fen": 1,
        "expires_on": DATE,
    }  # fmt: skip
    assert bank.do("x", kind, content, page=kind in ("recharge", "authorize")).reason == "unknown_account"
    whole(bank)


@pytest.mark.parametrize("kind", ["release", "confirm_loan", "close_project", "confirm_repayment"])
def test_nothing_is_done_with_a_hold_or_a_project_that_there_is_not(bank: Bank, kind: str) -> None:
    content = {
        "project_no": number("q"),
        "count": 0,
        "sum_fen": 0,
        "hold_no": number("q"),
        "collect_no": number("q"),
        "parts": [],
        "fee_fen": 0,
    }
    expected = "not_held" if kind in ("release", "confirm_repayment") else "project_closed"
    assert bank.do("x", kind, content).reason == expected


def test_a_bid_is_not_booked_as_a_repayment(bank: Bank) -> None:
    bank.do("b", "hold", bid(), page=True)
    asked = {"collect_no": number("b"), "parts": [{"custody_no": "6zhao", "amount_fen": 30_000}], "fee_fen": 0}
    assert bank.do("x", "confirm_repayment", asked).reason == "not_held"
    whole(bank)


def test_a_project_is_established_once(bank: Bank) -> None:
    again = {"project_no": P, "custody_no": "6lin", "amount_fen": 1}
    assert bank.do("again", "establish_project", again).reason == "project_exists"
    assert bank.books.projects[P].custody_no == "6wang"


def test_a_new_authorization_takes_the_place_of_the_old(bank: Bank) -> None:
    for n, cap_fen in ((1, 10_000), (2, 20_000)):
        asked = {"custody_no": "6lin", "scope": "bid", "cap_fen": cap_fen, "expires_on": "2026-12-31"}
        assert bank.do(n, "authorize", asked, page=True).details == {"authorization_no": number(n)}
    assert bank.do("b", "hold", bid("lin", 20_000)).status is Status.SUCCEEDED
    assert bank.do("b2", "hold", bid("lin", 20_001)).reason == "not_authorized"


def test_of_more_bids_than_there_is_money_for_exactly_those_succeed_that_fit(bank: Bank) -> None:
    done = [bank.do(n, "hold", bid("lin", 20_000), page=True) for n in range(8)]
    assert [request.status for request in done].count(Status.SUCCEEDED) == 5
    assert {request.reason for request in done if request.status is Status.REFUSED} == {"insufficient"}
    assert bank.do("one", "hold", bid("lin", 1), page=True).reason == "insufficient" and bank.books.available("6lin") == 0
    whole(bank)


def test_two_thousand_bids_become_the_borrowers_money_as_one_set(bank: Bank) -> None:
    for n in range(HOLDS_MAX):
        assert bank.do(n, "hold", bid("lin", 50), page=True).status is Status.SUCCEEDED
    assert bank.do("more", "hold", bid("zhao", 1)).reason == "project_closed"
    done = bank.do("confirm", "confirm_loan", {"project_no": P, "count": HOLDS_MAX, "sum_fen": 50 * HOLDS_MAX})
    assert done.status is Status.SUCCEEDED and bank.books.available("6wang") == 100_000
    whole(bank)


def test_a_collection_can_be_given_back(bank: Bank) -> None:
    lent(bank)
    collected(bank)
    assert bank.do("r", "release", {"hold_no": number("c")}).status is Status.SUCCEEDED
    assert bank.books.available("6wang") == 80_000
    whole(bank)


def test_a_posting_that_would_overdraw_is_taken_up_not_at_all(bank: Bank) -> None:
    before = dict(bank.books.balances)
    wrong = Posting("x", 1, (Transfer("available:6lin", "available:6wang", 60_000), Transfer("available:6lin", FEE, 60_000)))
    with pytest.raises(Overdrawn, match="available:6lin"):
        bank.books.apply((wrong,))
    assert bank.books.balances == before and not Books().journal


WHO = st.sampled_from(["lin", "zhao", "wang"])
FEN = st.integers(1, 120_000)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("recharge"), WHO, FEN),
        st.tuples(st.just("hold"), WHO, FEN),
        st.tuples(st.just("release"), st.integers(0, 30)),
        st.tuples(st.just("confirm_loan")),
        st.tuples(st.just("collect"), FEN),
        st.tuples(st.just("confirm_repayment"), st.integers(0, 30), st.integers(0, 100)),
        st.tuples(st.just("close_project")),
        st.tuples(st.just("roll")),
    ),
    max_size=30,
)


def _content(bank: Bank, step: Any) -> dict[str, Any]:
    books = bank.books
    match step:
        case ("recharge", who, fen):
            return {"custody_no": f"6{who}", "amount_fen": fen}
        case ("hold", who, fen):
            return bid(who, fen)
        case ("release", which):
            return {"hold_no": sorted(books.holds)[which % len(books.holds)] if books.holds else number("none")}
        case ("confirm_loan",):
            return {"project_no": P, "count": books.projects[P].holds, "sum_fen": books.projects[P].held_fen}
        case ("collect", fen):
            return {"project_no": P, "custody_no": "6wang", "due_fen": fen, "valid_on": books.date}
        case ("confirm_repayment", which, fee):
            found = [h for h in books.holds.values() if h.purpose == "repayment"]
            one = found[which % len(found)] if found else None
            part = {"custody_no": "6lin", "amount_fen": max(0, (one.amount_fen if one else 0) - fee)}
            return {"collect_no": one.request_no if one else number("none"), "parts": [part], "fee_fen": fee}
        case _:
            return {"project_no": P}


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_is_instructed_the_journal_sums_to_zero_nothing_is_overdrawn_and_a_repeat_does_nothing(steps: list[Any]) -> None:
    bank = Bank()
    for who in ("lin", "zhao", "wang"):
        bank.open(who, fen=100_000, cap_fen=10**9)
    bank.do("establish", "establish_project", {"project_no": P, "custody_no": "6wang", "amount_fen": 80_000})
    money = sum(bank.books.balances.values())
    for n, step in enumerate(steps):
        if step[0] == "roll":
            bank.roll()
            continue
        content = _content(bank, step)
        bank.do(n, step[0], content, page=step[0] == "recharge")
        lines, before = len(bank.books.journal), dict(bank.books.balances)
        bank.do(n, step[0], content, page=step[0] == "recharge")
        assert (len(bank.books.journal), bank.books.balances) == (lines, before)
        whole(bank)
    assert sum(bank.books.balances.values()) == money == 0
