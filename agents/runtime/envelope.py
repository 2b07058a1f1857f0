"""The headers of a record (DESIGN 4) and the way from a record to a message and back.

Identity is strict: a header that names the message, its type, trace or principal may stand once, as printable text;
anything else is not guessed at but becomes a dead letter with its reason.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import orjson
from pydantic import ValidationError

from agents.runtime.decision import Message
from bus.record import Headers, Outgoing, Record, pack_headers
from config.limits import KEY_CHARS_MAX, MESSAGE_BYTES_MAX

MESSAGE_ID = "message-id"
TYPE = "type"
VERSION = "schema-version"
TRACE = "trace-id"
CAUSATION = "causation-id"
PRINCIPAL = "principal"
REPLY_TO = "reply-to"
TIME = "time"
CONTENT_MAC = "content-mac"

_OURS = frozenset((MESSAGE_ID, TYPE, VERSION, TRACE, CAUSATION, PRINCIPAL, REPLY_TO, TIME, CONTENT_MAC))
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_PLAIN = re.compile(rb"[!-~]+")
PLAIN_BYTES_MAX = 200
_NUL = rb"\u0000"
_SIMPLE = (str, bool, type(None))
_INT64 = range(-(2**63), 2**63)

Registry = Mapping[str, type[Message]]


class Undecodable(Exception):
    """This record can never be a message of this service: `reason` is a stable code, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in detail[:500])


class Delivery(NamedTuple):
    """A record that is a message: who it is for, which message it is, and where it stood."""

    record: Record
    actor: str
    id: str
    trace: str
    principal: str
    reply_to: str | None
    mac: str | None
    sent_ms: int
    message: Message


class Origin(NamedTuple):
    """What a message inherits from the one that caused it."""

    causation: str
    trace: str
    principal: str


def decode(record: Record, registry: Registry) -> Delivery:
    """Read a record as one of the registry's messages. Raises Undecodable with the reason, never anything else."""
    headers = _identity(record.headers)
    kind = registry.get(headers.get(TYPE, ""))
    if kind is None:
        raise Undecodable("unknown_type" if TYPE in headers else "no_type", repr(headers.get(TYPE))[:200])
    if headers.get(VERSION) != str(kind.version):
        raise Undecodable("unknown_version", f"{kind.type} version {headers.get(VERSION)!r}, known is {kind.version}")
    message_id = headers.get(MESSAGE_ID, "")
    if not _UUID.fullmatch(message_id):
        raise Undecodable("unusable_message_id" if MESSAGE_ID in headers else "no_message_id", repr(message_id)[:200])
    actor = _actor(record.key)
    return Delivery(
        record,
        actor,
        message_id,
        headers.get(TRACE) or actor,
        headers.get(PRINCIPAL, "anonymous"),
        headers.get(REPLY_TO),
        headers.get(CONTENT_MAC),
        _time(headers.get(TIME), record.timestamp_ms),
        _body(record.value, kind),
    )


def _identity(headers: Headers) -> dict[str, str]:
    """Our headers as text. Measured: the usual case is one look at all the values instead of one at each."""
    ours = [pair for pair in headers if pair[0] in _OURS]
    found = dict(ours)
    if len(found) != len(ours):
        names = [name for name, _ in ours]
        raise Undecodable("ambiguous_header", f"header {next(n for n in names if names.count(n) > 1)} stands more than once")
    values = [value for value in found.values() if value]
    if len(values) == len(found) and max(map(len, values), default=1) <= PLAIN_BYTES_MAX and _PLAIN.fullmatch(b"".join(values)):
        return {name: value.decode("ascii") for name, value in zip(found, values, strict=True)}
    if not found:
        return {}
    name, odd = next((n, v) for n, v in ours if not v or len(v) > PLAIN_BYTES_MAX or not _PLAIN.fullmatch(v))
    raise Undecodable("unusable_header", f"header {name} is {odd!r}"[:300])


