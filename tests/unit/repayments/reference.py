"""The page of the rules once more, slowly and naively, by fractions and lists: nothing of the product is imported."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from math import floor

Rows = list[tuple[int, int, int]]  # principal, interest, balance after it


def half_up(value: Fraction) -> int:
    """HALF_UP of what is not negative."""
    return floor(value + Fraction(1, 2))


def plan(method: str, principal: int, rate: Fraction, n: int) -> Rows:
    """Rows of any sign, as the formulas say them."""
    r = rate / 12
    if method == "bullet":
        return [(principal, half_up(principal * rate * n / 12), 0)]
    rows: Rows = []
    balance = principal
    for k in range(1, n + 1):
        interest = half_up(balance * r)
        if k == n:
            paid = balance
        elif method == "equal_installment":
            paid = instalment(principal, rate, n) - interest
        elif method == "equal_principal":
            paid = half_up(Fraction(principal, n))
        else:
            paid = 0
        balance -= paid
        rows.append((paid, interest, balance))
    return rows


def instalment(principal: int, rate: Fraction, n: int) -> int:
    """A of equal instalments."""
    r = rate / 12
    return half_up(principal * r / (1 - 1 / (1 + r) ** n)) if r else half_up(Fraction(principal, n))


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Largest remainder, one fen after the other."""
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    shares = [floor(each) for each in exact]
    rest = [each - floor(each) for each in exact]
    while sum(shares) < total:
        at = rest.index(max(rest))
        shares[at] += 1
        rest[at] = Fraction(-1)
    return shares


def month_later(start: date, months: int) -> date:
    """Day by day to the wanted month, then back from what does not exist."""
    at = start
    for _ in range(months):
        first_of_next = (at.replace(day=1) + timedelta(days=32)).replace(day=1)
        at = first_of_next
    day = start.day
    while True:
        try:
            return at.replace(day=day)
        except ValueError:
            day -= 1


def penalty(bases: Sequence[tuple[int, int]], days: int, first: Fraction, later: Fraction) -> int:
    """Each day with the base of that day; (after so many days late, the base)."""
    sums = {True: 0, False: 0}
    for day in range(1, days + 1):
        base = [amount for after, amount in bases if after < day][-1]
        sums[day <= 30] += base
    return half_up(sums[True] * first) + half_up(sums[False] * later)


def apr(received: int, paid: Sequence[int]) -> tuple[str, str, str]:
    """Halving in decimals of many digits; right wherever no exact tie stands in the way."""
    with localcontext() as context:
        context.prec = 300
        low, high = Decimal(0), Decimal(1)
        while present(paid, high) >= received:
            high *= 2
        for _ in range(700):
            middle = (low + high) / 2
            low, high = (middle, high) if present(paid, middle) >= received else (low, middle)
        return text(low, 10), text(12 * low, 8), text((1 + low) ** 12 - 1, 8)


def present(paid: Sequence[int], rate: Decimal) -> Decimal:
    """The present value of what is paid."""
    value = Decimal(0)
    for amount in reversed(paid):
        value = (value + amount) / (1 + rate)
    return value


def text(value: Decimal, places: int) -> str:
    """So many decimals, HALF_UP; what the halving leaves open below 10^-60 is taken away first."""
    return format(value.quantize(Decimal(1).scaleb(-60)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP), "f")
