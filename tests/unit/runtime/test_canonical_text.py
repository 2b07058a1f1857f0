import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.canonical import Unacceptable, login_name, password, text

ANYTHING = st.text(st.characters(), max_size=80)
UNSEEN = [
    "\x00",
    "\t",
    "\n",
    "\x1b",
    "\x7f",
    "\u0085",
    "\u00ad",
    "\u200b",
    "\u200d",
    "\u200f",
    "\u202e",
    "\u2066",
    "\u2028",
    "\ufeff",
    "\ud800",
]
BLANK = ["\u034f", "\u115f", "\u180e", "\u2060", "\u2800", "\u3164", "\uffa0", "\ufffe", "\ufdd0", "\U000e0001", "\U000e0101", "\U0010ffff"]


def code(call: Callable[[], object]) -> str:
    with pytest.raises(Unacceptable) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize("character", UNSEEN + BLANK)
@pytest.mark.parametrize("around", ["{}", "a{}b", "name{}", "{}name"])
def test_what_cannot_be_seen_is_in_no_text_and_in_no_name(character: str, around: str) -> None:
    typed = around.format(character)
    assert code(lambda: text(typed, max_chars=40)) == "forbidden_character"
    assert code(lambda: login_name(typed)) == "forbidden_character"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("  李明  ", "李明"),
        ("u\u0308ber", "über"),
        ("Ann\u00a0Lee\u3000", "Ann Lee"),
        ("한", "한"),
        ("喜欢❤\ufe0f👍", "喜欢❤\ufe0f👍"),
        ("\u212b", "Å"),
        ("𱍐某", "𱍐某"),
    ],
)
def test_text_is_nfc_with_plain_spaces_and_none_at_its_ends(typed: str, stored: str) -> None:
    assert text(typed, max_chars=20) == stored


def test_text_keeps_what_only_compatibility_would_fold() -> None:
    assert text("ﬁn①", max_chars=5) == "ﬁn①"


@pytest.mark.parametrize("value", [None, 1, True, b"x", ["x"], {"a": 1}])
def test_only_text_is_text(value: object) -> None:
    for take in (login_name, password, lambda v: text(v, max_chars=5)):
        with pytest.raises(Unacceptable, match="not_text"):
            take(value)


def test_length_counts_the_canonical_form() -> None:
    assert text("u\u0308" * 5, max_chars=5) == "ü" * 5
    assert code(lambda: text("abcdef", max_chars=5)) == "too_long"
    assert code(lambda: text("   ", max_chars=5)) == "too_short"
    assert text("", max_chars=5, min_chars=0) == ""


def test_a_huge_text_is_refused_before_it_is_normalized() -> None:
    assert code(lambda: text("a" + "\u0300\u0316" * 5_000_000, max_chars=100)) == "too_long"


@given(ANYTHING)
def test_any_text_is_accepted_in_a_form_that_stays_or_refused(typed: str) -> None:
    try:
        once = text(typed, max_chars=40)
    except Unacceptable:
        return
    assert text(once, max_chars=40) == once == unicodedata.normalize("NFC", once)
    assert 1 <= len(once) <= 40
    assert once == once.strip()
    assert not {unicodedata.category(c) for c in once} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    "typed",
    [
        "lin_xiao",
        "Lin_Xiao",
        "LIN_XIAO",
        "ｌｉｎ＿ｘｉａｏ",
        "ＬＩＮ＿ＸＩＡＯ",
        "lin_xiao ",
        "　lin_xiao\u00a0",
        "𝓁𝒾𝓃_𝓍𝒾𝒶ℴ",
        "lin_xİao",
        "lin_xi\u0307ao",
    ],
)
def test_case_d11_one_login_name_in_other_letters_is_one_name(typed: str) -> None:
    assert login_name(typed) == "lin_xiao"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("jürgen", "ju\u0308rgen"),
        ("ﬁn_chen", "fin_chen"),
        ("İlke", "ilke"),
        ("straße", "STRASSE"),
        ("ſam", "sam"),
        ("١٢٣x", "123x"),
        ("K12", "k12"),
    ],
)
def test_case_d11_pairs_that_look_the_same_are_the_same(one: str, other: str) -> None:
    assert login_name(one) == login_name(other)


