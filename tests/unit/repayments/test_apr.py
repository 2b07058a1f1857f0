"""The rates that are shown, exact to their last decimal (MONEY 5)."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agents.repayments import apr as module
from agents.repayments.apr import Flows, apr, flows
from agents.repayments.money import Fen
from agents.repayments.schedule import Method
from tests.unit.repayments import reference
from tests.unit.repayments.examples import a_schedule, fen, methods, rates


def of(received: int, *paid: int) -> tuple[str, ...]:
    """The rates of these flows."""
    return tuple(apr(Flows(Fen(received), fen(*paid))))


def of_loan(method: Method | str, principal: int, rate: str | Fraction, months: int, upfront: int = 0, monthly: int = 0) -> tuple[str, ...]:
    """The rates of a loan with its fees."""
    made = a_schedule(method, principal, rate, months)
    return tuple(apr(flows(made, fee_upfront_fen=Fen(upfront), fee_monthly_fen=Fen(monthly))))


def test_the_example_of_the_rules() -> None:
    assert of_loan("equal_installment", 1_000_000, "0.12", 12) == ("0.0100000955", "0.12000115", "0.12682631")


def test_interest_only_at_whole_fen_is_its_own_rate() -> None:
    assert of_loan("interest_only", 1_000_000, "0.12", 12) == ("0.0100000000", "0.12000000", "0.12682503")


def test_what_costs_nothing_has_the_rate_nothing() -> None:
    assert of_loan("equal_installment", 1_000_000, "0", 36) == ("0.0000000000", "0.00000000", "0.00000000")
    assert of_loan("bullet", 1, "0.001", 600) == ("0.0000000000", "0.00000000", "0.00000000")  # 0.05 fen of interest


@pytest.mark.parametrize(
    ("received", "paid", "rates_"),
    [
        (100, [101], ("0.0100000000", "0.12000000", "0.12682503")),
        (100, [0, 121], ("0.1000000000", "1.20000000", "2.13842838")),
        (100, [60, 60], ("0.1306623863", "1.56794864", "3.36511145")),
        (1, [2], ("1.0000000000", "12.00000000", "4095.00000000")),
        (3, [4], ("0.3333333333", "4.00000000", "30.56929179")),
        (3, [5], ("0.6666666667", "8.00000000", "458.39365800")),
        (7, [7, 0, 0, 0], ("0.0000000000", "0.00000000", "0.00000000")),
    ],
)
def test_rates_that_can_be_had_by_hand(received: int, paid: Sequence[int], rates_: tuple[str, str, str]) -> None:
    assert of(received, *paid) == rates_


def test_a_month_without_an_instalment_still_has_its_fee() -> None:
    made = flows(a_schedule("bullet", 1_000_000, "0.12", 3), fee_upfront_fen=Fen(5_000), fee_monthly_fen=Fen(100))
    assert made == Flows(Fen(995_000), fen(100, 100, 1_030_100))


def test_fees_raise_the_rate() -> None:
    without = of_loan("equal_principal", 1_000_000, "0.12", 12)
    upfront = of_loan("equal_principal", 1_000_000, "0.12", 12, upfront=10_000)
    monthly = of_loan("equal_principal", 1_000_000, "0.12", 12, monthly=1_000)
    assert without < upfront and without < monthly


# monthly: the border 2.5e-10 between 2 and 3 units; x = 5 / (2 · 10^10) exactly
@pytest.mark.parametrize(("paid", "monthly"), [(2 * 10**10 + 5, "0.0000000003"), (2 * 10**10 + 4, "0.0000000002")])
def test_the_half_of_the_last_monthly_decimal_goes_up(paid: int, monthly: str) -> None:
    assert of(2 * 10**10, paid)[0] == monthly


# nominal: 12 · x = 0.000000015 needs x = 1.25e-9
@pytest.mark.parametrize(("paid", "nominal"), [(8 * 10**9 + 10, "0.00000002"), (8 * 10**9 + 9, "0.00000001")])
def test_the_half_of_the_last_nominal_decimal_goes_up_of_the_exact_rate(paid: int, nominal: str) -> None:
    assert of(8 * 10**9, paid)[1] == nominal


def test_a_nominal_border_with_a_factor_of_three_is_exact_too() -> None:
    received = 24 * 10**8  # 12 · x = 1 / (2 · 10^8) for x = 1 / received
    assert of(received, received + 1)[:2] == ("0.0000000004", "0.00000001")
    assert of(received + 1, received + 2)[1] == "0.00000000"


def test_an_effective_rate_that_is_exactly_a_half_goes_up() -> None:
    assert of_loan("bullet", 10**9, "0.123456785", 12)[2] == "0.12345679"
    assert of_loan("bullet", 10**9, "0.123456784", 12)[2] == "0.12345678"


@pytest.mark.parametrize(("more", "effective"), [(-1, "0.00195312"), (0, "0.00195313"), (1, "0.00195313")])
def test_an_irrational_rate_whose_year_is_exactly_a_half_is_proven_and_its_neighbours_told_apart(more: int, effective: str) -> None:
    """Two years at 513/512 a year: (1+x)^12 = 1.001953125, while x is no fraction."""
    scale = 10**9
    assert of(512**2 * scale, *[0] * 23, 513**2 * scale + more)[2] == effective


def test_a_year_that_is_a_half_by_several_payments_is_proven_as_well() -> None:
    """513/512 after one year and after two: the flows' polynomial has the factor q^12 − 513/512 among others."""
    assert of(512**2 + 512 * 7, *[0] * 11, 513 * 7, *[0] * 11, 513**2)[2] == "0.00195313"


