"""What holds for every schedule (MONEY 1), and the fast arithmetic against the slow one."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.repayments.money import Fen
from agents.repayments.schedule import Method, NotRepresentable, Schedule, schedule
from tests.unit.repayments import reference
from tests.unit.repayments.examples import methods, months, principals, rates

long_months = st.integers(1, 600)


def made(method: Method, principal: int, rate: Fraction, n: int) -> Schedule | NotRepresentable:
    """Whatever comes out."""
    return schedule(method, principal_fen=Fen(principal), annual_rate=rate, months=n)


@given(methods, principals, rates, months)
def test_every_row_is_that_of_the_slow_reference(method: Method, principal: int, rate: Fraction, n: int) -> None:
    expected = reference.plan(method.value, principal, rate, n)
    fast = made(method, principal, rate, n)
    negative = [at for at, row in enumerate(expected, 1) if min(row) < 0]
    if negative:
        assert fast == NotRepresentable(negative[0])
    else:
        assert isinstance(fast, Schedule)
        assert [(row.principal_fen, row.interest_fen, row.balance_fen) for row in fast.rows] == expected


@given(methods, st.integers(1, 20_000), rates, long_months)
@settings(max_examples=60)
def test_small_principals_over_long_times_are_exact_or_refused(method: Method, principal: int, rate: Fraction, n: int) -> None:
    fast = made(method, principal, rate, n)
    if isinstance(fast, NotRepresentable):
        assert method in (Method.EQUAL_INSTALLMENT, Method.EQUAL_PRINCIPAL)
        assert 1 < fast.row <= n
    else:
        assert fast.principal_fen == principal
        assert min(min(row) for row in fast.rows) >= 0


@given(methods, principals, rates, long_months)
@settings(max_examples=60)
def test_the_principal_adds_up_and_nothing_is_negative(method: Method, principal: int, rate: Fraction, n: int) -> None:
    fast = made(method, principal, rate, n)
    if isinstance(fast, Schedule):
        assert fast.principal_fen == principal
        assert fast.rows[-1].balance_fen == 0
        assert fast.rows[-1].month == n
        assert all(min(row) >= 0 and row.total_fen == row.principal_fen + row.interest_fen for row in fast.rows)
        before = [principal, *(row.balance_fen for row in fast.rows)]
        assert all(before[at] - row.principal_fen == row.balance_fen for at, row in enumerate(fast.rows))


@given(principals, rates, months)
def test_the_last_total_is_as_near_to_the_instalment_as_the_bound_says(principal: int, rate: Fraction, n: int) -> None:
    fast = made(Method.EQUAL_INSTALLMENT, principal, rate, n)
    if isinstance(fast, Schedule):
        assert fast.instalment_fen is not None
        assert all(row.total_fen == fast.instalment_fen for row in fast.rows[:-1])
        r = rate / 12
        bound = ((1 + r) ** n - 1) / r if r else Fraction(n)
        assert abs(fast.rows[-1].total_fen - fast.instalment_fen) <= bound


@given(principals, st.integers(0, 10**30 - 1), months)
def test_a_rate_of_thirty_digits_gives_the_exact_instalment(principal: int, digits: int, n: int) -> None:
    rate = Fraction(digits, 10**30)
    fast = made(Method.EQUAL_INSTALLMENT, principal, rate, n)
    if isinstance(fast, Schedule):
        assert fast.instalment_fen == reference.instalment(principal, rate, n)


@given(st.integers(10_000, 10**9), st.integers(0, 10**6), st.integers(1, 60))
def test_from_a_hundred_yuan_on_every_loan_that_is_published_has_a_schedule(principal: int, millionths: int, n: int) -> None:
    for method in Method:
        assert isinstance(made(method, principal, Fraction(millionths, 10**6), n), Schedule)


@given(principals, rates, months)
def test_of_two_rates_the_higher_never_costs_less_interest(principal: int, rate: Fraction, n: int) -> None:
    for method in (Method.INTEREST_ONLY, Method.BULLET, Method.EQUAL_PRINCIPAL):
        low, high = made(method, principal, rate, n), made(method, principal, rate + Fraction(1, 100), n)
        if isinstance(low, Schedule) and isinstance(high, Schedule):
            assert low.interest_fen <= high.interest_fen
