"""Months are counted from the start date, never from the due date before (MONEY 1.5); ACT/365 counts days (M17)."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.repayments.due_dates import days_between, days_late, due_date, due_dates
from tests.unit.repayments import reference

starts = st.dates(date(1900, 1, 1), date(2199, 12, 31))


def test_the_last_of_january_is_due_on_the_last_of_february_and_again_on_the_last_of_march() -> None:
    assert due_dates(date(2024, 1, 31), 4) == [date(2024, 2, 29), date(2024, 3, 31), date(2024, 4, 30), date(2024, 5, 31)]
    assert due_dates(date(2025, 1, 31), 2) == [date(2025, 2, 28), date(2025, 3, 31)]


@pytest.mark.parametrize(
    ("start", "months", "due"),
    [
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2024, 2, 29), 48, date(2028, 2, 29)),
        (date(2023, 2, 28), 12, date(2024, 2, 28)),  # no last of the month in, none out
        (date(2023, 11, 30), 3, date(2024, 2, 29)),
        (date(2024, 12, 1), 1, date(2025, 1, 1)),
        (date(2024, 12, 31), 2, date(2025, 2, 28)),
        (date(1899, 12, 31), 2, date(1900, 2, 28)),  # 1900 was no leap year
        (date(1999, 12, 31), 2, date(2000, 2, 29)),
        (date(2199, 12, 31), 600, date(2249, 12, 31)),
        (date(2025, 5, 5), 0, date(2025, 5, 5)),
    ],
)
def test_leap_years_and_turns_of_the_year(start: date, months: int, due: date) -> None:
    assert due_date(start, months) == due


@given(starts, st.integers(0, 600))
def test_a_due_date_is_the_start_day_or_the_last_day_of_its_month(start: date, months: int) -> None:
    due = due_date(start, months)
    assert (due.year - start.year) * 12 + due.month - start.month == months
    assert due.day == start.day or (due.day < start.day and (due + timedelta(days=1)).day == 1)


@given(starts, st.integers(1, 40))
def test_the_dates_are_those_of_a_walk_over_the_months(start: date, months: int) -> None:
    assert due_dates(start, months) == [reference.month_later(start, k) for k in range(1, months + 1)]


def test_days_between_are_the_later_less_the_earlier() -> None:
    assert days_between(date(2023, 12, 31), date(2024, 3, 1)) == 61
    assert days_between(date(2024, 2, 28), date(2024, 3, 1)) == 2
    assert days_between(date(2024, 1, 1), date(2025, 1, 1)) == 366
    assert days_between(date(2024, 1, 1), date(2024, 1, 1)) == 0


def test_a_date_before_its_beginning_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="2024-01-01 is before 2024-01-02"):
        days_between(date(2024, 1, 2), date(2024, 1, 1))
    with pytest.raises(AssertionError):
        due_date(date(2024, 1, 2), -1)


@pytest.mark.parametrize(("paid", "late"), [(date(2025, 2, 27), 0), (date(2025, 2, 28), 0), (date(2025, 3, 1), 1), (date(2025, 4, 4), 35)])
def test_paid_on_the_due_date_is_not_late(paid: date, late: int) -> None:
    assert days_late(date(2025, 2, 28), paid) == late
