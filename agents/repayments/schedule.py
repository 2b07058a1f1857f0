"""The four repayment methods, convention CN-A (MONEY 1): one rounding a quantity, HALF_UP, on exact rationals.

The residue of the roundings lives in the last principal. Where it would push a row below zero there is no schedule:
`NotRepresentable` names the row, and nothing is patched.
"""

from collections.abc import Callable
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from agents.repayments.money import MONTHS_A_YEAR, NOTHING, Fen, interest_of_months, rounded, total


class Method(StrEnum):
    """How a loan is repaid."""

    EQUAL_INSTALLMENT = "equal_installment"  # 等额本息
    EQUAL_PRINCIPAL = "equal_principal"  # 等额本金
    INTEREST_ONLY = "interest_only"  # 先息后本
    BULLET = "bullet"  # 一次性还本付息


class Row(NamedTuple):
    """One instalment of the borrower: due `month` months after the start; `balance_fen` is what is owed after it."""

    n: int
    month: int
    principal_fen: Fen
    interest_fen: Fen
    balance_fen: Fen

    @property
    def total_fen(self) -> Fen:
        """Principal and interest."""
        return Fen(self.principal_fen + self.interest_fen)


class Schedule(NamedTuple):
    """A loan's rows; `instalment_fen` is the A of equal instalments, None for the other methods."""

    instalment_fen: Fen | None
    rows: tuple[Row, ...]

    @property
    def principal_fen(self) -> Fen:
        """The sum of all principal: the loan's amount."""
        return total(row.principal_fen for row in self.rows)

    @property
    def interest_fen(self) -> Fen:
        """The sum of all interest."""
        return total(row.interest_fen for row in self.rows)


class NotRepresentable(NamedTuple):
    """The roundings add up to more than the principal: row `row` would leave less than nothing (MONEY 1)."""

    row: int
    code: str = "schedule_not_representable"


def schedule(method: Method, *, principal_fen: Fen, annual_rate: Fraction, months: int) -> Schedule | NotRepresentable:
    """The rows of a loan, or which row cannot be."""
    assert principal_fen > 0 and annual_rate >= 0 and months > 0, "a loan has an amount and a length"
    match method:
        case Method.EQUAL_INSTALLMENT:
            instalment = _instalment(principal_fen, annual_rate, months)
            return _monthly(principal_fen, annual_rate, months, lambda interest: Fen(instalment - interest), instalment)
        case Method.EQUAL_PRINCIPAL:
            each = rounded(principal_fen, months)
            return _monthly(principal_fen, annual_rate, months, lambda _: each)
        case Method.INTEREST_ONLY:
            return _monthly(principal_fen, annual_rate, months, lambda _: NOTHING)
        case Method.BULLET:
            interest = interest_of_months(principal_fen, annual_rate, months)
            return Schedule(None, (Row(1, months, principal_fen, interest, NOTHING),))


def _instalment(principal_fen: Fen, annual_rate: Fraction, months: int) -> Fen:
    """A = round(P·r / (1 − (1+r)^−n)); P/n without interest (MONEY 1.1).

    With r = a/b this is P·a·(a+b)^n / (b·((a+b)^n − b^n)): whole numbers, no greatest common divisor, exact at any length.
    """
    if not annual_rate:
        return rounded(principal_fen, months)
    monthly = annual_rate / MONTHS_A_YEAR
    grown = (monthly.numerator + monthly.denominator) ** months
    return rounded(principal_fen * monthly.numerator * grown, monthly.denominator * (grown - monthly.denominator**months))


def _monthly(
    principal_fen: Fen, annual_rate: Fraction, months: int, principal_of: Callable[[Fen], Fen], instalment_fen: Fen | None = None
) -> Schedule | NotRepresentable:
    """A row a month: interest on the balance before it, principal by the method, in the last row all that is left."""
    over, under = annual_rate.numerator, annual_rate.denominator * MONTHS_A_YEAR
    balance = principal_fen
    rows = []
    for n in range(1, months + 1):
        interest = rounded(balance * over, under)
        principal = principal_of(interest) if n < months else balance
        balance = Fen(balance - principal)
        if principal < 0 or balance < 0:
            return NotRepresentable(n)
        rows.append(Row(n, n, principal, interest, balance))
    return Schedule(instalment_fen, tuple(rows))
