"""What a gateway answers to nonsense: a problem with its place, never a 500 and never a traceback (CASES D18)."""

import asyncio
import json
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest

from agents.runtime.http import bodies
from gateway.registrations import ROUTE
from tests.integration.gateway.world import JSON, Client, World, a_body

NUMBERS = ["9223372036854775808", "-1", "0", "1e400", "NaN", "Infinity", "-Infinity", "true", '"1"', "100.0", "1e2", "0.1", "-0", "null"]
FIELDS = ["login_name", "mobile", "password", "role"]


def with_value(field: str, value: str) -> bytes:
    """A registration in which one field is this JSON text."""
    return json.dumps(a_body(**{field: "@"})).replace('"@"', value).encode()


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("number", NUMBERS)
async def test_a_number_where_text_belongs_is_refused_at_its_place(client: Client, field: str, number: str) -> None:
    answer = await client.post(with_value(field, number))
    assert (answer.status, answer.code, answer.pointers) == (422, "invalid_body", {f"/{field}"})


@pytest.mark.parametrize(("body", "status", "pointer"), [
    (b"", 400, ""),
    (b" ", 400, ""),
    (b"{", 400, ""),
    (b"[]", 422, ""),
    (b"null", 422, ""),
    (b"7", 422, ""),
    (b'"text"', 422, ""),
    (b"\xff\xfe{}", 400, ""),
    (b"\xef\xbb\xbf{}", 400, ""),
    (b"[" * 20_000 + b"]" * 20_000, 400, ""),
    (b"[" * 40_000, 400, ""),
    (b'{"a":' * 8_000 + b"1" + b"}" * 8_000, 400, ""),
    (b'{"role":"investor","role":"borrower"}', 400, ""),
    (b'{"mobile":"\\ud800"}', 422, "/mobile"),
    (b'{"\\ud800":1}', 422, ""),
    (b"9" * 60_000, 422, ""),
])  # fmt: skip
async def test_a_body_that_is_no_registration_is_refused(client: Client, body: bytes, status: int, pointer: str) -> None:
    answer = await client.post(body)
    assert answer.status == status and pointer in answer.pointers
    assert answer.code == ("malformed_body" if status == 400 else "invalid_body")


async def test_every_wrong_field_is_named_at_once_and_no_value_is_repeated(client: Client) -> None:
    answer = await client.register(login_name="13800000000", mobile="123", password="sh0rt", role="administrator", extra=1)
    assert answer.pointers == {"/login_name", "/mobile", "/password", "/role", "/extra"}
    assert {e["code"] for e in answer.body["errors"]} == {
        "looks_like_a_mobile", "not_a_mobile", "too_short", "unknown_role", "unknown_field",
    }  # fmt: skip
    assert "sh0rt" not in json.dumps(answer.body)


async def test_missing_fields_are_named(client: Client) -> None:
    answer = await client.post(b"{}")
    assert answer.pointers == {f"/{field}" for field in FIELDS} and {e["code"] for e in answer.body["errors"]} == {"missing"}


async def test_a_thousand_unknown_fields_do_not_make_a_thousand_errors(client: Client) -> None:
    answer = await client.post(json.dumps(dict.fromkeys((f"{n}/~" + "x" * 40 for n in range(1000)), 1)).encode())
    assert answer.status == 422 and len(answer.body["errors"]) == 20


async def test_a_password_that_is_too_long_is_refused_before_it_is_hashed(client: Client, lone: World) -> None:
    answer = await client.register(password="x" * 10_000)
    assert (answer.status, answer.pointers) == (422, {"/password"})
    assert await lone.commands_of_people() == []


@pytest.mark.parametrize("key", ["", "1", "x" * 36, "{%s}", "urn:uuid:%s", "%s,%s", "0" * 7000])
async def test_a_key_that_is_no_uuid_is_refused_with_its_header(client: Client, key: str) -> None:
    answer = await client.post(json.dumps(a_body()).encode(), key.replace("%s", str(uuid.uuid4())) or " ")
    assert (answer.status, answer.code) == (400, "bad_idempotency_key")
    assert [e["header"] for e in answer.body["errors"]] == ["Idempotency-Key"]


async def test_a_request_without_a_key_is_refused_with_its_header(client: Client) -> None:
    answer = await client.send("POST", ROUTE, json=a_body())
    assert (answer.status, answer.code) == (400, "missing_idempotency_key")
    assert answer.body["errors"][0]["header"] == "Idempotency-Key"


async def test_two_keys_are_refused(client: Client) -> None:
    headers = [*JSON.items(), ("Idempotency-Key", str(uuid.uuid4())), ("Idempotency-Key", str(uuid.uuid4()))]
    assert (await client.send("POST", ROUTE, json=a_body(), headers=headers)).code == "bad_idempotency_key"


