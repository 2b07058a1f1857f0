"""The client against a bank that says what the test wants: what is no answer is asked again, what no repeat can change is not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from agents.custody import bank_client
from agents.custody.bank_client import BankClient, NoAnswer
from agents.custody.credentials import CredentialsFile, NoCredentials
from agents.custody.messages import Closed, DateAnswered, Queried, Registered
from agents.runtime.http import signatures
from bank.enrolment import write_private

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ORDER = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
GOOD: dict[str, Any] = {
    "request_no": ORDER, "status": "ACCEPTED", "kind": "recharge", "amount_fen": 500, "booked_date": None, "reason": None, "page_url": None,
    "details": {},
}  # fmt: skip
ENDED = {**GOOD, "status": "SUCCEEDED", "booked_date": "2026-03-02"}
PUT = {"request_no": ORDER, "kind": "recharge", "page": True, "content": {"custody_no": "6", "amount_fen": 500}, "sealed_content": None}

Says = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Bank:
    """Answers every question alike, and keeps what it was asked."""

    client: BankClient
    path: Path
    says: Says | None = None
    asked: list[tuple[str, Any, bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers, await request.read()))
        assert self.says is not None
        return await self.says(request)

    def answer(self, body: Any, status: int = 200) -> None:
        """From now on this is said."""

        async def say(_: web.Request) -> web.StreamResponse:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            return web.Response(body=raw, status=status, headers={"Location": "/elsewhere"} if 300 <= status < 400 else None)

        self.says = say


def opened(value: str, name: str) -> str:
    return f"{name} of {value}"


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[Bank]:
    path = tmp_path / "credentials.json"
    made = Bank(BankClient(CredentialsFile(path), opened), path)
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    write_private(path, {"platform": "lendbus", "url": url, "api_secret": SECRET, "notice_secret": SECRET})
    yield made
    await made.client.close()
    await runner.cleanup()


async def test_every_question_is_a_signed_post_that_names_its_action(bank: Bank) -> None:
    bank.answer(ENDED)
    await bank.client.register("n", PUT)
    await bank.client.query("n", {"request_no": ORDER, "asked": 1})
    await bank.client.close_order("n", {"request_no": ORDER})
    bank.answer({"date": "2026-03-02"})
    await bank.client.date("n", {})
    assert [path for path, _, _ in bank.asked] == [f"/api/v1/{action}" for action in ("instruct", "query", "close", "business-date")]
    for path, head, body in bank.asked:
        seconds = int(head["webhook-timestamp"])
        assert signatures.verify(head, body, [SECRET], now_s=seconds).startswith("msg_") and head["X-Platform"] == "lendbus"
        assert json.loads(body)["action"] == path.rsplit("/", 1)[1]
    assert len({head["webhook-id"] for _, head, _ in bank.asked}) == 4


async def test_what_is_personal_is_opened_for_the_connection_only(bank: Bank) -> None:
    bank.answer({**GOOD, "status": "AWAITING", "page_url": "https://bank/p/x"})
    said = await bank.client.register("n", {**PUT, "sealed_content": '{"name": "s1", "mobile": "s2"}'})
    assert json.loads(bank.asked[0][2])["content"] == {"custody_no": "6", "amount_fen": 500, "name": "name of s1", "mobile": "mobile of s2"}
    assert said == Registered(id=ORDER, status="AWAITING", page_url="https://bank/p/x", amount_fen=500)


async def test_answers_become_messages(bank: Bank) -> None:
    bank.answer(ENDED)
    end: dict[str, Any] = {"status": "SUCCEEDED", "amount_fen": 500, "booked_date": "2026-03-02"}
    assert await bank.client.register("n", PUT) == Registered(id=ORDER, **end)
    assert await bank.client.query("n", {"request_no": ORDER, "asked": 3}) == Queried(id=ORDER, asked=3, kind="recharge", **end)
    assert await bank.client.close_order("n", {"request_no": ORDER}) == Closed(id=ORDER, **end)
    bank.answer({"date": "2026-03-02", "more": "of a later bank"})
    assert await bank.client.date("n", {}) == DateAnswered(id="calendar:1", date="2026-03-02")
    bank.answer({**GOOD, "status": "UNKNOWN", "kind": "", "amount_fen": 0})
    assert await bank.client.query("n", {"request_no": ORDER, "asked": 1}) == Queried(id=ORDER, asked=1, status="UNKNOWN")


@pytest.mark.parametrize(("status", "code"), [(409, "content_differs"), (422, "invalid_content")])
async def test_what_no_repeat_can_change_is_a_rejection_and_to_anything_else_no_answer(bank: Bank, status: int, code: str) -> None:
    bank.answer({"code": code}, status)
    assert await bank.client.register("n", PUT) == Registered(id=ORDER, status="REJECTED", reason=code)
    for ask in (bank.client.query("n", {"request_no": ORDER, "asked": 1}), bank.client.close_order("n", {"request_no": ORDER})):
        with pytest.raises(NoAnswer, match=code):
            await ask


WRONG: list[dict[str, Any]] = [
    {"status": "DONE"},
    {"status": None},
    {"status": "AWAITING"},
    {"status": "SUCCEEDED"},
    {"amount_fen": -1},
    {"amount_fen": "500"},
    {"amount_fen": True},
    {"amount_fen": 2**63},
    {"details": None},
    {"details": {"x": "\0"}},
    {"details": {"x": "x" * 300_000}},
    {"booked_date": "2026-02-30"},
    {"page_url": "javascript:x"},
    {"kind": "k" * 65},
    {"request_no": ORDER.replace("7", "8")},
]
TEXTS = (
    b"",
    b"[]",
    b"null",
    b"{",
    b"<html>",
    b"\xff",
    b"{}",
    b"[" * 5_000,
    b'{"a":1,"a":1}',
    json.dumps(GOOD).encode().replace(b"500", b"5e2"),
)
NONSENSE: list[tuple[Any, int]] = [
    *((GOOD, status) for status in (201, 204, 301, 302, 307, 308, 400, 401, 403, 404, 429, 500, 502, 503)),
    *((text, 200) for text in TEXTS),
    *(({**GOOD, **wrong}, 200) for wrong in WRONG),
]


@pytest.mark.parametrize(("body", "status"), NONSENSE, ids=lambda value: repr(value)[:60])
async def test_what_is_no_answer_of_the_bank_is_asked_again_whatever_was_asked(bank: Bank, body: Any, status: int) -> None:
    bank.answer(body, status)
    for ask in (bank.client.register("n", PUT), bank.client.query("n", {"request_no": ORDER, "asked": 1}), bank.client.date("n", {})):
        with pytest.raises(NoAnswer):
            await ask
    with pytest.raises(NoAnswer):
        await bank.client.close_order("n", {"request_no": ORDER})
    assert {path for path, _, _ in bank.asked} == {f"/api/v1/{action}" for action in ("instruct", "query", "close", "business-date")}


@pytest.mark.parametrize("status", ["UNKNOWN", "AWAITING", "ACCEPTED"])
async def test_a_close_is_answered_with_an_end_only(bank: Bank, status: str) -> None:
    bank.answer({**GOOD, "status": status, "page_url": "https://bank/p/x"})
    with pytest.raises(NoAnswer, match="no end"):
        await bank.client.close_order("n", {"request_no": ORDER})


async def test_a_registration_is_not_answered_with_unknown(bank: Bank) -> None:
    bank.answer({**GOOD, "status": "UNKNOWN"})
    with pytest.raises(NoAnswer, match="was just told"):
        await bank.client.register("n", PUT)


@pytest.mark.parametrize("day", ["2026-02-30", "20260301", "", None, 20260301])
async def test_a_date_is_a_day_of_the_calendar(bank: Bank, day: Any) -> None:
    bank.answer({"date": day})
    with pytest.raises(NoAnswer, match="business-date"):
        await bank.client.date("n", {})


async def test_a_balance_is_two_amounts_or_there_is_no_such_account(bank: Bank) -> None:
    bank.answer({"custody_no": "6", "available_fen": 7, "held_fen": 8})
    assert await bank.client.balance("6") == (7, 8)
    bank.answer({"code": "unknown_account"}, 404)
    assert await bank.client.balance("6") is None
    bank.answer({"code": "invalid_content"}, 422)
    with pytest.raises(NoAnswer):
        await bank.client.balance("6")


async def test_a_bank_that_says_nothing_is_given_up_in_time(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_client, "CALL_S_MAX", 0.05)

    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    bank.says = silent
    with pytest.raises(TimeoutError):
        await bank.client.query("n", {"request_no": ORDER, "asked": 1})


async def test_a_bank_that_breaks_off_has_not_answered(bank: Bank) -> None:
    async def breaks_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "500"})
        await response.prepare(request)
        await response.write(b'{"request_no"')
        assert request.transport is not None
        request.transport.close()
        return response

    bank.says = breaks_off
    with pytest.raises(aiohttp.ClientError):
        await bank.client.query("n", {"request_no": ORDER, "asked": 1})


async def test_a_closed_client_opens_again_and_new_credentials_are_used_at_once(bank: Bank) -> None:
    bank.answer({"date": "2026-03-02"})
    await bank.client.date("n", {})
    await bank.client.close()
    await bank.client.close()
    said = json.loads(bank.path.read_bytes())
    write_private(bank.path, {**said, "platform": "another"})
    await bank.client.date("n", {})
    assert [head["X-Platform"] for _, head, _ in bank.asked] == ["lendbus", "another"]
    bank.path.unlink()
    with pytest.raises(NoCredentials):
        await bank.client.date("n", {})
