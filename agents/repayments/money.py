"""Fen, and the one way in which anything becomes fen: HALF_UP on an exact rational, once a quantity (MONEY 1).

Rates are `Fraction`s, amounts whole fen; no binary float and no decimal context comes near either.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Final, NewType

Fen = NewType("Fen", int)
NOTHING: Final = Fen(0)
MONTHS_A_YEAR: Final = 12
DAYS_A_YEAR: Final = 365  # ACT/365, in leap years too (MONEY 1)


def rounded(numerator: int, denominator: int) -> Fen:
    """The fraction, HALF_UP to the fen; nothing here is below zero (MONEY 1)."""
    assert numerator >= 0 and denominator > 0, "amounts are not negative"
    return Fen((2 * numerator + denominator) // (2 * denominator))


def part(amount_fen: Fen, rate: Fraction) -> Fen:
    """A rate's part of an amount, rounded once."""
    return rounded(amount_fen * rate.numerator, rate.denominator)


def interest_of_months(balance_fen: Fen, annual_rate: Fraction, months: int = 1) -> Fen:
    """Simple interest of whole months: round(B · R · months / 12) (MONEY 1)."""
    return rounded(balance_fen * annual_rate.numerator * months, annual_rate.denominator * MONTHS_A_YEAR)


def interest_of_days(balance_fen: Fen, annual_rate: Fraction, days: int) -> Fen:
    """Simple interest of a broken period, ACT/365: round(B · R · days / 365) (MONEY 1)."""
    return rounded(balance_fen * annual_rate.numerator * days, annual_rate.denominator * DAYS_A_YEAR)


def total(amounts_fen: Iterable[Fen]) -> Fen:
    """The sum, as fen."""
    return Fen(sum(amounts_fen))