@pytest.mark.parametrize("spelling", ["{0}", '"{0}"', "{0:upper}", " {0} "])
async def test_one_key_in_other_spellings_is_one_key(client: Client, spelling: str) -> None:
    key = "0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa"
    spelt = spelling.replace("{0:upper}", key.upper()).format(key)
    assert (await client.register(spelt)).body["id"] == (await client.register(key)).body["id"]


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", "application/jsonx", "*/*"]
)
async def test_what_is_not_json_by_its_header_is_refused(client: Client, kind: str) -> None:
    answer = await client.post(json.dumps(a_body()).encode(), **{"Content-Type": kind})
    assert (answer.status, answer.code, answer.headers["Accept-Post"]) == (415, "unsupported_media_type", "application/json")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON ; charset=UTF-8", 'application/json;charset="utf-8"'])
async def test_json_in_utf8_is_taken_however_it_is_spelt(client: Client, kind: str) -> None:
    assert (await client.post(json.dumps(a_body()).encode(), **{"Content-Type": kind})).status == 202


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip", "nonsense"])
async def test_a_compressed_body_is_refused_unopened(client: Client, coding: str) -> None:
    body, key = json.dumps(a_body()).encode(), str(uuid.uuid4())
    raw = await exchange(client, post(body, f"Idempotency-Key: {key}", f"Content-Encoding: {coding}"))
    assert raw.startswith(b"HTTP/1.1 415") and b"unsupported_content_encoding" in raw


async def test_a_body_that_is_too_long_is_refused_whether_its_length_is_said_or_not(client: Client, lone: World) -> None:
    long = json.dumps(a_body(password="x" * 70_000)).encode()

    async def in_pieces() -> Any:
        for at in range(0, len(long), 10_000):
            yield long[at : at + 10_000]

    said = await client.post(long)
    unsaid = await client.send("POST", ROUTE, data=in_pieces(), headers={**JSON, "Idempotency-Key": str(uuid.uuid4())})
    assert [(a.status, a.code) for a in (said, unsaid)] == [(413, "body_too_large")] * 2
    assert await lone.commands_of_people() == []


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/", 404), ("GET", "/favicon.ico", 404), ("GET", f"{ROUTE}/", 404), ("GET", "/api/v1/%2e%2e/secret", 404),
    ("GET", "/%ff%00", 404), ("TRACE", "/", 404), ("GET", ROUTE, 405), ("PUT", ROUTE, 405), ("OPTIONS", ROUTE, 405),
    ("DELETE", f"{ROUTE}/1", 405), ("POST", "/livez", 405),
])  # fmt: skip
async def test_what_is_not_there_is_a_problem(client: Client, method: str, path: str, status: int) -> None:
    answer = await client.send(method, path)
    assert (answer.status, answer.code) == (status, "not_found" if status == 404 else "method_not_allowed")
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json"])
async def test_head_is_get_without_its_body(client: Client, path: str) -> None:
    head, get = await client.send("HEAD", path), await client.get(path)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, None, get.headers["Content-Length"])


@pytest.mark.parametrize(
    "name", ["1", "9" * 30, "0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa", "0F7C1C5E-3A50-4F07-8D21-5F2F0A7BB0AA", "..%2f", "%00", "ｉｄ"]
)
async def test_an_id_that_nobody_has_is_not_found(client: Client, name: str) -> None:
    answers = [await client.get(f"{ROUTE}/{name}{query}") for query in ("", "?token=", "?token=x", "?token=a&token=b", "?token=%ff%00")]
    assert {(a.status, a.code, a.body["detail"]) for a in answers} == {(404, "not_found", answers[0].body["detail"])}


async def test_a_token_opens_its_own_registration_only(client: Client) -> None:
    first, second = await client.register(), await client.register()
    token = urlsplit(second.headers["Location"]).query
    wrong = await client.get(f"{ROUTE}/{first.body['id']}?{token}")
    nobody = await client.get(f"{ROUTE}/{uuid.uuid4()}?{token}")
    assert (wrong.status, wrong.body["detail"]) == (404, nobody.body["detail"])
    assert (await client.get(first.headers["Location"])).body["status"] == "PENDING"


def post(body: bytes, *headers: str, length: bool = True) -> bytes:
    """A POST as bytes."""
    lines = [f"POST {ROUTE} HTTP/1.1", "Host: here", "Content-Type: application/json", *headers]
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join((*lines, "", "")).encode() + body


async def exchange(client: Client, sent: bytes) -> bytes:
    """Send bytes, read until the answer is whole: its body ends with the brace of its JSON."""
    url = urlsplit(client.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(sent)
    answer = b""
    async with asyncio.timeout(10):
        while not answer.endswith(b"}") and (piece := await reader.read(65_536)):
            answer += piece
    writer.close()
    return answer


KEY = "Idempotency-Key: 0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa"


@pytest.mark.parametrize(("sent", "status"), [
    (b"GARBAGE\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 400),
    (post(b"{}", KEY, "Content-Length: 7"), 400),
    (post(b"{}", KEY, "Content-Length: -7", length=False), 400),
    (post(b"{}", KEY, "Content-Length: " + "9" * 40, length=False), 400),
    (post(b"zz\r\n{}\r\n0\r\n\r\n", KEY, "Transfer-Encoding: chunked", length=False), 400),
    (post(b"{}", KEY, "Expect: 200-ok"), 417),
])  # fmt: skip
async def test_what_is_hardly_http_is_a_problem_too(client: Client, sent: bytes, status: int) -> None:
    answer = await exchange(client, sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    found = json.loads(body)
    assert b"application/problem+json" in head and b"Server: lendbus" in head and b"Traceback" not in answer
    assert found["status"] in (status, 413, 431) and int(head.split()[1]) == found["status"]
    assert (await client.get("/livez")).status == 200


async def test_who_expects_100_is_invited_only_when_the_body_will_be_read(client: Client) -> None:
    body = json.dumps(a_body()).encode()
    invited = await exchange(client, post(body, KEY, "Expect: 100-continue"))
    refused = await exchange(client, post(body, "Expect: 100-continue"))
    assert invited.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202")
    assert refused.startswith(b"HTTP/1.1 400")


async def test_a_body_that_does_not_come_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_S_MAX", 0.05)
    answer = await exchange(client, post(b"", KEY, "Content-Length: 100", length=False))
    assert answer.startswith(b"HTTP/1.1 408") and b"body_timeout" in answer
