"""The one-year loan prime rate, by the date from which it holds, and the cap of a loan's rate that follows from it (MONEY 4)."""

from bisect import bisect_right
from datetime import date
from fractions import Fraction
from typing import Final

CAP_TIMES: Final = 4
ONE_YEAR: Final = (  # from that date on, as published by the National Interbank Funding Center
    (date(2019, 8, 20), "0.0425"),
    (date(2019, 9, 20), "0.0420"),
    (date(2019, 11, 20), "0.0415"),
    (date(2020, 2, 20), "0.0405"),
    (date(2020, 4, 20), "0.0385"),
    (date(2021, 12, 20), "0.0380"),
    (date(2022, 1, 20), "0.0370"),
    (date(2022, 8, 22), "0.0365"),
    (date(2023, 6, 20), "0.0355"),
    (date(2023, 8, 21), "0.0345"),
    (date(2024, 7, 22), "0.0335"),
    (date(2024, 10, 21), "0.0310"),
    (date(2025, 5, 20), "0.0300"),
)
_DATES: Final = [since for since, _ in ONE_YEAR]


def cap_on(day: date) -> tuple[Fraction, date] | None:
    """The highest annual rate of a loan on a business date, exact, and since when its LPR holds; None before the first one."""
    at = bisect_right(_DATES, day)
    if not at:
        return None
    since, rate = ONE_YEAR[at - 1]
    return CAP_TIMES * Fraction(rate), since
