"""Early settlement (提前还款): what closes a plan on one business date (MONEY 3). The quote is for that date only."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Final, NamedTuple

from agents.repayments.due_dates import days_between
from agents.repayments.money import NOTHING, Fen, interest_of_days, part, total
from agents.repayments.payment import Due
from agents.repayments.shares import Receivables, split

COMPENSATION_RATE: Final = Fraction(1, 100)  # the default of a product


class Terms(NamedTuple):
    """What the contract says of it."""

    annual_rate: Fraction
    investor_rate: Fraction
    compensation_rate: Fraction = COMPENSATION_RATE


class Planned(NamedTuple):
    """An instalment of the plan as it was made."""

    due_date: date
    receivables: Receivables

    @property
    def interest_fen(self) -> Fen:
        """What the borrower would pay as its interest."""
        return Fen(self.receivables.pool_fen + self.receivables.platform_fee_fen)


class Quote(NamedTuple):
    """What has to be paid on `on`: what is due (overdue with its penalties, and what is due on the day), and the end of the rest."""

    on: date
    dues: tuple[Due, ...]
    broken_days: int
    broken_pool_fen: tuple[Fen, ...]
    broken_fee_fen: Fen
    principal_fen: tuple[Fen, ...]
    compensation_fen: tuple[Fen, ...]

    @property
    def broken_interest_fen(self) -> Fen:
        """The interest of the running period until now."""
        return Fen(sum(self.broken_pool_fen) + self.broken_fee_fen)

    @property
    def total_fen(self) -> Fen:
        """All that has to be paid."""
        due = sum(due.total_fen for due in self.dues)
        return Fen(due + self.broken_interest_fen + sum(self.principal_fen) + sum(self.compensation_fen))


def quote(on: date, *, start: date, plan: Sequence[Planned], dues: Sequence[Due], terms: Terms) -> Quote:
    """The price of ending a loan today. `dues` is what is still owed of the instalments that are due by then, oldest first."""
    assert start <= on, "a loan is not settled before it begins"
    ahead = [planned for planned in plan if planned.due_date > on]
    since = max([start, *(planned.due_date for planned in plan if planned.due_date <= on)])
    days = days_between(since, on)
    claims = _outstanding(ahead, len(plan[0].receivables.principal_fen))
    balance = total(claims)
    running = ahead[0] if ahead else None
    interest, pool = _broken(balance, days, running, terms)
    return Quote(
        on,
        tuple(dues),
        days if running else 0,
        broken_pool_fen=split(pool, claims),
        broken_fee_fen=Fen(interest - pool),
        principal_fen=claims,
        compensation_fen=split(part(balance, terms.compensation_rate), claims),
    )


def saved_by_waiting_fen(today: Quote, *, start: date, plan: Sequence[Planned], terms: Terms) -> Fen:
    """How much less it costs to pay the running instalment on its due date and to settle then: the page says so when it is more than 0.

    What is due today is paid in both cases, so it counts in neither.
    """
    running = next((planned for planned in plan if planned.due_date > today.on), None)
    if running is None:
        return NOTHING
    now = today.total_fen - sum(due.total_fen for due in today.dues)
    later = quote(running.due_date, start=start, plan=plan, dues=(), terms=terms).total_fen
    then = sum(running.receivables.principal_fen) + running.interest_fen + later
    return max(Fen(now - then), NOTHING)


def _broken(balance_fen: Fen, days: int, running: Planned | None, terms: Terms) -> tuple[Fen, Fen]:
    """The broken interest and the pool's part of it, each at most what the running period has planned."""
    if running is None:
        return NOTHING, NOTHING
    interest = min(interest_of_days(balance_fen, terms.annual_rate, days), running.interest_fen)
    pool = min(interest_of_days(balance_fen, terms.investor_rate, days), running.receivables.pool_fen)
    assert pool <= interest, "the investors' rate is at most the borrower's"
    return interest, pool


def _outstanding(ahead: Sequence[Planned], claims: int) -> tuple[Fen, ...]:
    """Each claim's principal that is not yet due."""
    return tuple(total(planned.receivables.principal_fen[at] for planned in ahead) for at in range(claims))
