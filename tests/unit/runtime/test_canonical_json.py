import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.canonical import Unacceptable
from agents.runtime.canonical_json import canonical_bytes, parse_json

LIMIT = 1 << 20
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def refused(body: bytes, **limits: int) -> Unacceptable:
    with pytest.raises(Unacceptable) as caught:
        parse_json(body, **{"max_bytes": LIMIT, **limits})
    return caught.value


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (b"100.0", "not_an_integer"),
        (b"1e2", "not_an_integer"),
        (b"1E400", "not_an_integer"),
        (b"1e400", "not_an_integer"),
        (b"0.1", "not_an_integer"),
        (b"1000.5", "not_an_integer"),
        (b"-0", "not_an_integer"),
        (b"-0.0", "not_an_integer"),
        (b"NaN", "not_a_number"),
        (b"Infinity", "not_a_number"),
        (b"-Infinity", "not_a_number"),
        (b"9223372036854775808", "integer_too_large"),
        (b"-9223372036854775808", "integer_too_large"),
        (b"18446744073709551617", "integer_too_large"),
        (b"9" * 30, "integer_too_large"),
        (b"9" * 5000, "integer_too_large"),
        (b"01", "not_json"),
        (b"+1", "not_json"),
        (b"1_000", "not_json"),
        (b"0x10", "not_json"),
        (b"1.", "not_json"),
        ("１".encode(), "not_json"),
    ],
)
def test_cases_d18_m7_b29_a_number_that_is_no_integer_is_refused(number: bytes, why: str) -> None:
    assert refused(b'{"amount_fen": ' + number + b"}").code == why


@pytest.mark.parametrize("number", [0, 1, -1, 10**15, 9007199254740993, 2**63 - 1, -(2**63) + 1])
def test_case_b29_integers_are_exact(number: int) -> None:
    assert parse_json(f'{{"n": {number}}}'.encode(), max_bytes=LIMIT) == {"n": number}


def test_what_is_no_number_stays_what_it_is() -> None:
    assert parse_json(b'[true, "100", null, []]', max_bytes=LIMIT) == [True, "100", None, []]


def test_a_refused_value_is_pointed_at() -> None:
    assert refused(b'{"a": [1, {"b/c~d": 1.5}]}').pointer == "/a/1/b~1c~0d"
    assert refused(b'{"a": {"x": 1, "x": 2}}').pointer == "/a"
    assert refused(b"1.5").pointer == ""


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":', b'["\\"[",['])
def test_case_d18_depth_is_refused_before_anything_recurses(opening: bytes) -> None:
    assert refused(opening * 20_000).code == "too_deep"


def test_case_d18_twenty_thousand_nested_arrays_that_close_are_too_deep_as_well() -> None:
    assert refused(b"[" * 20_000 + b"]" * 20_000).code == "too_deep"


def test_depth_is_what_stands_in_each_other_and_not_what_stands_in_strings() -> None:
    assert parse_json(b"[" * 32 + b"]" * 32, max_bytes=LIMIT)
    assert refused(b"[" * 33 + b"]" * 33).code == "too_deep"
    assert parse_json(b"[" + b"[],[{}]," * 500 + b"1]", max_bytes=LIMIT)
    brackets = "[{" * 500 + '\\"['
    assert parse_json(json.dumps([brackets]).encode(), max_bytes=LIMIT) == [brackets]


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 500_000, b'"' + b"\\" * 1_000_001, b'["' + b"x\\" * 500_000, b'"' * 1_000_001])
def test_an_endless_string_costs_one_look(body: bytes) -> None:
    assert refused(body, max_bytes=1 << 21).code == "not_json"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not_json"),
        (b"  ", "not_json"),
        (b"{", "not_json"),
        (b"{} {}", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b'{"a": 1,}', "not_json"),
        (b"// x\n{}", "not_json"),
        (b'"a\nb"', "not_json"),
        (b'"\x00"', "not_json"),
        (b'{"a":1}\x00', "not_json"),
        (b'"\\x41"', "not_json"),
        (b'{"a": 1, "a": 1}', "duplicate_key"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_key"),
        (b'{"o": {"a": 1, "b": 2, "a": 1}}', "duplicate_key"),
        (b'"\\ud800"', "lone_surrogate"),
        (b'"\\udc00\\ud800"', "lone_surrogate"),
        (b'{"\\ud800": 1}', "lone_surrogate"),
        (b'["\\ud83d\\u0041"]', "lone_surrogate"),
        (b'"\xff"', "not_utf8"),
        (b'"\xed\xa0\x80"', "not_utf8"),
        (b'"\xc0\x80"', "not_utf8"),
        (b"\xef\xbb\xbf{}", "byte_order_mark"),
        ("{}".encode("utf-16"), "not_utf8"),
        ("{}".encode("utf-16-le"), "not_json"),
    ],
)
def test_what_is_not_one_strict_json_text_is_refused(body: bytes, why: str) -> None:
    assert refused(body).code == why


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"\r\n {} \t\n"])
def test_the_top_level_is_whatever_json_says_and_the_model_judges_it(body: bytes) -> None:
    assert parse_json(body, max_bytes=LIMIT) == json.loads(body)


def test_a_body_over_its_limit_is_not_read() -> None:
    assert refused(b"[1, 2]", max_bytes=5).code == "too_large"
    assert parse_json(b"[1,2]", max_bytes=5) == [1, 2]


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert parse_json(b'"\\ud83d\\ude00"', max_bytes=LIMIT) == "😀"


@given(VALUES)
def test_whatever_json_can_say_is_read_exactly(value: Any) -> None:
    for ascii_only in (True, False):
        assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode(), max_bytes=LIMIT) == value


@given(VALUES)
def test_the_canonical_spelling_is_a_fixed_point(value: Any) -> None:
    once = canonical_bytes(value)
    assert canonical_bytes(parse_json(once, max_bytes=LIMIT)) == once


def test_case_d14_order_and_spaces_make_no_other_content() -> None:
    one = parse_json('{"b": 1, "a": {"y": "李", "x": [1, 2]}}'.encode(), max_bytes=LIMIT)
    other = parse_json(b'{"a":{"x":[1,2],\r\n"y":"\\u674e"},"b":1}', max_bytes=LIMIT)
    assert canonical_bytes(one) == canonical_bytes(other) == '{"a":{"x":[1,2],"y":"李"},"b":1}'.encode()


@pytest.mark.parametrize("value", [{1, 2}, 2**70, "\ud800", {1: 2}, object()])
def test_what_json_cannot_say_has_no_canonical_spelling(value: object) -> None:
    with pytest.raises(Unacceptable, match="not_json"):
        canonical_bytes(value)


@given(st.one_of(st.binary(max_size=200), st.text(st.sampled_from('{}[]",:\\u0dD8.eE-+1 nulltrefasN\n'), max_size=60).map(str.encode)))
def test_no_bytes_make_anything_but_a_value_or_a_refusal(body: bytes) -> None:
    try:
        value = parse_json(body, max_bytes=LIMIT, max_depth=4)
    except Unacceptable:
        return
    assert parse_json(canonical_bytes(value), max_bytes=LIMIT) == value
