"""What counts as signed: the exact bytes, just now, with one header of each kind (CASES D16, D20, D21)."""

import base64
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from standardwebhooks import Webhook

from agents.runtime.http.signatures import SIGNATURE_CHARS_MAX, NotSigned, headers_of, signed, verify

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of thirty-two by.").decode()
NOW = 1_763_000_000
BODY = b'{"action":"query"}'
GOOD = signed(SECRET, "msg_1", NOW, BODY.decode()).removeprefix("v1,")
BAD = signed(OTHER, "msg_1", NOW, BODY.decode()).removeprefix("v1,")


def proxy(pairs: Iterable[tuple[str, str]]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(list(pairs)))


def headers(**changes: str | None) -> CIMultiDictProxy[str]:
    said = {**headers_of(SECRET, "msg_1", NOW, BODY.decode()), **{f"webhook-{name}": value for name, value in changes.items()}}
    return proxy((name, value) for name, value in said.items() if value is not None)


def accepts(of: CIMultiDictProxy[str], body: bytes = BODY, *, now_s: float = NOW, secrets: tuple[str, ...] = (SECRET,)) -> bool:
    try:
        return verify(of, body, secrets, now_s=now_s) == "msg_1"
    except NotSigned:
        return False


def test_what_was_signed_passes_and_tells_its_id() -> None:
    assert verify(headers(), BODY, [SECRET], now_s=NOW) == "msg_1"


def test_the_library_of_standard_webhooks_makes_what_passes_and_takes_what_is_made_here() -> None:
    now = int(time.time())
    made = headers_of(SECRET, "msg_1", now, BODY.decode())
    Webhook(SECRET).verify(BODY, made)
    assert accepts(proxy(made.items()), now_s=now)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"\\u4f60"}', '{"a":"\\u4F60"}', '{"a":"\\/"}', '{"a":"你好🙂"}', '{"a":"\u2028"}',
        '{"z":1,"a":2}', '{ "a" :\r\n 1 }', '{"a":1}\n',
    ],
)  # fmt: skip
def test_the_exact_bytes_count_however_the_json_is_written(text: str) -> None:
    body = text.encode()
    said = proxy(headers_of(SECRET, "msg_1", NOW, text).items())
    assert accepts(said, body)
    for at in range(len(body)):
        assert not accepts(said, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
    assert not accepts(said, body + b" ") and not accepts(said, body[:-1])


@given(st.binary(min_size=1, max_size=40))
def test_bytes_that_nobody_has_signed_never_pass_and_never_raise_anything_else(body: bytes) -> None:
    assert not accepts(headers(), body) or body == BODY


@pytest.mark.parametrize("off_s", [-300, -299, 0, 299, 300])
def test_five_minutes_either_way_are_fresh(off_s: int) -> None:
    assert accepts(headers(), now_s=NOW + off_s)


@pytest.mark.parametrize("off_s", [-86_400, -301, 301, 86_400])
def test_more_than_five_minutes_either_way_are_not(off_s: int) -> None:
    assert not accepts(headers(), now_s=NOW + off_s)


@pytest.mark.parametrize(
    "text",
    [
        f"{NOW}000", "NaN", "", "-1", "1e9", "0x65", f"+{NOW}", f" {NOW} ", f"{NOW} ", f"{NOW:_}", f"{NOW}.0", "inf", "-0",
        "".join(chr(ord("０") + int(d)) for d in str(NOW)), "٣" * 10, "9" * 400, f"{NOW}\x00", f"{NOW}\n", f"{NOW},{NOW}",
    ],
)  # fmt: skip
def test_a_time_stamp_is_plain_ascii_seconds(text: str) -> None:
    """Signed over the text as it stands, so that nothing but the time stamp is wrong."""
    assert not accepts(headers(timestamp=text))
    assert not accepts(headers(timestamp=text), now_s=0)


def test_a_missing_or_repeated_header_is_no_signature() -> None:
    for name in ("id", "timestamp", "signature"):
        assert not accepts(headers(**{name: None}))
        assert not accepts(proxy([*headers().items(), (f"webhook-{name}", headers()[f"webhook-{name}"])]))
        assert not accepts(headers(**{name: ""}))


@pytest.mark.parametrize(
    "value", ["v1,{BAD} v1,{GOOD}", "v1,{GOOD} v1,{BAD}", "v2,AAAA v1,{GOOD}", "v1a,AAAA v1,{GOOD}", "v1,{GOOD} v9,AA=="]
)
def test_one_good_signature_among_others_is_enough_in_any_order(value: str) -> None:
    assert accepts(headers(signature=value.format(GOOD=GOOD, BAD=BAD)))


@pytest.mark.parametrize(
    "value",
    [
        "v1", "v1,", ",", "v1,{GOOD},x", "v1,{BAD}", "v1,{BAD}  v1,{GOOD}", "v1,{BAD}\tv1,{GOOD}", " v1,{GOOD}", "v1,{GOOD} ",
        "v1,{STRIPPED}", "v2,{GOOD}", "V1,{GOOD}", "v1,é{GOOD}", "v1,{GOOD}é", "v1;{GOOD}", "{GOOD}", "v1,{GOOD}\x00", "v1,{URLSAFE}",
    ],
)  # fmt: skip
def test_a_malformed_list_is_no_signature(value: str) -> None:
    urlsafe = GOOD.translate(str.maketrans("+/", "-_")) if set(GOOD) & set("+/") else f"-{GOOD[1:]}"
    assert not accepts(headers(signature=value.format(GOOD=GOOD, BAD=BAD, STRIPPED=GOOD.rstrip("="), URLSAFE=urlsafe)))


def test_two_lines_of_signatures_are_refused_whatever_their_order() -> None:
    rest = [(name, value) for name, value in headers().items() if name != "webhook-signature"]
    for first, second in ((GOOD, BAD), (BAD, GOOD), (GOOD, GOOD)):
        assert not accepts(proxy([*rest, ("webhook-signature", f"v1,{first}"), ("Webhook-Signature", f"v1,{second}")]))


def test_the_names_of_headers_may_be_in_capitals() -> None:
    assert accepts(proxy((name.upper(), value) for name, value in headers().items()))


def test_a_list_without_end_is_refused_before_anything_is_computed() -> None:
    many = " ".join([f"v1,{BAD}"] * 5_000 + [f"v1,{GOOD}"])
    began = time.process_time()
    assert not accepts(headers(signature=many))
    assert time.process_time() - began < 0.05
    most = (SIGNATURE_CHARS_MAX - len(GOOD) - 3) // (len(BAD) + 4)
    assert accepts(headers(signature=" ".join([f"v1,{BAD}"] * most + [f"v1,{GOOD}"])))


def test_the_signature_of_another_id_time_or_secret_is_none() -> None:
    assert not accepts(headers(id="msg_2"))
    assert not accepts(headers(timestamp=str(NOW + 1)))
    assert not accepts(headers(), secrets=(OTHER,))
    assert not accepts(headers(), secrets=())
    assert accepts(headers(), secrets=(OTHER, SECRET))


@pytest.mark.parametrize("identity", ["", "a b", "é", "x" * 201, "a\nb"])
def test_an_id_is_short_and_printable(identity: str) -> None:
    with pytest.raises(NotSigned):
        verify(headers(id=identity), BODY, [SECRET], now_s=NOW)
