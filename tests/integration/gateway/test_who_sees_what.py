"""Who sees what of a loan's story, and what a Location shows before any store knows the thing."""

from typing import Any

import pytest

from agents.runtime.http.idempotency import thing_id
from gateway.principals import Principal
from stores import repayments, trading, users
from tests.integration.gateway.planted import (
    A_BID,
    A_CLAIM,
    A_LOAN,
    A_PAYMENT,
    A_RECEIVABLE,
    A_RECHARGE,
    AUDITOR,
    BID,
    BORROWER,
    INVESTOR,
    LOAN,
    NOBODY,
    PAYMENT,
    RECHARGE,
)
from tests.integration.gateway.stage import BODIES, KEY, Stage
from tests.integration.gateway.world import Answer

HIM, HER = Principal(BORROWER, "borrower"), Principal(INVESTOR, "investor")
STRANGER, RIVAL = Principal(NOBODY, "borrower"), Principal(NOBODY, "investor")
AUDIT, OPERATOR = Principal(AUDITOR, "auditor"), Principal(AUDITOR, "operator")
CREATING = ("open_account", "recharge", "authorize", "publish", "bid", "pay")


async def looked(stage: Stage, who: Principal, path: str) -> Answer:
    """As this person sees it."""
    stage.who = who
    return await stage.client.get(path)


@pytest.mark.parametrize(("path", "seen_by", "hidden_from"), [
    (f"/api/v1/loans/{LOAN}/plan", (HIM, AUDIT, OPERATOR), (STRANGER, HER, RIVAL)),
    (f"/api/v1/bids/{BID}", (HER, AUDIT, OPERATOR), (HIM, RIVAL, STRANGER)),
    (f"/api/v1/payments/{PAYMENT}", (HIM, AUDIT), (HER, STRANGER)),
    (f"/api/v1/recharges/{RECHARGE}", (HIM,), (HER, STRANGER, AUDIT, OPERATOR)),
    (f"/api/v1/loans/{LOAN}", (HIM, HER, RIVAL, AUDIT), ()),
])  # fmt: skip
async def test_what_belongs_to_somebody_is_seen_by_him_and_who_works_here(
    stage: Stage, path: str, seen_by: tuple[Principal, ...], hidden_from: tuple[Principal, ...]
) -> None:
    assert [(await looked(stage, who, path)).status for who in seen_by] == [200] * len(seen_by)
    assert [(await looked(stage, who, path)).code for who in hidden_from] == ["not_found"] * len(hidden_from)


@pytest.mark.parametrize("path", ["plan", "bids", "", "receivables"])
@pytest.mark.parametrize("loan", ["x", "A" * 36, LOAN.upper(), f"{LOAN}x", "%00", "..%2f"])
async def test_an_id_that_is_none_is_not_found(stage: Stage, loan: str, path: str) -> None:
    assert (await looked(stage, HIM, f"/api/v1/loans/{loan}/{path}".rstrip("/"))).code == "not_found"


@pytest.mark.parametrize("operation", CREATING)
async def test_a_location_shows_what_no_store_knows_yet_to_its_person_only(stage: Stage, operation: str) -> None:
    made = await stage.plain(operation)
    assert (made.status, made.body["status"]) == (202, "PENDING") and int(made.headers["Retry-After"]) >= 1
    location, who = made.headers["Location"], stage.principal(operation)
    seen = await looked(stage, who, location)
    assert (seen.status, seen.body["id"], seen.body["status"]) == (200, made.body["id"], "PENDING")
    plain, _, token = location.partition("?token=")
    for other, path in ((who, plain), (RIVAL, location), (who, f"{plain}?token={token[:-1]}"), (who, f"{location}&token={token}")):
        assert (await looked(stage, other, path)).code == "not_found", path


@pytest.mark.parametrize("operation", CREATING)
async def test_the_id_follows_from_person_place_and_key(stage: Stage, operation: str) -> None:
    made, again = await stage.plain(operation), await stage.plain(operation)
    who = stage.principal(operation)
    assert made.body["id"] == again.body["id"] == thing_id(who.id, stage.path(operation), KEY)
    stage.who = who._replace(id=str(NOBODY))
    if operation == "pay":  # somebody else's loan
        assert (await stage.posted(operation, BODIES[operation])).code == "not_found"
    else:
        assert (await stage.posted(operation, BODIES[operation])).body["id"] != made.body["id"]


