from collections.abc import Callable
from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime import canonical
from agents.runtime.canonical import Unacceptable, bank_card, birth_date, id_number, iso_date, mobile, rate, uuid_text, yuan_to_fen

TODAY = date(2025, 6, 1)
DIGITISH = st.text(st.sampled_from("0123456789+-. xX,_eE０１９＋－　٠²\n\x00"), max_size=30)


def code(call: Callable[[], object]) -> str:
    with pytest.raises(Unacceptable) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize(
    "typed",
    [
        "13800000000",
        "+8613800000000",
        "008613800000000",
        "+86 138 0000 0000",
        "138-0000-0000",
        " 138 0000 0000 ",
        "１３８００００００００",
        "＋86　138－0000－0000",
    ],
)
def test_one_mobile_number_in_every_spelling(typed: str) -> None:
    assert mobile(typed) == "13800000000"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "12800000000",
        "1380000000",
        "138000000000",
        "03800000000",
        "+1 3800000000",
        "٠١٣٨٠٠٠٠٠٠٠",
        "1380000000²",
        "13800000000\n",
        "+86+8613800000000",
        "1" * 1000,
    ],
)
def test_what_is_no_mobile_number(typed: str) -> None:
    assert code(lambda: mobile(typed)) in {"not_a_mobile", "too_long"}


@given(st.one_of(DIGITISH, st.text(st.characters(), max_size=80)))
def test_a_mobile_number_is_eleven_ascii_digits_or_refused(typed: str) -> None:
    try:
        once = mobile(typed)
    except Unacceptable:
        return
    assert mobile(once) == once
    assert once.isascii()
    assert once.isdigit()
    assert len(once) == 11


@pytest.mark.parametrize(
    "typed",
    ["11010519491231002X", "11010119900307803X", "310101199506151232", "830000199001010012", "810000198806050013", "820000198502280030"],
)
def test_case_m24_residents_and_residence_permits_are_accepted(typed: str) -> None:
    assert id_number(typed, today=TODAY) == typed


@pytest.mark.parametrize(
    "typed", ["11010519491231002x", "１１０１０５１９４９１２３１００２Ｘ", "１１０１０５１９４９１２３１００２ｘ", " 11010519491231002X "]
)
def test_case_m24_other_spellings_are_the_same_person(typed: str) -> None:
    assert id_number(typed, today=TODAY) == "11010519491231002X"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("110105194912310021", "id_check_character"),
        ("110101199002300014", "id_birth_date"),
        ("110101199013010012", "id_birth_date"),
        ("11010119900100001X", "id_birth_date"),
        ("110101209912310015", "id_birth_date"),
        ("110105491231002", "not_an_id_number"),
        ("11010519491231002\u2169", "not_an_id_number"),
        ("1101051949123100²X", "not_an_id_number"),
        ("", "not_an_id_number"),
        ("1" * 500, "too_long"),
    ],
)
def test_case_m24_what_is_no_id_number(typed: str, why: str) -> None:
    assert code(lambda: id_number(typed, today=TODAY)) == why


def test_nobody_is_born_today_or_before_living_memory() -> None:
    assert id_number("310101199506151232", today=date(1995, 6, 16))
    assert code(lambda: id_number("310101199506151232", today=date(1995, 6, 15))) == "id_birth_date"
    assert code(lambda: id_number("310101199506151232", today=date(2146, 1, 1))) == "id_birth_date"


def test_a_minor_is_refused_until_the_eighteenth_birthday() -> None:
    assert code(lambda: canonical.refuse_minor("310101199506151232", today=date(2013, 6, 14))) == "minor"
    canonical.refuse_minor("310101199506151232", today=date(2013, 6, 15))


def test_who_was_born_on_a_leap_day_is_of_age_on_the_first_of_march() -> None:
    born_on_leap_day = "11010120000229001X"
    assert code(lambda: canonical.refuse_minor(born_on_leap_day, today=date(2018, 2, 28))) == "minor"
    canonical.refuse_minor(born_on_leap_day, today=date(2018, 3, 1))


def test_birth_date_and_sex_are_read_from_the_number() -> None:
    assert birth_date("11010519491231002X") == date(1949, 12, 31)
    assert not canonical.is_male("11010519491231002X")
    assert canonical.is_male("11010119900307803X")


@given(st.integers(0, 10**17 - 1), st.dates(date(1900, 1, 1), date(2025, 5, 31)))
def test_only_one_check_character_in_eleven_fits(number: int, born: date) -> None:
    head = f"{number:017d}"[:6] + f"{born:%Y%m%d}".rjust(8, "0") + f"{number:017d}"[14:]
    assert sum(_accepted(head + c) for c in "0123456789X") == 1


def _accepted(number: str) -> bool:
    try:
        return id_number(number, today=TODAY) == number
    except Unacceptable:
        return False


