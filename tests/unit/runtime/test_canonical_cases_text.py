"""CASES D11 as a whole kind: every spelling that a keyboard, a paste or a stranger makes of one text is one text or is refused."""

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.canonical import LOGIN_NAME_CHARS, PASSWORD_CHARS, Unacceptable, login_name, password, text

LATIN = st.from_regex(r"[a-z][a-z0-9]{2,15}", fullmatch=True)
WIDTHS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "title": str.title,
    "full width": lambda s: s.translate({n: n + 0xFEE0 for n in range(0x21, 0x7F)}),
    "bold": lambda s: "".join(chr(0x1D41A + ord(c) - 97) if c.isalpha() else c for c in s),
    "fixed pitch digits": lambda s: "".join(chr(0x1D7F6 + int(c)) if c.isdigit() else c for c in s),
    "circled": lambda s: "".join(chr(0x24D0 + ord(c) - 97) if c.isalpha() else c for c in s),
    "Arabic digits": lambda s: s.translate({0x30 + n: 0x660 + n for n in range(10)}),
    "Indian digits": lambda s: s.translate({0x30 + n: 0x966 + n for n in range(10)}),
    "spaces around": lambda s: f" \u3000{s}\u00a0 ",
    "a lost dot of Turkish": lambda s: s.replace("i", "\u0130"),
    "a second dot": lambda s: s.replace("i", "i\u0307"),
    "a long s": lambda s: s.replace("s", "\u017f"),
    "a Kelvin sign": lambda s: s.replace("k", "\u212a"),
    "a ligature": lambda s: s.replace("fi", "\ufb01").replace("fl", "\ufb02"),
}


def refusal(take: Callable[[object], object], typed: object) -> str:
    """The code that a value is refused with."""
    with pytest.raises(Unacceptable) as caught:
        take(typed)
    return caught.value.code


def a_line(value: object) -> str:
    """Free text as most fields have it."""
    return text(value, max_chars=40)


@given(LATIN, st.sampled_from(sorted(WIDTHS)), st.sampled_from(sorted(WIDTHS)))
def test_case_d11_a_latin_name_is_one_however_it_is_typed(name: str, first: str, then: str) -> None:
    typed = WIDTHS[first](name)
    if re.fullmatch("[a-z0-9]+", typed):
        typed = WIDTHS[then](typed)
    assert login_name(typed) == login_name(name) == name


@given(LATIN, LATIN)
def test_case_d11_two_names_stay_two(one: str, other: str) -> None:
    assert (login_name(one) == login_name(other)) == (one == other)


@pytest.mark.parametrize(("one", "other"), [
    pytest.param("ali", "alı", id="dotless i"),
    pytest.param("oder", "öder", id="umlaut"),
    pytest.param("pena", "peña", id="tilde"),
    pytest.param("li_ming", "li-ming", id="underscore and hyphen"),
    pytest.param("li_ming", "li.ming", id="underscore and point"),
    pytest.param("li_ming", "liming", id="underscore and nothing"),
    pytest.param("name0", "nameo", id="zero and o"),
    pytest.param("name1", "namel", id="one and l"),
    pytest.param("aether", "æther", id="ash"),
    pytest.param("lodz", "łodz", id="barred l"),
    pytest.param("国家名", "國家名", id="simplified and traditional"),
    pytest.param("はなこ", "ハナコ", id="hiragana and katakana"),
    pytest.param("ばなな", "はなな", id="voiced and not"),
])  # fmt: skip
def test_case_d11_what_people_tell_apart_stays_apart(one: str, other: str) -> None:
    assert login_name(one) != login_name(other)


@pytest.mark.parametrize(("one", "other"), [
    pytest.param("ハナコ", "ﾊﾅｺ", id="half-width katakana"),
    pytest.param("ガガガ", "ｶﾞｶﾞｶﾞ", id="half-width with its mark apart"),
    pytest.param("김철수", "\u1100\u1175\u11b7\u110e\u1165\u11af\u1109\u116e", id="Hangul as jamo"),
    pytest.param("ångstrom", "\u212bngstrom", id="Angstrom sign"),
    pytest.param("tschüss", "TSCHÜSS", id="sharp s has no single capital"),
    pytest.param("ǆura", "Ǆura", id="one letter that looks like two"),
    pytest.param("οδος", "ΟΔΟΣ", id="sigma at the end"),
    pytest.param("iii_a", "ⅲ_a", id="Roman numeral"),
    pytest.param("李明哥", "\uf9e1明哥", id="a compatibility ideograph"),
    pytest.param("nguyễn", "NGUYE\u0302\u0303N", id="two marks"),
    pytest.param("nguyễn", "nguyê\u0303n", id="one mark composed"),
])  # fmt: skip
def test_case_d11_what_is_one_to_people_is_one(one: str, other: str) -> None:
    assert one != other
    assert login_name(one) == login_name(other)


