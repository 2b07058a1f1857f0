"""Penalty on what is overdue (罚息, MONEY 3): tiers are piecewise, base × days is exact, one rounding a tier over the sum.

So it does not matter how the date was rolled: 35 days at once, twice the same day or day by day give the same fen.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from agents.repayments.money import DAYS_A_YEAR, NOTHING, Fen, rounded

FIRST_TIER_DAYS: Final = 30
RATE_DECIMALS: Final = 10  # of a daily rate that a contract has


class DailyRates(NamedTuple):
    """The rate of days 1 to 30 and that of all later days."""

    days_1_30: Fraction
    days_31_plus: Fraction


PRODUCT_RATES: Final = DailyRates(Fraction(5, 10_000), Fraction(7, 10_000))  # the default of a product: 0.05 % and 0.07 % a day


class Base(NamedTuple):
    """What is overdue (principal and interest, never penalty) from the day after `after_days_late` on."""

    after_days_late: int
    overdue_fen: Fen


def frozen(product: DailyRates, cap: Fraction) -> DailyRates:
    """The rates that a contract gets: at most the annual cap ÷ 365, which is cut after 10 decimals (MONEY 3)."""
    daily = Fraction(cap * 10**RATE_DECIMALS // DAYS_A_YEAR, 10**RATE_DECIMALS)
    return DailyRates(min(product.days_1_30, daily), min(product.days_31_plus, daily))


def penalty_fen(bases: Sequence[Base], days_late: int, rates: DailyRates) -> Fen:
    """All the penalty of the first `days_late` days; the bases in the order in which they began to count, the first after day 0."""
    assert all(earlier.after_days_late <= later.after_days_late for earlier, later in pairwise(bases)), "bases come in order"
    first = _weighed(bases, 0, min(days_late, FIRST_TIER_DAYS))
    later = _weighed(bases, FIRST_TIER_DAYS, days_late)
    return Fen(_rounded(first, rates.days_1_30) + _rounded(later, rates.days_31_plus))


def penalty_owed_fen(bases: Sequence[Base], days_late: int, rates: DailyRates, *, paid_fen: Fen = NOTHING) -> Fen:
    """What is owed of it when so much was paid as penalty before."""
    owed = Fen(penalty_fen(bases, days_late, rates) - paid_fen)
    assert owed >= 0, "no more penalty was paid than there was"
    return owed


def _weighed(bases: Sequence[Base], after_day: int, last_day: int) -> int:
    """Base × days, summed over the days `after_day` + 1 to `last_day`."""
    ends = [*(base.after_days_late for base in bases), last_day][1:]
    return sum(
        base.overdue_fen * max(min(end, last_day) - max(base.after_days_late, after_day), 0) for base, end in zip(bases, ends, strict=True)
    )


def _rounded(fen_days: int, rate: Fraction) -> Fen:
    return rounded(fen_days * rate.numerator, rate.denominator)
