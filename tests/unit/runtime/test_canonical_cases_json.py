"""CASES D14, D16, D18: one JSON text in any of its spellings is one content, and what spoils it is found wherever it stands."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.canonical import Unacceptable
from agents.runtime.canonical_json import DEPTH_MAX, INTEGER_MAX, canonical_bytes, parse_json

LIMIT = 1 << 20
KEYS = st.text(st.sampled_from('ab/~"\\你😀\u2028 01'), max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
SPOILT = {
    "100.0": "not_an_integer",
    "1e2": "not_an_integer",
    "-0": "not_an_integer",
    "NaN": "not_a_number",
    "-Infinity": "not_a_number",
    "9223372036854775808": "integer_too_large",
    '"\\udc00"': "lone_surrogate",
    '{"x":1,"\\u0078":2}': "duplicate_key",
}
MARK = "\x00mark"


def spelt(value: Any, chance: random.Random) -> str:
    """The value as JSON with the freedom that JSON leaves: order, spaces, and any way to write a character."""
    gap = chance.choice(["", " ", "\r\n", "\t ", "\n\n"])
    if isinstance(value, str):
        return '"' + "".join(_character(c, chance) for c in value) + '"'
    if isinstance(value, list):
        return f"[{gap}{f'{gap},'.join(spelt(item, chance) for item in value)}{gap}]"
    if isinstance(value, dict):
        pairs = [f"{spelt(key, chance)}{gap}:{gap}{spelt(item, chance)}" for key, item in value.items()]
        chance.shuffle(pairs)
        return f"{{{gap}{f',{gap}'.join(pairs)}{gap}}}"
    return json.dumps(value)


def _character(c: str, chance: random.Random) -> str:
    escaped = "".join(f"\\u{unit:04x}" for unit in _utf16(c))
    short = {"/": "\\/", "\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\r": "\\r"}
    ways = [escaped, escaped.upper().replace("\\U", "\\u")]
    ways += [short[c]] if c in short else []
    ways += [c] if c >= " " and c not in '"\\' else []
    return chance.choice(ways)


def _utf16(c: str) -> list[int]:
    units = c.encode("utf-16-be")
    return [int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2)]


def read(body: str) -> Any:
    """As a door reads it."""
    return parse_json(body.encode(), max_bytes=LIMIT)


def refused(body: str, **limits: int) -> Unacceptable:
    """Why it is not read."""
    with pytest.raises(Unacceptable) as caught:
        parse_json(body.encode(), **{"max_bytes": LIMIT, **limits})
    return caught.value


@given(VALUES, st.randoms(use_true_random=False))
def test_cases_d14_d16_every_spelling_of_a_content_has_the_same_canonical_bytes(value: Any, chance: random.Random) -> None:
    assert canonical_bytes(read(spelt(value, chance))) == canonical_bytes(read(spelt(value, chance))) == canonical_bytes(value)


@given(VALUES, VALUES)
def test_two_contents_have_the_same_canonical_bytes_only_when_they_are_the_same(one: Any, other: Any) -> None:
    assert (canonical_bytes(one) == canonical_bytes(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


@pytest.mark.parametrize(("one", "other"), [
    pytest.param("[1]", "[true]", id="one and true"),
    pytest.param("[0]", "[false]", id="zero and false"),
    pytest.param('["1"]', "[1]", id="text and number"),
    pytest.param('[""]', "[null]", id="empty and null"),
    pytest.param("{}", "[]", id="object and array"),
    pytest.param('{"a":null}', "{}", id="null and missing"),
    pytest.param("[[],[]]", "[[]]", id="nesting"),
    pytest.param("[1,2]", "[2,1]", id="order of an array"),
    pytest.param('["é"]', '["e\u0301"]', id="composed and decomposed"),
    pytest.param('["a"]', '["a "]', id="a space at the end"),
    pytest.param('{"a":"b"}', '{"b":"a"}', id="exchanged"),
    pytest.param('["\\u0000"]', '["\\\\u0000"]', id="NUL and its escape"),
    pytest.param("[9007199254740992]", "[9007199254740993]", id="neighbours beyond 2^53 (B29)"),
])  # fmt: skip
def test_what_a_loose_reader_would_take_for_the_same_stays_two_contents(one: str, other: str) -> None:
    assert canonical_bytes(read(one)) != canonical_bytes(read(other))


@st.composite
def with_a_place(draw: st.DrawFn) -> tuple[Any, str]:
    """A tree in which one leaf is the mark, and the pointer to it."""
    value: Any = MARK
    pointer = ""
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            before, after = draw(st.lists(VALUES, max_size=2)), draw(st.lists(VALUES, max_size=2))
            value, pointer = [*before, value, *after], f"/{len(before)}{pointer}"
        else:
            key, others = draw(KEYS), draw(st.dictionaries(KEYS, VALUES, max_size=2))
            value, pointer = {**others, key: value}, f"/{key.replace('~', '~0').replace('/', '~1')}{pointer}"
    return value, pointer


@given(token=st.sampled_from(sorted(SPOILT)), placed=with_a_place())
def test_case_d18_a_spoilt_value_is_pointed_at_wherever_it_stands(token: str, placed: tuple[Any, str]) -> None:
    value, pointer = placed
    found = refused(json.dumps(value).replace(json.dumps(MARK), token))
    assert (found.code, found.pointer) == (SPOILT[token], pointer)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["[", '{"a":']))
def test_case_d18_a_body_is_as_deep_as_its_brackets_and_no_deeper_than_allowed(depth: int, most: int, opening: str) -> None:
    body = opening * depth + "1" + ("]" if opening == "[" else "}") * depth
    if depth > most:
        assert refused(body, max_depth=most).code == "too_deep"
    else:
        assert parse_json(body.encode(), max_bytes=LIMIT, max_depth=most) == json.loads(body)


@given(st.text(st.sampled_from('[]{}"\\,:a'), max_size=200))
def test_case_d18_brackets_in_texts_and_keys_are_not_depth(text: str) -> None:
    value = {text: [text, {text * 2: text}]}
    assert read(json.dumps(value)) == value


@pytest.mark.parametrize("body", [
    pytest.param("[" * (DEPTH_MAX + 1), id="open"),
    pytest.param('{"a":[' * DEPTH_MAX, id="both kinds"),
    pytest.param("[]" * 3 + "[" * (DEPTH_MAX + 1), id="after others"),
    pytest.param('["\\\\",' + "[" * DEPTH_MAX, id="after a text that ends in a backslash"),
    pytest.param('["\\"",' + "[" * DEPTH_MAX, id="after a text that is a quote"),
    pytest.param("]" * 5 + "[" * (DEPTH_MAX + 6), id="after brackets that close nothing"),
])  # fmt: skip
def test_case_d18_depth_is_counted_before_grammar_is_judged(body: str) -> None:
    assert refused(body).code == "too_deep"


@given(st.integers(-(2**70), 2**70))
def test_case_d18_an_integer_is_read_exactly_or_refused(number: int) -> None:
    if abs(number) <= INTEGER_MAX:
        assert read(f"[{number}]") == [number]
    else:
        assert refused(f"[{number}]").code == "integer_too_large"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_case_d18_nothing_ever_passes_through_a_binary_float(number: float) -> None:
    assert refused(f'{{"a": {number!r}}}').code == "not_an_integer"


@given(VALUES, st.integers(0, 60))
def test_a_limit_is_in_bytes_and_its_last_byte_is_allowed(value: Any, less: int) -> None:
    body = canonical_bytes(value)
    assert parse_json(body, max_bytes=len(body)) == value
    with pytest.raises(Unacceptable, match="too_large"):
        parse_json(body, max_bytes=max(0, len(body) - 1 - less))
