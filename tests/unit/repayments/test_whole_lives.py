"""Loans that are paid late, in parts, on any days: whatever happened, the books of the claims close to the fen (MONEY 2 and 3)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.repayments.due_dates import days_late
from agents.repayments.money import Fen
from agents.repayments.payment import PAYMENT_FEN_MIN, Due, Owed, Paid, is_enough, pay
from agents.repayments.penalty import PRODUCT_RATES, Base, penalty_fen, penalty_owed_fen
from agents.repayments.schedule import Schedule
from agents.repayments.settlement import Planned
from tests.unit.repayments.examples import START, a_plan, fen, shared_loans


@dataclass
class Instalment:
    """One instalment and what has happened to it."""

    planned: Planned
    owed: Owed
    bases: list[Base]
    paid: list[Paid] = field(default_factory=list)

    def due(self, on: date) -> Due:
        """What is due for it on a day."""
        late, paid = days_late(self.planned.due_date, on), Fen(sum(sum(each.penalty_fen) for each in self.paid))
        return Due(self.owed, penalty_owed_fen(self.bases, late, PRODUCT_RATES, paid_fen=paid))

    def take(self, paid: Paid, on: date) -> None:
        """Book a payment."""
        self.owed = self.owed.after(paid)
        self.paid.append(paid)
        self.bases.append(Base(days_late(self.planned.due_date, on), self.owed.base_fen))


class Life:
    """A loan that is being repaid."""

    def __init__(self, plan: Sequence[Planned], bids: Sequence[int]) -> None:
        self.bids = fen(*bids)
        self.all = [Instalment(planned, owed := Owed.all_of(planned.receivables), [Base(0, owed.base_fen)]) for planned in plan]

    def pay(self, on: date, part: Fraction) -> None:
        """Pay a part of what is due, at least what is taken, oldest first."""
        open_ones = [each for each in self.all if each.planned.due_date <= on and each.owed.base_fen]
        dues = [each.due(on) for each in open_ones]
        due = Fen(sum(each.total_fen for each in dues))
        amount = min(due, max(Fen(int(due * part)), PAYMENT_FEN_MIN))
        if due:
            assert is_enough(amount, due)
            by_number = {each.planned.receivables.n: each for each in open_ones}
            for paid in pay(amount, dues, standing_fen=self.standing()):
                by_number[paid.n].take(paid, on)

    def standing(self) -> tuple[Fen, ...]:
        """The claims' outstanding principal."""
        return fen(*(sum(each.owed.principal_fen[at] for each in self.all) for at in range(len(self.bids))))


days_and_parts = st.lists(st.tuples(st.integers(0, 60), st.fractions(0, 1, max_denominator=50)), max_size=12)


@given(shared_loans(months_max=6), days_and_parts)
@settings(max_examples=80)
def test_whatever_the_days_and_sizes_of_payments_every_claim_has_its_receivables(
    loan: tuple[Schedule, list[int], Fraction], payments: list[tuple[int, Fraction]]
) -> None:
    made, bids, investor_rate = loan
    life = Life(a_plan(made, bids, investor_rate), bids)
    on = START
    for days, part in payments:
        on += timedelta(days=days)
        life.pay(on, part)
    life.pay(max(on, life.all[-1].planned.due_date) + timedelta(days=3), Fraction(1))
    assert life.standing() == fen(*[0] * len(bids))
    for each in life.all:
        receivables = each.planned.receivables
        assert [sum(paid.principal_fen[at] for paid in each.paid) for at in range(len(bids))] == list(receivables.principal_fen)
        assert [sum(paid.pool_fen[at] for paid in each.paid) for at in range(len(bids))] == list(receivables.interest_fen)
        assert sum(paid.fee_fen for paid in each.paid) == receivables.platform_fee_fen
    assert [sum(paid.principal_fen[at] for each in life.all for paid in each.paid) for at in range(len(bids))] == bids


@given(shared_loans(months_max=4), days_and_parts)
@settings(max_examples=60)
def test_the_penalty_that_was_paid_is_that_of_the_history_at_once(
    loan: tuple[Schedule, list[int], Fraction], payments: list[tuple[int, Fraction]]
) -> None:
    made, bids, investor_rate = loan
    life = Life(a_plan(made, bids, investor_rate), bids)
    on = life.all[0].planned.due_date
    for days, part in [*payments, (200, Fraction(1))]:
        on += timedelta(days=days)
        life.pay(on, part)
    for each in life.all:
        paid = sum(sum(one.penalty_fen) for one in each.paid)
        assert paid == penalty_fen(each.bases, days_late(each.planned.due_date, on), PRODUCT_RATES)


@given(shared_loans(months_max=4))
@settings(max_examples=60)
def test_who_pays_on_the_due_dates_pays_the_plan_and_no_penalty(loan: tuple[Schedule, list[int], Fraction]) -> None:
    made, bids, investor_rate = loan
    life = Life(a_plan(made, bids, investor_rate), bids)
    for each, row in zip(life.all, made.rows, strict=True):
        life.pay(each.planned.due_date, Fraction(1))
        assert sum(paid.total_fen for paid in each.paid) == row.total_fen
        assert not any(sum(paid.penalty_fen) for paid in each.paid)