async def test_nothing_is_sent_for_a_loan_that_is_not_there_or_not_to_be_seen(stage: Stage) -> None:
    stage.stores.put("trading", trading.loan, A_LOAN, status="DRAFT")
    stage.who = HER
    assert (await stage.posted("bid", BODIES["bid"])).code == "not_found"
    assert (await stage.posted("bid", BODIES["bid"], thing=NOBODY)).code == "not_found"
    stage.who = AUDIT
    assert (await stage.posted("first_audit", {"decision": "pass"}, thing=NOBODY)).code == "not_found"
    assert await stage.world.bus.read("trading.commands", 0, 0) == []


async def test_what_waits_behind_a_suspended_actor_says_so(stage: Stage) -> None:
    stage.stores.put("users", users.transfer, A_RECHARGE, status="PENDING", page_url=None)
    stage.stores.suspended("users", BORROWER)
    assert (await looked(stage, HIM, f"/api/v1/recharges/{RECHARGE}")).body["status"] == "SUSPENDED"
    stage.stores.suspended("trading", LOAN)
    assert (await looked(stage, HER, f"/api/v1/bids/{BID}")).body["status"] == "ACCEPTED"  # it has ended before that
    stage.stores.put("trading", trading.bid, A_BID, status="PENDING")
    assert (await looked(stage, HER, f"/api/v1/bids/{BID}")).body["status"] == "SUSPENDED"
    stage.stores.suspended("repayments", LOAN)
    stage.stores.put("repayments", repayments.collection, A_PAYMENT, status="OPEN")
    assert (await looked(stage, HIM, f"/api/v1/payments/{PAYMENT}")).body["status"] == "SUSPENDED"


async def test_lists_go_on_page_by_page_and_leave_nothing_out(stage: Stage) -> None:
    for place in range(2, 600):
        stage_id = thing_id(INVESTOR, "bid", str(place))
        stage.stores.put("trading", trading.bid, A_BID, id=stage_id, place=place, investor=INVESTOR if place % 3 else BORROWER)
    everybody = await every_page(stage, AUDIT, f"/api/v1/loans/{LOAN}/bids", "bids")
    hers = await every_page(stage, HER, f"/api/v1/loans/{LOAN}/bids", "bids")
    assert len(everybody) == len({row["id"] for row in everybody}) == 599
    assert len(hers) == 599 - 599 // 3 and {row["investor"] for row in hers} == {INVESTOR}


async def test_receivables_go_on_page_by_page(stage: Stage) -> None:
    for place in range(1, 502):
        stage.stores.put("repayments", repayments.plan_bid, A_CLAIM, place=place, id=thing_id(INVESTOR, "claim", str(place)))
        stage.stores.put("repayments", repayments.receivable, A_RECEIVABLE, place=place)
    rows = await every_page(stage, HER, f"/api/v1/loans/{LOAN}/receivables", "receivables")
    assert len(rows) == len({row["bid_id"] for row in rows}) == 502
    assert await every_page(stage, RIVAL, f"/api/v1/loans/{LOAN}/receivables", "receivables") == []


async def test_loans_are_listed_by_status_page_by_page(stage: Stage) -> None:
    for n in range(150):
        status = "RAISING" if n % 2 else "FULL"
        stage.stores.put("trading", trading.loan, A_LOAN, id=thing_id(BORROWER, "loan", str(n)), status=status)
    assert len(await every_page(stage, HER, "/api/v1/loans", "loans")) == 75 + 1
    assert len(await every_page(stage, HER, "/api/v1/loans?status=FULL", "loans")) == 75
    assert await every_page(stage, HER, "/api/v1/loans?status=nothing", "loans") == []


async def every_page(stage: Stage, who: Principal, path: str, name: str) -> list[dict[str, Any]]:
    """All rows of a list."""
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        answer = await looked(stage, who, f"{path}{'&' if '?' in path else '?'}after={after}")
        assert answer.status == 200, answer
        found += answer.body[name]
        after = answer.body["next"]
    return found


async def test_a_plan_that_is_being_made_shows_no_instalments_yet(stage: Stage) -> None:
    shown = await looked(stage, HIM, f"/api/v1/loans/{LOAN}/plan")
    assert [row["paid_fen"] for row in shown.body["instalments"]] == [6_667 + 1_666 + 3]
    assert (await looked(stage, HIM, "/api/v1/business-date")).body == {"date": None}
    stage.stores.put("repayments", repayments.calendar, {"id": "calendar:1", "version": 1, "day": "2026-02-28"})
    assert (await looked(stage, HIM, "/api/v1/business-date")).body == {"date": "2026-02-28"}
