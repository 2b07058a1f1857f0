"""From a record to a message and back; what cannot be read says why, and never what it held (CASES B13, B14, B29)."""

import contextlib
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, Undecodable, body, decode, encode
from bus.record import Headers, Outgoing, PackedHeaders, Record, pack_headers
from config.limits import KEY_CHARS_MAX, MESSAGE_BYTES_MAX

ID = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
CAUSE = "00000000-0000-0000-0000-000000000001"
ORIGIN = Origin(CAUSE, "trace-1", "member-9")


class Pay(Message):
    """Something with every kind of field."""

    type = "test.Pay"
    topic = "test.commands"
    version = 3
    id: str
    amount_fen: int = 0
    note: str | None = None
    tags: tuple[str, ...] = ()


REGISTRY: dict[str, type[Message]] = {"test.Pay": Pay}
IDENTITY: dict[str, bytes | None] = {"message-id": ID.encode(), "type": b"test.Pay", "schema-version": b"3"}


def record(
    value: bytes | None = b'{"id":"x"}', *, key: bytes | None = b"actor-1", headers: Headers | None = None, **changes: bytes | None
) -> Record:
    named = tuple({**IDENTITY, **{name.replace("_", "-"): v for name, v in changes.items()}}.items())
    return Record("test.commands", 0, 7, 5_000, 6_000, key, value, named if headers is None else headers)


def refused(bad: Record) -> Undecodable:
    with pytest.raises(Undecodable) as raised:
        decode(bad, REGISTRY)
    return raised.value


def arrived(sent: Outgoing) -> Record:
    return Record(sent.topic, 0, 7, sent.timestamp_ms, 6_000, sent.key, sent.value, sent.headers)


def without(name: str) -> Headers:
    return tuple((n, v) for n, v in IDENTITY.items() if n != name)


class Plain(Message):
    """Texts, whole numbers and truth values only: written and looked through without pydantic."""

    type = "test.Plain"
    topic = "test.commands"
    text: str
    number: int
    maybe: int | None = None
    yes: bool = False


@given(st.builds(Plain, text=st.text(), number=st.integers(-(2**63), 2**63 - 1), maybe=st.none() | st.integers(0, 9), yes=st.booleans()))
def test_a_plain_message_has_the_bytes_that_pydantic_and_orjson_give_it(plain: Plain) -> None:
    assert body(plain, "actor-1") == orjson.dumps(plain.model_dump())


@pytest.mark.parametrize("field", ["number", "maybe"])
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
def test_a_whole_number_of_more_than_64_bits_in_a_plain_message_is_unstorable(field: str, value: int) -> None:
    content = {"text": "x", "number": 1, field: value}
    bad = record(json.dumps(content).encode(), type=b"test.Plain", schema_version=b"1")
    with pytest.raises(Undecodable, match="unstorable"):
        decode(bad, {"test.Plain": Plain})


@given(
    st.builds(
        Pay,
        id=st.text(max_size=20),
        amount_fen=st.integers(-(2**63), 2**63 - 1),
        note=st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
    ).filter(lambda pay: "\0" not in pay.id)
)
def test_what_is_encoded_is_decoded_as_it_was(pay: Pay) -> None:
    sent = encode(pay, key="actor-1", message_id=ID, origin=ORIGIN, now_ms=1_234, reply_to="gw-1/9", mac="ab")
    got = decode(arrived(sent), REGISTRY)
    assert got.message == pay
    assert (got.actor, got.id, got.trace, got.principal) == ("actor-1", ID, "trace-1", "member-9")
    assert (got.reply_to, got.mac, got.sent_ms) == ("gw-1/9", "ab", 1_234)


NAMES = st.sampled_from([*IDENTITY, "trace-id", "principal", "reply-to", "content-mac", "time", "causation-id", "not-ours", ""])
VALUES = st.sampled_from([*IDENTITY.values(), b"trace-1", b"17", b"", None, b"two words", b"\xff", b"x" * 200, b"x" * 201, b"x" * 300])


@given(st.lists(st.tuples(NAMES, VALUES), max_size=9), st.booleans())
def test_headers_that_are_still_packed_say_the_same_as_the_list_of_them(odd: list[tuple[str, bytes | None]], usual: bool) -> None:
    headers = (*IDENTITY.items(), *odd) if usual else tuple(odd)
    packed = PackedHeaders(pack_headers(headers))
    assert outcome(record(headers=packed)) == outcome(record(headers=headers))


def outcome(read: Record) -> object:
    try:
        return decode(read, REGISTRY)
    except Undecodable as exc:
        return exc.reason, exc.detail


