"""The bank's API for platforms (docs/bank-api.md): signed POSTs, one action each, answered from the ledger's own rows."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import orjson
from aiohttp import web

from agents.runtime.canonical import Unacceptable
from agents.runtime.canonical_json import parse_json
from agents.runtime.http import signatures
from agents.runtime.http.bodies import read_body, refuse_content_type, refuse_encoding
from agents.runtime.http.door import TRACE
from agents.runtime.http.problems import away
from agents.runtime.http.store_reader import StoreUnreadable
from agents.runtime.sealing import Keyring
from bank import content
from bank.enrolment import NAME, EnrolmentError, Platforms
from bank.messages import Close, Instruct
from bank.model import Request, Status
from bank.problems import Refusal, not_signed
from bank.reader import BankReader
from bank.teller import Teller
from config import logs
from config.bank import BODY_BYTES_MAX

ROUTE: Final = "/api/v1"
PLATFORM: Final = "X-Platform"
SHANGHAI: Final = timezone(timedelta(hours=8))

log = logs.get("bank")

Answer = dict[str, Any]
Action = Callable[[str, Mapping[str, Any]], Awaitable[Answer]]


class Api:
    """Answers enrolled platforms; `page_url` makes the address of a request's page."""

    def __init__(
        self,
        *,
        platforms: Platforms,
        teller: Teller,
        reader: BankReader,
        keyring: Keyring,
        page_url: Callable[[str], str],
        clock: Callable[[], int],
    ) -> None:
        self._platforms = platforms
        self._teller = teller
        self._reader = reader
        self._keyring = keyring
        self._page_url = page_url
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """A route an action."""
        actions: dict[str, Action] = {
            "instruct": self.instruct,
            "query": self.query,
            "close": self.close,
            "balance": self.balance,
            "business-date": self.date,
        }
        return [web.post(f"{ROUTE}/{name}", self._signed(name, action)) for name, action in actions.items()]

    async def instruct(self, platform: str, body: Mapping[str, Any]) -> Answer:
        """Put an instruction; answered when its row is durable, and again as it stands whenever it comes again."""
        today = datetime.fromtimestamp(self._clock() / 1000, SHANGHAI).date()
        said = content.read(body, self._keyring, today=today)
        found = await self._teller.look(said.request_no)
        if found is None:
            command = Instruct(
                id=said.request_no,
                platform=platform,
                kind=said.kind,
                page=said.page,
                content=dict(said.content),
                sealed_content=said.sealed_content,
                content_mac=said.content_mac,
                person_lookup=said.person_lookup,
            )
            found = await self._teller.put(said.request_no, command, principal=platform)
        closed_before = not found.kind
        if found.platform != platform or not (closed_before or found.content_mac == said.content_mac):
            raise differs()
        return self._answer(found)

    async def query(self, platform: str, body: Mapping[str, Any]) -> Answer:
        """How a request stands; another platform's is as unknown as none."""
        request_no = content.request_no_of(body)
        found = await self._teller.look(request_no)
        return self._answer(found) if found is not None and found.platform == platform else unknown(request_no)

    async def close(self, platform: str, body: Mapping[str, Any]) -> Answer:
        """Give a request up; the answer is how it has ended."""
        request_no = content.request_no_of(body)
        found = await self._teller.look(request_no)
        if found is None or not found.status.is_final:
            found = await self._teller.put(request_no, Close(id=request_no, platform=platform), principal=platform)
        if found.platform != platform:
            raise differs()
        if not found.status.is_final:
            raise away("The ledger has not answered in time; send the same request again: it takes effect once.")
        return self._answer(found)

    async def balance(self, platform: str, body: Mapping[str, Any]) -> Answer:
        """What stands on an account."""
        custody_no = content.custody_no_of(body)
        found = await self._read(self._reader.balance(custody_no))
        if found is None:
            raise Refusal("unknown_account", "There is no account of this number.")
        return {"custody_no": custody_no, "available_fen": found.available_fen, "held_fen": found.held_fen}

    async def date(self, platform: str, body: Mapping[str, Any]) -> Answer:
        """The business date."""
        content.nothing_more(body)
        found = await self._read(self._reader.date())
        if found is None:
            raise away("The bank's first day has not begun; ask again.")
        return {"date": found}

    def _signed(self, name: str, action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            platform, body = await self._verified(request, name)
            if isinstance(number := body.get("request_no"), str):
                request[TRACE] = number[:36]
            answer = await action(platform, body)
            return web.Response(body=orjson.dumps(answer), content_type="application/json")

        return handle

    async def _verified(self, request: web.Request, action: str) -> tuple[str, dict[str, Any]]:
        """The platform that has signed this body for this action, and the body. Raises Problem; 401 for all that is wrong with who asks."""
        refuse_content_type(request.headers.getall("Content-Type", ()))
        refuse_encoding(request.headers.getall("Content-Encoding", ()))
        raw = await read_body(request, BODY_BYTES_MAX)
        names = request.headers.getall(PLATFORM, [])
        try:
            if len(names) != 1 or not NAME.fullmatch(names[0]) or (platform := self._platforms.get(names[0])) is None:
                raise signatures.NotSigned("no enrolled platform is named")
            signatures.verify(request.headers, raw, [platform.api_secret], now_s=self._clock() / 1000)
            body = parse_json(raw, max_bytes=BODY_BYTES_MAX)
        except signatures.NotSigned as exc:
            log.info("not signed", why=str(exc))
            raise not_signed() from None
        except EnrolmentError as exc:
            log.error("nobody can be recognized", why=str(exc))
            raise away("The bank cannot tell who asks just now; send the same request again.") from None
        except Unacceptable as exc:
            log.info("signed, but no JSON of ours", why=exc.code)
            raise not_signed() from None
        if not isinstance(body, dict) or body.get("action") != action:
            log.info("signed for another action", platform=platform.name)
            raise not_signed()
        return platform.name, body

    async def _read(self, question: Awaitable[Any]) -> Any:
        try:
            return await question
        except StoreUnreadable as exc:
            log.warning("the books cannot be read", why=str(exc))
            raise away("The bank's books cannot be read just now; send the same request again.") from None

    def _answer(self, request: Request) -> Answer:
        awaits = request.status is Status.AWAITING and request.page
        return answer(request, page_url=self._page_url(request.id) if awaits else None)


def answer(request: Request, *, page_url: str | None = None) -> Answer:
    """How a request stands, as platforms are told; `page_url` while it waits for its member."""
    return {
        "request_no": request.id,
        "status": request.status.value,
        "kind": request.kind,
        "amount_fen": request.amount_fen,
        "booked_date": request.booked_date,
        "reason": request.reason,
        "page_url": page_url,
        "details": dict(request.details),
    }


def unknown(request_no: str) -> Answer:
    """There is none of this number."""
    nothing = dict.fromkeys(("booked_date", "reason", "page_url"))
    return {"request_no": request_no, "status": "UNKNOWN", "kind": "", "amount_fen": 0, **nothing, "details": {}}


def differs() -> Refusal:
    """The number is taken, for ever."""
    return Refusal("content_differs", "This request number belongs to another content; a new instruction needs a new number.")
