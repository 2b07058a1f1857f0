"""Loans as values, and strategies for any loan, for the tests of the arithmetic."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Any, Final

from hypothesis import strategies as st

from agents.repayments.due_dates import due_date
from agents.repayments.money import Fen
from agents.repayments.schedule import Method, Schedule, schedule
from agents.repayments.settlement import Planned
from agents.repayments.shares import Receivables, receivables

START: Final = date(2025, 1, 31)
BIDS: Final = (500_000, 300_000, 200_000)
LOAN: Final[dict[str, Any]] = {"method": Method.EQUAL_INSTALLMENT, "principal": 1_000_000, "rate": "0.12", "months": 12}  # L of the cases

methods = st.sampled_from(Method)
principals = st.integers(1, 10**15) | st.integers(1, 100_000)
months = st.integers(1, 60)
rates = st.builds(lambda digits, places: Fraction(digits, 10**places), st.integers(0, 10**6), st.integers(5, 12)) | st.just(Fraction(0))


def a_schedule(method: Method | str, principal: int, rate: str | Fraction, months: int) -> Schedule:
    """A schedule that there is."""
    made = schedule(Method(method), principal_fen=Fen(principal), annual_rate=Fraction(rate), months=months)
    assert isinstance(made, Schedule), made
    return made


def fen(*amounts: int) -> tuple[Fen, ...]:
    """Whole numbers as fen."""
    return tuple(map(Fen, amounts))


def the_receivables(made: Schedule, bids: Sequence[int], investor_rate: str | Fraction) -> list[Receivables]:
    """All the receivables of a loan."""
    return list(receivables(made.rows, bids_fen=fen(*bids), investor_rate=Fraction(investor_rate)))


def a_plan(made: Schedule, bids: Sequence[int], investor_rate: str | Fraction, start: date = START) -> list[Planned]:
    """The receivables with their due dates."""
    return [
        Planned(due_date(start, row.month), each) for row, each in zip(made.rows, the_receivables(made, bids, investor_rate), strict=True)
    ]


@st.composite
def shared_loans(draw: st.DrawFn, months_max: int = 24) -> tuple[Schedule, list[int], Fraction]:
    """Any loan of at least ¥100 with its bids and its investors' rate."""
    bids = draw(st.lists(st.integers(10_000, 10**8), min_size=1, max_size=7))
    rate = draw(rates)
    investor_rate = rate * draw(st.fractions(0, 1, max_denominator=20))
    made = schedule(draw(methods), principal_fen=Fen(sum(bids)), annual_rate=rate, months=draw(st.integers(1, months_max)))
    assert isinstance(made, Schedule), "from ¥100 on, so short a loan has a schedule"
    return made, bids, investor_rate
