"""The annual rate that users are shown: 12 × the monthly internal rate of return, fees included (MONEY 3 and 5).

Whether the rate is at least x is the sign of a polynomial in whole numbers, so it is decided exactly: x lies on a grid that
holds every border between two roundings of the monthly and of the nominal rate. Decimals only make the first guess.
What a borrower pays back is never less than what he got, so the rate is at least 0 and there is exactly one.
"""

from collections.abc import Callable, Sequence
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Final, NamedTuple

from agents.repayments.money import MONTHS_A_YEAR, Fen
from agents.repayments.schedule import Schedule

IRR_DECIMALS, ANNUAL_DECIMALS = 10, 8
GRID_DECIMALS: Final = 24  # the first enclosure of the rate is so narrow; an effective rate that this does not decide doubles it
GUESS_DIGITS_MORE: Final = 36  # than the grid has decimals
NEWTON_STEPS_MAX: Final = 200  # a guess that is worse than hoped for costs steps of the search, never a digit


class Apr(NamedTuple):
    """The three rates, each rounded once, HALF_UP: 10 decimals and twice 8."""

    monthly_irr: str
    nominal_apr: str
    effective_annual: str


class Flows(NamedTuple):
    """What a borrower gets at month 0 and pays at the months 1, 2, …"""

    received_fen: Fen
    paid_fen: tuple[Fen, ...]


def flows(schedule: Schedule, *, fee_upfront_fen: Fen, fee_monthly_fen: Fen) -> Flows:
    """The net cash flows of a loan: the fee at the start is kept back, the monthly one is paid each month, instalment or not."""
    paid = [fee_monthly_fen] * schedule.rows[-1].month
    for row in schedule.rows:
        paid[row.month - 1] = Fen(paid[row.month - 1] + row.total_fen)
    return Flows(Fen(schedule.principal_fen - fee_upfront_fen), tuple(paid))


def apr(net: Flows) -> Apr:
    """The rates of these flows. What is received is more than nothing and at most what is paid."""
    assert 0 < net.received_fen <= sum(net.paid_fen), "a loan brings something and is paid back"
    least, unit = _enclosed(net, GRID_DECIMALS), _unit(GRID_DECIMALS)
    return Apr(
        _text(_half_up(Fraction(least, unit), IRR_DECIMALS), IRR_DECIMALS),
        _text(_half_up(Fraction(MONTHS_A_YEAR * least, unit), ANNUAL_DECIMALS), ANNUAL_DECIMALS),
        _text(_effective(net, least, GRID_DECIMALS), ANNUAL_DECIMALS),
    )


def _unit(decimals: int) -> int:
    """Rates are whole numbers of 1 / (3 · 10^decimals): borders of x at 10 decimals and of 12·x at 8 decimals are among them."""
    unit: int = 3 * 10**decimals
    return unit


def _at_least(net: Flows, over: int, under: int) -> bool:
    """Whether the rate is at least over / under, exactly: Σ paid_k · (1+x)^(n−k) ≥ received · (1+x)^n, times under^n."""
    grown = under + over
    value, scale = -net.received_fen, 1
    for paid in net.paid_fen:
        scale *= under
        value = value * grown + paid * scale
    return value >= 0


def _enclosed(net: Flows, decimals: int) -> int:
    """The greatest whole number of units that the rate is at least: x is not less than it, and less than one unit more."""
    unit = _unit(decimals)
    return _greatest(lambda units: _at_least(net, units, unit), _guess(net, decimals))


