"""The headers of a record (DESIGN 4) and the way from a record to a message and back.

Identity is strict: a header that names the message, its type, trace or principal may stand once, as printable text;
anything else is not guessed at but becomes a dead letter with its reason.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from operator import itemgetter
from typing import NamedTuple

import orjson
from pydantic import ValidationError

from agents.runtime.decision import Message
from bus.headers import PackedHeaders, head_of, names_and_sizes, pack
from bus.record import Headers, Outgoing, Record
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

_READ = (MESSAGE_ID, TYPE, VERSION, TRACE, PRINCIPAL, REPLY_TO, CONTENT_MAC, TIME)  # in the order of `Identity`
_OURS = frozenset((*_READ, CAUSATION))
_MADE = (MESSAGE_ID, TYPE, VERSION, TRACE, CAUSATION, PRINCIPAL, TIME)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_PLAIN = re.compile(rb"[!-~]+")
PLAIN_BYTES_MAX = 200
_NUL = rb"\u0000"
_SIMPLE = (str, bool, type(None))
_PLAIN_FIELDS = (str, int, bool, str | None, int | None, bool | None)
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


class Identity(NamedTuple):
    """The headers of ours as text; empty: there is none of this name."""

    message_id: str
    type: str
    version: str
    trace: str
    principal: str
    reply_to: str
    mac: str
    time: str


class Origin(NamedTuple):
    """What a message inherits from the one that caused it."""

    causation: str
    trace: str
    principal: str


def decode(record: Record, registry: Registry) -> Delivery:
    """Read a record as one of the registry's messages. Raises Undecodable with the reason, never anything else."""
    message_id, type_, version, trace, principal, reply_to, mac, time = _identity(record.headers)
    kind = registry.get(type_)
    if kind is None:
        raise Undecodable("unknown_type", repr(type_)[:200]) if type_ else Undecodable("no_type", "no header names its type")
    if version != str(kind.version):
        raise Undecodable("unknown_version", f"{kind.type} version {version or None!r}, known is {kind.version}")
    if not _UUID.fullmatch(message_id):
        raise (
            Undecodable("unusable_message_id", repr(message_id)[:200]) if message_id else Undecodable("no_message_id", "no header names it")
        )
    actor = _actor(record.key)
    return Delivery(
        record,
        actor,
        message_id,
        trace or actor,
        principal or "anonymous",
        reply_to or None,
        mac or None,
        _time(time, record.timestamp_ms),
        _body(record.value, kind),
    )


def _identity(headers: Headers) -> tuple[str, ...]:
    """Our headers as text, as in `Identity`. Measured: cut out of the blob at once where its head says that this is safe."""
    if isinstance(headers, PackedHeaders) and (head := head_of(headers.blob)) and (cut := _cut(head)):
        values = headers.blob[len(head) :]
        if _PLAIN.fullmatch(values):
            return cut(values.decode("ascii"))
    elif headers and (pick := _pick(tuple([name for name, _ in headers]))):
        parts = [value for _, value in headers if value and len(value) <= PLAIN_BYTES_MAX]
        if len(parts) == len(headers) and _PLAIN.fullmatch(b"".join(parts)):
            return pick((*[part.decode("ascii") for part in parts], ""))
    return _looked_at(headers)


@lru_cache(maxsize=1024)
def _pick(names: tuple[str, ...]) -> Callable[[tuple[str, ...]], tuple[str, ...]] | None:
    """How an identity is picked out of the texts of headers with these names and an empty one behind them; None as for `_cut`."""
    if len(set(names)) != len(names) or not _OURS.issuperset(names):
        return None
    return itemgetter(*(names.index(name) if name in names else len(names) for name in _READ))


@lru_cache(maxsize=1024)
def _cut(head: bytes) -> Callable[[str], tuple[str, ...]] | None:
    """How an identity is cut out of the values behind this head; None: something is odd here, or not ours."""
    places = dict.fromkeys(_READ, slice(0, 0))
    found = names_and_sizes(head)
    at = 0
    for name, size in found:
        if name not in _OURS or not size or size > PLAIN_BYTES_MAX:
            return None
        places[name] = slice(at, at := at + size)
    return itemgetter(*(places[name] for name in _READ)) if found and len({name for name, _ in found}) == len(found) else None


def _looked_at(headers: Headers) -> Identity:
    """As `_identity`, header by header."""
    ours = [pair for pair in headers if pair[0] in _OURS]
    found = dict(ours)
    if len(found) != len(ours):
        names = [name for name, _ in ours]
        raise Undecodable("ambiguous_header", f"header {next(n for n in names if names.count(n) > 1)} stands more than once")
    texts = {}
    for name, value in ours:
        if not value or len(value) > PLAIN_BYTES_MAX or not _PLAIN.fullmatch(value):
            raise Undecodable("unusable_header", f"header {name} is {value!r}"[:300])
        texts[name] = value.decode("ascii")
    return Identity(*(texts.get(name, "") for name in _READ))


