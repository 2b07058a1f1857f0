"""Largest remainder, and the receivables that are made once, with the plan (MONEY 2; M9)."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.repayments.money import Fen
from agents.repayments.schedule import Schedule
from agents.repayments.shares import split
from tests.unit.repayments import reference
from tests.unit.repayments.examples import BIDS, LOAN, a_schedule, shared_loans, the_receivables

weights_of_somebody = st.lists(st.integers(0, 10**15), min_size=1, max_size=30).filter(any)


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (5, [100, 101, 100, 100], [1, 2, 1, 1]),
        (1, [33, 66], [0, 1]),
        (9_999, [75, 25], [7_499, 2_500]),
        (613, [98, 92, 98, 123, 102, 92], [99, 93, 99, 125, 104, 93]),
        (22_000, [445_455, 9_091, 545_455], [9_800, 200, 12_000]),
        (3, [75, 25], [2, 1]),
        (1, [1, 1, 1], [1, 0, 0]),  # a tie goes to the earlier bid
        (2, [0, 1, 1, 0], [0, 1, 1, 0]),
        (7, [0, 0, 3], [0, 0, 7]),
        (0, [5, 6], [0, 0]),
        (0, [0, 0], [0, 0]),
        (0, [], []),
        (10**15, [1], [10**15]),
    ],
)
def test_the_odd_fen_go_to_the_largest_remainders(total: int, weights: Sequence[int], shares: Sequence[int]) -> None:
    assert list(split(Fen(total), weights)) == shares


@pytest.mark.parametrize(("total", "weights"), [(1, []), (1, [0, 0]), (-1, [1]), (1, [2, -1])])
def test_something_is_split_only_among_those_who_have_a_weight(total: int, weights: Sequence[int]) -> None:
    with pytest.raises(AssertionError):
        split(Fen(total), weights)


@given(st.integers(0, 10**15), weights_of_somebody)
def test_a_split_is_that_of_the_slow_reference(total: int, weights: Sequence[int]) -> None:
    assert list(split(Fen(total), weights)) == reference.split(total, weights)


@given(st.integers(0, 10**6), st.lists(st.sampled_from([0, 1, 2, 3, 100]), min_size=1, max_size=40).filter(any))
def test_a_split_with_many_ties_is_that_of_the_slow_reference(total: int, weights: Sequence[int]) -> None:
    assert list(split(Fen(total), weights)) == reference.split(total, weights)


@given(st.integers(0, 10**15), weights_of_somebody)
def test_the_shares_add_up_and_each_is_less_than_a_fen_from_exact(total: int, weights: Sequence[int]) -> None:
    shares = split(Fen(total), weights)
    assert sum(shares) == total
    assert all(abs(share - Fraction(total * weight, sum(weights))) < 1 for share, weight in zip(shares, weights, strict=True))


@given(weights_of_somebody, st.data())
def test_who_shares_in_no_more_than_there_is_gets_no_more_than_he_has(weights: Sequence[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(weights)))
    assert all(share <= weight for share, weight in zip(split(Fen(total), weights), weights, strict=True))
    assert list(split(Fen(sum(weights)), weights)) == list(weights)


def test_the_receivables_of_the_loan_of_the_cases() -> None:
    first, second, *_ = the_receivables(a_schedule(**LOAN), BIDS, "0.1")
    assert (first.principal_fen, first.interest_fen, first.platform_fee_fen) == ((39_424, 23_655, 15_770), (4_166, 2_500, 1_667), 1_667)
    assert (second.principal_fen, second.interest_fen, second.platform_fee_fen) == ((39_819, 23_891, 15_927), (3_838, 2_303, 1_535), 1_536)
    assert (first.pool_fen, second.pool_fen) == (8_333, 7_676)


def test_the_pool_of_a_bullet_is_of_all_its_months_rounded_once() -> None:
    (only,) = the_receivables(a_schedule("bullet", 1_000_000, "0.12", 5), [600_000, 400_000], "0.1")
    assert (only.interest_fen, only.platform_fee_fen) == ((25_000, 16_667), 8_333)


def test_without_a_spread_the_platform_gets_nothing_and_without_a_rate_the_investors_do() -> None:
    made = a_schedule(**LOAN)
    assert all(each.platform_fee_fen == 0 for each in the_receivables(made, BIDS, "0.12"))
    assert all(each.pool_fen == 0 for each in the_receivables(made, BIDS, "0"))


def test_an_investors_rate_above_the_borrowers_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="at most the borrower's"):
        the_receivables(a_schedule(**LOAN), BIDS, "0.13")


def test_a_row_of_no_principal_after_the_last_is_shared_by_nobody() -> None:
    first, last = the_receivables(a_schedule("equal_principal", 1, "0", 2), [1], "0")
    assert (first.principal_fen, last.principal_fen, last.interest_fen) == ((1,), (0,), (0,))


@given(shared_loans())
def test_every_row_is_given_away_to_the_fen(loan: tuple[Schedule, list[int], Fraction]) -> None:
    made, bids, investor_rate = loan
    for row, each in zip(made.rows, the_receivables(made, bids, investor_rate), strict=True):
        assert sum(each.principal_fen) == row.principal_fen
        assert each.pool_fen + each.platform_fee_fen == row.interest_fen
        assert min((*each.principal_fen, *each.interest_fen, each.platform_fee_fen)) >= 0


@given(shared_loans())
def test_no_claim_is_over_paid_and_each_gets_exactly_its_bid(loan: tuple[Schedule, list[int], Fraction]) -> None:
    made, bids, investor_rate = loan
    left = list(bids)
    for each in the_receivables(made, bids, investor_rate):
        if each.n == len(made.rows):
            assert list(each.principal_fen) == left  # in the last period every claim gets what it still has
        left = [had - paid for had, paid in zip(left, each.principal_fen, strict=True)]
        assert min(left) >= 0
    assert left == [0] * len(bids)


@given(shared_loans())
def test_the_pool_is_the_interest_at_the_investors_rate_on_the_same_balance(loan: tuple[Schedule, list[int], Fraction]) -> None:
    made, bids, investor_rate = loan
    balance, month = sum(bids), 0
    for row, each in zip(made.rows, the_receivables(made, bids, investor_rate), strict=True):
        assert each.pool_fen == reference.half_up(balance * investor_rate * (row.month - month) / 12)
        balance, month = row.balance_fen, row.month


@given(shared_loans(months_max=12))
def test_the_receivables_are_those_of_the_slow_reference(loan: tuple[Schedule, list[int], Fraction]) -> None:
    made, bids, investor_rate = loan
    left = list(bids)
    for each in the_receivables(made, bids, investor_rate):
        weights = left if any(left) else [1] * len(left)
        assert list(each.interest_fen) == reference.split(each.pool_fen, weights)
        assert list(each.principal_fen) == reference.split(sum(each.principal_fen), weights)
        left = [had - paid for had, paid in zip(left, each.principal_fen, strict=True)]
