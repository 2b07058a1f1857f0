"""Whatever is wrong with who asks is one answer, 401, over real HTTP; how a body is carried has its own (CASES D16, D20, D21, D23)."""

import asyncio
import contextlib
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.runtime.http.signatures import headers_of
from config.bank import BODY_BYTES_MAX
from tests.integration.bank_http.world import PLATFORM, Answer, BankWorld, number, signed

REFUSED = {
    "type": "urn:lendbus:problem:not_signed",
    "title": "This request is not signed as the bank asks for",
    "status": 401,
    "code": "not_signed",
    "detail": "Send an enrolled platform's name and its signature over exactly these bytes, made just now.",
    "errors": [],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bank(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BankWorld]:
    """One bank for all of these: none of them changes anything."""
    async with BankWorld(Path(tmp_path_factory.mktemp("bank"))) as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")


def query(no: str | None = None) -> bytes:
    return json.dumps({"action": "query", "request_no": no or number()}).encode()


def refused(answer: Answer) -> bool:
    """Whether this is the one refusal, in every respect."""
    if answer.status != 401:
        return False
    said = answer.said
    assert said.pop("instance").startswith("urn:uuid:") and said == REFUSED
    return True


async def sent(bank: BankWorld, raw: bytes, **changes: str | None) -> Answer:
    """These bytes, signed, with some headers changed (None: left out)."""
    headers: dict[str, str] = signed(bank.platform.api_secret, raw)
    for name, value in changes.items():
        headers.pop(name.replace("_", "-"), None)
        if value is not None:
            headers[name.replace("_", "-")] = value
    return await bank.send("query", raw, headers)


async def raw_exchange(bank: BankWorld, head: list[bytes], body: bytes) -> int:
    """The status of a request that is written byte by byte as it stands here."""
    host, port = bank.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(b"\r\n".join([b"POST /api/v1/query HTTP/1.1", b"Host: bank", b"Connection: close", *head, b"", b""]) + body)
        await writer.drain()
        return int((await asyncio.wait_for(reader.readline(), 15)).split()[1])
    finally:
        writer.close()


def head_of(bank: BankWorld, raw: bytes, *, without: str = "") -> list[bytes]:
    """The lines of a signed request's head."""
    lines = {**signed(bank.platform.api_secret, raw), "Content-Length": str(len(raw))}
    return [f"{name}: {value}".encode() for name, value in lines.items() if name.lower() != without]


@pytest.mark.parametrize(
    "text",
    [
        '{{"action":"query","request_no":"{no}"}}',
        '{{"request_no":"{no}","action":"qu\\u0065ry"}}',
        '{{ "action" :\r\n\t"query" , "request_no" : "{no}" }}\n',
    ],
)
async def test_the_bytes_as_they_were_signed_are_answered_and_their_twins_are_not(bank: BankWorld, text: str) -> None:
    raw = text.format(no=number()).encode()
    headers = signed(bank.platform.api_secret, raw)
    assert (await bank.send("query", raw, headers)).status == 200
    for twin in (
        raw.replace(b"request_no", b"Request_no"),
        raw + b" ",
        json.dumps(json.loads(raw), separators=(",", ": ")).encode() + b"\n",
    ):
        assert twin != raw and refused(await bank.send("query", twin, headers))


async def test_raw_chinese_escapes_and_emoji_are_signed_as_they_stand(bank: BankWorld) -> None:
    for name in ("你好", "\\u4f60", "\\u4F60", "\\/", "🙂", "\u2028"):
        raw = f'{{"action":"query","request_no":"{number()}","x":"{name}"}}'.encode()
        answer = await bank.send("query", raw, signed(bank.platform.api_secret, raw))
        assert (answer.status, answer.said["code"]) == (422, "invalid_content")
        assert refused(await bank.send("query", raw, signed(bank.platform.api_secret, raw.replace(b"x", b"y"))))


def stamps() -> Iterator[tuple[str, bool]]:
    now = int(time.time())
    yield from ((str(now + off), True) for off in (-290, 0, 290))
    yield from ((str(now + off), False) for off in (-86_400, -320, 320, 86_400))
    wide = "".join(chr(ord("０") + int(d)) for d in str(now))
    for text in (f"{now}000", "NaN", "-1", "1e9", "0x65", f"+{now}", f"{now:_}", f"{now}.5", wide, "9" * 400, "Infinity"):
        yield text, False


async def test_only_plain_seconds_near_now_are_fresh(bank: BankWorld) -> None:
    for text, fresh in stamps():
        raw = query()
        signature = headers_of(bank.platform.api_secret, "msg_x", int(text) if fresh else 0, raw.decode())["webhook-signature"]
        if not fresh and text.isascii() and text.isdigit() and len(text) < 12:
            signature = headers_of(bank.platform.api_secret, "msg_x", int(text), raw.decode())["webhook-signature"]
        began = time.monotonic()
        answer = await sent(bank, raw, webhook_id="msg_x", webhook_timestamp=text, webhook_signature=signature)
        assert answer.status == 200 if fresh else refused(answer), text
        assert time.monotonic() - began < 5


async def test_a_header_that_is_missing_repeated_or_empty(bank: BankWorld) -> None:
    raw = query()
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature", "X-Platform"):
        assert refused(await sent(bank, raw, **{name.replace("-", "_"): None}))
        lines = head_of(bank, raw)
        (line,) = (each for each in lines if each.lower().startswith(name.lower().encode()))
        assert await raw_exchange(bank, [*lines, line], raw) == 401
        assert await raw_exchange(bank, [*head_of(bank, raw, without=name.lower()), name.encode() + b": "], raw) == 401
    assert await raw_exchange(bank, head_of(bank, raw), raw) == 200


async def test_the_list_of_signatures(bank: BankWorld) -> None:
    raw = query()
    now = int(time.time())
    good = headers_of(bank.platform.api_secret, "msg_x", now, raw.decode())["webhook-signature"].removeprefix("v1,")
    bad = headers_of(bank.platform.notice_secret, "msg_x", now, raw.decode())["webhook-signature"].removeprefix("v1,")

    async def with_list(value: str) -> Answer:
        return await sent(bank, raw, webhook_id="msg_x", webhook_timestamp=str(now), webhook_signature=value)

    for value in (f"v1,{bad} v1,{good}", f"v1,{good} v1,{bad}", f"v2,AAAA v1,{good}", f"v1a,AAAA v1,{good}"):
        assert (await with_list(value)).status == 200
    for value in ("v1", "v1,", f"v1,{good},x", f"v1,{bad}  v1,{good}", f"v1,{bad}\tv1,{good}", f"v1,{good.rstrip('=')}", f"v1,{bad}", "é"):
        assert refused(await with_list(value)), value
    head = [f"webhook-id: msg_x\r\nwebhook-timestamp: {now}".encode(), *_plain(raw)]
    for first, second in ((bad, good), (good, bad)):
        lines = [f"webhook-signature: v1,{first}".encode(), f"Webhook-Signature: v1,{second}".encode()]
        assert await raw_exchange(bank, [*head, *lines], raw) == 401
    assert await raw_exchange(bank, [*head, f"WEBHOOK-SIGNATURE: v1,{good}".encode()], raw) == 200
    assert await raw_exchange(bank, [*head, b"webhook-signature: v1,\xff\xfe" + good.encode()], raw) == 401
    many = " ".join([f"v1,{bad}"] * 5_000 + [f"v1,{good}"])
    assert 400 <= await raw_exchange(bank, [*head, f"webhook-signature: {many}".encode()], raw) < 500


def _plain(raw: bytes) -> list[bytes]:
    return [b"Content-Type: application/json", b"X-Platform: lendbus", f"Content-Length: {len(raw)}".encode()]


@pytest.mark.parametrize("name", ["", "Lendbus", "nobody", "../lendbus", "lendbus ", "ｌendbus", "x" * 200])
async def test_a_platform_that_is_not_enrolled(bank: BankWorld, name: str) -> None:
    raw = query()
    answer = await bank.send("query", raw, {**signed(bank.platform.api_secret, raw), "X-Platform": name})
    assert refused(answer) or name.strip() == PLATFORM


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"null", b"[]", b'"query"', b"{}", b'{"action":1}', b'{"action":"query"', b'{"action":"query","action":"query"}', b"\xff\xfe",
        b'{"action":"close"}', b'\xef\xbb\xbf{"action":"query"}', b'{"action":"query","x":1.0}', b'{"action":"query","x":NaN}',
        b'{"action":"query","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}", b'{"action":"query","x":"\\ud800"}',
    ],
)  # fmt: skip
async def test_a_signed_body_that_is_no_request_for_this_action(bank: BankWorld, raw: bytes) -> None:
    headers = {**signed(bank.platform.api_secret, b"x"), **headers_of_bytes(bank, raw)}
    assert refused(await bank.send("query", raw, headers))


