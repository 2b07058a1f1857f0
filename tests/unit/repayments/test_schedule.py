"""The four methods on worked tables (MONEY 1; M1, M3, M34), and what is refused."""

from fractions import Fraction

import pytest

from agents.repayments.money import Fen
from agents.repayments.schedule import Method, NotRepresentable, Row, Schedule, schedule
from tests.unit.repayments.examples import LOAN, a_schedule, fen


def principal(made: Schedule) -> list[int]:
    """The column of principal."""
    return [row.principal_fen for row in made.rows]


def interest(made: Schedule) -> list[int]:
    """The column of interest."""
    return [row.interest_fen for row in made.rows]


def test_a_textbook_table_to_the_fen() -> None:
    made = a_schedule("equal_installment", 100_000, "0.09", 6)
    assert made.instalment_fen == 17_107
    assert principal(made) == [16_357, 16_480, 16_603, 16_728, 16_853, 16_979]
    assert interest(made) == [750, 627, 504, 379, 254, 127]
    assert made.rows[-1].total_fen == 17_106


def test_equal_instalments_are_rounded_to_the_fen_and_never_up() -> None:
    made = a_schedule("equal_installment", 10_000_000, "0.0999", 36)
    assert made.instalment_fen == 322_625
    assert (made.rows[0].principal_fen, made.rows[0].interest_fen) == (239_375, 83_250)
    assert (made.rows[34].principal_fen, made.rows[34].interest_fen) == (317_320, 5_305)
    assert (made.rows[35].principal_fen, made.rows[35].interest_fen, made.rows[35].total_fen) == (319_961, 2_664, 322_625)
    assert (made.principal_fen, made.interest_fen) == (10_000_000, 1_614_500)


def test_a_small_loan_has_all_its_months_and_its_residue_in_the_last() -> None:
    made = a_schedule("equal_installment", 13_000, "0.2", 12)
    assert made.instalment_fen == 1_204
    assert len(made.rows) == 12
    assert [(row.principal_fen, row.interest_fen) for row in made.rows if row.n in (1, 2, 6, 11, 12)] == [
        (987, 217),
        (1_004, 200),
        (1_072, 132),
        (1_165, 39),
        (1_187, 20),
    ]
    assert made.rows[-1].total_fen == 1_207
    assert made.interest_fen == 1_451


def test_equal_principal_takes_interest_on_the_balance_before_the_payment() -> None:
    made = a_schedule("equal_principal", 12_345_700, "0.06", 12)
    assert principal(made) == [1_028_808] * 11 + [1_028_812]
    assert interest(made) == [61_729, 56_584, 51_440, 46_296, 41_152, 36_008, 30_864, 25_720, 20_576, 15_432, 10_288, 5_144]
    assert made.interest_fen == 401_233
    assert made.instalment_fen is None


def test_interest_only_pays_the_principal_in_the_last_month() -> None:
    made = a_schedule("interest_only", 1_000_000, "0.1", 3)
    assert made.rows == (
        Row(1, 1, *fen(0, 8_333, 1_000_000)),
        Row(2, 2, *fen(0, 8_333, 1_000_000)),
        Row(3, 3, *fen(1_000_000, 8_333, 0)),
    )


def test_a_bullet_is_one_row_at_its_month_with_simple_interest_rounded_once() -> None:
    assert a_schedule("bullet", 1_000_000, "0.1", 5).rows == (Row(1, 5, *fen(1_000_000, 41_667, 0)),)
    assert a_schedule("bullet", 1_000_000, "0.12", 2).rows[0].total_fen == 1_020_000


def test_the_first_row_of_the_loan_of_the_cases() -> None:
    made = a_schedule(**LOAN)
    assert made.rows[0] == Row(1, 1, *fen(78_849, 10_000, 921_151))
    assert (made.rows[0].total_fen, made.rows[-1].total_fen) == (88_849, 88_847)


@pytest.mark.parametrize("method", Method)
def test_one_month_is_one_row_with_all_of_it(method: Method) -> None:
    assert a_schedule(method, 1_000, "0.12", 1).rows == (Row(1, 1, *fen(1_000, 10, 0)),)


def test_without_interest_the_instalment_is_the_even_part() -> None:
    made = a_schedule("equal_installment", 1_000, "0", 3)
    assert (made.instalment_fen, principal(made), interest(made)) == (333, [333, 333, 334], [0, 0, 0])
    assert principal(a_schedule("equal_installment", 1_001, "0", 2)) == [501, 500]  # 500.5: a tie
    assert principal(a_schedule("equal_principal", 1_001, "0", 2)) == [501, 500]


def test_an_instalment_that_only_pays_interest_leaves_all_principal_to_the_last_row() -> None:
    made = a_schedule("equal_installment", 100, "10", 24)
    assert principal(made)[:23] == [0] * 23
    assert principal(made)[-1] == 100


def test_a_fen_may_have_hundreds_of_rows_that_are_nothing() -> None:
    made = a_schedule("equal_installment", 1, "0", 600)
    assert made.instalment_fen == 0
    assert principal(made) == [0] * 599 + [1]


@pytest.mark.parametrize("method", [Method.EQUAL_INSTALLMENT, Method.EQUAL_PRINCIPAL])
@pytest.mark.parametrize(("amount", "months", "row"), [(300, 600, 301), (1, 2, None), (3, 5, 4), (599, 600, None), (598, 600, 599)])
def test_roundings_that_add_up_to_more_than_the_principal_name_the_row(method: Method, amount: int, months: int, row: int | None) -> None:
    made = schedule(method, principal_fen=Fen(amount), annual_rate=Fraction(0), months=months)
    assert made == NotRepresentable(row) if row else isinstance(made, Schedule)


def test_what_cannot_be_shown_has_a_stable_code() -> None:
    assert NotRepresentable(7).code == "schedule_not_representable"


@pytest.mark.parametrize("method", [Method.INTEREST_ONLY, Method.BULLET])
def test_interest_only_and_bullet_can_always_be_shown(method: Method) -> None:
    assert a_schedule(method, 1, "10", 600).principal_fen == 1
    assert a_schedule(method, 10**15, "0", 600).interest_fen == 0


@pytest.mark.parametrize("method", Method)
def test_the_largest_request_that_the_calculator_takes_is_exact(method: Method) -> None:
    made = a_schedule(method, 10**15, "9.99999999999999999999999999999", 600)
    assert made.principal_fen == 10**15
    assert made.rows[-1].balance_fen == 0


@pytest.mark.parametrize(("amount", "rate", "months"), [(0, "0.1", 1), (-1, "0.1", 1), (1, "-0.1", 1), (1, "0.1", 0)])
def test_a_request_that_is_no_loan_is_a_bug(amount: int, rate: str, months: int) -> None:
    with pytest.raises(AssertionError):
        schedule(Method.BULLET, principal_fen=Fen(amount), annual_rate=Fraction(rate), months=months)