def test_a_record_carries_its_whole_story_in_its_headers() -> None:
    sent = encode(Pay(id="x"), key="actor-1", message_id=ID, origin=ORIGIN, now_ms=1_234)
    assert sent.topic == "test.commands" and sent.key == b"actor-1" and sent.timestamp_ms == 1_234
    assert sent.headers == (
        ("message-id", ID.encode()),
        ("type", b"test.Pay"),
        ("schema-version", b"3"),
        ("trace-id", b"trace-1"),
        ("causation-id", CAUSE.encode()),
        ("principal", b"member-9"),
        ("time", b"1234"),
    )


def test_what_says_nothing_of_trace_principal_and_time_is_its_own_trace_from_anybody_and_as_old_as_the_record() -> None:
    got = decode(record(), REGISTRY)
    assert (got.trace, got.principal, got.sent_ms, got.reply_to, got.mac) == ("actor-1", "anonymous", 5_000, None, None)


@pytest.mark.parametrize("time", [b"-1", b"1e9", b"0x65", b"1_700", b"9" * 19, b"NaN"])
def test_a_time_that_is_no_plain_number_is_not_believed(time: bytes) -> None:
    assert decode(record(time=time), REGISTRY).sent_ms == 5_000


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(headers=()), "no_type"),
        (record(headers=without("type")), "no_type"),
        (record(type=b"test.Other"), "unknown_type"),
        (record(headers=without("schema-version")), "unknown_version"),
        (record(schema_version=b"2"), "unknown_version"),
        (record(schema_version=b"03"), "unknown_version"),
        (record(headers=without("message-id")), "no_message_id"),
        (record(message_id=ID.upper().encode()), "unusable_message_id"),
        (record(message_id=b"42"), "unusable_message_id"),
        (record(message_id=ID.encode() + b"0"), "unusable_message_id"),
        (record(key=None), "no_key"),
        (record(key=b""), "empty_key"),
        (record(key=b"\xff\xfe"), "unusable_key"),
        (record(key=b"two words"), "unusable_key"),
        (record(key="张三".encode()), "unusable_key"),
        (record(key=b"k" * (KEY_CHARS_MAX + 1)), "unusable_key"),
        (record(None), "no_value"),
        (record(b""), "empty_value"),
        (record(b"x" * (MESSAGE_BYTES_MAX + 1)), "too_large"),
    ],
)
def test_a_record_that_is_no_message_says_why(bad: Record, reason: str) -> None:
    assert refused(bad).reason == reason


@pytest.mark.parametrize("header", ["message_id", "type", "trace_id", "causation_id", "principal", "reply_to", "time", "content_mac"])
@pytest.mark.parametrize("value", [None, b"", b"\xff", b"a b", b"a\nb", b"\x1b[31m", "张".encode(), b"\x7f", b"x" * 201])
def test_a_header_of_ours_that_is_not_plain_text_is_not_guessed_at(header: str, value: bytes | None) -> None:
    changed: Headers = tuple({**IDENTITY, header.replace("_", "-"): value}.items())
    assert refused(record(headers=changed)).reason == "unusable_header"


@pytest.mark.parametrize("name", IDENTITY)
def test_a_header_that_stands_twice_is_ambiguous_even_with_the_same_value(name: str) -> None:
    error = refused(record(headers=(*IDENTITY.items(), (name, IDENTITY[name]))))
    assert error.reason == "ambiguous_header" and name in error.detail


def test_headers_of_others_may_hold_anything_any_number_of_times() -> None:
    strange: Headers = (("", None), ("名", b"\xff"), ("x", b""), *((f"h{n}", b"1") for n in range(200)), ("x", b"again"))
    assert decode(record(headers=(*strange, *IDENTITY.items())), REGISTRY).id == ID


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"id":"\xff"}', b'{"id":"\\ud800"}', b'{"id":"x"}{}', b"nul"])
def test_a_body_that_is_no_json_says_so(body: bytes) -> None:
    assert refused(record(body)).reason == "bad_json"


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"true", b"{}", b'{"id":1}', b'{"id":"x","other":1}'])
def test_a_body_that_is_no_such_message_is_a_bad_schema(body: bytes) -> None:
    assert refused(record(body)).reason == "bad_schema"


