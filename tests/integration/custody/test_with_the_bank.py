"""Orders at a real bank over real HTTP: confirmed on its pages, noticed, asked about; webhooks lost, the bank away, members too slow."""

import json
from datetime import date, timedelta

import orjson
import pytest

from agents.custody.messages import DateRolled, OrderAwaiting, OrderEnded
from agents.custody.model import Status
from stores import custody as tables
from stores.inspection import attempts_of
from tests.integration.bank_http.world import DATE, DEPOSIT_PASSWORD, number, papers, until
from tests.integration.custody.world import Sides
from tools import assemble
from tools.reading import ask

NOWHERE = "http://127.0.0.1:1/bank/notices"


async def test_a_page_kind_waits_for_the_member_and_ends_as_the_bank_says_with_its_notice_as_evidence(both: Sides) -> None:
    account = await both.bank.account()
    async with both.world.services("custody"):
        order = await both.place("recharge", {"custody_no": account, "amount_fen": 12_300}, page=True)
        awaiting = await both.told(order, OrderAwaiting)
        assert (await both.order(order)).status is Status.AWAITING_MEMBER
        assert (await both.bank.confirm(awaiting.page_url)).status == 303
        ended = await both.told(order)
        assert (ended.result, ended.amount_fen, ended.booked_date, ended.unverified) == ("succeeded", 12_300, DATE, False)
        settings = both.world.settings
        (notice,) = await until(lambda: ask(settings, "custody", lambda c: tables.notices_of(c, order)))
        assert json.loads(notice.body)["data"]["request_no"] == order and notice.status == "SUCCEEDED"
        await until(lambda: _nothing_is_asked(both, order))
        assert await ask(settings, "custody", lambda c: tables.breaks_of(c, order)) == []
    assert await both.bank.balance(account) == (12_300, 0)


async def _nothing_is_asked(both: Sides, order: str) -> bool:
    return await ask(both.world.settings, "custody", lambda c: attempts_of(c, [order])) == []


async def test_a_direct_kind_is_accepted_and_executed(both: Sides) -> None:
    account = await both.bank.account()
    async with both.world.services("custody"):
        content = {"project_no": number(), "custody_no": account, "amount_fen": 100_000}
        order = await both.place("establish_project", content, page=False)
        assert (await both.told(order)).result == "succeeded"


