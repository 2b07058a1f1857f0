"""A loan's life through real HTTP, a real bus, the real services and their stores; only custody and who signs in are played."""

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.principals import Principal, not_signed_in
from tests.integration.gateway.described import Description
from tests.integration.gateway.scripted_custody import ScriptedCustody, custody
from tests.integration.gateway.stage import A_LOAN as LOAN
from tests.integration.gateway.world import JSON, Answer, Client, World, a_body, until

PAPERS = {"name": "林晓", "id_number": "11010519491231002X", "card_number": "4111111111111111"}
OTHER_PAPERS = {"name": "赵东", "id_number": "440524188001010014", "card_number": "4111111111111111"}
FIRST, SECOND = (Principal(str(uuid.uuid4()), "auditor") for _ in range(2))


async def by_header(request: web.Request, permission: str) -> Principal:
    """Whoever the header says."""
    if not (who := request.headers.get("Authorization")):
        raise not_signed_in()
    return Principal(*who.split())


@dataclass
class House:
    """Everything that a story needs."""

    world: World
    client: Client
    custody: ScriptedCustody
    description: Description

    async def post(self, who: Principal, path: str, body: Any, key: str | None = None) -> Answer:
        """Ask for something."""
        headers = {**JSON, "Authorization": f"{who.id} {who.role}", "Idempotency-Key": key or str(uuid.uuid4())}
        return await self._judged("post", path, data=json.dumps(body).encode(), headers=headers)

    async def get(self, who: Principal, path: str) -> Answer:
        """Look at something."""
        return await self._judged("get", path, headers={"Authorization": f"{who.id} {who.role}"})

    async def becomes(self, who: Principal, path: str, status: str) -> dict[str, Any]:
        """Wait until a thing has this status."""

        async def stands() -> Any:
            answer = await self.get(who, path)
            return answer.body if answer.body.get("status") == status else None

        found: dict[str, Any] = await until(stands)
        return found

    async def member(self, role: str, login_name: str, mobile: str, papers: dict[str, str], number: str) -> Principal:
        """Somebody with an account at the bank."""
        made = await self.client.register(login_name=login_name, mobile=mobile, role=role)
        assert made.status == 201
        who = Principal(made.body["id"], role)
        opening = await self.post(who, "/api/v1/openings", papers)
        assert (opening.status, opening.body["status"]) == (202, "AWAITING")
        await self.custody.confirm(opening.body["page_url"], custody_no=number, card="**1111")
        opened = await self.becomes(who, opening.headers["Location"], "OPENED")
        assert (opened["custody_no"], opened["card"], opened["page_url"]) == (number, "**1111", None)
        return who

    async def listed(self, borrower: Principal) -> str:
        """A loan that takes bids."""
        made = await self.post(borrower, "/api/v1/loans", LOAN)
        assert (made.status, made.body["status"]) == (201, "DRAFT"), made
        loan = f"/api/v1/loans/{made.body['id']}"
        passed = await self.post(FIRST, f"{loan}/first-audit", {"decision": "pass"})
        assert passed.status == 200, passed
        await self.becomes(borrower, loan, "RAISING")
        return loan

    async def _judged(self, method: str, path: str, **options: Any) -> Answer:
        answer = await self.client.send(method.upper(), path, **options)
        names = {
            name
            for name, (where, how, _) in self.description.operations().items()
            if how == method and _fits(path.partition("?")[0], where)
        }
        assert names, f"{method} {path} is not described"
        self.description.judge(names.pop(), answer)
        return answer


def _fits(path: str, template: str) -> bool:
    parts, places = path.split("/"), template.split("/")
    return len(parts) == len(places) and all(place in ("{id}", part) for part, place in zip(parts, places, strict=True))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with World(tmp_path, wait_ms=10_000) as world, custody(world.bus) as played:
        client = await world.gateway(doorkeeper=by_header)
        async with world.services("accounts", "users", "trading", "repayments"):
            await played.tell_date()
            yield House(world, client, played, await Description.of(client))


@pytest.fixture
async def borrower(house: House) -> Principal:
    return await house.member("borrower", "tea_shop", "13800000001", PAPERS, "c1")


@pytest.fixture
async def investor(house: House) -> Principal:
    return await house.member("investor", "zhao_dong", "13800000002", OTHER_PAPERS, "c2")


