"""CASES M11, M24, M27 against models that are written another way: each paper's rule, computed by the letter of its standard."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime import canonical
from agents.runtime.canonical import AMOUNT_FEN_MAX, Unacceptable, bank_card, birth_date, id_number, is_male, mobile, rate, yuan_to_fen

TODAY = date(2025, 6, 1)
ID_HEADS = st.tuples(
    st.integers(110000, 830000).map(str),
    st.dates(date(1900, 1, 1), date(2025, 5, 31)).map("{:%Y%m%d}".format),
    st.from_regex(r"[0-9]{3}", fullmatch=True),
)


def refusal(take: object, *typed: object, **given_: object) -> str:
    """The code that a value is refused with."""
    with pytest.raises(Unacceptable) as caught:
        take(*typed, **given_)  # type: ignore[operator]
    return caught.value.code


def iso7064_mod_11_2(head: str) -> str:
    """GB 11643 by the recursion of ISO 7064: no table of weights."""
    p = 0
    for digit in head:
        p = (p + int(digit)) * 2 % 11
    return "0123456789X"[(12 - p) % 11]


def luhn_digit(head: str) -> str:
    """ISO/IEC 7812-1 annex B by its table of doubled digits."""
    doubled = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
    total = sum(doubled[int(d)] if at % 2 == 0 else int(d) for at, d in enumerate(reversed(head)))
    return str(-total % 10)


@given(ID_HEADS)
def test_case_m24_the_check_character_is_that_of_iso_7064(parts: tuple[str, str, str]) -> None:
    region, born, order = parts
    head = region + born + order
    number = head + iso7064_mod_11_2(head)
    assert id_number(number, today=TODAY) == number
    assert f"{birth_date(number):%Y%m%d}" == born
    assert is_male(number) == (order[2] in "13579")


@given(ID_HEADS, st.data())
def test_case_m24_one_wrong_digit_or_two_neighbours_exchanged_are_noticed(parts: tuple[str, str, str], data: st.DataObject) -> None:
    head = "".join((parts[0], parts[1], parts[2]))
    number = head + iso7064_mod_11_2(head)
    at = data.draw(st.integers(0, 16))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != number[at]]))
    assert refusal(id_number, number[:at] + other + number[at + 1 :], today=TODAY) == "id_check_character"
    swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    if swapped != number:
        assert refusal(id_number, swapped, today=TODAY) in ("id_check_character", "not_an_id_number")


@pytest.mark.parametrize("born", [
    pytest.param("19900230", id="30 February"),
    pytest.param("19000229", id="29 February of a century that is no leap year"),
    pytest.param("20230229", id="29 February of a year that is no leap year"),
    pytest.param("19901301", id="month 13"),
    pytest.param("19900001", id="month 0"),
    pytest.param("19900100", id="day 0"),
    pytest.param("19900132", id="day 32"),
    pytest.param("19900431", id="31 April"),
    pytest.param("00000101", id="year 0"),
    pytest.param("20991231", id="not born yet"),
    pytest.param("20250601", id="born today"),
    pytest.param("18741231", id="older than anybody"),
    pytest.param("10000101", id="a thousand years old"),
])  # fmt: skip
def test_case_m24_a_day_on_which_nobody_was_born_is_refused_with_its_right_check_character(born: str) -> None:
    head = f"110101{born}001"
    assert refusal(id_number, head + iso7064_mod_11_2(head), today=TODAY) == "id_birth_date"


@pytest.mark.parametrize("born", [
    pytest.param("20000229", id="29 February of a century that is a leap year"),
    pytest.param("20240229", id="29 February"),
    pytest.param("20250531", id="born yesterday"),
    pytest.param("18750101", id="the oldest year"),
])  # fmt: skip
def test_case_m24_a_day_of_the_calendar_is_a_birthday(born: str) -> None:
    head = f"110101{born}001"
    assert f"{birth_date(id_number(head + iso7064_mod_11_2(head), today=TODAY)):%Y%m%d}" == born


@given(st.dates(date(1900, 1, 1), date(2030, 12, 31)), st.integers(-3, 3))
def test_case_m24_a_member_is_of_age_from_the_eighteenth_birthday_on(born: date, days: int) -> None:
    head = f"110101{born:%Y%m%d}001"
    number = head + iso7064_mod_11_2(head)
    leap_day = (born.month, born.day) == (2, 29)
    birthday = date(born.year + 18, 3, 1) if leap_day else born.replace(year=born.year + 18)
    today = birthday + timedelta(days=days)
    if days < 0:
        assert refusal(canonical.refuse_minor, number, today=today) == "minor"
    else:
        canonical.refuse_minor(number, today=today)


@pytest.mark.parametrize("unlike", [
    pytest.param("1101051949123100 2X", id="a space inside"),
    pytest.param("110105-19491231-002X", id="hyphens"),
    pytest.param("11010519491231002Ⅹ", id="a Roman ten"),
    pytest.param("11010519491231002Х", id="a Cyrillic Ha"),
    pytest.param("11010519491231002Χ", id="a Greek Chi"),
    pytest.param("1101051949123100٢X", id="an Arabic digit"),
    pytest.param("X1010519491231002X", id="an X in front"),
    pytest.param("110105194912310020X", id="nineteen"),
    pytest.param("11010519491231002X\u200b", id="something unseen"),
    pytest.param("110105491231002", id="fifteen digits, as before 1999"),
])  # fmt: skip
def test_case_m24_what_only_looks_like_an_id_number_is_none(unlike: str) -> None:
    assert refusal(id_number, unlike, today=TODAY) == "not_an_id_number"


@given(st.from_regex(r"[1-9][0-9]{14,17}", fullmatch=True))
def test_case_m27_exactly_one_last_digit_in_ten_fits_and_it_is_luhns(head: str) -> None:
    fitting = luhn_digit(head)
    assert bank_card(head + fitting) == head + fitting
    for other in set("0123456789") - {fitting}:
        assert refusal(bank_card, head + other) == "bank_card_check_digit"


@given(st.from_regex(r"[1-9][0-9]{14,17}", fullmatch=True), st.lists(st.integers(0, 19), max_size=8))
def test_case_m27_spaces_make_no_new_card(head: str, places: list[int]) -> None:
    number = head + luhn_digit(head)
    spaced = number
    for at in places:
        spaced = spaced[:at] + " " + spaced[at:]
    assert bank_card(spaced) == number


@pytest.mark.parametrize("digits", [1, 12, 13, 14, 15, 20, 21, 40])
def test_case_m27_a_number_of_another_length_is_no_card_though_it_passes_luhn(digits: int) -> None:
    head = "6" * (digits - 1)
    assert refusal(bank_card, head + luhn_digit(head)) == "not_a_bank_card"


@pytest.mark.parametrize("separator", ["-", ".", "\t", "\u00a0", "\u3000", "\u200b", "_", ","])
def test_case_m27_only_plain_spaces_are_folded_away(separator: str) -> None:
    assert refusal(bank_card, separator.join(("6283", "8750", "7098", "5593"))) == "not_a_bank_card"


@pytest.mark.parametrize("zeros", [16, 17, 18, 19])
def test_case_m27_zeros_pass_luhn_and_are_no_card(zeros: int) -> None:
    assert refusal(bank_card, "0" * zeros) == "not_a_bank_card"


@given(st.decimals(0, 10**13, places=2))
def test_case_m11_an_amount_is_what_decimal_arithmetic_says(yuan: Decimal) -> None:
    assert yuan_to_fen(f"{yuan:f}") == int(yuan * 100)


@given(st.integers(0, 10**6), st.integers(0, 9))
def test_case_m11_one_digit_after_the_point_is_ten_fen(yuan: int, tenth: int) -> None:
    assert yuan_to_fen(f"{yuan}.{tenth}") == yuan_to_fen(f"{yuan}.{tenth}0") == 100 * yuan + 10 * tenth


@pytest.mark.parametrize("typed", [
    "9223372036854775808", "1e400", "1e2", "100.000", "1.000", "0.001", "00.10", "1.1.1", "1,00", "1 000", "１.5", "1．5", "1。5", "五",
    "1.5元", "CNY1", "$1", "0b1", "0o7", "--1", "1-", "∞", "½", "1.٥", "\t1", "1\u00a0", "1\u200b", "true", "null", ".", "-.5", "1/2",
])  # fmt: skip
def test_cases_m11_d18_what_is_not_plain_yuan_is_refused_and_never_changed(typed: str) -> None:
    assert refusal(yuan_to_fen, typed) == "not_an_amount"


@pytest.mark.parametrize("fen", [AMOUNT_FEN_MAX - 1, AMOUNT_FEN_MAX, AMOUNT_FEN_MAX + 1, 99_999_999_999_999_99])
def test_case_m7_the_largest_amount_is_the_last_one(fen: int) -> None:
    typed = f"{fen // 100}.{fen % 100:02d}"
    if fen <= AMOUNT_FEN_MAX:
        assert yuan_to_fen(typed) == fen
    else:
        assert refusal(yuan_to_fen, typed) == "amount_too_large"


@given(st.decimals(0, 10, places=12))
def test_case_m7_a_rate_keeps_every_digit(exact: Decimal) -> None:
    assert rate(f"{exact:f}") == exact and rate(f"{exact:f}").as_tuple() == exact.as_tuple()


@pytest.mark.parametrize("typed", ["10.0000001", "10.1", "11", "100", "9" * 30])
def test_case_m7_a_rate_above_a_thousand_per_cent_is_too_large(typed: str) -> None:
    assert refusal(rate, typed) == "rate_too_large"


def decorated() -> st.SearchStrategy[tuple[str, str]]:
    """A mobile number and one of the ways in which people type it."""
    full_width = {0x30 + n: 0xFF10 + n for n in range(10)}

    def spell(number: str, prefix: str, gaps: list[tuple[int, str]], wide: bool) -> tuple[str, str]:
        typed = number
        for at, gap in gaps:
            typed = typed[:at] + gap + typed[at:]
        typed = prefix + typed
        return number, typed.translate(full_width) if wide else typed

    gaps = st.lists(st.tuples(st.integers(0, 14), st.sampled_from([" ", "-", "\u3000", "\u00a0", "－"])), max_size=6)
    prefixes = st.sampled_from(["", "+86", "0086", "+86 ", "00 86-", "＋86", " +8-6 "])
    return st.builds(spell, st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), prefixes, gaps, st.booleans())


@given(decorated())
def test_one_mobile_number_in_all_its_spellings_is_one(pair: tuple[str, str]) -> None:
    number, typed = pair
    assert mobile(typed) == number


@pytest.mark.parametrize("head", [
    pytest.param("86", id="a country code without its sign"),
    pytest.param("+086", id="sign and zeros"),
    pytest.param("+852", id="Hong Kong"),
    pytest.param("+853", id="Macau"),
    pytest.param("+886", id="Taiwan"),
    pytest.param("00186", id="another country's exit code"),
    pytest.param("0", id="a trunk zero"),
    pytest.param("17951", id="a dialling prefix"),
    pytest.param("++86", id="two signs"),
    pytest.param("(+86)", id="parentheses"),
    pytest.param("tel:", id="a scheme"),
])  # fmt: skip
def test_another_prefix_is_no_mainland_mobile(head: str) -> None:
    assert refusal(mobile, head + "13800000000") == "not_a_mobile"


@pytest.mark.parametrize("second", "012")
def test_a_number_that_begins_with_10_to_12_is_no_mobile(second: str) -> None:
    assert refusal(mobile, f"1{second}800000000") == "not_a_mobile"