@pytest.mark.parametrize(("typed", "why"), [
    pytest.param("аdmin", "mixed_scripts", id="Cyrillic a before Latin"),
    pytest.param("admіn", "mixed_scripts", id="Ukrainian i"),
    pytest.param("pаypal", "mixed_scripts", id="one letter inside"),
    pytest.param("ρaul", "mixed_scripts", id="Greek rho"),
    pytest.param("օlga", "mixed_scripts", id="Armenian o"),
    pytest.param("李明а", "mixed_scripts", id="Cyrillic after Chinese"),
    pytest.param("рора", "looks_like_another", id="Cyrillic that reads Latin"),
    pytest.param("ΝΙΚΟΝ", "looks_like_another", id="Greek that reads Latin"),
    pytest.param("хахаха", "looks_like_another", id="laughter"),
    pytest.param("1380000-0000", "looks_like_a_mobile", id="a mobile with a hyphen"),
    pytest.param("1.3.8.0.0.0.0.0.0.0.0", "looks_like_a_mobile", id="a mobile with points"),
    pytest.param("86_138_0000_0000", "looks_like_a_mobile", id="a mobile with its country"),
    pytest.param("𝟏𝟑𝟖𝟎𝟎𝟎𝟎𝟎𝟎𝟎𝟎", "looks_like_a_mobile", id="a mobile in bold"),
    pytest.param("१३८००००००००", "looks_like_a_mobile", id="a mobile in Indian digits"),
    pytest.param("+8613800000000", "not_a_login_name", id="a plus"),
    pytest.param("a@b.cn", "not_a_login_name", id="an address"),
    pytest.param("<b>lin</b>", "not_a_login_name", id="markup"),
    pytest.param("lin'--", "not_a_login_name", id="a quote"),
    pytest.param("../../etc", "not_a_login_name", id="a path"),
    pytest.param("lin\u0301\u0301\u0301", "not_a_login_name", id="piled marks"),
    pytest.param("lin½", "not_a_login_name", id="a fraction"),
    pytest.param("--", "too_short", id="two hyphens"),
    pytest.param("-._", "not_a_login_name", id="no letter"),
    pytest.param("lin\u2028xiao", "forbidden_character", id="line separator"),
    pytest.param("lin\ufffaxiao", "forbidden_character", id="annotation"),
    pytest.param("lin\U000e0041xiao", "forbidden_character", id="tag"),
])  # fmt: skip
def test_a_name_that_could_be_taken_for_something_else_is_refused(typed: str, why: str) -> None:
    assert refusal(login_name, typed) == why


@pytest.mark.parametrize(("take", "least", "most"), [
    pytest.param(login_name, *LOGIN_NAME_CHARS, id="login name"),
    pytest.param(password, *PASSWORD_CHARS, id="password"),
    pytest.param(a_line, 1, 40, id="text"),
])  # fmt: skip
@pytest.mark.parametrize("letter", ["a", "李", "é", "e\u0301", "\U00020000"], ids=["ASCII", "Chinese", "composed", "decomposed", "astral"])
def test_length_is_of_the_canonical_form_and_both_ends_are_allowed(
    take: Callable[[object], str], least: int, most: int, letter: str
) -> None:
    assert len(take(letter * least)) == least and len(take(letter * most)) == most
    assert refusal(take, letter * (most + 1)) == "too_long"
    assert refusal(take, letter * (least - 1)) == "too_short"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_text_is_never_longer_shorter_or_other_than_nfc_makes_it(typed: str) -> None:
    try:
        kept = a_line(typed)
    except Unacceptable:
        return
    assert kept.replace(" ", "") == "".join(c for c in unicodedata.normalize("NFC", typed) if unicodedata.category(c) != "Zs")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30).map("12345678".__add__))
def test_passwords_are_the_same_exactly_when_people_typed_the_same_letters(typed: str) -> None:
    once = password(typed)
    assert once == password(unicodedata.normalize("NFC", typed)) == password(unicodedata.normalize("NFD", typed))
    if typed.swapcase() != typed and unicodedata.normalize("NFC", typed.swapcase()) != unicodedata.normalize("NFC", typed):
        assert password(typed.swapcase() + "x") != password(typed + "x")


@pytest.mark.parametrize("space", [c for c in map(chr, range(0x3001)) if unicodedata.category(c) == "Zs"], ids=lambda c: f"U+{ord(c):04X}")
def test_every_space_of_unicode_is_a_plain_one_inside_and_none_at_the_ends(space: str) -> None:
    assert a_line(f"{space}Ann{space}Lee{space}") == "Ann Lee"
    assert password(f"{space}correct{space}horse") == " correct horse"
    assert login_name(f"{space}ann_lee{space}") == "ann_lee"
    assert refusal(login_name, f"ann{space}lee") == "not_a_login_name"
