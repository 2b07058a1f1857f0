"""Records that nobody can read, each with the reason that its dead letter must have (CASES B13, B14).

And odd ones that are good all the same.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agents.runtime.envelope import MESSAGE_ID, TYPE, VERSION
from bus.record import Headers, Outgoing

Change = Callable[[Outgoing], Outgoing]

HUGE_BYTES: Final = 900 * 1024
DEPTH: Final = 10_000


@dataclass(frozen=True)
class Poison:
    """How a good record is spoilt, and the reason of the dead letter."""

    name: str
    reason: str
    spoil: Change


def _value(value: bytes | None) -> Change:
    return lambda good: good._replace(value=value)


def _key(key: bytes | None) -> Change:
    return lambda good: good._replace(key=key)


def _headers(change: Callable[[Headers], Headers]) -> Change:
    return lambda good: good._replace(headers=change(good.headers), packed=None)


def _with(name: str, value: bytes | None) -> Change:
    """The header has this value instead."""
    return _headers(lambda headers: tuple((n, value if n == name else v) for n, v in headers))


def _without(name: str) -> Change:
    return _headers(lambda headers: tuple(pair for pair in headers if pair[0] != name))


def _also(*more: tuple[str, bytes | None]) -> Change:
    return _headers(lambda headers: (*headers, *more))


POISONS: Final = (
    Poison("null value", "no_value", _value(None)),
    Poison("empty value", "empty_value", _value(b"")),
    Poison("null key", "no_key", _key(None)),
    Poison("empty key", "empty_key", _key(b"")),
    Poison("key of odd bytes", "unusable_key", _key(b"\xff\xfe")),
    Poison("no headers", "no_type", _headers(lambda _: ())),
    Poison("body null", "bad_schema", _value(b"null")),
    Poison("body list", "bad_schema", _value(b"[]")),
    Poison("body text", "bad_schema", _value(b'"x"')),
    Poison("body cut off", "bad_json", _value(b'{"seq":1')),
    Poison("body of odd bytes", "bad_json", _value(b"\xff\xfe\x00")),
    Poison("body too deep", "bad_json", _value(b"[" * DEPTH + b"]" * DEPTH)),
    Poison("a number that is a text", "bad_schema", _value(b'{"seq":"one","filler":""}')),
    Poison("a lone surrogate", "bad_json", _value(b'{"seq":1,"filler":"\\ud800"}')),
    Poison("a NUL in a text", "unstorable", _value(b'{"seq":1,"filler":"\\u0000"}')),
    Poison("valid but huge", "too_large", _value(b'{"seq":1,"filler":"' + b"x" * HUGE_BYTES + b'"}')),
    Poison("no type", "no_type", _without(TYPE)),
    Poison("unknown type", "unknown_type", _with(TYPE, b"bench.Nothing")),
    Poison("unknown version", "unknown_version", _with(VERSION, b"99")),
    Poison("no message id", "no_message_id", _without(MESSAGE_ID)),
    Poison("message id that is none", "unusable_message_id", _with(MESSAGE_ID, b"42")),
    Poison("null message id", "unusable_header", _with(MESSAGE_ID, None)),
    Poison("message id of odd bytes", "unusable_header", _with(MESSAGE_ID, b"\xff")),
    Poison("message id with a line and ESC", "unusable_header", _with(MESSAGE_ID, b"a\n\x1b[31mb")),
    Poison("two message ids", "ambiguous_header", _also((MESSAGE_ID, b"11111111-1111-4111-8111-111111111111"))),
)

# Headers that are not ours say nothing to the runtime: these records are handled.
ODDITIES: Final = (
    _also(("x-null", None)),
    _also(("x-bytes", b"\xff")),
    _also(("", b"no name")),
    _also(("中文", b"\xe4\xb8\xad")),
    _also(*((f"x-{n}", b"1") for n in range(200))),
    _also(("x-twice", b"1"), ("x-twice", b"2")),
)


def odd(good: Outgoing, chance: random.Random) -> Outgoing:
    """The record with headers that look odd and change nothing."""
    return chance.choice(ODDITIES)(good)
