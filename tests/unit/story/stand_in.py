"""A platform and a bank that a test invents, over real HTTP: they answer as the contract says, and can be told to stumble.

Everything is done at once and in memory. `spoil` may change any answer of the platform, `stumbles` are requests that get a 503 first.
"""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import aiohttp
from aiohttp import web

from agents.repayments.due_dates import due_date
from agents.repayments.money import Fen
from agents.repayments.schedule import Method, Schedule, schedule
from tools.story.http import Http
from tools.story.outcome import PLATFORM, Balance
from tools.story.people import REFUSED_NAME, Staff, cast
from tools.story.play import Story

AUDITORS = (Staff("first auditor", "auditor", "auditor_1", "one"), Staff("second auditor", "auditor", "auditor_2", "two"))
Spoil = Callable[[str, int, dict[str, Any]], tuple[int, dict[str, Any]]]


@dataclass
class StandIn:
    """The platform and the bank in one."""

    spoil: Spoil = lambda _, status, said: (status, said)
    stumbles: int = 0
    today: date = date(2026, 1, 31)
    url: str = ""
    ids: Any = field(default_factory=lambda: itertools.count(1))
    by_key: dict[str, tuple[int, str]] = field(default_factory=dict)
    things: dict[str, dict[str, Any]] = field(default_factory=dict)  # by location
    pages: dict[str, tuple[str, Callable[[], None]]] = field(default_factory=dict)
    members: dict[str, dict[str, Any]] = field(default_factory=dict)  # by login name
    available: dict[str, int] = field(default_factory=lambda: {PLATFORM: 0})
    held: dict[str, int] = field(default_factory=dict)
    loans: dict[str, dict[str, Any]] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    async def roll(self) -> date:
        """The bank closes its day."""
        self.today += timedelta(days=1)
        for loan in self.loans.values():
            if loan["status"] == "RAISING" and self.today > loan["until"]:
                self._fail(loan)
            for row in loan.get("instalments", ()):
                if row["status"] == "DUE" and date.fromisoformat(row["due_date"]) <= self.today:
                    self._collect(loan, row)
            if loan.get("instalments") and all(row["status"] == "PAID" for row in loan["instalments"]):
                loan["status"] = "SETTLED"
        return self.today

    async def balances(self, accounts: Any) -> dict[str, Balance]:
        """As the bank has them."""
        return {which: Balance(self.available.get(which, 0), self.held.get(which, 0)) for which in (*accounts, PLATFORM)}

    def app(self) -> web.Application:
        """Every route."""
        made = web.Application()
        made.router.add_route("*", "/bank/{page}", self._page)
        made.router.add_route("*", "/api/v1/{tail:.*}", self._any)
        return made

    async def _page(self, request: web.Request) -> web.Response:
        which, confirm = self.pages[request.match_info["page"]]
        if request.method == "POST":
            self.forms.append({name: str(value) for name, value in (await request.post()).items()})
            confirm()
        return web.Response(text=f"<p>{which}</p>", content_type="text/html")

    async def _any(self, request: web.Request) -> web.Response:
        if self.stumbles:
            self.stumbles -= 1
            return web.json_response({"code": "unavailable"}, status=503)
        body = await request.json() if request.method == "POST" else {}
        path = request.path.removeprefix("/api/v1")
        status, said, location = self._answer(request, path, body)
        status, said = self.spoil(f"{request.method} {path}", status, said)
        return web.json_response(said, status=status, headers={"Location": location} if location else {})

    def _answer(self, request: web.Request, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], str | None]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if path == "/sessions":
            self.logins.append(body["login_name"])
            return 201, {"token": f"of {body['login_name']}"}, None
        if request.method == "GET":
            return self._looked(path, token.removeprefix("of "))
        key = request.headers["Idempotency-Key"]
        self.keys.append(key)
        if key in self.by_key:
            status, location = self.by_key[key]
            return status, self.things[location], location
        if path != "/registrations" and token.removeprefix("of ") not in {*self.members, *(a.login_name for a in AUDITORS)}:
            return 401, {"code": "unauthorized"}, None
        status, said, where = self._done(path, body, token.removeprefix("of "))
        if where:
            self.by_key[key] = status, where
            self.things[where] = said
        return status, said, where

    def _looked(self, path: str, who: str) -> tuple[int, dict[str, Any], str | None]:
        if path == "/me":
            return 200, self.members[who], None
        parts = path.split("/")
        if parts[1] != "loans":
            return 200, self.things[f"/api/v1{path}"], None
        loan = self.loans[parts[2]]
        match parts[3:]:
            case []:
                return 200, {k: v for k, v in loan.items() if k in ("id", "status")}, None
            case ["plan"]:
                return 200, {"status": "READY", "instalments": loan.get("instalments", [])}, None
            case ["bids"]:
                return 200, {"bids": loan["bids"]}, None
            case ["receivables"]:
                return 200, {"receivables": [r for r in loan.get("shares", ()) if r["investor"] == self.members[who]["id"]]}, None
        return 200, self.things[f"/api/v1{path}"], None

    def _done(self, path: str, body: dict[str, Any], who: str) -> tuple[int, dict[str, Any], str | None]:
        which = f"t{next(self.ids)}"
        location = f"/api/v1{path}/{which}"
        match path.split("/")[1:]:
            case ["registrations"]:
                self.members[body["login_name"]] = {"id": which, "status": "AVAILABLE", "custody_no": None}
                return 201, {"id": which, "status": "CONFIRMED"}, location
            case ["openings" | "recharges" | "authorizations" as kind]:
                thing: dict[str, Any] = {"id": which, "status": "AWAITING"}
                self._await(thing, lambda: self._confirmed(kind, thing, body, who))
                return 202, thing, location
            case ["loans"]:
                loan = {"id": which, "status": "DRAFT", "bids": [], "borrower": who, **body}
                self.loans[which] = loan
                return 201, loan, location
            case ["loans", loan_id, "bids"]:
                return self._bid(self.loans[loan_id], which, body, who, location)
            case ["loans", loan_id, ("first-audit" | "full-audit") as audit]:
                return self._audited(self.loans[loan_id], audit, who)
        raise AssertionError(path)

    def _await(self, thing: dict[str, Any], confirm: Callable[[], None]) -> None:
        thing["page_url"] = f"{self.url}/bank/p{thing['id']}"
        self.pages[f"p{thing['id']}"] = str(thing["id"]), confirm

    def _confirmed(self, kind: str, thing: dict[str, Any], body: dict[str, Any], who: str) -> None:
        match kind:
            case "openings" if body["name"] == REFUSED_NAME:
                thing |= {"status": "REFUSED", "reason": "name_refused"}
            case "openings":
                number = self.members[who]["custody_no"] = f"c{thing['id']}"
                self.available[number] = self.held[number] = 0
                thing["status"] = "OPENED"
            case "recharges":
                self.available[self._account(who)] += body["amount_fen"]
                thing["status"] = "DONE"
            case _:
                thing["status"] = "ON"

    def _account(self, who: str) -> str:
        return str(self.members[who]["custody_no"])

    def _bid(
        self, loan: dict[str, Any], which: str, body: dict[str, Any], who: str, location: str
    ) -> tuple[int, dict[str, Any], str | None]:
        if loan["status"] != "RAISING":
            return 409, {"code": "not_raising"}, None
        bid = {"id": which, "investor": self.members[who]["id"], "who": who, "amount_fen": body["amount_fen"], "status": "PENDING"}
        loan["bids"].append(bid)

        def confirm() -> None:
            account, amount = self._account(who), body["amount_fen"]
            if self.available[account] < amount:
                bid.update(status="REFUSED", reason="insufficient")
                return
            self.available[account] -= amount
            self.held[account] += amount
            bid["status"] = "ACCEPTED"
            if sum(b["amount_fen"] for b in loan["bids"] if b["status"] == "ACCEPTED") == loan["amount_fen"]:
                loan["status"] = "FULL"

        self._await(bid, confirm)
        return 202, bid, location

    def _audited(self, loan: dict[str, Any], audit: str, who: str) -> tuple[int, dict[str, Any], str | None]:
        if audit == "first-audit":
            loan |= {"status": "RAISING", "auditor": who, "until": self.today + timedelta(days=loan["raising_days"])}
        elif loan["auditor"] == who:
            return 409, {"code": "same_auditor"}, None
        else:
            self._disburse(loan)
        return 200, {"id": loan["id"], "status": loan["status"]}, None

    def _accepted(self, loan: dict[str, Any]) -> list[dict[str, Any]]:
        return [bid for bid in loan["bids"] if bid["status"] == "ACCEPTED"]

    def _fail(self, loan: dict[str, Any]) -> None:
        for bid in self._accepted(loan):
            self.held[self._account(bid["who"])] -= bid["amount_fen"]
            self.available[self._account(bid["who"])] += bid["amount_fen"]
            bid["status"] = "RELEASED"
        loan["status"] = "FAILED"

    def _disburse(self, loan: dict[str, Any]) -> None:
        for bid in self._accepted(loan):
            self.held[self._account(bid["who"])] -= bid["amount_fen"]
        self.available[self._account(loan["borrower"])] += loan["amount_fen"]
        plan, shares = planned(loan, self.today, self._accepted(loan))
        loan |= {"status": "REPAYING", "instalments": plan, "shares": shares}

    def _collect(self, loan: dict[str, Any], row: dict[str, Any]) -> None:
        self.available[self._account(loan["borrower"])] -= row["principal_fen"] + row["interest_fen"]
        paid = 0
        for share in (share for share in loan["shares"] if share["number"] == row["number"]):
            self.available[self._account(share["who"])] += share["principal_fen"] + share["interest_fen"]
            paid += share["principal_fen"] + share["interest_fen"]
        self.available[PLATFORM] += row["principal_fen"] + row["interest_fen"] - paid
        row["status"] = "PAID"