async def test_a_loan_is_published_filled_disbursed_and_its_first_instalment_paid(
    house: House, borrower: Principal, investor: Principal
) -> None:
    loan = await house.listed(borrower)
    bid = await house.post(investor, f"{loan}/bids", {"amount_fen": 1_000_000})
    assert (bid.status, bid.body["status"]) == (202, "PENDING") and bid.body["page_url"]
    await house.custody.confirm(bid.body["page_url"])
    await house.becomes(investor, bid.headers["Location"], "ACCEPTED")
    await house.becomes(borrower, loan, "FULL")
    same = await house.post(FIRST, f"{loan}/full-audit", {"decision": "pass"})
    assert (same.status, same.code, same.body["errors"][0]["code"]) == (409, "refused", "second_person_needed")
    assert (await house.post(SECOND, f"{loan}/full-audit", {"decision": "pass"})).status == 200
    await house.becomes(borrower, loan, "REPAYING")
    plan = await house.becomes(borrower, f"{loan}/plan", "REPAYING")
    assert [row["due_date"] for row in plan["instalments"]] == ["2026-02-28", "2026-03-31", "2026-04-30"]
    assert sum(row["principal_fen"] for row in plan["instalments"]) == 1_000_000
    mine = (await house.get(investor, f"{loan}/receivables")).body["receivables"]
    assert sum(row["principal_fen"] for row in mine) == 1_000_000 and {row["bid_id"] for row in mine} == {bid.body["id"]}

    await house.custody.roll(28)  # to the first due date; the collection without an authorization is refused
    nothing = await until(lambda: house_date(house, borrower, "2026-02-28"))
    assert nothing
    payment = await until(lambda: begun(house, borrower, loan))
    await house.custody.confirm(payment["page_url"])
    paid = await house.becomes(borrower, f"/api/v1/payments/{payment['id']}", "BOOKED")
    first = plan["instalments"][0]
    assert paid["amount_fen"] == first["principal_fen"] + first["interest_fen"] and paid["booked_date"] == "2026-02-28"
    after = (await house.get(borrower, f"{loan}/plan")).body
    assert [row["status"] for row in after["instalments"]] == ["PAID", "PLANNED", "PLANNED"]
    assert after["outstanding_fen"] == 1_000_000 - first["principal_fen"]


async def house_date(house: House, who: Principal, day: str) -> bool:
    """Whether repayments stand on that day."""
    return bool((await house.get(who, "/api/v1/business-date")).body["date"] == day)


async def begun(house: House, borrower: Principal, loan: str) -> dict[str, Any] | None:
    """A payment that waits on the bank's page; None while the calendar's collection is still open."""
    asked = await house.post(borrower, f"{loan}/payments", {})
    return asked.body if asked.body.get("page_url") else None


async def test_a_repeat_of_any_post_shows_the_same_thing_and_other_content_is_refused(house: House, borrower: Principal) -> None:
    key = str(uuid.uuid4())
    one = await house.post(borrower, "/api/v1/loans", LOAN, key)
    two = await house.post(borrower, "/api/v1/loans", {**LOAN, "annual_rate": "0.1"}, key)
    other = await house.post(borrower, "/api/v1/loans", {**LOAN, "months": 6}, key)
    assert (one.status, one.body) == (two.status, two.body)
    assert other.code == "idempotency_key_reused"
    recharge = str(uuid.uuid4())
    first = await house.post(borrower, "/api/v1/recharges", {"amount_fen": 100}, recharge)
    again = await house.post(borrower, "/api/v1/recharges", {"amount_fen": 100}, recharge)
    assert first.body == again.body and first.body["status"] == "AWAITING"
    await house.custody.confirm(first.body["page_url"])
    await house.becomes(borrower, first.headers["Location"], "DONE")
    done = await house.post(borrower, "/api/v1/recharges", {"amount_fen": 100}, recharge)
    assert (done.status, done.body["status"], done.body["amount_fen"]) == (201, "DONE", 100)


async def test_what_the_rules_refuse_is_there_with_its_reason(house: House, borrower: Principal, investor: Principal) -> None:
    dear = await house.post(borrower, "/api/v1/loans", {**LOAN, "annual_rate": "0.9"})
    assert (dear.status, dear.body["status"], dear.body["reason"]) == (201, "REFUSED", "rate_above_cap")
    loan = await house.listed(borrower)
    small = await house.post(investor, f"{loan}/bids", {"amount_fen": 1})
    assert (small.status, small.body["status"]) == (201, "REFUSED") and small.body["reason"]
    seen = await house.get(investor, small.headers["Location"])
    assert seen.body == small.body
    second = await house.post(investor, "/api/v1/openings", OTHER_PAPERS)
    assert (second.status, second.body["reason"]) == (201, "has_account")


async def test_what_the_bank_refuses_is_shown_with_the_banks_reason(house: House, borrower: Principal, investor: Principal) -> None:
    loan = await house.listed(borrower)
    bid = await house.post(investor, f"{loan}/bids", {"amount_fen": 300_000})
    await house.custody.refuse(bid.body["page_url"], "insufficient")
    refused = await house.becomes(investor, bid.headers["Location"], "REFUSED")
    assert (refused["reason"], refused["page_url"]) == ("insufficient", None)
    asked = await house.post(borrower, "/api/v1/authorizations", {"cap_fen": 1, "expires_on": "2027-01-31"})
    await house.custody.confirm(asked.body["page_url"], authorization_no="a1")
    on = await house.becomes(borrower, asked.headers["Location"], "ON")
    assert (on["cap_fen"], on["expires_on"]) == (1, "2027-01-31")