@pytest.mark.parametrize("amount", [b"1.0", b"1e3", b'"100"', b"true", b"null", b"NaN", b"Infinity", b"9" * 5_000, b"0.1"])
def test_what_is_no_whole_number_is_neither_rounded_nor_taken_for_one(amount: bytes) -> None:
    assert refused(record(b'{"id":"x","amount_fen":' + amount + b"}")).reason in ("bad_schema", "bad_json")


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"x","id":"x"}',
        b'{"id" : "x", "\\u0069d"\t:"y"}',
        b'{"id":"x:y","note":null,"note":"a"}',
        b'{"amount_fen":1,"id":"x","amount_fen":2}',
    ],
)
def test_what_is_said_twice_is_refused_here_as_at_the_doors(body: bytes) -> None:
    assert refused(record(body)).reason == "duplicate_key"


@pytest.mark.parametrize("text", ["a:b", ':"id":', "\\:", "::::", '{"id":1,"id":2}', "钥匙:值"])
def test_colons_in_a_text_are_no_names(text: str) -> None:
    sent = body(Pay(id=text, note=text, tags=(text, text)), "actor-1")
    message = decode(record(sent), REGISTRY).message
    assert isinstance(message, Pay) and (message.id, message.note) == (text, text)


@pytest.mark.parametrize("amount", [9_007_199_254_740_993, -(2**63), 2**63 - 1])
def test_whole_numbers_beyond_2_53_are_exact(amount: int) -> None:
    message = decode(record(b'{"id":"x","amount_fen":%d}' % amount), REGISTRY).message
    assert isinstance(message, Pay) and message.amount_fen == amount


@pytest.mark.parametrize("body", [rb'{"id":"a\u0000b"}', rb'{"id":"x","tags":["ok","\u0000"]}', rb'{"id":"x","note":"\\\u0000"}'])
def test_text_that_no_database_can_hold_is_refused(body: bytes) -> None:
    assert refused(record(body)).reason == "unstorable"


def test_a_backslash_before_u0000_is_text_like_any_other() -> None:
    message = decode(record(rb'{"id":"a\\u0000b"}'), REGISTRY).message
    assert isinstance(message, Pay) and message.id == r"a\u0000b"


def test_a_body_nested_too_deep_is_refused_and_nothing_else_is_raised() -> None:
    assert refused(record(b"[" * 20_000)).reason == "bad_json"
    assert refused(record(b'{"id":' + b"[" * 20_000 + b"]" * 20_000 + b"}")).reason == "bad_json"


@pytest.mark.parametrize(
    "body", [{"id": 41112}, {"id": "x", "note": 41112}, {"id": "x", "amount_fen": "41112"}, {"id": "x", "tags": ["a", 41112]}]
)
def test_the_detail_of_a_bad_schema_says_where_and_not_what(body: dict[str, Any]) -> None:
    error = refused(record(orjson.dumps(body)))
    assert error.reason == "bad_schema"
    assert "41112" not in error.detail
    assert any(name in error.detail for name in body)


def test_a_detail_is_short_and_can_be_printed_and_stored() -> None:
    error = refused(record(rb'{"id":"x","\u0000\u001b[31m":1}'))
    assert error.detail.isprintable() and error.reason == "bad_schema"
    many = orjson.dumps({f"field_{n:0100}": n for n in range(50)})
    assert len(refused(record(many)).detail) <= 500


@given(
    st.binary(max_size=200),
    st.binary(max_size=40),
    st.lists(st.tuples(st.sampled_from([*IDENTITY, "x"]), st.none() | st.binary(max_size=40))),
)
def test_no_bytes_make_decoding_raise_anything_but_its_own_error(value: bytes, key: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    for bad in (record(value), record(key=key), record(headers=tuple(headers)), record(value, headers=(*IDENTITY.items(), *headers))):
        with contextlib.suppress(Undecodable):
            decode(bad, REGISTRY)


def test_a_message_over_the_limit_is_not_made() -> None:
    with pytest.raises(AssertionError, match="the limit is 524288"):
        encode(Pay(id="x", note="n" * MESSAGE_BYTES_MAX), key="a", message_id=ID, origin=ORIGIN, now_ms=0)


def test_a_message_at_the_limit_travels() -> None:
    frame = len(orjson.dumps(Pay(id="x", note="").model_dump()))
    sent = encode(Pay(id="x", note="n" * (MESSAGE_BYTES_MAX - frame)), key="a", message_id=ID, origin=ORIGIN, now_ms=0)
    assert sent.value is not None and len(sent.value) == MESSAGE_BYTES_MAX
    assert decode(arrived(sent), REGISTRY).actor == "a"


@pytest.mark.parametrize("amount", [2**63, -(2**63) - 1, 18_446_744_073_709_551_617])
def test_a_whole_number_that_no_database_holds_is_a_dead_letter(amount: int) -> None:
    assert refused(record(b'{"id":"x","amount_fen":%d}' % amount)).reason == "unstorable"
