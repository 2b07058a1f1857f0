"""The receiver of the bank's notices: the signature over the exact bytes, then the bus (FLOWS 3.5; CASES D16, D20, D21, D23, D25, M22)."""

import asyncio
import gzip
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from agents.custody.messages import COMMANDS, TOPIC, DateNotice, Notice
from agents.runtime.calendar import KEY
from agents.runtime.envelope import Delivery, decode
from agents.runtime.http.signatures import signed
from bank.enrolment import write_private
from bus.errors import BusAway, RecordRefused
from gateway.notices import BODY_BYTES_MAX, ROUTE
from tests.integration.gateway.world import Answer, Client, ScriptedUsers, World

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDaaaa"
ORDER = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
REGISTRY = {kind.type: kind for kind in COMMANDS}


def enrolled(world: World, notice_secret: str = SECRET) -> None:
    said = {"platform": "lendbus", "url": "http://127.0.0.1:1", "api_secret": OTHER, "notice_secret": notice_secret}
    write_private(world.settings.bank_credentials_path(), said)


def a_notice(**changes: Any) -> bytes:
    data = {
        "request_no": ORDER,
        "status": "SUCCEEDED",
        "kind": "recharge",
        "amount_fen": 1990,
        "booked_date": "2026-03-02",
        "reason": None,
        "page_url": None,
        "details": {},
        **changes,
    }
    return json.dumps({"type": "order.ended", "timestamp": "2026-03-02T00:00:00Z", "data": data}).encode()


def headers(body: bytes, *, secret: str = SECRET, identity: str = "msg_1", seconds: int | None = None) -> CIMultiDict[str]:
    at = int(time.time()) if seconds is None else seconds
    fit = {"webhook-id": identity, "webhook-timestamp": str(at), "webhook-signature": signed(secret, identity, at, body.decode())}
    return CIMultiDict({"Content-Type": "application/json", **fit})


class Door:
    """What the bank speaks to, and what has come of it on the bus."""

    def __init__(self, world: World, client: Client) -> None:
        self.world = world
        self.client = client

    async def post(self, body: Any, head: CIMultiDict[str] | None = None, **changed: Any) -> Answer:
        return await self.client.send("POST", ROUTE, data=body, headers=headers(body, **changed) if head is None else head)

    async def came(self) -> list[Delivery]:
        return [decode(record, REGISTRY) for record in await self.world.bus.read(TOPIC, 0, 0)]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with World(tmp_path, wait_ms=30) as world:
        enrolled(world)
        yield Door(world, await world.gateway(ScriptedUsers()))


async def test_a_notice_goes_to_its_order_with_the_exact_text_that_was_signed(door: Door) -> None:
    body = a_notice()
    assert (await door.post(body)).status == 200
    (came,) = await door.came()
    assert isinstance(came.message, Notice) and came.actor == ORDER and came.principal == "bank"
    assert came.message.body.encode() == body and came.message.webhook_id == "msg_1"
    assert (came.message.status, came.message.amount_fen, came.message.booked_date) == ("SUCCEEDED", 1990, "2026-03-02")


async def test_a_date_goes_to_the_calendar(door: Door) -> None:
    body = json.dumps({"type": "date.rolled", "timestamp": "2026-03-02T00:00:00Z", "data": {"date": "2026-03-02"}}).encode()
    assert (await door.post(body)).status == 200
    (came,) = await door.came()
    assert (came.actor, came.message) == (KEY, DateNotice(id=KEY, date="2026-03-02"))


async def test_the_same_notice_twenty_times_at_once_is_one_message_and_another_body_under_its_id_too(door: Door) -> None:
    answers = await asyncio.gather(*(door.post(a_notice()) for _ in range(20)), door.post(a_notice(amount_fen=199_000)))
    assert {answer.status for answer in answers} == {200}
    assert len({came.id for came in await door.came()}) == 1, "the inbox knows it again"


async def test_each_notice_of_its_own_is_a_message_of_its_own(door: Door) -> None:
    for n in range(3):
        await door.post(a_notice(), identity=f"msg_{n}")
    assert len({came.id for came in await door.came()}) == 3


async def test_news_of_a_kind_that_nobody_knows_is_acknowledged_and_passed_over(door: Door) -> None:
    assert (await door.post(b'{"type":"card.expired","data":{}}')).status == 200
    assert await door.came() == []


