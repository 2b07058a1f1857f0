"""A payment: oldest instalment first, penalty → interest → principal, split by what is still owed (MONEY 2 and 3; M15)."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.repayments.money import Fen
from agents.repayments.payment import Due, Owed, Paid, is_enough, pay
from agents.repayments.penalty import PRODUCT_RATES, Base, penalty_owed_fen
from tests.unit.repayments.examples import BIDS, LOAN, a_schedule, fen, the_receivables


def owed_of_the_loan() -> list[Owed]:
    """All instalments of L, nothing paid."""
    return [Owed.all_of(each) for each in the_receivables(a_schedule(**LOAN), BIDS, "0.1")]


FIRST, SECOND, *_ = owed_of_the_loan()
DUES = [Due(FIRST, Fen(2_017)), Due(SECOND, Fen(444))]  # on 2025-04-10: 41 and 10 days late


def pay_l(amount: int, dues: Sequence[Due] = DUES) -> list[Paid]:
    """A payment for L."""
    return pay(Fen(amount), dues, standing_fen=fen(*BIDS))


def test_a_thousand_yuan_close_the_oldest_instalment_and_begin_the_next() -> None:
    first, second = pay_l(100_000)
    assert first == Paid(1, fen(1_009, 605, 403), fen(4_166, 2_500, 1_667), Fen(1_667), fen(39_424, 23_655, 15_770))
    assert second == Paid(2, fen(222, 133, 89), fen(3_621, 2_172, 1_448), Fen(1_449), fen(0, 0, 0))
    assert first.total_fen + second.total_fen == 100_000


def test_what_it_leaves_is_owed_and_bears_the_next_penalty() -> None:
    first, second = pay_l(100_000)
    assert FIRST.after(first).base_fen == 0
    left = SECOND.after(second)
    assert (left.interest_fen, sum(left.pool_fen), left.fee_fen, sum(left.principal_fen)) == (522, 435, 87, 79_637)
    history = [Base(0, SECOND.base_fen), Base(10, left.base_fen)]
    assert penalty_owed_fen(history, 20, PRODUCT_RATES, paid_fen=Fen(444)) == 401


def test_a_payment_of_all_that_is_due_gives_every_claim_its_receivable() -> None:
    for paid, due in zip(pay_l(sum(due.total_fen for due in DUES)), DUES, strict=True):
        assert (paid.principal_fen, paid.pool_fen, paid.fee_fen) == (due.owed.principal_fen, due.owed.pool_fen, due.owed.fee_fen)
        assert sum(paid.penalty_fen) == due.penalty_fen


@pytest.mark.parametrize(
    ("amount", "penalty", "interest", "principal"),
    [(1, 1, 0, 0), (2_017, 2_017, 0, 0), (2_018, 2_017, 1, 0), (12_017, 2_017, 10_000, 0), (12_018, 2_017, 10_000, 1)],
)
def test_penalty_comes_before_interest_and_interest_before_principal(amount: int, penalty: int, interest: int, principal: int) -> None:
    (paid,) = pay_l(amount)
    assert (sum(paid.penalty_fen), sum(paid.pool_fen) + paid.fee_fen, sum(paid.principal_fen)) == (penalty, interest, principal)


def test_the_next_instalment_gets_nothing_before_the_oldest_is_closed() -> None:
    oldest = DUES[0].total_fen
    assert [paid.n for paid in pay_l(oldest)] == [1]
    assert [(paid.n, paid.total_fen) for paid in pay_l(oldest + 1)] == [(1, oldest), (2, 1)]


def test_an_instalment_of_which_nothing_is_owed_is_passed_over() -> None:
    closed = FIRST.after(pay_l(DUES[0].total_fen)[0])
    assert [paid.n for paid in pay_l(500, [Due(closed, Fen(0)), DUES[1]])] == [2]


def test_nobody_pays_more_than_what_is_due() -> None:
    with pytest.raises(AssertionError, match="more than what is due"):
        pay_l(sum(due.total_fen for due in DUES) + 1)
    with pytest.raises(AssertionError, match="more than what is due"):
        pay_l(1, [])


def test_what_was_never_owed_cannot_be_taken_off() -> None:
    with pytest.raises(AssertionError, match="instalment 2 is over-paid"):
        SECOND.after(Paid(2, fen(0, 0, 0), fen(0, 0, 0), Fen(1_537), fen(0, 0, 0)))


@pytest.mark.parametrize(
    ("amount", "due", "enough"),
    [(10_000, 50_000, True), (9_999, 50_000, False), (50_000, 50_000, True), (50_001, 50_000, False), (1, 1, True), (0, 0, False)],
)
def test_a_payment_is_a_hundred_yuan_or_all_that_is_due(amount: int, due: int, enough: bool) -> None:
    assert is_enough(Fen(amount), Fen(due)) is enough


@pytest.mark.parametrize(("amount", "enough"), [(0, False), (499, False), (500, True), (501, False)])
def test_of_less_than_a_hundred_yuan_all_is_paid_or_nothing(amount: int, enough: bool) -> None:
    assert is_enough(Fen(amount), Fen(500)) is enough


def test_a_penalty_of_a_late_fee_alone_is_divided_by_the_outstanding_principal() -> None:
    only_a_fee = Owed(1, fen(0, 0), fen(0, 0), Fen(5_000))
    (paid,) = pay(Fen(103), [Due(only_a_fee, Fen(100))], standing_fen=fen(300, 100))
    assert (paid.penalty_fen, paid.pool_fen, paid.fee_fen, paid.principal_fen) == ((75, 25), (0, 0), 3, (0, 0))


def test_a_penalty_is_divided_by_what_is_late_and_not_by_what_will_be() -> None:
    owed = Owed(1, fen(300, 0), fen(0, 100), Fen(0))
    (paid,) = pay(Fen(100), [Due(owed, Fen(100))], standing_fen=fen(1, 999))
    assert paid.penalty_fen == (75, 25)


amounts = st.lists(st.integers(0, 10**9), min_size=3, max_size=3)


@given(
    amounts, amounts, st.integers(0, 10**8), st.lists(st.integers(0, 10**6), max_size=8), st.lists(st.integers(0, 2 * 10**9), max_size=8)
)
def test_whatever_the_sizes_of_payments_a_closed_instalment_gave_every_claim_its_receivable(
    principal: list[int], pool: list[int], fee: int, penalties: list[int], cuts: list[int]
) -> None:
    whole = owed = Owed(1, fen(*principal), fen(*pool), Fen(fee))
    everything = whole.base_fen
    given_away: list[Paid] = []
    for at, (before, after) in enumerate(pairwise(sorted({0, everything, *(cut for cut in cuts if cut < everything)}))):
        penalty = penalties[at] if at < len(penalties) else 0
        (paid,) = pay(Fen(after - before + penalty), [Due(owed, Fen(penalty))], standing_fen=fen(1, 1, 1))
        assert sum(paid.penalty_fen) == penalty
        owed = owed.after(paid)
        given_away.append(paid)
    assert owed.base_fen == 0
    for at in range(3):
        assert sum(paid.principal_fen[at] for paid in given_away) == whole.principal_fen[at]
        assert sum(paid.pool_fen[at] for paid in given_away) == whole.pool_fen[at]
    assert sum(paid.fee_fen for paid in given_away) == fee