async def test_somebody_elses_things_are_not_there(house: House, borrower: Principal, investor: Principal) -> None:
    loan = await house.listed(borrower)
    bid = await house.post(investor, f"{loan}/bids", {"amount_fen": 300_000})
    recharge = await house.post(borrower, "/api/v1/recharges", {"amount_fen": 100})
    for who, path in (
        (borrower, f"/api/v1/bids/{bid.body['id']}"),
        (borrower, bid.headers["Location"]),  # the token is the investor's
        (investor, f"/api/v1/recharges/{recharge.body['id']}"),
        (investor, recharge.headers["Location"]),
        (investor, f"{loan}/plan"),
    ):
        assert (await house.get(who, path)).code == "not_found", path
    assert (await house.post(investor, f"{loan}/withdrawal", {})).code == "not_found"
    assert (await house.post(investor, f"{loan}/payments", {})).code == "not_found"
    seen = (await house.get(borrower, f"{loan}/bids")).body["bids"]
    assert [(row["id"], row["page_url"]) for row in seen] == [(bid.body["id"], None)]  # whose bid, not where it is confirmed
    stranger = Principal(str(uuid.uuid4()), "investor")
    assert (await house.get(stranger, f"{loan}/bids")).body["bids"] == []


async def test_a_draft_is_its_borrowers_and_the_auditors_a_listing_everybodys(
    house: House, borrower: Principal, investor: Principal
) -> None:
    draft = await house.post(borrower, "/api/v1/loans", LOAN)
    path = f"/api/v1/loans/{draft.body['id']}"
    assert (await house.get(investor, path)).code == "not_found"
    assert (await house.get(investor, "/api/v1/loans?status=DRAFT")).body["loans"] == []
    assert (await house.get(FIRST, "/api/v1/loans?status=DRAFT")).body["loans"][0]["id"] == draft.body["id"]
    assert (await house.get(FIRST, path)).status == (await house.get(borrower, path)).status == 200
    loan = await house.listed(borrower)
    assert (await house.get(investor, loan)).body["status"] == "RAISING"
    assert [row["status"] for row in (await house.get(investor, "/api/v1/loans")).body["loans"]] == ["RAISING"]


async def test_a_decision_is_taken_once_and_a_repeat_or_another_auditor_is_told_how_it_stands(house: House, borrower: Principal) -> None:
    draft = await house.post(borrower, "/api/v1/loans", LOAN)
    path = f"/api/v1/loans/{draft.body['id']}"
    key = str(uuid.uuid4())
    assert (await house.post(FIRST, f"{path}/first-audit", {"decision": "pass"}, key)).status == 200
    assert (await house.post(FIRST, f"{path}/first-audit", {"decision": "pass"}, key)).status == 200
    late = await house.post(SECOND, f"{path}/first-audit", {"decision": "refuse", "reason": "no"})
    assert late.code == "refused"
    assert (await house.post(SECOND, f"{path}/first-audit", {"decision": "refuse"})).pointers == {"/reason"}
    await house.becomes(borrower, path, "RAISING")
    withdrawn = await house.post(borrower, f"{path}/withdrawal", {})
    assert withdrawn.status == 200
    failed = await house.becomes(borrower, path, "FAILED")
    assert failed["reason"] == "withdrawn"
    refused = await house.post(borrower, "/api/v1/loans", LOAN)
    no = await house.post(FIRST, f"/api/v1/loans/{refused.body['id']}/first-audit", {"decision": "refuse", "reason": "no stock"})
    assert (no.status, no.body["status"]) == (200, "REFUSED")


async def test_i_am_shown_who_i_am(house: House, borrower: Principal) -> None:
    me = (await house.get(borrower, "/api/v1/me")).body
    assert (me["id"], me["role"], me["status"], me["custody_no"], me["balance"]) == (borrower.id, "borrower", "AVAILABLE", "c1", None)
    assert (await house.get(FIRST, "/api/v1/me")).body["status"] is None
    assert (await house.client.get("/api/v1/me")).code == "not_signed_in"


async def test_no_papers_are_open_on_the_bus_or_in_the_stores(house: House, borrower: Principal, tmp_path: Path) -> None:
    assert borrower.id
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert not [1 for content in files for secret in PAPERS.values() if secret.encode() in content]
    assert a_body()["password"].encode() not in b"".join(files)
