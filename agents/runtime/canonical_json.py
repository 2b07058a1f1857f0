"""JSON as it comes in through any door: strict, exact, shallow; and the one spelling in which it is hashed (DESIGN 3).

A number with a point or an exponent is refused, whole or not: amounts are integers of fen and rates are strings, so
nothing ever passes through a binary float.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

from agents.runtime.canonical import Unacceptable

INTEGER_MAX: Final = 2**63 - 1  # what a store's column holds; the least is its negative
DEPTH_MAX: Final = 32

# A string, also one that the body ends in, or a bracket. Possessive, so that no body makes it go back.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


class _Refused(NamedTuple):
    """Stands in the tree where a value cannot be accepted, until its pointer is known."""

    code: str
    message: str


def parse_json(body: bytes, *, max_bytes: int, max_depth: int = DEPTH_MAX) -> Any:
    """Read one JSON text into dict, list, str, int, bool, None. Raises Unacceptable, with a pointer where there is one.

    Refused besides bad grammar: too large, not UTF-8, a byte order mark, too deep (before any recursion), a repeated
    key, NaN and Infinity, -0, a number with point or exponent, integers beyond 64 bits, lone surrogates.
    """
    if len(body) > max_bytes:
        raise Unacceptable("too_large", f"the body is longer than {max_bytes} bytes")
    _refuse_depth(body, max_depth)
    tree = _decode(body)
    for pointer, found in _leaves(tree):
        raise Unacceptable(found.code, found.message, pointer)
    return tree


def canonical_bytes(value: Any) -> bytes:
    """The one spelling of what `parse_json` returned: sorted keys, no spaces, UTF-8. Raises Unacceptable for what JSON cannot say."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as exc:
        raise Unacceptable("not_json", f"this cannot be written as JSON: {type(exc).__name__}") from exc


def _refuse_depth(body: bytes, max_depth: int) -> None:
    depth = 0
    for token in _TOKEN.finditer(body):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                if depth > max_depth:
                    raise Unacceptable("too_deep", f"arrays and objects stand in each other at most {max_depth} deep")
            case b"]" | b"}":
                depth -= 1


def _decode(body: bytes) -> Any:
    if body.startswith(b"\xef\xbb\xbf"):
        raise Unacceptable("byte_order_mark", "JSON begins without a byte order mark")
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer, parse_float=_not_whole, parse_constant=_not_a_number
        )
    except UnicodeDecodeError as exc:
        raise Unacceptable("not_utf8", f"the body is not UTF-8 at byte {exc.start}") from exc
    except json.JSONDecodeError as exc:
        raise Unacceptable("not_json", f"the body is not JSON at character {exc.pos}") from exc


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Refused:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Refused("duplicate_key", "a key stands twice in one object")


def _integer(digits: str) -> int | _Refused:
    if digits == "-0":
        return _Refused("not_an_integer", "there is no minus zero")
    if len(digits) > len(str(-INTEGER_MAX)) or abs(int(digits)) > INTEGER_MAX:
        return _Refused("integer_too_large", "an integer is at most 9223372036854775807")
    return int(digits)


def _not_whole(_: str) -> _Refused:
    return _Refused("not_an_integer", "a number is written as an integer, without point or exponent")


def _not_a_number(_: str) -> _Refused:
    return _Refused("not_a_number", "NaN and Infinity are not JSON")


def _leaves(tree: Any, pointer: str = "") -> Iterator[tuple[str, _Refused]]:
    """What cannot be accepted, with its place; no deeper than the body was allowed to be."""
    match tree:
        case _Refused():
            yield pointer, tree
        case str() if not _is_unicode(tree):
            yield pointer, _Refused("lone_surrogate", "half of a surrogate pair is no character")
        case list():
            for at, item in enumerate(tree):
                yield from _leaves(item, f"{pointer}/{at}")
        case dict():
            for key, item in tree.items():
                if not _is_unicode(key):
                    yield pointer, _Refused("lone_surrogate", "half of a surrogate pair is no character")
                yield from _leaves(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
