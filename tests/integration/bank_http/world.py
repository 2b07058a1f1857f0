"""A whole bank in this process (ledger, notifier, API, pages) on a free port, one platform that is enrolled there, and its receiver.

For whoever tests against the bank: `async with BankWorld(tmp_path) as bank`; then `bank.ask("instruct", …)`, `bank.confirm(page_url, …)`,
`bank.ended(number)`, and `bank.credentials` for a client of one's own. Executing takes a few milliseconds here.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web

from agents.runtime.http.signatures import headers_of
from bank.enrolment import Platform
from config.settings import Settings, load
from tools.bank_day import close_days
from tools.bank_place import SERVICES, platforms_of
from tools.crew import Crew
from tools.serving_bank import ServingBank, start_bank

PATIENCE_S = 20.0
PLATFORM = "lendbus"
DATE = "2025-01-31"
DEPOSIT_PASSWORD = "a deposit pass phrase"
CARD = "6228480402564890018"
ID_NUMBERS = ("11010519491231002X", "11010119900307803X", "310101199506151232", "440308199901101512")
FORM = "application/x-www-form-urlencoded"


def settings_of(folder: Path, **given: Any) -> Settings:
    """Quick hashes, a free port, a bank that is done in a few milliseconds and begins on 31 January 2025."""
    quick = {
        "argon2_memory_kib": 8192,
        "argon2_time_cost": 1,
        "bank_port": 0,
        "bank_delay_ms": 5,
        "bank_delay_jitter_ms": 4,
        "bank_date": DATE,
        "stop_timeout_ms": 5_000,
    }
    return load(data=folder, **{**quick, **given})


async def until(holds: Callable[[], Any], what: str = "it") -> Any:
    """Wait for a condition, which may be asynchronous; its value."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = holds()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S} s"
        await asyncio.sleep(0.01)


def number() -> str:
    """A new request number."""
    return str(uuid.uuid4())


def signed(
    secret: str, body: bytes, platform: str = PLATFORM, *, seconds: int | None = None, identity: str | None = None
) -> dict[str, str]:
    """The headers that these bytes are sent with."""
    at = int(time.time()) if seconds is None else seconds
    headers = headers_of(secret, identity or f"msg_{uuid.uuid4().hex}", at, body.decode())
    return {"Content-Type": "application/json", "X-Platform": platform, **headers}