def _actor(key: bytes | None) -> str:
    if key is None:
        raise Undecodable("no_key", "the key is null: it names no actor")
    if not key:
        raise Undecodable("empty_key", "the key is empty: it names no actor")
    if len(key) > KEY_CHARS_MAX or not _PLAIN.fullmatch(key):
        raise Undecodable("unusable_key", f"the key is {key[:200]!r}")
    return key.decode("ascii")


def _time(text: str | None, otherwise_ms: int) -> int:
    return int(text) if text is not None and text.isdigit() and len(text) <= 18 else otherwise_ms


def _body(value: bytes | None, kind: type[Message]) -> Message:
    if value is None:
        raise Undecodable("no_value", "the value is null")
    if not value:
        raise Undecodable("empty_value", "the value is empty")
    if len(value) > MESSAGE_BYTES_MAX:
        raise Undecodable("too_large", f"{len(value)} bytes, the limit is {MESSAGE_BYTES_MAX}")
    try:
        message = kind.model_validate_json(value)
    except ValidationError as exc:
        reason = "bad_json" if exc.errors(include_input=False, include_url=False)[0]["type"] == "json_invalid" else "bad_schema"
        raise Undecodable(reason, _without_values(exc)) from None
    if not _numbers_fit(message) or (_NUL in value and not _storable(message.model_dump())):
        raise Undecodable("unstorable", "a text holds NUL, or a number has more than 64 bits: no database can keep it")
    return message


def _numbers_fit(message: Message) -> bool:
    """Whether every whole number has 64 bits at most; looks into what is nested only where something is."""
    for value in message.__dict__.values():
        kind = type(value)
        if (kind is int and value not in _INT64) or (kind is not int and kind not in _SIMPLE and not _storable(message.model_dump())):
            return False
    return True


def _storable(value: object) -> bool:
    """Whether every text and number in it fits a column (DESIGN 1, loop step 1); lone surrogates are no JSON, so there are none."""
    match value:
        case str():
            return "\0" not in value
        case int():
            return value in _INT64
        case dict():
            return all(_storable(each) for pair in value.items() for each in pair)
        case list() | tuple():
            return all(_storable(each) for each in value)
        case _:
            return True


def _without_values(exc: ValidationError) -> str:
    """Where and what is wrong, without the value itself: it may be sealed or secret."""
    return "; ".join(f"{'/'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors(include_input=False, include_url=False)[:5])


def body(message: Message, key: str) -> bytes:
    """The value of a message to `key`. Asserts the size limit of DESIGN 1 (512 KB) where the message is made."""
    value = orjson.dumps(message.model_dump())
    assert len(value) <= MESSAGE_BYTES_MAX, f"{message.type} for {key} has {len(value)} bytes, the limit is {MESSAGE_BYTES_MAX}"
    return value


@cache
def _kind(message: type[Message]) -> tuple[tuple[str, bytes], ...]:
    return (TYPE, message.type.encode()), (VERSION, b"%d" % message.version)


def encode(
    message: Message, *, key: str, message_id: str, origin: Origin, now_ms: int, reply_to: str | None = None, mac: str | None = None
) -> Outgoing:
    """The record of a message, its size asserted as by `body`."""
    value = body(message, key)
    headers = [
        (MESSAGE_ID, message_id.encode()),
        *_kind(type(message)),
        (TRACE, origin.trace.encode()),
        (CAUSATION, origin.causation.encode()),
        (PRINCIPAL, origin.principal.encode()),
        (TIME, b"%d" % now_ms),
    ]
    if reply_to is not None:
        headers.append((REPLY_TO, reply_to.encode()))
    if mac is not None:
        headers.append((CONTENT_MAC, mac.encode()))
    kept = tuple(headers)
    return Outgoing(message.topic, key.encode(), value, kept, now_ms, None, pack_headers(kept))
