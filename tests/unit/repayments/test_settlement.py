"""Early settlement: what is due, the broken period, the rest and the compensation (MONEY 3; M37)."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.repayments.money import Fen
from agents.repayments.payment import Due, Owed
from agents.repayments.schedule import Schedule
from agents.repayments.settlement import Planned, Quote, Terms, quote, saved_by_waiting_fen
from tests.unit.repayments import reference
from tests.unit.repayments.examples import BIDS, LOAN, START, a_plan, a_schedule, shared_loans

TERMS = Terms(Fraction("0.12"), Fraction("0.1"))
PLAN = a_plan(a_schedule(**LOAN), BIDS, "0.1")  # due 28 Feb, 31 Mar, 30 Apr … 2025
BULLET_START = date(2025, 7, 1)
BULLET = a_plan(a_schedule("bullet", 1_000_000, "0.12", 2), [600_000, 400_000], "0.1", BULLET_START)


def dues_of(plan: Sequence[Planned], *penalties: int) -> list[Due]:
    """The oldest instalments, of which nothing is paid."""
    return [Due(Owed.all_of(planned.receivables), Fen(penalty)) for planned, penalty in zip(plan, penalties, strict=False)]


def quoted(on: date, *penalties: int, terms: Terms = TERMS) -> Quote:
    """A quote for L."""
    return quote(on, start=START, plan=PLAN, dues=dues_of(PLAN, *penalties), terms=terms)


def test_on_the_first_day_the_principal_and_the_compensation_are_paid() -> None:
    made = quoted(START)
    assert (made.broken_days, made.broken_interest_fen, sum(made.principal_fen)) == (0, 0, 1_000_000)
    assert made.compensation_fen == (5_000, 3_000, 2_000)
    assert made.total_fen == 1_010_000


def test_in_the_first_period_days_are_counted_from_the_start() -> None:
    made = quoted(START + timedelta(days=10))
    assert (made.broken_days, made.broken_interest_fen) == (10, 3_288)  # 3 287.67
    assert (sum(made.broken_pool_fen), made.broken_fee_fen) == (2_740, 548)  # 2 739.73
    assert made.broken_pool_fen == (1_370, 822, 548)
    assert made.total_fen == 3_288 + 1_000_000 + 10_000


def test_later_days_are_counted_from_the_due_date_that_has_passed() -> None:
    made = quoted(date(2025, 3, 5))
    assert (made.broken_days, sum(made.principal_fen)) == (5, 921_151)
    assert made.broken_interest_fen == 1_514  # 921 151 · 0.12 · 5 / 365 = 1 514.22
    assert sum(made.compensation_fen) == 9_212  # 9 211.51


def test_an_instalment_that_is_due_on_the_day_is_paid_as_planned_and_no_day_is_broken() -> None:
    made = quoted(date(2025, 2, 28), 0)
    assert sum(due.total_fen for due in made.dues) == 88_849
    assert (made.broken_days, made.broken_interest_fen) == (0, 0)
    assert made.total_fen == 88_849 + 921_151 + 9_212


def test_overdue_instalments_are_paid_with_their_penalties() -> None:
    made = quoted(date(2025, 4, 10), 2_017, 444)
    assert sum(due.total_fen for due in made.dues) == 88_849 + 2_017 + 88_849 + 444
    assert (made.broken_days, sum(made.principal_fen)) == (10, 841_514)
    assert made.total_fen == 180_159 + 2_767 + 841_514 + 8_415


def test_each_claim_gets_its_principal_that_is_not_due_yet() -> None:
    made = quoted(date(2025, 3, 5))
    assert made.principal_fen == (500_000 - 39_424, 300_000 - 23_655, 200_000 - 15_770)


def test_a_broken_period_costs_at_most_what_the_period_costs() -> None:
    made = quote(date(2025, 8, 31), start=BULLET_START, plan=BULLET, dues=[], terms=TERMS)
    assert made.broken_days == 61
    assert (made.broken_interest_fen, sum(made.compensation_fen), made.total_fen) == (20_000, 10_000, 1_030_000)  # 61 days would be 20 055
    assert (sum(made.broken_pool_fen), made.broken_fee_fen) == (16_667, 3_333)


def test_waiting_a_day_for_the_due_date_of_a_bullet_saves_the_compensation() -> None:
    made = quote(date(2025, 8, 31), start=BULLET_START, plan=BULLET, dues=[], terms=TERMS)
    assert saved_by_waiting_fen(made, start=BULLET_START, plan=BULLET, terms=TERMS) == 10_000


def test_waiting_saves_nothing_where_the_interest_is_more_than_the_compensation() -> None:
    made = quote(BULLET_START, start=BULLET_START, plan=BULLET, dues=[], terms=TERMS)
    assert saved_by_waiting_fen(made, start=BULLET_START, plan=BULLET, terms=TERMS) == 0


def test_waiting_a_day_for_an_instalment_saves_its_compensation_less_the_interest_of_the_day() -> None:
    made = quoted(date(2025, 3, 30), 0)
    now = made.total_fen - sum(due.total_fen for due in made.dues)
    then = 88_849 + 841_514 + 8_415  # the instalment, what is left, its compensation
    assert saved_by_waiting_fen(made, start=START, plan=PLAN, terms=TERMS) == now - then == (9_212 - 8_415) - (9_212 - 9_085)


def test_after_the_last_due_date_there_is_nothing_to_settle_early() -> None:
    made = quote(date(2026, 3, 1), start=START, plan=PLAN, dues=dues_of(PLAN[-1:], 500), terms=TERMS)
    assert (made.broken_days, made.broken_interest_fen, made.principal_fen, made.compensation_fen) == (0, 0, (0, 0, 0), (0, 0, 0))
    assert made.total_fen == 88_847 + 500
    assert saved_by_waiting_fen(made, start=START, plan=PLAN, terms=TERMS) == 0


def test_a_contract_may_ask_for_no_compensation() -> None:
    assert quoted(START, terms=TERMS._replace(compensation_rate=Fraction(0))).total_fen == 1_000_000


def test_before_the_start_there_is_no_quote() -> None:
    with pytest.raises(AssertionError, match="before it begins"):
        quoted(START - timedelta(days=1))


@given(shared_loans(months_max=12), st.integers(0, 400), st.fractions(0, Fraction(1, 10), max_denominator=1_000))
def test_a_quote_divides_every_fen_and_takes_no_more_than_the_rules_say(
    loan: tuple[Schedule, list[int], Fraction], day: int, compensation: Fraction
) -> None:
    made, bids, investor_rate = loan
    annual_rate = Fraction(made.interest_fen, made.principal_fen) if made.rows[0].n == made.rows[-1].n else Fraction(1)
    plan, on = a_plan(made, bids, investor_rate), START + timedelta(days=day)
    terms = Terms(max(annual_rate, investor_rate), investor_rate, compensation)
    priced = quote(on, start=START, plan=plan, dues=[], terms=terms)
    ahead = [planned for planned in plan if planned.due_date > on]
    balance = sum(sum(planned.receivables.principal_fen) for planned in ahead)
    assert sum(priced.principal_fen) == balance
    assert sum(priced.compensation_fen) == reference.half_up(balance * compensation)
    assert priced.total_fen == priced.broken_interest_fen + balance + sum(priced.compensation_fen)
    if ahead:
        assert priced.broken_interest_fen <= ahead[0].interest_fen
        assert sum(priced.broken_pool_fen) <= ahead[0].receivables.pool_fen
        assert min((*priced.broken_pool_fen, priced.broken_fee_fen)) >= 0
    else:
        assert priced.total_fen == 0