@dataclass
class Answer:
    """A response, read to its end."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def said(self) -> Any:
        """Its JSON."""
        return json.loads(self.raw)

    @property
    def text(self) -> str:
        """As it is shown."""
        return self.raw.decode()


@dataclass
class Receiver:
    """Where the platform gets its notices: keeps them all, and answers as the test wants."""

    statuses: list[int] = field(default_factory=list)  # the next answers; then 200
    came: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        """One notice."""
        self.came.append((dict(request.headers), await request.read()))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"} if 300 <= status < 400 else None)

    def about(self, request_no: str) -> list[dict[str, Any]]:
        """The notices of one request."""
        bodies = [json.loads(raw) for _, raw in self.came]
        return [body for body in bodies if body["type"] == "order.ended" and body["data"]["request_no"] == request_no]

    @property
    def dates(self) -> list[str]:
        """The dates that were told, in the order in which they came."""
        return [body["data"]["date"] for _, raw in self.came if (body := json.loads(raw))["type"] == "date.rolled"]


class BankWorld:
    """The bank and what speaks to it; `async with` starts and ends everything."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.settings = settings_of(folder, **given)
        self.own = self.settings.of_bank()
        self.receiver = Receiver()
        self._ends = AsyncExitStack()
        self._crew: Crew | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            self.http = await opened.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)))
            notify_url = await self._receiving(opened)
            self.platform: Platform = platforms_of(self.own).enrol(PLATFORM, notify_url)
            await self.start()
            opened.push_async_callback(self.stop)
            self._ends = opened.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ends.aclose()

    async def start(self) -> None:
        """Start the bank; again on the port that it had, if it had one."""
        self._crew = Crew()
        self.url = await start_bank(self._crew, self.own)
        self.own = self.own.model_copy(update={"port": int(self.url.rsplit(":", 1)[1])})
        await until(self._ready, "the bank is ready")

    async def stop(self) -> None:
        """Stop the bank, if it runs."""
        crew, self._crew = self._crew, None
        if crew is not None:
            assert await crew.stop_all() == []

    @property
    def credentials(self) -> dict[str, str]:
        """What `lendbus bank enrol` writes for the platform."""
        return self.platform.credentials(self.url)

    @property
    def serving(self) -> ServingBank:
        """The HTTP side that runs."""
        assert self._crew is not None
        (found,) = (part for part in self._crew.parts if isinstance(part, ServingBank))
        return found

    async def ask(self, action: str, **body: Any) -> Answer:
        """One signed question."""
        raw = json.dumps({"action": action, **body}, ensure_ascii=False).encode()
        return await self.send(action, raw, signed(self.platform.api_secret, raw))

    async def send(self, action: str, raw: Any, headers: Any) -> Answer:
        """These bytes with these headers."""
        return await self._read("POST", f"{self.url}/api/v1/{action}", data=raw, headers=headers)

    async def page(self, url: str) -> Answer:
        """Look at a page."""
        return await self._read("GET", url)

    async def confirm(self, page_url: str, password: str = DEPOSIT_PASSWORD, again: str | None = None) -> Answer:
        """Confirm on a page."""
        form = {"deposit_password": password, **({} if again is None else {"deposit_password_again": again})}
        return await self._read("POST", page_url, data=form, allow_redirects=False)

    async def refuse(self, page_url: str) -> Answer:
        """Refuse on a page."""
        return await self._read("POST", f"{page_url}/refuse", allow_redirects=False)

    async def put(self, kind: str, content: Mapping[str, Any], *, page: bool = False, no: str | None = None) -> dict[str, Any]:
        """Put an instruction that is taken; its answer."""
        answer = await self.ask("instruct", request_no=no or number(), kind=kind, page=page, content=content)
        assert answer.status == 200, answer.text
        said: dict[str, Any] = answer.said
        return said

    async def ended(self, request_no: str) -> dict[str, Any]:
        """How a request has ended."""

        async def final() -> Any:
            said = (await self.ask("query", request_no=request_no)).said
            return said if said["status"] in ("SUCCEEDED", "REFUSED", "CLOSED") else None

        found: dict[str, Any] = await until(final, f"{request_no} has ended")
        return found

    async def do(self, kind: str, content: Mapping[str, Any], *, page: bool = False, no: str | None = None) -> dict[str, Any]:
        """Put, confirm where there is a page, wait for the end."""
        said = await self.put(kind, content, page=page, no=no)
        if said["page_url"]:
            assert (await self.confirm(said["page_url"], again=DEPOSIT_PASSWORD if kind == "open_account" else None)).status == 303
        return await self.ended(said["request_no"])

    async def account(self, fen: int = 0, *, person: int = 0, cap_fen: int = 0) -> str:
        """An account, with money, with an authorization; its number."""
        custody_no = str((await self.do("open_account", papers(person), page=True))["details"]["custody_no"])
        if fen:
            assert (await self.do("recharge", {"custody_no": custody_no, "amount_fen": fen}, page=True))["status"] == "SUCCEEDED"
        if cap_fen:
            content = {"custody_no": custody_no, "scope": "repay", "cap_fen": cap_fen, "expires_on": "2030-01-01"}
            assert (await self.do("authorize", content, page=True))["status"] == "SUCCEEDED"
        return custody_no

    async def balance(self, custody_no: str) -> tuple[int, int]:
        """Available and held."""
        said = (await self.ask("balance", custody_no=custody_no)).said
        return said["available_fen"], said["held_fen"]

    async def roll(self, days: int = 1) -> str:
        """Close days, as the bank's operator does."""
        return await close_days(self.own, days)

    def files(self) -> list[Path]:
        """Everything that the bank has written."""
        return [path for path in self.own.data.rglob("*") if path.is_file()]

    async def _ready(self) -> bool:
        return (await self._read("GET", f"{self.url}/readyz")).status == 200

    async def _receiving(self, opened: AsyncExitStack) -> str:
        app = web.Application()
        app.router.add_post("/bank/notices", self.receiver.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        opened.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/bank/notices"

    async def _read(self, method: str, url: str, **options: Any) -> Answer:
        async with self.http.request(method, url, **options) as response:
            raw = await response.read()
            assert b"Traceback" not in raw
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            return Answer(response.status, response.headers.copy(), raw)


def papers(person: int = 0, **fields: Any) -> dict[str, Any]:
    """Who opens an account."""
    return {
        "member_id": number(),
        "name": "王小明",
        "id_number": ID_NUMBERS[person],
        "card_number": CARD,
        "mobile": "13800000000",
        **fields,
    }


__all__ = ["SERVICES", "Answer", "BankWorld", "Receiver", "number", "papers", "signed", "until"]