def headers_of_bytes(bank: BankWorld, raw: bytes) -> dict[str, str]:
    try:
        return signed(bank.platform.api_secret, raw)
    except UnicodeDecodeError:
        return {}  # nobody can sign it in our way either


async def test_a_body_in_chunks_is_answered(bank: BankWorld) -> None:
    raw = query()

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(raw), 7):
            yield raw[at : at + 7]

    assert (await bank.send("query", chunks(), signed(bank.platform.api_secret, raw))).status == 200


async def test_an_endless_body_is_cut_off_at_the_limit(bank: BankWorld) -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(1_000):
            given += 64 * 1024
            yield b" " * (64 * 1024)

    headers: dict[str, Any] = signed(bank.platform.api_secret, b"x")
    with contextlib.suppress(ConnectionError):  # refused while the rest was still being sent
        assert (await bank.send("query", endless(), headers)).status == 413
    assert given < 64 * 1024 * 1_000


async def test_a_body_that_is_too_long_by_its_length_is_refused(bank: BankWorld) -> None:
    raw = b" " * (BODY_BYTES_MAX + 1)
    assert await raw_exchange(bank, [*_plain(raw)], b"") == 413


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x", "identity, gzip", "GZIP"])
async def test_a_compressed_body_is_refused_whatever_was_signed(bank: BankWorld, coding: str) -> None:
    raw = query()
    packed = gzip.compress(raw) if "gzip" in coding.lower() else zlib.compress(raw)
    headers = [*head_of(bank, raw, without="content-length"), f"Content-Encoding: {coding}".encode()]
    for body in (packed, raw):
        assert await raw_exchange(bank, [*headers, f"Content-Length: {len(body)}".encode()], body) == 415


async def test_a_bomb_is_not_opened(bank: BankWorld) -> None:
    bomb = gzip.compress(b"\0" * 100_000_000)
    assert len(bomb) < BODY_BYTES_MAX
    headers = [*_plain(bomb), b"Content-Encoding: gzip"]
    assert await raw_exchange(bank, headers, bomb) == 415


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", ""])
async def test_what_is_not_json_is_refused(bank: BankWorld, kind: str) -> None:
    raw = query()
    assert (await bank.send("query", raw, {**signed(bank.platform.api_secret, raw), "Content-Type": kind})).status == 415


async def test_a_body_that_stops_halfway_is_given_up(bank: BankWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.runtime.http.bodies.BODY_S_MAX", 0.3)
    raw = query()
    assert await raw_exchange(bank, head_of(bank, raw), raw[:10]) == 408


async def test_the_same_signed_request_may_come_again(bank: BankWorld) -> None:
    raw = query()
    headers = signed(bank.platform.api_secret, raw, identity="msg_same")
    assert [(await bank.send("query", raw, headers)).status for _ in range(3)] == [200, 200, 200]