@pytest.mark.parametrize(
    "typed", ["6283875070985593", "6228480402564890018", "8171999900000000021", "6283 8750 7098 5593", " 6283875070985593 "]
)
def test_case_m27_cards_are_accepted_without_their_spaces(typed: str) -> None:
    assert bank_card(typed) == typed.replace(" ", "")


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("0000000000000000", "not_a_bank_card"),
        ("6222021234567890123", "bank_card_check_digit"),
        ("628387507098559", "not_a_bank_card"),
        ("６２８３８７５０７０９８５５９３", "not_a_bank_card"),
        ("62²3875070985593", "not_a_bank_card"),
        ("6283-8750-7098-5593", "not_a_bank_card"),
        ("6283875070985593\n", "not_a_bank_card"),
        ("", "not_a_bank_card"),
        ("6" * 500, "too_long"),
    ],
)
def test_case_m27_what_is_no_card(typed: str, why: str) -> None:
    assert code(lambda: bank_card(typed)) == why


@pytest.mark.parametrize(
    ("typed", "fen"),
    [("19.9", 1990), ("0.29", 29), ("1.15", 115), ("4.35", 435), ("8.2", 820), ("0.57", 57), ("2.68", 268), ("0", 0), ("10000", 1_000_000)],
)
def test_case_m11_yuan_are_exact_in_fen(typed: str, fen: int) -> None:
    assert yuan_to_fen(typed) == fen


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " 1",
        "1 ",
        "+1",
        "-1",
        "-0",
        "1.",
        ".5",
        "1.234",
        "1e3",
        "1_000",
        "1,000",
        "01",
        "００",
        "٠.١",
        "NaN",
        "Infinity",
        "0x10",
        "¥1",
        "1.5\n",
        "1" * 15,
    ],
)
def test_what_is_no_amount(typed: str) -> None:
    assert code(lambda: yuan_to_fen(typed)) == "not_an_amount"


def test_an_amount_has_an_upper_end() -> None:
    assert yuan_to_fen("10000000000000") == 10**15
    assert code(lambda: yuan_to_fen("10000000000000.01")) == "amount_too_large"


@given(st.integers(0, 10**15))
def test_every_fen_can_be_typed(fen: int) -> None:
    assert yuan_to_fen(f"{fen // 100}.{fen % 100:02d}") == fen


@pytest.mark.parametrize("typed", ["0", "0.12", "10", "0.0999", "0.15", "0.1234567890123456789012345678"])
def test_a_rate_is_exact(typed: str) -> None:
    assert rate(typed) == Decimal(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "0.1_2",
        "12%",
        "",
        " 0.12",
        "٠.١",
        "NaN",
        "-0.01",
        "10.0000001",
        "0.12\n",
        "1e-1",
        ".5",
        "5.",
        "1.2.3",
        "+0.1",
        "0." + "1" * 30,
        "1" * 5000,
    ],
)
def test_case_m7_what_is_no_rate(typed: str) -> None:
    assert code(lambda: rate(typed)) in {"not_a_rate", "rate_too_large", "too_long"}


@pytest.mark.parametrize("value", [0.15, 1, True, None, Decimal("0.15")])
def test_a_rate_that_is_no_text_is_refused(value: object) -> None:
    assert code(lambda: rate(value)) == "not_text"


@pytest.mark.parametrize(
    "typed",
    ["20240131", "2024-W05-3", "2024-1-31", "2024-01-31T00:00:00", "２０２４-01-31", "2023-02-29", "", "0000-01-01", "2024-01-31\n"],
)
def test_case_m6_what_is_no_date(typed: str) -> None:
    assert code(lambda: iso_date(typed)) == "not_a_date"


@given(st.dates())
def test_case_m6_every_day_has_one_spelling(day: date) -> None:
    assert iso_date(day.isoformat()) == day


def test_an_id_is_a_lower_case_uuid_and_no_other_spelling_of_it() -> None:
    plain = "0b0e6d2c-7f2e-5a53-9a8a-6a1f0d7f8a11"
    assert uuid_text(plain) == plain
    for other in (plain.upper(), f"{{{plain}}}", f"urn:uuid:{plain}", plain.replace("-", ""), plain + "\n", " " + plain, "9" * 30, ""):
        assert code(lambda other=other: uuid_text(other)) == "not_an_id"  # type: ignore[misc]


@given(st.one_of(st.text(st.characters(), max_size=70), DIGITISH))
def test_no_text_makes_anything_but_an_answer_or_a_refusal(typed: str) -> None:
    for take in (mobile, lambda v: id_number(v, today=TODAY), bank_card, yuan_to_fen, rate, iso_date, uuid_text):
        with suppress(Unacceptable):
            take(typed)