SPELLINGS = [
    a_notice().replace(b'"reason": null', b'"reason": "\\u4f60\\u4F60"'),
    a_notice().replace(b'"reason": null', b'"reason": "a\\/b"'),
    a_notice().replace(b'"reason": null', '"reason": "你好 \N{PARTY POPPER}"'.encode()),
    a_notice().replace(b'"reason": null', '"reason": "a\N{LINE SEPARATOR}b"'.encode()),
    a_notice() + b"\r\n",
    a_notice().replace(b", ", b",\r\n  "),
    json.dumps(dict(reversed(json.loads(a_notice()).items()))).encode(),
]


@pytest.mark.parametrize("body", SPELLINGS)
async def test_exactly_the_bytes_that_were_signed_are_taken(door: Door, body: bytes) -> None:
    assert (await door.post(body)).status == 200
    at = body.index(b"1990")
    changed = body[:at] + b"1991" + body[at + 4 :]
    respelled = json.dumps(json.loads(body)).encode() + b" "
    for twin in (changed, respelled):
        assert (await door.post(twin, headers(body, identity="msg_2"))).code == "not_signed"
    (came,) = await door.came()
    assert isinstance(came.message, Notice) and came.message.body.encode() == body


async def test_a_time_stamp_that_is_not_plain_seconds_of_about_now_is_refused(door: Door) -> None:
    now = int(time.time())
    wide = "".join(chr(0xFF10 + int(digit)) for digit in str(now))
    spelled = (
        f"+{now}",
        f"{now // 1000}_{now % 1000:03d}",
        f"{now * 1000}",
        f"{now}.0",
        wide,
        f"{now - 400}",
        f"{now + 400}",
        f"{now + 86_400}",
    )
    for text in ("", "NaN", "inf", "-1", "1e9", "0x65", "9" * 400, *spelled):
        head = headers(a_notice())
        head["webhook-timestamp"] = text
        assert (await door.post(a_notice(), head)).code == "not_signed", text
    assert await door.came() == []


@pytest.mark.parametrize(("offset_s", "status"), [(-290, 200), (290, 200), (-330, 401), (330, 401), (86_400, 401), (-86_400, 401)])
async def test_a_signature_is_good_for_five_minutes_either_way(door: Door, offset_s: int, status: int) -> None:
    assert (await door.post(a_notice(), seconds=int(time.time()) + offset_s)).status == status


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_a_header_stands_once(door: Door, name: str) -> None:
    body = a_notice()
    without, twice, other = headers(body), headers(body), headers(body)
    del without[name]
    twice.add(name, twice[name])
    other.add(name, "another")
    for head in (without, twice, other):
        assert (await door.post(body, head)).code == "not_signed"
    assert await door.came() == []


def lists(good: str) -> Iterable[tuple[str, int]]:
    bad = "v1," + "A" * 43 + "="
    yield from ((f"{bad} {good}", 200), (f"{good} {bad}", 200), (f"v2,QUJD {good}", 200), (f"v1a,QUJD {good}", 200))
    yield from ((text, 401) for text in ("v1", "v1,", f"{good},x", f"{bad}  {good}", f"{bad}\t{good}", good.rstrip("="), bad, good.upper()))
    yield from ((text, 401) for text in ("v1," + good[3:].replace("/", "_").replace("+", "-") + "é", " ".join([bad] * 140 + [good])))


async def test_any_signature_of_a_short_well_formed_list_may_be_the_good_one(door: Door) -> None:
    body = a_notice()
    good = headers(body)["webhook-signature"]
    for text, status in lists(good):
        head = headers(body)
        head["webhook-signature"] = text
        assert (await door.post(body, head)).status == status, text[:80]


async def test_a_list_of_a_quarter_megabyte_is_refused_before_any_of_it_is_looked_at(door: Door) -> None:
    head = headers(a_notice())
    head["webhook-signature"] = " ".join([f"v1,{'A' * 43}="] * 5_000 + [head["webhook-signature"]])
    assert (await door.post(a_notice(), head)).status in (400, 401, 431)


async def test_another_secret_or_the_other_direction_is_nobody(door: Door) -> None:
    assert (await door.post(a_notice(), secret=OTHER)).code == "not_signed"
    assert await door.came() == []


