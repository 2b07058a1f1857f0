"""What a payment pays: oldest instalment first, in it penalty → interest → principal, then claim by claim (MONEY 2 and 3).

Everything is split by what is still owed, so whatever the sizes and the order of payments, a closed instalment has given
every claim exactly its receivable.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Self

from agents.repayments.money import Fen, total
from agents.repayments.shares import Receivables, split

PAYMENT_FEN_MIN: Final = Fen(10_000)  # a payment is at least ¥100, or all that is due (MONEY 3)


class Paid(NamedTuple):
    """What one payment gave to one instalment: claim by claim, and the platform's fee."""

    n: int
    penalty_fen: tuple[Fen, ...]
    pool_fen: tuple[Fen, ...]
    fee_fen: Fen
    principal_fen: tuple[Fen, ...]

    @property
    def total_fen(self) -> Fen:
        """All of it."""
        return Fen(sum(self.penalty_fen) + sum(self.pool_fen) + self.fee_fen + sum(self.principal_fen))


class Owed(NamedTuple):
    """What is still owed on one instalment, without penalty: claim by claim, and the platform's fee."""

    n: int
    principal_fen: tuple[Fen, ...]
    pool_fen: tuple[Fen, ...]
    fee_fen: Fen

    @classmethod
    def all_of(cls, receivables: Receivables) -> Self:
        """An instalment of which nothing is paid yet."""
        return cls(receivables.n, receivables.principal_fen, receivables.interest_fen, receivables.platform_fee_fen)

    @property
    def interest_fen(self) -> Fen:
        """The interest still owed, pool and fee."""
        return Fen(sum(self.pool_fen) + self.fee_fen)

    @property
    def base_fen(self) -> Fen:
        """Principal and interest, never penalty: what a penalty is reckoned on (MONEY 3)."""
        return Fen(sum(self.principal_fen) + self.interest_fen)

    def after(self, paid: Paid) -> Self:
        """What is owed when this has been paid."""
        principal, pool = _less(self.principal_fen, paid.principal_fen), _less(self.pool_fen, paid.pool_fen)
        left = self._replace(principal_fen=principal, pool_fen=pool, fee_fen=Fen(self.fee_fen - paid.fee_fen))
        assert min((*principal, *pool, left.fee_fen)) >= 0, f"instalment {self.n} is over-paid"
        return left


class Due(NamedTuple):
    """An instalment that is due, with the penalty that is owed for it on the day of the payment."""

    owed: Owed
    penalty_fen: Fen

    @property
    def total_fen(self) -> Fen:
        """All that is due for it."""
        return Fen(self.owed.base_fen + self.penalty_fen)


def is_enough(amount_fen: Fen, due_fen: Fen) -> bool:
    """Whether a payment is at least ¥100, or all that is due, and not more than that (MONEY 3)."""
    return min(PAYMENT_FEN_MIN, due_fen) <= amount_fen <= due_fen and amount_fen > 0


def pay(amount_fen: Fen, dues: Iterable[Due], *, standing_fen: Sequence[Fen]) -> list[Paid]:
    """What a payment gives to each instalment, oldest first; `dues` are in that order. An instalment that gets nothing is left out.

    `standing_fen` is the claims' outstanding principal. It divides a penalty where no claim is owed a part of the instalment
    itself, which happens where the investors' rate is zero and only the platform's fee is late.
    """
    left = amount_fen
    paid = []
    for due in dues:
        given = min(left, due.total_fen)
        if given:
            paid.append(_pay_one(given, due, standing_fen))
        left = Fen(left - given)
    assert left == 0, "nobody pays more than what is due"
    return paid


def _pay_one(amount_fen: Fen, due: Due, standing_fen: Sequence[Fen]) -> Paid:
    owed = due.owed
    penalty = min(amount_fen, due.penalty_fen)
    interest = min(Fen(amount_fen - penalty), owed.interest_fen)
    principal = Fen(amount_fen - penalty - interest)
    both = [p + i for p, i in zip(owed.principal_fen, owed.pool_fen, strict=True)]
    pool, fee = split(interest, (total(owed.pool_fen), owed.fee_fen))
    return Paid(
        owed.n,
        penalty_fen=split(penalty, both if any(both) else standing_fen),
        pool_fen=split(pool, owed.pool_fen),
        fee_fen=fee,
        principal_fen=split(principal, owed.principal_fen),
    )


def _less(owed_fen: Sequence[Fen], paid_fen: Sequence[Fen]) -> tuple[Fen, ...]:
    return tuple(Fen(owed - paid) for owed, paid in zip(owed_fen, paid_fen, strict=True))