def _actor(key: bytes | None) -> str:
    if key is None:
        raise Undecodable("no_key", "the key is null: it names no actor")
    if not key:
        raise Undecodable("empty_key", "the key is empty: it names no actor")
    if len(key) > KEY_CHARS_MAX or not _PLAIN.fullmatch(key):
        raise Undecodable("unusable_key", f"the key is {key[:200]!r}")
    return key.decode("ascii")


def _time(text: str, otherwise_ms: int) -> int:
    return int(text) if text.isdigit() and len(text) <= 18 else otherwise_ms


def _body(value: bytes | None, kind: type[Message]) -> Message:
    if value is None:
        raise Undecodable("no_value", "the value is null")
    if not value:
        raise Undecodable("empty_value", "the value is empty")
    if len(value) > MESSAGE_BYTES_MAX:
        raise Undecodable("too_large", f"{len(value)} bytes, the limit is {MESSAGE_BYTES_MAX}")
    try:
        message: Message = kind.__pydantic_validator__.validate_json(value)
    except ValidationError as exc:
        reason = "bad_json" if exc.errors(include_input=False, include_url=False)[0]["type"] == "json_invalid" else "bad_schema"
        raise Undecodable(reason, _without_values(exc)) from None
    if value.count(b":") != len(message.__pydantic_fields_set__) and _has_a_name_twice(value):
        raise Undecodable("duplicate_key", "a name stands twice in one object")
    if not _numbers_fit(message) or (_NUL in value and not _storable(message.model_dump())):
        raise Undecodable("unstorable", "a text holds NUL, or a number has more than 64 bits: no database can keep it")
    return message


def _has_a_name_twice(value: bytes) -> bool:
    """Whether an object in it says something twice: readers would differ in which one counts.

    Only asked when there are more colons than fields, as it takes as long as everything else of a decoding together.
    """
    twice = False

    def look(pairs: list[tuple[str, object]]) -> None:
        nonlocal twice
        twice = twice or len(dict(pairs)) != len(pairs)

    json.loads(value.decode("utf-8", "replace"), object_pairs_hook=look, parse_int=str, parse_float=str, strict=False)
    return twice


@cache
def _plain_fields(kind: type[Message]) -> tuple[str, ...] | None:
    """The fields with whole numbers of a message of texts, whole numbers and truth values only, None for any other.

    Such a message is its `__dict__`: it is written and looked through without pydantic (measured: a third of the time).
    """
    fields, by_hand = kind.model_fields, kind.__pydantic_decorators__
    if by_hand.field_serializers or by_hand.model_serializers or by_hand.computed_fields:
        return None
    if any(field.annotation not in _PLAIN_FIELDS or field.exclude or field.metadata for field in fields.values()):
        return None
    return tuple(name for name, field in fields.items() if field.annotation in (int, int | None))


def _numbers_fit(message: Message) -> bool:
    """Whether every whole number has 64 bits at most; looks into what is nested only where something is."""
    held = message.__dict__
    if (numbers := _plain_fields(type(message))) is not None:
        odd = [name for name in numbers if (number := held[name]) is not None and number not in _INT64]
        return not odd
    for value in held.values():
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
    plain = _plain_fields(type(message)) is not None
    value = orjson.dumps(message.__dict__ if plain else message.model_dump())
    assert len(value) <= MESSAGE_BYTES_MAX, f"{message.type} for {key} has {len(value)} bytes, the limit is {MESSAGE_BYTES_MAX}"
    return value


@cache
def _kind(message: type[Message]) -> tuple[bytes, bytes]:
    return message.type.encode(), b"%d" % message.version


def encode(
    message: Message,
    *,
    key: str,
    message_id: str,
    origin: Origin,
    now_ms: int,
    reply_to: str | None = None,
    mac: str | None = None,
    topic: str | None = None,
) -> Outgoing:
    """The record of a message, for its own topic or another one, its size asserted as by `body`."""
    value = body(message, key)
    causation, trace, principal = origin
    names: tuple[str, ...] = _MADE
    values = [message_id.encode(), *_kind(type(message)), trace.encode(), causation.encode(), principal.encode(), b"%d" % now_ms]
    if reply_to is not None:
        names, values = (*names, REPLY_TO), [*values, reply_to.encode()]
    if mac is not None:
        names, values = (*names, CONTENT_MAC), [*values, mac.encode()]
    blob = pack(names, values)
    return Outgoing(topic or message.topic, key.encode(), value, PackedHeaders(blob), now_ms, None, blob)