def planned(loan: dict[str, Any], start: date, bids: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A plan by the product's own arithmetic, and shares by simple proportion: the stand-in's accounts must add up, no more."""
    rate = Fraction(loan["annual_rate"])
    made = schedule(Method(loan["method"]), principal_fen=Fen(loan["amount_fen"]), annual_rate=rate, months=loan["months"])
    assert isinstance(made, Schedule)
    plan, shares = [], []
    for row in made.rows:
        plan.append(
            {
                "number": row.n,
                "due_date": due_date(start, row.month).isoformat(),
                "principal_fen": row.principal_fen,
                "interest_fen": row.interest_fen,
                "status": "DUE",
            }
        )
        left = int(row.principal_fen)
        for at, bid in enumerate(bids):
            part = left if at == len(bids) - 1 else row.principal_fen * bid["amount_fen"] // loan["amount_fen"]
            left -= part
            interest = row.interest_fen * bid["amount_fen"] // loan["amount_fen"] * 8 // 10
            shares.append(
                {"number": row.n, "investor": bid["investor"], "who": bid["who"], "principal_fen": part, "interest_fen": interest}
            )
    return plan, shares


@asynccontextmanager
async def told_on(platform: StandIn, *, within_s: float = 5.0, seed: str = "1") -> AsyncIterator[Story]:
    """A story that will be told on this platform."""
    runner = web.AppRunner(platform.app())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        platform.url = f"http://{host}:{port}"
        async with aiohttp.ClientSession() as session:
            yield Story(cast(seed), *AUDITORS, Http(platform.url, session, within_s), platform.roll)
    finally:
        await runner.cleanup()