MALFORMED: list[bytes] = [
    b"",
    b"[]",
    b"null",
    b"{}",
    b"{",
    b'{"type":7}',
    b'{"type":"order.ended"}',
    b'{"type":"order.ended","data":[]}',
    b'{"type":"date.rolled","data":{"date":"2026-02-30"}}',
    b'{"type":"date.rolled","data":{"date":20260301}}',
    b'{"type":"date.rolled","type":"order.ended"}',
    b"\xef\xbb\xbf" + a_notice(),
    b"[" * 20_000 + b"]" * 20_000,
    *(
        a_notice().replace(b"1990", wrong)
        for wrong in (b"9223372036854775808", b"-1", b"1e400", b"NaN", b"Infinity", b"true", b'"1990"', b"1990.0", b"1e2", b"0.1", b"null")
    ),
    a_notice(request_no=ORDER.upper()),
    a_notice(request_no="x"),
    a_notice(request_no=7),
    a_notice(status="MAYBE"),
    a_notice(status=None),
    a_notice(booked_date=None),
    a_notice(booked_date="2026-02-30"),
    a_notice(kind="k" * 65),
    a_notice(details=[]),
    a_notice(details={"text": "\0"}),
    a_notice().replace(b'"reason": null', b'"reason": "\\ud800"'),
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:60]))
async def test_whatever_is_wrong_with_a_signed_text_is_the_same_refusal(door: Door, body: bytes) -> None:
    answer = await door.post(body)
    unsigned = await door.post(body, CIMultiDict({"Content-Type": "application/json"}))
    assert answer.code == unsigned.code == "not_signed"
    assert {k: v for k, v in answer.body.items() if k != "instance"} == {k: v for k, v in unsigned.body.items() if k != "instance"}
    assert await door.came() == []


async def test_bytes_that_are_no_text_are_refused(door: Door) -> None:
    head = headers(a_notice())
    assert (await door.post(a_notice() + b"\xff", head)).code == "not_signed"


async def test_a_notice_in_chunks_is_a_notice(door: Door) -> None:
    body = a_notice()

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    assert (await door.post(chunks(), headers(body))).status == 200


async def test_a_stream_without_an_end_is_cut_off(door: Door) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 8192
            yield b"x" * 8192

    try:
        assert (await door.post(endless(), headers(a_notice()))).code == "body_too_large"
    except aiohttp.ClientError:  # it was closed while we were still sending
        assert sent < 64 * BODY_BYTES_MAX


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x"])
async def test_a_body_that_is_compressed_is_not_taken_whatever_was_signed(door: Door, coding: str) -> None:
    body = a_notice()
    head = headers(body)
    head["Content-Encoding"] = coding
    async with door.client.session.post(f"{door.client.url}{ROUTE}", data=gzip.compress(body), headers=head) as response:
        assert response.status == 415
    assert await door.came() == []


async def test_without_credentials_the_bank_sends_again_and_is_heard_when_they_are_there(door: Door) -> None:
    path = door.world.settings.bank_credentials_path()
    path.unlink()
    assert (await door.post(a_notice())).code == "unavailable"
    enrolled(door.world)
    assert (await door.post(a_notice())).status == 200


async def test_new_secrets_are_taken_up_without_a_restart(door: Door) -> None:
    assert (await door.post(a_notice())).status == 200
    enrolled(door.world, OTHER)
    assert (await door.post(a_notice(), identity="msg_2")).status == 401
    assert (await door.post(a_notice(), identity="msg_2", secret=OTHER)).status == 200


@pytest.mark.parametrize("trouble", [BusAway("away"), RecordRefused("refused")], ids=["away", "refused"])
async def test_what_the_bus_does_not_have_is_not_acknowledged(door: Door, trouble: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def append(_: object) -> None:
        raise trouble

    with monkeypatch.context() as patched:
        patched.setattr(door.world.bus, "append", append)
        answer = await door.post(a_notice())
        assert (answer.status, answer.code) == (503, "unavailable") and answer.headers["Retry-After"]
    assert await door.came() == []
    assert (await door.post(a_notice())).status == 200


async def test_random_bytes_are_refused_and_break_nothing(door: Door) -> None:
    for n in range(60):
        noise = b"".join(uuid.uuid5(uuid.NAMESPACE_OID, f"{n}/{k}").bytes for k in range(n % 9))
        head = CIMultiDict({"webhook-id": "msg", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,QUJD"})
        assert (await door.post(noise, head)).status == 401