def test_the_greatest_fees_still_have_a_rate() -> None:
    most = 2**63 - 1
    assert of_loan("bullet", 1, "10", 600, monthly=most)[0] == f"{most}.0000000000"
    monthly, nominal, effective = of_loan("interest_only", 10**15, "10", 600, upfront=10**15 - 1)
    assert (monthly, nominal) == ("833333333333333.0000000000", "9999999999999996.00000000")
    assert int(effective.split(".")[0]) == 833_333_333_333_334**12 - 1


@pytest.mark.parametrize("guess", [0, 1, 10**10, 10**23, 2 * 10**23, 10**40])
def test_a_bad_guess_costs_steps_and_no_digit(guess: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = of(1_000_000, *[88_849] * 12)
    monkeypatch.setattr(module, "_guess", lambda *_: guess)
    assert of(1_000_000, *[88_849] * 12) == wanted


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_search_finds_the_border_from_any_guess(border: int, guess: int) -> None:
    assert module._greatest(lambda units: units <= border, guess) == border


@pytest.mark.parametrize(("received", "paid"), [(0, [1]), (-1, [1]), (2, [1])])
def test_flows_that_are_no_loan_are_a_bug(received: int, paid: Sequence[int]) -> None:
    with pytest.raises(AssertionError, match="paid back"):
        of(received, *paid)


@given(methods, st.integers(1, 10**9), rates, st.integers(1, 24), st.fractions(0, 1), st.integers(0, 10**5))
@settings(max_examples=60)
def test_the_rates_are_those_of_the_slow_reference(
    method: Method, principal: int, rate: Fraction, months: int, upfront: Fraction, monthly: int
) -> None:
    assume(principal >= 10_000 or method in (Method.BULLET, Method.INTEREST_ONLY))
    fee = min(int(principal * upfront), principal - 1)
    made = flows(a_schedule(method, principal, rate, months), fee_upfront_fen=Fen(fee), fee_monthly_fen=Fen(monthly))
    assert tuple(apr(made)) == reference.apr(made.received_fen, made.paid_fen)


@given(st.integers(1, 10**12), st.lists(st.integers(0, 10**12), min_size=1, max_size=8))
@settings(max_examples=60)
def test_any_flows_have_the_rates_of_the_slow_reference(received: int, paid: list[int]) -> None:
    assume(received <= sum(paid))
    assert of(received, *paid) == reference.apr(received, paid)


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_of_one_payment_the_rate_is_the_fraction_itself(received: int, more: int) -> None:
    rate = Fraction(more, received)
    monthly, nominal, effective = of(received, received + more)
    for shown, exact, decimals in ((monthly, rate, 10), (nominal, 12 * rate, 8), (effective, (1 + rate) ** 12 - 1, 8)):
        assert int(shown.replace(".", "")) == reference.half_up(exact * 10**decimals)
