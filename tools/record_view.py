"""A record as people and machines see it: null, empty and missing look different, bytes stay bytes, numbers keep their digits.

What a message declares as sealed is shown as `sealed`, whatever stands in it; nothing is ever opened (DESIGN 3).
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from bus.record import Headers, Record
from tools.output import Verbatim, instant, printable, to_json
from topics import BY_TYPE

SEALED: Final = "sealed"
TYPE_HEADER: Final = "type"
_SEALED_VALUE = re.compile(r"s1\.[a-z0-9]{1,16}\.[A-Za-z0-9_-]+")


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its order and its repeated names."""


def type_of(headers: Headers) -> str | None:
    """The message type that the first `type` header names, if it is text."""
    return header(headers, TYPE_HEADER)


def header(headers: Headers, name: str) -> str | None:
    """The first header of this name as text; None when there is none or it is no text."""
    for found, value in headers:
        if found == name and value is not None:
            try:
                return value.decode()
            except UnicodeDecodeError:
                return None
    return None


def described(content: bytes | None) -> tuple[str, Any]:
    """(kind, as JSON has it): null, empty, text, or bytes in hexadecimal."""
    if content is None:
        return "null", None
    if not content:
        return "empty", ""
    try:
        return "text", _SEALED_VALUE.sub(SEALED, content.decode())
    except UnicodeDecodeError:
        return "bytes", {"hex": content.hex()}


def value_described(content: bytes | None, sealed_fields: frozenset[str]) -> tuple[str, Any]:
    """As `described`, and kind `json` where the value is JSON: its numbers are printed with the digits that they came with."""
    kind, text = described(content)
    if kind != "text" or content is None:
        return kind, text
    try:
        # as text: of bytes json.loads would guess UTF-16, or skip a byte order mark
        tree = json.loads(content.decode(), object_pairs_hook=_Pairs, parse_int=Verbatim, parse_float=Verbatim, parse_constant=_refuse)
        return "json", Verbatim(_written(tree, sealed_fields))
    except (ValueError, RecursionError):
        return kind, text


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _written(tree: Any, sealed_fields: frozenset[str]) -> str:
    if isinstance(tree, _Pairs):
        pairs = ((k, SEALED if k in sealed_fields and v is not None else v) for k, v in tree)
        return "{" + ",".join(f"{to_json(k)}:{_written(v, sealed_fields)}" for k, v in pairs) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(_written(item, sealed_fields) for item in tree) + "]"
    if isinstance(tree, str) and not isinstance(tree, Verbatim):
        return to_json(_SEALED_VALUE.sub(SEALED, tree))
    return to_json(tree)


def sealed_fields(headers: Headers) -> frozenset[str]:
    """What the record's message type declares as sealed; of an unknown type, whatever any message seals."""
    known = BY_TYPE.get(type_of(headers) or "")
    return known.sealed if known else frozenset().union(*(message.sealed for message in BY_TYPE.values()))


def as_row(record: Record) -> dict[str, Any]:
    """The record for `--json`; `odd_time` marks a timestamp that cannot be meant, its number stands beside (CASES B16)."""
    key_kind, key = described(record.key)
    value_kind, value = value_described(record.value, sealed_fields(record.headers))
    time = instant(record.timestamp_ms)
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "time": time,
        "timestamp_ms": record.timestamp_ms,
        "odd_time": time is None,
        "appended_ms": record.appended_ms,
        "type": type_of(record.headers),
        "key_kind": key_kind,
        "key": key,
        "value_kind": value_kind,
        "value": value,
        "headers": [[name, described(content)[1]] for name, content in record.headers],
    }


def as_lines(record: Record) -> str:
    """The record for a terminal: where and when, key and type; then its headers; then its value."""
    when = instant(record.timestamp_ms) or f"{record.timestamp_ms} (odd time)"
    kind, value = value_described(record.value, sealed_fields(record.headers))
    lines = [f"{record.topic}/{record.partition}@{record.offset}  {when}  key {_shown(*described(record.key))}"]
    lines.append("  headers  " + (headers_line(record.headers) or "<none>"))
    lines.append("  value    " + _shown(kind, value))
    return "\n".join(lines) + "\n"


def headers_line(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """The headers as they stood, in order; null, empty and bytes that are no text look different."""
    return "  ".join(f"{printable(name) or '<empty name>'}={_shown(*described(content))}" for name, content in headers)


def _shown(kind: str, value: Any) -> str:
    """Text stands in quotes, so that it cannot pass for one of the marks."""
    match kind:
        case "null" | "empty":
            return f"<{kind}>"
        case "bytes":
            return f"<bytes {value['hex']}>"
        case "json":
            return printable(str(value))
    return to_json(value)