@pytest.mark.parametrize(
    "typed", ["lin_xiao\u200b", "lin\u2060_xiao", "\ufefflin_xiao", "lin_xiao\u202e", "lin\ufe0f_xiao", "l\u0131\u0307n_xiao"]
)
def test_case_d11_a_name_with_something_unseen_in_it_is_refused(typed: str) -> None:
    assert code(lambda: login_name(typed)) in {"forbidden_character", "not_a_login_name"}


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("lin xiao", "not_a_login_name"),
        ("lin@xiao", "not_a_login_name"),
        ("lin/xiao", "not_a_login_name"),
        ("名😀字", "not_a_login_name"),
        ("n\u0302\u0302\u0302x", "not_a_login_name"),
        ("\u0302abc", "not_a_login_name"),
        ("...", "not_a_login_name"),
        ("___", "not_a_login_name"),
        ("ab", "too_short"),
        ("a" * 33, "too_long"),
        ("a" * 1_000_000, "too_long"),
        ("13800000000", "looks_like_a_mobile"),
        ("１３８００００００００", "looks_like_a_mobile"),
        ("138-0000-0000", "looks_like_a_mobile"),
        ("8613800000000", "looks_like_a_mobile"),
        ("0086_13800000000", "looks_like_a_mobile"),
        ("١٣٨٠٠٠٠٠٠٠٠", "looks_like_a_mobile"),
        ("lin_xiаo", "mixed_scripts"),
        ("οlga", "mixed_scripts"),
        ("сосо", "looks_like_another"),
        ("сосо_1", "looks_like_another"),
    ],
)
def test_a_name_that_is_none_or_looks_like_something_else_is_refused(typed: str, why: str) -> None:
    assert code(lambda: login_name(typed)) == why


@pytest.mark.parametrize(
    "typed", ["李小明", "li小明3", "ольга", "κώστας", "さくら_li", "मीरा", "สมชาย", "김철수", "12345", "a.b-c_d", "13800000000a"]
)
def test_names_of_any_script_are_names(typed: str) -> None:
    assert login_name(typed) == login_name(login_name(typed))


NAMES = st.text(st.one_of(st.sampled_from("aAiIıİjſßﬁⅨ₁０-_. \u0307\u0308\u0301\u200bКкѕοΣςǅ"), st.characters()), min_size=1, max_size=12)


@given(NAMES)
def test_a_login_name_is_in_a_form_that_stays_under_every_folding(typed: str) -> None:
    try:
        once = login_name(typed)
    except Unacceptable:
        return
    assert login_name(once) == once
    assert login_name(once.upper()) == once or once.upper().casefold() != once
    assert unicodedata.normalize("NFKC", once) == once == unicodedata.normalize("NFKC", once.casefold())
    assert 3 <= len(once) <= 32
    assert not any(c.isspace() for c in once)


def test_a_password_keeps_its_letters_and_its_spaces() -> None:
    assert password(" Correct Horse ") == " Correct Horse "
    assert password("pass\u3000word") == "pass word"
    assert password("u\u0308" * 8) == "ü" * 8
    assert password("ﬁ①２３４５６７") == "ﬁ①２３４５６７"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("short", "too_short"),
        ("a" * 129, "too_long"),
        ("a" * 10_000_000, "too_long"),
        ("12345678\x00", "forbidden_character"),
        ("12345678\ud800", "forbidden_character"),
        ("12345678\n", "forbidden_character"),
    ],
)
def test_a_password_that_no_hash_should_see_is_refused(typed: str, why: str) -> None:
    assert code(lambda: password(typed)) == why


@given(st.text(st.characters(), max_size=140))
def test_a_password_stays_in_its_form(typed: str) -> None:
    try:
        once = password(typed)
    except Unacceptable:
        return
    assert password(once) == once
    assert 8 <= len(once) <= 128


@pytest.mark.parametrize("take", [password, login_name, lambda v: text(v, max_chars=20)])
def test_no_refusal_repeats_what_was_typed(take: Callable[[object], str]) -> None:
    with pytest.raises(Unacceptable) as caught:
        take("Secr3t word\x00")
    assert "Secr3t" not in str(caught.value)