async def test_an_account_is_opened_with_papers_that_only_the_bank_can_read(both: Sides) -> None:
    ring = assemble.keyring(both.world.settings)
    said = papers(1)
    member = said.pop("member_id")
    sealed = orjson.dumps({name: ring.seal(value, field=name) for name, value in said.items()}).decode()
    async with both.world.services("custody"):
        order = await both.place("open_account", {"member_id": member}, page=True, sealed_content=sealed)
        page = (await both.told(order, OrderAwaiting)).page_url
        assert (await both.bank.confirm(page, again=DEPOSIT_PASSWORD)).status == 303
        ended = await both.told(order)
        assert ended.result == "succeeded" and ended.details["custody_no"] and said["card_number"] not in str(ended.details)
    here = [path for path in both.world.settings.data.rglob("*") if path.is_file()]
    for secret in (said["id_number"], said["card_number"], said["name"], DEPOSIT_PASSWORD):
        assert not [path.name for path in here if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("page", [True, False], ids=["by page", "direct"])
async def test_what_the_bank_refuses_is_refused_with_its_reason(both: Sides, page: bool) -> None:
    account = await both.bank.account(fen=500)
    async with both.world.services("custody"):
        project = {"project_no": number(), "custody_no": account, "amount_fen": 100_000}
        assert (await both.told(await both.place("establish_project", project, page=False))).result == "succeeded"
        hold = {"project_no": project["project_no"], "custody_no": account, "amount_fen": 600}
        order = await both.place("hold", hold, page=page)
        if page:
            await both.bank.confirm((await both.told(order, OrderAwaiting)).page_url)
        ended = await both.told(order)
        assert (ended.result, ended.reason) == ("refused", "insufficient" if page else "not_authorized")


async def test_malformed_content_is_refused_for_good_and_leaves_nothing_at_the_bank(both: Sides) -> None:
    async with both.world.services("custody"):
        order = await both.place("recharge", {"custody_no": "no number", "amount_fen": 5}, page=True)
        ended = await both.told(order)
        assert (ended.result, ended.reason) == ("refused", "invalid_content")
    assert (await both.bank.ask("query", request_no=order)).said["status"] == "UNKNOWN"


async def test_a_notice_about_what_nobody_here_has_ordered_is_kept_and_listed(both: Sides) -> None:
    async with both.world.services("custody"):
        stranger = (await both.bank.do("open_account", papers(), page=True))["request_no"]
        (found,) = await until(lambda: ask(both.world.settings, "custody", tables.breaks))
        assert (found.order_id, found.kind, found.noticed, found.order_kind) == (stranger, "no_order", "SUCCEEDED", None)


async def test_a_lost_webhook_is_repaired_by_the_query(both: Sides) -> None:
    account = await both.bank.account()
    await both.enrol(NOWHERE)
    async with both.world.services("custody"):
        order = await both.place("recharge", {"custody_no": account, "amount_fen": 700}, page=True)
        await both.bank.confirm((await both.told(order, OrderAwaiting)).page_url)
        assert (await both.told(order)).result == "succeeded"
        assert await ask(both.world.settings, "custody", lambda c: tables.notices_of(c, order)) == []


async def test_a_bank_that_is_away_loses_nothing(both: Sides) -> None:
    account = await both.bank.account()
    await both.bank.stop()
    async with both.world.services("custody"):
        order = await both.place("recharge", {"custody_no": account, "amount_fen": 700}, page=True)
        await until(lambda: _was_tried(both, order))
        assert (await both.order(order)).status is Status.CREATED
        await both.bank.start()
        await both.bank.confirm((await both.told(order, OrderAwaiting)).page_url)
        await both.bank.stop()
        await both.bank.start()
        assert (await both.told(order)).result == "succeeded"
    assert await both.bank.balance(account) == (700, 0)


async def _was_tried(both: Sides, order: str) -> bool:
    waiting = await ask(both.world.settings, "custody", lambda c: attempts_of(c, [order]))
    return any(row.tries and row.target == "register" for row in waiting)


async def test_a_worker_that_is_killed_between_two_steps_goes_on_where_it_was(both: Sides) -> None:
    account = await both.bank.account()
    async with both.world.services("custody"):
        order = await both.place("recharge", {"custody_no": account, "amount_fen": 700}, page=True)
        page = (await both.told(order, OrderAwaiting)).page_url
    await both.bank.confirm(page)
    async with both.world.services("custody"):
        assert (await both.told(order)).result == "succeeded"
    assert [m.result for m in await both.said() if isinstance(m, OrderEnded)] == ["succeeded"]


async def test_what_is_given_up_is_closed_at_the_bank_and_cannot_be_confirmed_any_more(both: Sides) -> None:
    account = await both.bank.account()
    async with both.world.services("custody"):
        order = await both.place("recharge", {"custody_no": account, "amount_fen": 700}, page=True)
        page = (await both.told(order, OrderAwaiting)).page_url
        await both.give_up(order)
        assert (await both.told(order)).result == "closed"
        await both.bank.confirm(page)
    assert await both.bank.balance(account) == (0, 0)


async def test_the_same_number_with_other_content_at_the_bank_is_a_break(both: Sides) -> None:
    account = await both.bank.account()
    taken = number()
    await both.bank.put("recharge", {"custody_no": account, "amount_fen": 1}, page=True, no=taken)
    async with both.world.services("custody"):
        await both.place("recharge", {"custody_no": account, "amount_fen": 2}, page=True, id=taken)

        async def disputed() -> bool:
            return [row.id for row in await ask(both.world.settings, "custody", tables.disputed_orders)] == [taken]

        await until(disputed)


@pytest.mark.parametrize("noticed", [True, False], ids=["by notice", "by question"])
async def test_every_day_that_the_bank_closes_is_told_once_and_in_order_to_every_dated_service(both: Sides, noticed: bool) -> None:
    if not noticed:
        await both.enrol(NOWHERE)
    async with both.world.services("custody"):
        await until(lambda: _dates(both, "trading.commands"))
        await both.bank.roll(3)
        days = [(date.fromisoformat(DATE) + timedelta(days=n)).isoformat() for n in range(4)]
        for topic in ("trading.commands", "repayments.commands"):

            async def all_told(topic: str = topic) -> bool:
                return len(await _dates(both, topic)) >= len(days)

            await until(all_told)
            assert await _dates(both, topic) == days
        assert await ask(both.world.settings, "custody", tables.business_date) == days[-1]


async def _dates(both: Sides, topic: str) -> list[str]:
    return [m.date for m in await both.said(topic) if isinstance(m, DateRolled)]


async def test_who_is_enrolled_later_or_anew_need_not_restart_anything(both: Sides) -> None:
    account = await both.bank.account()
    path = both.world.settings.bank_credentials_path()
    good = path.read_bytes()
    path.unlink()
    async with both.world.services("custody"):
        order = await both.place("recharge", {"custody_no": account, "amount_fen": 700}, page=True)
        await until(lambda: _was_tried(both, order))
        path.touch(mode=0o600)
        path.write_bytes(good)
        assert (await both.told(order, OrderAwaiting)).page_url
