"""Records of any bytes (CASES B13 to B15): every line of JSON can be read, says the bytes back, and a terminal obeys none of it."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.record import Headers, Record
from tools.output import to_json
from tools.record_view import as_lines, as_row, described, header, sealed_fields
from topics import BY_TYPE

BYTES = st.one_of(st.none(), st.binary(max_size=30), st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")))
HEADERS = st.lists(st.tuples(st.text(max_size=8), BYTES), max_size=6).map(tuple)
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
NAMES = st.text(max_size=6).filter(lambda name: name not in sealed_fields(()))  # Hypothesis draws words of our sources too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def a_record(value: bytes | None, *, key: bytes | None = b"k", headers: Headers = (), timestamp_ms: int = 1_795_568_361_844) -> Record:
    return Record("users.commands", 3, 12, timestamp_ms, 1_795_568_361_900, key, value, headers)


def shown(record: Record) -> dict[str, Any]:
    """The record's JSON line, read as a stranger reads it."""
    line = to_json(as_row(record))
    assert len(line.splitlines()) == 1 and not OBEYED.search(line)
    row: dict[str, Any] = json.loads(line)
    return row


def said_back(shown_as: Any, kind: str | None = None) -> bytes | None:
    """The bytes that a field of the JSON stands for."""
    if shown_as is None or kind == "null":
        return None
    return bytes.fromhex(shown_as["hex"]) if isinstance(shown_as, dict) else str(shown_as).encode()


@given(BYTES)
def test_a_key_can_be_had_back_from_its_line(key: bytes | None) -> None:
    row = shown(a_record(b"{}", key=key))
    assert said_back(row["key"], row["key_kind"]) == key


@given(HEADERS)
def test_headers_can_be_had_back_with_order_repeats_nulls_and_names(headers: Headers) -> None:
    assert [(name, said_back(value)) for name, value in shown(a_record(b"{}", headers=headers))["headers"]] == list(headers)


@given(BYTES)
def test_a_value_that_is_no_json_can_be_had_back(value: bytes | None) -> None:
    row = shown(a_record(value))
    if row["value_kind"] != "json":
        assert said_back(row["value"], row["value_kind"]) == value


@given(JSON)
def test_a_value_that_is_json_says_the_same_whatever_is_in_it(value: Any) -> None:
    content = json.dumps(value)
    row = shown(a_record(content.encode()))
    assert (row["value_kind"], row["value"]) == ("json", json.loads(content))


@given(BYTES, BYTES)
def test_two_values_that_differ_never_look_the_same(one: bytes | None, other: bytes | None) -> None:
    assert (described(one) == described(other)) is (one == other)


@given(BYTES, BYTES, HEADERS, st.integers(-(2**63), 2**63 - 1))
def test_a_terminal_gets_three_lines_and_obeys_none(key: bytes | None, value: bytes | None, headers: Headers, at_ms: int) -> None:
    text = as_lines(a_record(value, key=key, headers=headers, timestamp_ms=at_ms))
    assert len(text.splitlines()) == text.count("\n") == 3
    assert not OBEYED.search(text)


ODD = [
    pytest.param(None, "<null>", id="null"),
    pytest.param(b"", "<empty>", id="empty"),
    pytest.param(b"<null>", '"<null>"', id="text that says null"),
    pytest.param(b"a\r\nb", r'"a\r\nb"', id="line ends"),
    pytest.param(b"\x1b[2J", r'"\u001b[2J"', id="clears a screen"),
    pytest.param(b"\x00", r'"\u0000"', id="a zero byte is text"),
    pytest.param(b"\xc2\x9b31m", r'"\u009b31m"', id="the other escape"),
    pytest.param("a\u2028b".encode(), r'"a\u2028b"', id="line separator"),
    pytest.param("\u202egnp".encode(), r'"\u202egnp"', id="turns the writing round"),
    pytest.param("\u2066x\u2069".encode(), r'"\u2066x\u2069"', id="isolates"),
    pytest.param("\ufeff{}".encode(), r'"\ufeff{}"', id="a byte order mark is not skipped"),
    pytest.param(b"\xff\xfe", "<bytes fffe>", id="no UTF-8"),
    pytest.param(b"\xc0\x80", "<bytes c080>", id="overlong zero"),
    pytest.param(b"\xed\xa0\x80", "<bytes eda080>", id="a lone surrogate is no text"),
    pytest.param(b"\xf4\x90\x80\x80", "<bytes f4908080>", id="beyond Unicode"),
    pytest.param(b"aGVsbG8=", '"aGVsbG8="', id="base64 is not guessed"),
    pytest.param("👩‍🚀".encode(), '"👩‍🚀"', id="joined emoji stays joined"),
    pytest.param(b'"\\', r'"\"\\"', id="quote and backslash"),
]


