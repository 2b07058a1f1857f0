"""The bank over HTTP: the platform's side of docs/bank-api.md, one function a question. What is no answer is raised, and asked again.

Every request is signed (Standard Webhooks) with the platform's secret. Nothing is followed, no proxy is asked: what personal
data an order has travels inside this one connection only.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import orjson

from agents.custody.bank_answer import Answer, Unreadable, answer, business_date, document
from agents.custody.credentials import CredentialsFile
from agents.custody.messages import Closed, DateAnswered, Queried, Registered
from agents.runtime.calendar import KEY
from agents.runtime.decision import Message
from agents.runtime.http import signatures

CALL_S_MAX: Final = 5.0
ANSWER_BYTES_MAX: Final = 256 * 1024
REJECTIONS: Final = frozenset({409, 422})  # for ever: no repeat of these bytes will be taken

Opener = Callable[[str, str], str]  # opens a sealed value, which was sealed for a field of this name
Caller = Callable[[str, Mapping[str, Any]], Awaitable[Message]]


class NoAnswer(Exception):
    """The bank has not said anything that can be relied on: unknown, ask again."""


class BankClient:
    """Asks the bank; `open_sealed` opens what of an order is personal."""

    def __init__(self, credentials: CredentialsFile, open_sealed: Opener) -> None:
        self._credentials = credentials
        self._open = open_sealed
        self._http: aiohttp.ClientSession | None = None

    def callers(self) -> Mapping[str, Caller]:
        """The targets of custody's attempts."""
        return {"register": self.register, "query": self.query, "close": self.close_order, "date": self.date}

    async def register(self, number: str, asked: Mapping[str, Any]) -> Message:
        """Put an order. What no repeat can change is REJECTED. Raises NoAnswer."""
        order = str(asked["request_no"])
        sealed = orjson.loads(asked["sealed_content"] or "{}")
        personal = {name: self._open(value, name) for name, value in sealed.items()}
        body = {name: asked[name] for name in ("request_no", "kind", "page")}
        status, said = await self._post("instruct", {**body, "content": {**asked["content"], **personal}})
        if status in REJECTIONS:
            return Registered(id=order, status="REJECTED", reason=str(said.get("code", status))[:64])
        found = _about(order, status, said, "instruct")
        if found.status == "UNKNOWN":
            raise NoAnswer("instruct: the bank does not know what it was just told")
        return Registered(id=order, page_url=found.page_url, **found.said)

    async def query(self, number: str, asked: Mapping[str, Any]) -> Message:
        """How an order stands. Raises NoAnswer."""
        order = str(asked["request_no"])
        found = _about(order, *await self._post("query", {"request_no": order}), "query")
        return Queried(id=order, asked=asked["asked"], kind=found.kind or None, page_url=found.page_url, **found.said)

    async def close_order(self, number: str, asked: Mapping[str, Any]) -> Message:
        """Give an order up; how it has ended. Raises NoAnswer."""
        order = str(asked["request_no"])
        found = _about(order, *await self._post("close", {"request_no": order}), "close")
        if not found.is_final:
            raise NoAnswer(f"close: the bank says {found.status}, which is no end")
        return Closed(id=order, **found.said)

    async def date(self, number: str, asked: Mapping[str, Any]) -> Message:
        """The business date. Raises NoAnswer."""
        status, said = await self._post("business-date", {})
        if status != 200:
            raise NoAnswer(f"business-date: the bank says {status}")
        try:
            return DateAnswered(id=KEY, date=business_date(said).isoformat())
        except Unreadable as exc:
            raise NoAnswer(f"business-date: {exc}") from None

    async def balance(self, custody_no: str) -> tuple[int, int] | None:
        """What is available and what is held on an account, in fen; None for one that the bank does not know. Raises NoAnswer."""
        status, said = await self._post("balance", {"custody_no": custody_no})
        if status == 404:
            return None
        try:
            return int(said["available_fen"]), int(said["held_fen"])
        except (KeyError, TypeError, ValueError):
            raise NoAnswer(f"balance: the bank says {status}") from None

    async def close(self) -> None:
        """Close the connections; a later question opens new ones."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _post(self, action: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        credentials = self._credentials.read()
        text = orjson.dumps({"action": action, **body}).decode()
        headers = {
            "Content-Type": "application/json",
            "X-Platform": credentials.platform,
            **signatures.headers_of(credentials.api_secret, f"msg_{secrets.token_hex(12)}", int(time.time()), text),
        }
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_S_MAX), trust_env=False)
        url = f"{credentials.url}/api/v1/{action}"
        async with self._http.post(url, data=text.encode(), headers=headers, allow_redirects=False) as response:
            if response.status not in (200, 404, *REJECTIONS):
                raise NoAnswer(f"{action}: the bank says {response.status}")
            try:
                return response.status, document(await _bounded(response), max_bytes=ANSWER_BYTES_MAX)
            except Unreadable as exc:
                raise NoAnswer(f"{action}: {exc}") from None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, or as much of it as shows that it is too long."""
    read = bytearray()
    while len(read) <= ANSWER_BYTES_MAX and (chunk := await response.content.readany()):
        read += chunk
    return bytes(read)


def _about(order: str, status: int, said: Mapping[str, Any], action: str) -> Answer:
    if status != 200:
        raise NoAnswer(f"{action}: the bank says {status} {said.get('code', '')}".rstrip())
    try:
        found = answer(said)
    except Unreadable as exc:
        raise NoAnswer(f"{action}: {exc}") from None
    if found.request_no != order:
        raise NoAnswer(f"{action}: the bank speaks of another order")
    return found
