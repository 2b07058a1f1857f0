"""What each investor gets of the borrower's plan, and what the platform keeps (MONEY 2).

The borrower's plan is the one truth; the receivables are a split of it by largest remainder, made once, with the plan.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from agents.repayments.money import NOTHING, Fen, interest_of_months, total
from agents.repayments.schedule import Row


class Receivables(NamedTuple):
    """One instalment from the investors' side: claim by claim in the order of the bids, and the platform's fee."""

    n: int
    principal_fen: tuple[Fen, ...]
    interest_fen: tuple[Fen, ...]
    platform_fee_fen: Fen

    @property
    def pool_fen(self) -> Fen:
        """The investors' part of the interest."""
        return total(self.interest_fen)


def split(total_fen: Fen, weights: Sequence[int]) -> tuple[Fen, ...]:
    """Largest remainder: T·w // W each, the fen that are left one each to the largest T·w mod W, ties to the earlier (MONEY 2)."""
    if total_fen == 0:
        return (NOTHING,) * len(weights)
    whole = sum(weights)
    assert total_fen > 0 and whole > 0 and min(weights) >= 0, "something is split among those who have a weight"
    quotients, remainders = zip(*(divmod(total_fen * weight, whole) for weight in weights), strict=True)
    shares = list(quotients)
    by_remainder = sorted(range(len(weights)), key=remainders.__getitem__, reverse=True)  # a reversed sort keeps ties in order
    for at in by_remainder[: total_fen - sum(quotients)]:
        shares[at] += 1
    return tuple(map(Fen, shares))


def receivables(rows: Sequence[Row], *, bids_fen: Sequence[Fen], investor_rate: Fraction) -> Iterator[Receivables]:
    """Each row's principal and pool, split by the claims' outstanding principal before it, all earlier rows taken as paid.

    The pool is the interest at the investors' rate on the same balance and months, the fee what is left of the borrower's.
    """
    outstanding = list(bids_fen)
    month = 0
    for row in rows:
        pool = interest_of_months(total(outstanding), investor_rate, row.month - month)
        assert pool <= row.interest_fen, "the investors' rate is at most the borrower's"
        principal = split(row.principal_fen, outstanding)
        yield Receivables(row.n, principal, split(pool, outstanding), Fen(row.interest_fen - pool))
        outstanding = [Fen(left - paid) for left, paid in zip(outstanding, principal, strict=True)]
        month = row.month
