import json
from typing import Any

import pytest

from bus.record import Headers, Record
from tools.output import to_json
from tools.record_view import as_lines, as_row, header, type_of

SEALED_MOBILE = "s1.k1.AAAAAAAAAAAAAAAAAAAAAAAAAAAA"
REGISTER: Headers = (("type", b"users.Register"),)


def a_record(
    value: bytes | None = b"{}", *, key: bytes | None = b"k", headers: Headers = (), timestamp_ms: int = 1_795_568_361_844
) -> Record:
    return Record("users.commands", 0, 12, timestamp_ms, 1_795_568_361_900, key, value, headers)


def shown(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(to_json(as_row(record)))
    return row


@pytest.mark.parametrize(
    ("content", "kind", "value"),
    [
        (None, "null", None),
        (b"", "empty", ""),
        (b"null", "json", None),
        (b'""', "json", ""),
        (b"[]", "json", []),
        (b'"x"', "json", "x"),
        (b"x", "text", "x"),
        (b"<null>", "text", "<null>"),
        (b"\xff\xfe", "bytes", {"hex": "fffe"}),
        (b"NaN", "text", "NaN"),
    ],
)
def test_null_empty_missing_text_and_bytes_look_different(content: bytes | None, kind: str, value: Any) -> None:
    row = shown(a_record(content))
    assert (row["value_kind"], row["value"]) == (kind, value)


def test_every_odd_value_has_lines_of_its_own_on_a_terminal() -> None:
    contents = [None, b"", b"null", b'""', b"x", b"<null>", b"<empty>", b"\xff", b"<bytes ff>"]
    lines = [as_lines(a_record(content)) for content in contents]
    assert len(set(lines)) == len(contents)


def test_every_odd_key_has_a_look_of_its_own() -> None:
    keys = [None, b"", b"<null>", b"null", b"\xff\xfe", b"fffe"]
    assert len({as_lines(a_record(key=key)).splitlines()[0] for key in keys}) == len(keys)
    assert len({(shown(a_record(key=key))["key_kind"], str(shown(a_record(key=key))["key"])) for key in keys}) == len(keys)


def test_headers_are_a_list_with_order_repeats_and_nulls() -> None:
    headers: Headers = (("message-id", b"a"), ("x", None), ("message-id", b"b"), ("", b""), ("编号", b"\xff"))
    assert shown(a_record(headers=headers))["headers"] == [
        ["message-id", "a"],
        ["x", None],
        ["message-id", "b"],
        ["", ""],
        ["编号", {"hex": "ff"}],
    ]
    line = as_lines(a_record(headers=headers)).splitlines()[1]
    assert line == '  headers  message-id="a"  x=<null>  message-id="b"  <empty name>=<empty>  编号=<bytes ff>'


def test_no_headers_are_said() -> None:
    assert "headers  <none>" in as_lines(a_record())


def test_a_message_id_with_newline_and_escape_stays_one_line() -> None:
    hostile = a_record(headers=(("message-id", b"a\n\x1b[2Jb"),), key=b"k\r\n", value=b"v\n\x1b[31m")
    assert len(as_lines(hostile).splitlines()) == 3
    assert "\x1b" not in as_lines(hostile)
    assert len(to_json(as_row(hostile)).splitlines()) == 1
    assert shown(hostile)["headers"] == [["message-id", "a\n\x1b[2Jb"]]


@pytest.mark.parametrize("number", ["9007199254740993", "18446744073709551617", "1.0", "1e3", "-0", "1" * 5000])
def test_numbers_are_printed_with_the_digits_that_they_came_with(number: str) -> None:
    value = f'{{"amount_fen":{number}}}'
    row = as_row(a_record(value.encode()))
    assert row["value_kind"] == "json"
    assert f'"value":{value}' in to_json(row)
    assert number in as_lines(a_record(value.encode()))


def test_repeated_names_and_order_of_a_json_value_are_kept() -> None:
    value = b'{"b":1,"a":[true,null,"x"],"b":2}'
    assert str(as_row(a_record(value))["value"]) == value.decode()


def test_json_that_is_too_deep_is_shown_as_text() -> None:
    assert as_row(a_record(b"[" * 100_000))["value_kind"] == "text"


def test_what_a_message_seals_is_shown_as_sealed_whatever_stands_in_it() -> None:
    value = b'{"id":"1","mobile":"13800000000","password_hash":"$argon2id$x","login_name":"lin"}'
    row = shown(a_record(value, headers=REGISTER))
    assert row["value"] == {"id": "1", "mobile": "sealed", "password_hash": "sealed", "login_name": "lin"}


def test_a_record_of_an_unknown_type_hides_what_any_message_seals() -> None:
    assert shown(a_record(b'{"password_hash":"x","n":1}'))["value"] == {"password_hash": "sealed", "n": 1}


@pytest.mark.parametrize("value", [f'{{"note":"to {SEALED_MOBILE}"}}', f"text {SEALED_MOBILE}", f'[["{SEALED_MOBILE}"]]'])
def test_a_sealed_value_is_not_shown_wherever_it_lies(value: str) -> None:
    record = a_record(value.encode(), key=SEALED_MOBILE.encode(), headers=(("x", SEALED_MOBILE.encode()),))
    assert "s1.k1" not in to_json(as_row(record))
    assert "s1.k1" not in as_lines(record)


@pytest.mark.parametrize("odd_ms", [-1, 0, 1_795_568_361_844_000, 253_402_300_800_000, -(2**63), 2**63 - 1])
def test_an_impossible_timestamp_is_its_raw_number_with_a_mark(odd_ms: int) -> None:
    row = shown(a_record(timestamp_ms=odd_ms))
    assert (row["time"], row["timestamp_ms"], row["odd_time"]) == (None, odd_ms, True)
    assert f"{odd_ms} (odd time)" in as_lines(a_record(timestamp_ms=odd_ms))


def test_a_header_is_read_only_where_it_is_text() -> None:
    headers: Headers = (("type", b"\xff"), ("type", b"later"), ("trace-id", None), ("trace-id", b"t"))
    assert type_of(headers) is None
    assert header(headers, "trace-id") == "t"
    assert header(headers, "missing") is None
