"""How a person's program speaks to the platform: every request under a key of its own, sent again until it is answered.

Nothing is decided here. What is answered 5xx, 429 or not at all is asked again under the same key; a thing that is not final is
looked at again at its `Location`; a wait that takes too long ends the story with TooLong.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import aiohttp

LOOK_EVERY_S: Final = 0.02
LOOK_SELDOM_S: Final = 0.2
SELDOM_AFTER_S: Final = 1.0
REQUEST_S_MAX: Final = 15.0  # one request; a process that is frozen answers nothing, the next request meets another one or it again
AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
UNAUTHORIZED: Final = 401

T = TypeVar("T")
Document = dict[str, Any]


class StoryEnded(Exception):
    """The story cannot go on: TooLong (somebody waited beyond the deadline), Unexpected (an answer that it does not know)."""


class TooLong(StoryEnded):
    """Nothing came of something within its deadline."""


class Unexpected(StoryEnded):
    """An answer that has no place in the story."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the platform answered at last."""

    status: int
    said: Document
    location: str | None = None

    @property
    def code(self) -> str:
        """The code of a problem, or the state of a thing."""
        return str(self.said.get("code") or self.said.get("status") or self.status)


class Doer(Protocol):
    """Whoever has a login name and a password."""

    @property
    def part(self) -> str: ...  # noqa: D102 - the name in the story

    @property
    def login_name(self) -> str: ...  # noqa: D102

    @property
    def password(self) -> str: ...  # noqa: D102


@dataclass
class Http:
    """The people's connection to the platform at `url`; each step has `within_s`. `repeats` counts requests that were sent again."""

    url: str
    session: aiohttp.ClientSession
    within_s: float
    repeats: int = 0
    _tokens: dict[str, str] = field(default_factory=dict)

    async def post(self, path: str, body: Mapping[str, Any], who: Doer | None = None, *, key: str | None = None) -> Answer:
        """Ask for something, under one key however often it is sent. Raises TooLong."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return await self._patiently("POST", path, who, json=dict(body), headers=headers)

    async def get(self, path: str, who: Doer | None = None) -> Answer:
        """Look at something. Raises TooLong."""
        return await self._patiently("GET", path, who)

    async def until(self, path: str, who: Doer | None, holds: Callable[[Document], bool], what: str) -> Document:
        """Look at something again and again until it is as it should be. Raises TooLong with how it stands instead."""
        last: Document = {}

        async def look() -> Document | None:
            nonlocal last
            last = (await self.get(path, who)).said
            return last if holds(last) else None

        return await wait(look, self.within_s, lambda: f"{what}: still {_short(last)}")

    async def submit(self, page_url: str, form: Mapping[str, str]) -> int:
        """Send a form of the bank's page, again until the bank answers; the HTTP status. Raises TooLong."""

        async def sent() -> int | None:
            try:
                async with self.session.post(page_url, data=form, allow_redirects=False, timeout=_TIMEOUT) as answer:
                    await answer.read()
                    return None if answer.status in AGAIN else answer.status
            except (aiohttp.ClientError, TimeoutError, OSError):
                return None

        return await self._repeated(sent, lambda: "the bank's page does not answer")

    async def show(self, page_url: str) -> str:
        """What the bank's page shows. Raises TooLong."""

        async def shown() -> str | None:
            try:
                async with self.session.get(page_url, timeout=_TIMEOUT) as answer:
                    return await answer.text() if answer.status not in AGAIN else None
            except (aiohttp.ClientError, TimeoutError, OSError):
                return None

        return await self._repeated(shown, lambda: "the bank's page does not answer")

    async def log_in(self, who: Doer) -> Answer:
        """Open a session and remember its token. Raises TooLong."""
        answer = await self._patiently("POST", "/api/v1/sessions", None, json={"login_name": who.login_name, "password": who.password})
        if token := answer.said.get("token"):
            self._tokens[who.login_name] = str(token)
        return answer

    async def _patiently(self, method: str, path: str, who: Doer | None, **request: Any) -> Answer:
        last = "no answer"

        async def asked() -> Answer | None:
            nonlocal last
            try:
                answer = await self._once(method, path, who, **request)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
                last = f"{type(exc).__name__}: {exc}"
                return None
            last = f"{answer.status} {answer.code}"
            if answer.status == UNAUTHORIZED and who is not None:  # the session is over, or its gateway is another one
                await self.log_in(who)
                return None
            return None if answer.status in AGAIN else answer

        return await self._repeated(asked, lambda: f"{method} {path}: {last}")

    async def _repeated(self, step: Callable[[], Awaitable[T | None]], said: Callable[[], str]) -> T:
        tries = 0

        async def counted() -> T | None:
            nonlocal tries
            self.repeats += tries > 0
            tries += 1
            return await step()

        return await wait(counted, self.within_s, said)

    async def _once(self, method: str, path: str, who: Doer | None, **request: Any) -> Answer:
        headers = dict(request.pop("headers", {}))
        if who is not None:
            headers["Authorization"] = f"Bearer {self._tokens.get(who.login_name, '')}"
        async with self.session.request(method, f"{self.url}{path}", headers=headers, timeout=_TIMEOUT, **request) as answer:
            said = await answer.json(content_type=None) if answer.status != 204 else {}
            return Answer(answer.status, said if isinstance(said, dict) else {"value": said}, answer.headers.get("Location"))


_TIMEOUT: Final = aiohttp.ClientTimeout(total=REQUEST_S_MAX)


async def wait(step: Callable[[], Awaitable[T | None]], within_s: float, said: Callable[[], str]) -> T:
    """Take a step until it yields something, soon at first, seldom later. Raises TooLong when it has not within the time."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while True:
        if (found := await step()) is not None:
            return found
        spent_s = loop.time() - began_s
        if spent_s > within_s:
            raise TooLong(f"{said()} after {spent_s:.0f} s")
        await asyncio.sleep(LOOK_EVERY_S if spent_s < SELDOM_AFTER_S else LOOK_SELDOM_S)


def _short(document: Document) -> str:
    return ", ".join(f"{name} {value}" for name, value in document.items() if name in ("status", "reason", "code", "date")) or "unknown"


def session() -> aiohttp.ClientSession:
    """The connections of a story's people; cookies are nobody's here."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
