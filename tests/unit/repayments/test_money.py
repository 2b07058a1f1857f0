"""One rounding, HALF_UP, on exact values (MONEY 1)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.repayments.money import Fen, interest_of_days, interest_of_months, part, rounded, total
from tests.unit.repayments import reference


@pytest.mark.parametrize(
    ("over", "under", "fen"),
    [(0, 1, 0), (1, 2, 1), (3, 2, 2), (5, 2, 3), (49, 100, 0), (50, 100, 1), (149, 100, 1), (150, 100, 2), (10**30 - 1, 2 * 10**30, 0)],
)
def test_a_half_goes_up_and_less_than_a_half_goes_down(over: int, under: int, fen: int) -> None:
    assert rounded(over, under) == fen


@given(st.integers(0, 10**40), st.integers(1, 10**30))
def test_rounding_is_that_of_fractions(over: int, under: int) -> None:
    assert rounded(over, under) == reference.half_up(Fraction(over, under))


@pytest.mark.parametrize(("over", "under"), [(-1, 2), (1, 0), (1, -2)])
def test_what_is_negative_is_a_bug_and_no_amount(over: int, under: int) -> None:
    with pytest.raises(AssertionError):
        rounded(over, under)


def test_interest_of_a_month_is_a_twelfth_of_a_year() -> None:
    assert interest_of_months(Fen(12_345_700), Fraction("0.06")) == 61_729  # 61 728.5: a tie
    assert interest_of_months(Fen(1_000_000), Fraction("0.12"), 2) == 20_000


def test_months_together_are_rounded_once_and_not_each() -> None:
    assert interest_of_months(Fen(100), Fraction("0.05"), 12) == 5
    assert 12 * interest_of_months(Fen(100), Fraction("0.05")) == 0


@pytest.mark.parametrize(("days", "fen"), [(0, 0), (2, 3_836), (61, 116_986), (366, 701_918)])
def test_days_are_365ths_in_leap_years_too(days: int, fen: int) -> None:
    assert interest_of_days(Fen(10_000_000), Fraction("0.07"), days) == fen


def test_a_rate_that_no_float_has_is_exact() -> None:
    assert part(Fen(10**15), Fraction("0.123456789012345678901234567890")) == 123_456_789_012_346
    assert part(Fen(5), Fraction("0.1")) == 1
    assert part(Fen(5), Fraction("0.099999999999999999999999999999")) == 0


def test_the_sum_of_nothing_is_nothing() -> None:
    assert total([]) == 0
    assert total([Fen(1), Fen(2)]) == 3