def _greatest(holds: Callable[[int], bool], guess: int) -> int:
    """The greatest whole number for which `holds`, true at 0, false from somewhere on: from the guess by doubled steps, then halving."""
    low, high, step = 0, 0, 1
    if holds(guess):
        low = guess
        while holds(low + step):
            low, step = low + step, 2 * step
        high = low + step
    else:
        high = guess
        while high > step and not holds(high - step):
            high, step = high - step, 2 * step
        low = max(high - step, 0)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _guess(net: Flows, decimals: int) -> int:
    """Newton's method from 0 in decimals: the present value falls and is convex, so it comes from below and does not overshoot."""
    with localcontext(Context(prec=decimals + GUESS_DIGITS_MORE)):
        rate = Decimal(0)
        for _ in range(NEWTON_STEPS_MAX):
            discount = 1 / (1 + rate)
            value, slope = Decimal(0), Decimal(0)
            for paid in reversed(net.paid_fen):  # Horner, with its derivative by the discount
                slope = slope * discount + value
                value = value * discount + paid
            slope = slope * discount + value
            step = (value * discount - net.received_fen) / (slope * discount * discount)
            rate += step
            if step <= rate.scaleb(-decimals - 2):
                break
        return max(int(rate * _unit(decimals)), 0)


def _effective(net: Flows, least: int, decimals: int) -> int:
    """(1+x)^12 − 1 in units of the last decimal, from x ≥ least and x < least + 1 units; narrower until both ends agree."""
    while True:
        unit = _unit(decimals)
        low = _half_up(_year(least, unit), ANNUAL_DECIMALS)
        high = -_half_up(-_year(least + 1, unit), ANNUAL_DECIMALS)  # HALF_DOWN: the upper end is not reached
        if low == high or (high == low + 1 and _grows_to(net, 1 + _border(high))):
            return high
        decimals = 2 * decimals + 12 * len(str(least // unit))  # a great rate's twelfth power needs twelve times its digits
        least = _enclosed(net, decimals)


def _year(units: int, unit: int) -> Fraction:
    return Fraction((unit + units) ** MONTHS_A_YEAR, unit**MONTHS_A_YEAR) - 1


def _border(rounded_up: int) -> Fraction:
    """The least value that is rounded up to so many units of the last annual decimal."""
    return Fraction(2 * rounded_up - 1, 2 * 10**ANNUAL_DECIMALS)


def _grows_to(net: Flows, yearly: Fraction) -> bool:
    """Whether (1+x)^12 is exactly `yearly`: then no enclosure, however narrow, would tell the side of the border.

    With q = 1+x this asks whether the twelfth root c of `yearly` is a root of the flows' polynomial. It is one exactly when
    it is one of that polynomial's greatest common divisor with q^12 − yearly, whose only positive root is c, and a simple one:
    when that divisor, its first coefficient 1, is below zero at 0.
    """
    folded = [Fraction(0)] * MONTHS_A_YEAR  # the polynomial modulo q^12 − yearly, lowest power first
    months = len(net.paid_fen)
    for k, amount in enumerate((-net.received_fen, *net.paid_fen)):
        years, power = divmod(months - k, MONTHS_A_YEAR)
        folded[power] += amount * yearly**years
    divisor = _common_divisor([-yearly, *[Fraction(0)] * (MONTHS_A_YEAR - 1), Fraction(1)], folded)
    return divisor[0] / divisor[-1] < 0


def _common_divisor(one: Sequence[Fraction], other: Sequence[Fraction]) -> list[Fraction]:
    """Euclid's algorithm on polynomials, lowest power first."""
    larger, smaller = _trimmed(one), _trimmed(other)
    while smaller:
        larger, smaller = smaller, _remainder(larger, smaller)
    return larger


def _remainder(dividend: list[Fraction], divisor: list[Fraction]) -> list[Fraction]:
    left = list(dividend)
    while len(left) >= len(divisor):
        factor, shift = left[-1] / divisor[-1], len(left) - len(divisor)
        for at, coefficient in enumerate(divisor):
            left[shift + at] -= factor * coefficient
        left = _trimmed(left[:-1])
    return left


def _trimmed(polynomial: Sequence[Fraction]) -> list[Fraction]:
    kept = list(polynomial)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _half_up(value: Fraction, decimals: int) -> int:
    """The value in units of its last decimal, the half upwards, whatever its sign."""
    units: int = (2 * value.numerator * 10**decimals + value.denominator) // (2 * value.denominator)
    return units


def _text(units: int, decimals: int) -> str:
    whole, rest = divmod(units, 10**decimals)
    return f"{whole}.{rest:0{decimals}}"
