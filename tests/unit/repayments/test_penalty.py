"""Penalty: piecewise tiers, one rounding a tier, the same whichever way the date was rolled (MONEY 3; M13)."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.repayments.money import Fen
from agents.repayments.penalty import PRODUCT_RATES, Base, DailyRates, frozen, penalty_fen, penalty_owed_fen
from tests.unit.repayments import reference

daily = st.builds(Fraction, st.integers(0, 10**7), st.just(10**10))
bases_in_order = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 10**9)), min_size=1, max_size=6).map(
    lambda drawn: [(0, drawn[0][1]), *sorted(drawn[1:], key=lambda base: base[0])]
)


def bases(*of: tuple[int, int]) -> list[Base]:
    """(after so many days late, overdue from then on)."""
    return [Base(after, Fen(amount)) for after, amount in of]


@pytest.mark.parametrize(("days", "fen"), [(0, 0), (1, 44), (10, 444), (30, 1_333), (31, 1_395), (35, 1_644), (41, 2_017)])
def test_the_days_to_30_at_the_first_rate_and_those_after_at_the_second(days: int, fen: int) -> None:
    assert penalty_fen(bases((0, 88_849)), days, PRODUCT_RATES) == fen


def test_the_last_instalment_goes_on_after_maturity() -> None:
    assert penalty_fen(bases((0, 88_847)), 5, PRODUCT_RATES) == 222
    assert penalty_fen(bases((0, 88_847)), 35, PRODUCT_RATES) == 1_644


def test_35_single_days_rounded_each_would_be_less() -> None:
    each = penalty_fen(bases((0, 88_849)), 1, PRODUCT_RATES)
    assert 30 * each + 5 * reference.half_up(88_849 * PRODUCT_RATES.days_31_plus) == 1_630


def test_a_part_that_was_paid_counts_from_the_next_day_and_is_added_up_before_the_rounding() -> None:
    late_20_days = bases((0, 88_849), (10, 80_159))
    assert penalty_fen(late_20_days, 20, PRODUCT_RATES) == 845
    assert penalty_owed_fen(late_20_days, 20, PRODUCT_RATES, paid_fen=Fen(444)) == 401


def test_a_base_that_changes_in_both_tiers() -> None:
    changing = bases((0, 1_000_000), (20, 600_000), (40, 100_000))
    first = Fraction(5, 10_000) * (20 * 1_000_000 + 10 * 600_000)
    later = Fraction(7, 10_000) * (10 * 600_000 + 5 * 100_000)
    assert penalty_fen(changing, 45, PRODUCT_RATES) == first + later == 17_550


def test_bases_that_begin_after_the_day_do_not_count_yet() -> None:
    assert penalty_fen(bases((0, 100_000), (10, 50_000)), 10, PRODUCT_RATES) == 500
    assert penalty_fen(bases((0, 100_000), (10, 50_000)), 5, PRODUCT_RATES) == 250


def test_two_changes_on_one_day_are_the_last_of_them() -> None:
    assert penalty_fen(bases((0, 100_000), (5, 90_000), (5, 40_000)), 10, PRODUCT_RATES) == 350


def test_nothing_overdue_costs_nothing() -> None:
    assert penalty_fen(bases((0, 0)), 500, PRODUCT_RATES) == 0
    assert penalty_fen([], 500, PRODUCT_RATES) == 0


def test_bases_out_of_order_and_penalty_over_paid_are_bugs() -> None:
    with pytest.raises(AssertionError, match="in order"):
        penalty_fen(bases((0, 1), (9, 1), (3, 1)), 10, PRODUCT_RATES)
    with pytest.raises(AssertionError, match="no more penalty was paid"):
        penalty_owed_fen(bases((0, 88_849)), 10, PRODUCT_RATES, paid_fen=Fen(445))


@given(bases_in_order, st.integers(0, 120), daily, daily)
def test_a_penalty_is_that_of_the_slow_reference_day_by_day(
    history: Sequence[tuple[int, int]], days: int, first: Fraction, later: Fraction
) -> None:
    assert penalty_fen(bases(*history), days, DailyRates(first, later)) == reference.penalty(history, days, first, later)


@given(bases_in_order, st.integers(1, 120), st.sets(st.integers(1, 119)), daily, daily)
def test_paying_the_penalty_on_any_days_adds_up_to_paying_it_at_once(
    history: Sequence[tuple[int, int]], days: int, stops: set[int], first: Fraction, later: Fraction
) -> None:
    rates = DailyRates(first, later)
    paid = Fen(0)
    for day in sorted({stop for stop in stops if stop < days} | {days}):
        for _ in range(2):  # the same day is asked twice
            paid = Fen(paid + penalty_owed_fen(bases(*history), day, rates, paid_fen=paid))
    assert paid == penalty_fen(bases(*history), days, rates)


@given(bases_in_order, st.integers(0, 120), daily, daily)
def test_a_day_more_never_costs_less(history: Sequence[tuple[int, int]], days: int, first: Fraction, later: Fraction) -> None:
    rates = DailyRates(first, later)
    assert penalty_fen(bases(*history), days, rates) <= penalty_fen(bases(*history), days + 1, rates)


@given(st.integers(0, 10**9), st.integers(0, 120), st.integers(0, 120))
def test_a_base_that_is_written_down_again_changes_nothing(amount: int, days: int, again: int) -> None:
    assert penalty_fen(bases((0, amount)), days, PRODUCT_RATES) == penalty_fen(bases((0, amount), (again, amount)), days, PRODUCT_RATES)


def test_a_contract_freezes_the_products_rates_below_the_cap() -> None:
    assert frozen(PRODUCT_RATES, Fraction("0.36")) == PRODUCT_RATES


def test_a_contract_freezes_the_cap_cut_after_ten_decimals() -> None:
    low = Fraction("0.154")  # 0.154 / 365 = 0.000421917808…
    assert frozen(PRODUCT_RATES, low) == DailyRates(Fraction("0.0004219178"), Fraction("0.0004219178"))
    assert frozen(PRODUCT_RATES, Fraction("0.2")) == DailyRates(Fraction("0.0005"), Fraction("0.0005479452"))


@given(st.builds(Fraction, st.integers(0, 10**6), st.just(10**6)))
def test_a_year_at_the_frozen_rate_never_exceeds_the_cap(cap: Fraction) -> None:
    for rate in frozen(DailyRates(Fraction(1), Fraction(1)), cap):
        assert rate * 365 <= cap < (rate + Fraction(1, 10**10)) * 365