@pytest.mark.parametrize(("content", "look"), ODD)
def test_each_odd_content_has_one_look_as_value_key_and_header(content: bytes | None, look: str) -> None:
    where, headers, value = as_lines(a_record(content, key=content, headers=(("h", content),))).splitlines()
    assert where.endswith(f"  key {look}")
    assert headers == f"  headers  h={look}"
    assert value == f"  value    {look}"


@pytest.mark.parametrize(
    ("name", "look"),
    [
        pytest.param("", "<empty name>", id="empty"),
        pytest.param("编号", "编号", id="Chinese"),
        pytest.param("a\nb", r"a\x0ab", id="newline"),
        pytest.param("\x1b]0;x\x07", r"\x1b]0;x\x07", id="sets a title"),
        pytest.param("\u2029", r"\u2029", id="paragraph separator"),
        pytest.param("\ud800", r"\ud800", id="lone surrogate"),
    ],
)
def test_a_headers_name_is_shown_as_it_is_and_does_nothing(name: str, look: str) -> None:
    record = a_record(b"{}", headers=((name, b"v"), (name, None)))
    assert as_lines(record).splitlines()[1] == f'  headers  {look}="v"  {look}=<null>'
    assert shown(record)["headers"] == [[name, "v"], [name, None]]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param(b" {} ", "json", id="blanks around"),
        pytest.param(b"{}{}", "text", id="two values"),
        pytest.param(b"{", "text", id="cut off"),
        pytest.param(b"{'a':1}", "text", id="quotes of another language"),
        pytest.param(b"Infinity", "text", id="infinity"),
        pytest.param(b"[NaN]", "text", id="a NaN inside"),
        pytest.param(b"-", "text", id="a minus"),
        pytest.param(b"01", "text", id="a leading zero"),
        pytest.param(b'"\x01"', "text", id="a raw control"),
        pytest.param(b"\xef\xbb\xbf{}", "text", id="behind a byte order mark"),
        pytest.param(b"1\x002\x00", "text", id="what UTF-16 would read as 12"),
        pytest.param(b"\x00\x00\x007", "text", id="what UTF-32 would read as 7"),
        pytest.param(b"1e999", "json", id="beyond a float"),
        pytest.param(b'{"a":1,"a":2}', "json", id="a name twice"),
        pytest.param(b"[" * 50 + b"]" * 50, "json", id="fifty deep"),
    ],
)
def test_only_what_is_json_is_shown_as_json(value: bytes, kind: str) -> None:
    assert as_row(a_record(value))["value_kind"] == kind


SEALING = sorted((name, field) for name, message in BY_TYPE.items() for field in message.sealed)


@pytest.mark.parametrize(("message", "field"), SEALING, ids=lambda said: said)
@pytest.mark.parametrize("inside", [b'"%s"', b'["%s"]', b'{"deep":"%s"}'], ids=["text", "list", "object"])
def test_whatever_a_message_seals_is_never_shown_in_clear(message: str, field: str, inside: bytes) -> None:
    value = b'{"%s":%s,"again":{"%s":%s}}' % (field.encode(), inside % b"13800000000", field.encode(), inside % b"13800000000")
    record = a_record(value, headers=(("type", message.encode()),))
    assert "13800000000" not in as_lines(record) + to_json(as_row(record))
    assert shown(record)["value"] == {field: "sealed", "again": {field: "sealed"}}


@pytest.mark.parametrize("message", [None, b"", b"no.Such", b"\xff"], ids=["null", "empty", "unknown", "no text"])
def test_a_type_that_is_none_hides_what_any_message_seals(message: bytes | None) -> None:
    record = a_record(b'{"mobile":"13800000000"}', headers=(("type", message),))
    assert shown(record)["value"] == {"mobile": "sealed"}


def test_a_sealed_field_that_is_null_is_seen_to_be_null() -> None:
    assert shown(a_record(b'{"mobile":null}'))["value"] == {"mobile": None}


@given(HEADERS, st.text(max_size=3))
def test_a_header_is_the_first_of_its_name_that_has_a_value(headers: Headers, name: str) -> None:
    there = [value for found, value in headers if found == name and value is not None]
    try:
        wanted = there[0].decode() if there else None
    except UnicodeDecodeError:
        wanted = None
    assert header(headers, name) == wanted
