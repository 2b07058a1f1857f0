"""What may be in a log line: anything at all, and still it is one line, hides what is secret and fails nobody."""

import decimal
import enum
import io
import json
import logging
from collections import UserDict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import logs


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Colour(enum.IntEnum):
    RED = 1


class Clever(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "two\nlines"


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
ENDLESS_MAPPING: dict[str, Any] = {}
ENDLESS_MAPPING["again"] = ENDLESS_MAPPING


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, ours = root.handlers[:], root.level, logging.getLogger(logs.ROOT).level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(logs.ROOT).setLevel(ours)
    logging.captureWarnings(False)


def line_of(format: str, **fields: Any) -> str:
    out = io.StringIO()
    logs.configure(format=format, stream=out)
    logs.get("part").info("said", **fields)
    text = out.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n") and len(text.splitlines()) == 1
    return text[:-1]


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param(True, True, id="a truth"),
        pytest.param(-(2**70), -(2**70), id="a number beyond 64 bits"),
        pytest.param(10**5000, "<an integer of 16610 bits>", id="5,000 digits"),
        pytest.param(-(10**5000), "<an integer of 16610 bits>", id="5,000 negative digits"),
        pytest.param([10**5000], ["<an integer of 16610 bits>"], id="5,000 digits in a list"),
        pytest.param(float("nan"), "nan", id="no number"),
        pytest.param(float("-inf"), "-inf", id="endless"),
        pytest.param(-0.0, -0.0, id="minus nothing"),
        pytest.param(decimal.Decimal("NaN"), "NaN", id="a decimal that is no number"),
        pytest.param(Colour.RED, 1, id="an enumeration"),
        pytest.param(b"\x00\n", "<2 bytes>", id="bytes"),
        pytest.param(bytearray(3), "<3 bytes>", id="a byte array"),
        pytest.param((1, (2,)), [1, [2]], id="tuples"),
        pytest.param(frozenset({7}), [7], id="a set"),
        pytest.param({1: 2, (3, 4): None}, {"1": 2, "(3, 4)": None}, id="keys of any kind"),
        pytest.param(UserDict(token="x", name="y"), {"token": "***", "name": "y"}, id="another kind of mapping"),
        pytest.param(ENDLESS, [[[[[["…"]]]]]], id="a list of itself"),
        pytest.param(ENDLESS_MAPPING, {"again": {"again": {"again": {"again": {"again": {"again": "…"}}}}}}, id="a mapping of itself"),
        pytest.param(ValueError("a\nb"), "a\nb", id="an error"),
        pytest.param(Unprintable(), "<Unprintable that cannot be printed>", id="an object without a text"),
        pytest.param([Unprintable()], ["<Unprintable that cannot be printed>"], id="one in a list"),
        pytest.param({Unprintable(): 1}, {"<Unprintable that cannot be printed>": 1}, id="one as a key"),
        pytest.param("\ud800", "\ud800", id="half a character"),
        pytest.param("\r\n\u2028\u2029\x85\x0b\x0c\x1c", "\r\n\u2028\u2029\x85\x0b\x0c\x1c", id="everything that ends a line"),
    ],
)
def test_a_line_holds_any_value(value: object, printed: object) -> None:
    line = json.loads(line_of("json", v=value))
    assert line["v"] == printed and type(line["v"]) is type(printed)
    assert line_of("console", v=value)


def test_a_text_with_a_will_of_its_own_makes_no_second_line() -> None:
    line_of("console", v=Clever("x"), **{Clever("name"): 1})
    line_of("json", v=Clever("x"))


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("password", True),
        ("PASSWORD", True),
        ("old-password-again", True),
        ("lookup_token", True),
        ("tokens_left", True),
        ("secrets", True),
        ("idempotency_key", True),
        ("cookie", True),
        ("Real-Name", True),
        ("bank-card", True),
        ("id_number", True),
        ("phone", True),
        ("user_name", False),
        ("mobile_count", False),
        ("cards", False),
        ("id", False),
        ("key", False),
        ("idempotent", False),
        ("pass", False),
    ],
)
@pytest.mark.parametrize("format", ["json", "console"])
def test_a_field_is_hidden_by_its_name_however_it_is_spelt(name: str, hidden: bool, format: str) -> None:
    assert ("hunter2" in line_of(format, **{name: "hunter2"})) is not hidden
    assert ("hunter2" in line_of(format, body=[{name: {"deep": "hunter2"}}])) is not hidden


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        pytest.param("s1.k1.QUJD", "s1.***", id="alone"),
        pytest.param("<s1.k1.QUJD>", "<s1.***>", id="inside"),
        pytest.param("s1.k1.QUJD,s1.k2.REVG", "s1.***,s1.***", id="two"),
        pytest.param("s1.k1.", "s1.***", id="an empty one"),
        pytest.param("s2.k1.QUJD", "s2.k1.QUJD", id="not ours"),
        pytest.param("kafka://me:hunter2@b:1", "kafka://me:***@b:1", id="a URL"),
        pytest.param("from kafka://me:a@b to pg://you:c@d", "from kafka://me:***@b to pg://you:***@d", id="two URLs"),
        pytest.param("http://host:8080/a@b", "http://host:8080/a@b", id="a port is no password"),
        pytest.param("mail me@there", "mail me@there", id="no URL"),
        pytest.param("1 error, input_value='hunter2', input_type=str]", "1 error, input_value=***, input_type=str]", id="a validation"),
        pytest.param("input_value={'a':\n'hunter2'}", "input_value=***", id="one without its end"),
    ],
)
def test_what_is_secret_inside_a_text_is_cut_out_and_nothing_else(text: str, printed: str) -> None:
    assert logs.mask(text) == printed
    assert logs.mask({"a": [text]}) == {"a": [printed]}
    assert logs.mask(ValueError(text)) == printed


@pytest.mark.parametrize("place", [0, 3_990, 4_000, 30_000, 59_980], ids=lambda at: f"at {at}")
def test_a_secret_in_a_long_text_is_not_saved_by_the_cut(place: int) -> None:
    text = "x" * place + " s1.k1.QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo " + "x" * (60_000 - place)
    assert "QUJD" not in logs.mask(text)
    assert len(logs.mask(text)) < logs.VALUE_CHARS_MAX + 100


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(anything)
def test_whatever_is_in_it_a_line_of_json_is_read_back_and_masked_twice_is_masked_once(value: Any) -> None:
    printed = json.loads(line_of("json", v=value))["v"]
    assert logs.mask(printed) == printed
    assert line_of("console", v=value)
