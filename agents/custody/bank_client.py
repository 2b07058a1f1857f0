"""The bank over HTTP: the platform's side of docs/bank-api.md, one function a question. What is no answer is raised, and asked again.

Every request is signed (Standard Webhooks) with the platform's secret; the credentials come from `lendbus bank enrol`.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

import aiohttp
import orjson
from standardwebhooks import Webhook

from agents.custody.messages import Closed, DateAnswered, Queried, Registered
from agents.runtime.calendar import KEY
from agents.runtime.decision import Message

CALL_S_MAX: Final = 5.0
ANSWER_BYTES_MAX: Final = 256 * 1024
REJECTIONS: Final = frozenset({409, 422})

Opener = Callable[[str], Mapping[str, Any]]  # opens a sealed content


class NoAnswer(Exception):
    """The bank has not said anything that can be relied on: unknown, ask again."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What `lendbus bank enrol` has written: who we are there, where it is, and a secret for each direction."""

    platform: str
    url: str
    api_secret: str
    notice_secret: str

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Of the credentials file's content. Raises ValueError."""
        said = orjson.loads(text)
        try:
            return cls(**{name: said[name] for name in ("platform", "url", "api_secret", "notice_secret")})
        except (KeyError, TypeError) as exc:
            raise ValueError(f"no credentials file: {exc} is missing") from None


class BankClient:
    """Asks the bank; `open_sealed` opens what is personal, which only travels inside the connection."""

    def __init__(self, credentials: Credentials, open_sealed: Opener) -> None:
        self._credentials = credentials
        self._webhook = Webhook(credentials.api_secret)
        self._open = open_sealed
        self._http: aiohttp.ClientSession | None = None

    def callers(self) -> Mapping[str, Callable[[str, Mapping[str, Any]], Awaitable[Message]]]:
        """The targets of custody's attempts."""
        return {"register": self.register, "query": self.query, "close": self.close_order, "date": self.date}

    async def register(self, number: str, asked: Mapping[str, Any]) -> Message:
        """Put an order. A refusal that no repeat can change is REJECTED."""
        personal = self._open(asked["sealed_content"]) if asked["sealed_content"] else {}
        body = {name: asked[name] for name in ("request_no", "kind", "page")}
        status, said = await self._post("instruct", {**body, "content": {**asked["content"], **personal}})
        if status in REJECTIONS:
            return Registered(id=asked["request_no"], status="REJECTED", reason=str(said.get("code", status)))
        return Registered(id=asked["request_no"], page_url=said["page_url"], **_of(said))

    async def query(self, number: str, asked: Mapping[str, Any]) -> Message:
        """How an order stands."""
        said = await self._ok("query", {"request_no": asked["request_no"]})
        return Queried(id=asked["request_no"], asked=asked["asked"], kind=said["kind"], page_url=said["page_url"], **_of(said))

    async def close_order(self, number: str, asked: Mapping[str, Any]) -> Message:
        """Give an order up; how it has ended."""
        said = await self._ok("close", {"request_no": asked["request_no"]})
        return Closed(id=asked["request_no"], **_of(said))

    async def date(self, number: str, asked: Mapping[str, Any]) -> Message:
        """The business date."""
        said = await self._ok("business-date", {})
        return DateAnswered(id=KEY, date=said["date"])

    async def balance(self, custody_no: str) -> dict[str, Any] | None:
        """What stands on an account, in fen; None for one that the bank does not know. Raises NoAnswer."""
        status, said = await self._post("balance", {"custody_no": custody_no})
        if status == 404:
            return None
        if status != 200:
            raise NoAnswer(f"balance: the bank says {status}")
        return dict(said)

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _ok(self, action: str, body: Mapping[str, Any]) -> Any:
        status, said = await self._post(action, body)
        if status != 200:
            raise NoAnswer(f"{action}: the bank says {status} {said.get('code', '')}".strip())
        return said

    async def _post(self, action: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        text = orjson.dumps({"action": action, **body})
        identity, now = f"msg_{secrets.token_hex(12)}", datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "X-Platform": self._credentials.platform,
            "webhook-id": identity,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(identity, now, text.decode()),
        }
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_S_MAX), trust_env=False)
        url = f"{self._credentials.url}/api/v1/{action}"
        async with self._http.post(url, data=text, headers=headers, allow_redirects=False) as answer:
            said = await answer.content.read(ANSWER_BYTES_MAX)
            if answer.status not in (200, 404, *REJECTIONS):
                raise NoAnswer(f"{action}: the bank says {answer.status}")
            return answer.status, orjson.loads(said)


def _of(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("status", "amount_fen", "booked_date", "reason", "details")}
