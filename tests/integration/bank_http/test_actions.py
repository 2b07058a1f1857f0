"""The five actions over HTTP: what is answered, again and again, and what is refused for ever (docs/bank-api.md)."""

import asyncio
from typing import Any

import pytest

from bank.enrolment import Platform
from tests.integration.bank_http.world import DATE, Answer, BankWorld, number, papers, signed
from tools.bank_place import platforms_of

KEYS = {"request_no", "status", "kind", "amount_fen", "booked_date", "reason", "page_url", "details"}


def code_of(answer: Answer) -> tuple[int, str]:
    """The status and code of a problem."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status, answer.said["code"]


async def other_platform(bank: BankWorld) -> Platform:
    """A second one, while the bank runs."""
    return platforms_of(bank.own).enrol("rival", "https://rival.example/notices")


async def ask_as(bank: BankWorld, platform: Platform, action: str, body: str) -> Answer:
    raw = f'{{"action":"{action}",{body}}}'.encode()
    return await bank.send(action, raw, signed(platform.api_secret, raw, platform.name))


async def test_a_direct_instruction_is_accepted_and_then_ends(bank: BankWorld) -> None:
    custody_no = await bank.account()
    said = await bank.put("establish_project", {"project_no": number(), "custody_no": custody_no, "amount_fen": 10_000})
    assert said.keys() == KEYS and said["page_url"] is None and said["status"] in ("ACCEPTED", "SUCCEEDED")
    ended = await bank.ended(said["request_no"])
    assert (ended["status"], ended["kind"], ended["amount_fen"], ended["booked_date"]) == ("SUCCEEDED", "establish_project", 10_000, DATE)
    assert ended.keys() == KEYS


async def test_the_same_content_gets_the_present_answer_and_other_content_none_for_ever(bank: BankWorld) -> None:
    custody_no, no = await bank.account(), number()
    content = {"custody_no": custody_no, "amount_fen": 700}
    first = await bank.put("recharge", content, page=True, no=no)
    assert await bank.put("recharge", content, page=True, no=no) == first
    for changed in ({**content, "amount_fen": 701}, {**content, "custody_no": "6" + "1" * 17}):
        assert code_of(await bank.ask("instruct", request_no=no, kind="recharge", page=True, content=changed)) == (409, "content_differs")
    await bank.confirm(first["page_url"])
    ended = await bank.ended(no)
    assert await bank.put("recharge", content, page=True, no=no) == ended
    assert code_of(await bank.ask("instruct", request_no=no, kind="recharge", page=True, content=changed)) == (409, "content_differs")
    other_kind = {"project_no": number(), "custody_no": custody_no, "amount_fen": 700}
    assert code_of(await bank.ask("instruct", request_no=no, kind="hold", page=True, content=other_kind)) == (409, "content_differs")
    assert await bank.balance(custody_no) == (700, 0)


async def test_twenty_at_once_with_one_number_take_effect_once(bank: BankWorld) -> None:
    custody_no, no, project = await bank.account(), number(), number()
    content = {"project_no": project, "custody_no": custody_no, "amount_fen": 10_000}
    answers = await asyncio.gather(*(bank.put("establish_project", content, no=no) for _ in range(20)))
    assert {answer["status"] for answer in answers} <= {"ACCEPTED", "SUCCEEDED"}
    assert (await bank.ended(no))["status"] == "SUCCEEDED"


async def test_of_two_contents_at_once_one_is_taken_and_the_other_refused(bank: BankWorld) -> None:
    custody_no, no = await bank.account(), number()
    contents = [{"project_no": number(), "custody_no": custody_no, "amount_fen": 10_000} for _ in range(8)]
    answers = await asyncio.gather(
        *(bank.ask("instruct", request_no=no, kind="establish_project", page=False, content=c) for c in contents)
    )
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7


async def test_content_that_cannot_be_taken_leaves_no_row(bank: BankWorld) -> None:
    no = number()
    answer = await bank.ask("instruct", request_no=no, kind="recharge", page=True, content={"custody_no": "6", "amount_fen": 0})
    assert code_of(answer) == (422, "invalid_content")
    assert {error["pointer"] for error in answer.said["errors"]} == {"/content/custody_no", "/content/amount_fen"}
    assert (await bank.ask("query", request_no=no)).said["status"] == "UNKNOWN"


async def test_a_number_that_nobody_has_put_is_unknown(bank: BankWorld) -> None:
    no = number()
    said = (await bank.ask("query", request_no=no)).said
    assert said == {
        "request_no": no,
        "status": "UNKNOWN",
        "kind": "",
        "amount_fen": 0,
        "booked_date": None,
        "reason": None,
        "page_url": None,
        "details": {},
    }


async def test_what_waits_for_its_member_is_closed_and_stays_closed(bank: BankWorld) -> None:
    custody_no = await bank.account()
    said = await bank.put("recharge", {"custody_no": custody_no, "amount_fen": 5}, page=True)
    closed = (await bank.ask("close", request_no=said["request_no"])).said
    assert (closed["status"], closed["page_url"]) == ("CLOSED", None)
    assert (await bank.confirm(said["page_url"])).status == 303
    assert (await bank.ended(said["request_no"]))["status"] == "CLOSED"
    assert await bank.balance(custody_no) == (0, 0)


async def test_an_unknown_number_is_remembered_as_closed_and_refused_when_it_comes(bank: BankWorld) -> None:
    custody_no, no, project = await bank.account(), number(), number()
    assert (await bank.ask("close", request_no=no)).said["status"] == "CLOSED"
    assert (await bank.ask("close", request_no=no)).said["status"] == "CLOSED"
    content = {"project_no": project, "custody_no": custody_no, "amount_fen": 10_000}
    said = await bank.put("establish_project", content, no=no)
    assert said["status"] == "CLOSED"
    assert (await bank.do("close_project", {"project_no": project}))["reason"] == "project_closed"


async def test_what_has_ended_cannot_be_closed_any_more(bank: BankWorld) -> None:
    custody_no = await bank.account()
    ended = await bank.do("recharge", {"custody_no": custody_no, "amount_fen": 5}, page=True)
    assert (await bank.ask("close", request_no=ended["request_no"])).said == ended


async def test_closing_and_confirming_at_once_ends_one_way_and_says_so_to_both(bank: BankWorld) -> None:
    custody_no = await bank.account()
    for _ in range(6):
        before = await bank.balance(custody_no)
        said = await bank.put("recharge", {"custody_no": custody_no, "amount_fen": 5}, page=True)
        closed, _ = await asyncio.gather(bank.ask("close", request_no=said["request_no"]), bank.confirm(said["page_url"]))
        ended = await bank.ended(said["request_no"])
        assert closed.said["status"] == ended["status"]
        assert await bank.balance(custody_no) == (before[0] + (5 if ended["status"] == "SUCCEEDED" else 0), 0)


async def test_a_balance_is_of_an_account_that_there_is(bank: BankWorld) -> None:
    custody_no = await bank.account(1_234)
    assert (await bank.ask("balance", custody_no=custody_no)).said == {"custody_no": custody_no, "available_fen": 1_234, "held_fen": 0}
    assert code_of(await bank.ask("balance", custody_no="6" + "9" * 17)) == (404, "unknown_account")
    assert code_of(await bank.ask("balance", custody_no="9")) == (422, "invalid_content")


async def test_the_business_date_rolls_with_its_operator_and_is_told(bank: BankWorld) -> None:
    assert (await bank.ask("business-date")).said == {"date": DATE}
    assert await bank.roll(29) == "2025-03-01"
    assert (await bank.ask("business-date")).said == {"date": "2025-03-01"}
    assert code_of(await bank.ask("business-date", more=1)) == (422, "invalid_content")


async def test_a_collection_is_priced_by_the_date_on_which_it_is_executed(bank: BankWorld) -> None:
    borrower, project = await bank.account(10_000, cap_fen=10**9), number()
    await bank.do("establish_project", {"project_no": project, "custody_no": borrower, "amount_fen": 10_000})
    investor = await bank.account(10_000, person=1)
    await bank.do("hold", {"project_no": project, "custody_no": investor, "amount_fen": 10_000}, page=True)
    await bank.do("confirm_loan", {"project_no": project, "count": 1, "sum_fen": 10_000})
    content: dict[str, Any] = {"project_no": project, "custody_no": borrower, "due_fen": 6_000, "valid_on": DATE}
    await bank.roll()
    assert (await bank.do("collect", content))["reason"] == "date_passed"
    held = await bank.do("collect", {**content, "valid_on": "2025-02-01"})
    assert (held["status"], held["amount_fen"], held["booked_date"]) == ("SUCCEEDED", 6_000, "2025-02-01")
    assert (await bank.do("release", {"hold_no": held["request_no"]}))["amount_fen"] == 6_000
    assert (await bank.do("release", {"hold_no": held["request_no"]}))["reason"] == "not_held"


async def test_refusals_by_kind_reach_the_platform(bank: BankWorld) -> None:
    assert (await bank.do("open_account", papers(name="拒绝开户"), page=True))["reason"] == "name_refused"
    custody_no = await bank.account(100)
    again = await bank.do("open_account", papers(), page=True)
    assert (again["status"], again["reason"], again["details"]) == ("REFUSED", "person_has_account", {})
    project = number()
    await bank.do("establish_project", {"project_no": project, "custody_no": custody_no, "amount_fen": 10_000})
    hold = {"project_no": project, "custody_no": custody_no, "amount_fen": 101}
    assert (await bank.do("hold", hold, page=True))["reason"] == "insufficient"
    assert (await bank.do("hold", hold))["reason"] == "not_authorized"
    assert (await bank.do("confirm_loan", {"project_no": project, "count": 1, "sum_fen": 101}))["reason"] == "set_differs"
    assert (await bank.do("close_project", {"project_no": project}))["status"] == "SUCCEEDED"
    assert (await bank.do("hold", {**hold, "amount_fen": 1}, page=True))["reason"] == "project_closed"


async def test_another_platforms_number_is_unknown_to_query_and_taken_to_everything_else(bank: BankWorld) -> None:
    rival = await other_platform(bank)
    custody_no, no = await bank.account(), number()
    content = f'"content":{{"custody_no":"{custody_no}","amount_fen":5}}'
    await bank.put("recharge", {"custody_no": custody_no, "amount_fen": 5}, page=True, no=no)
    assert (await ask_as(bank, rival, "query", f'"request_no":"{no}"')).said["status"] == "UNKNOWN"
    assert code_of(await ask_as(bank, rival, "close", f'"request_no":"{no}"')) == (409, "content_differs")
    put = f'"request_no":"{no}","kind":"recharge","page":true,{content}'
    assert code_of(await ask_as(bank, rival, "instruct", put)) == (409, "content_differs")
    assert (await bank.ask("query", request_no=no)).said["status"] == "AWAITING"


async def test_a_signature_is_good_for_one_action_of_one_platform(bank: BankWorld) -> None:
    rival, no = await other_platform(bank), number()
    raw = f'{{"action":"query","request_no":"{no}"}}'.encode()
    assert (await bank.send("query", raw, signed(bank.platform.api_secret, raw))).status == 200
    assert (await bank.send("close", raw, signed(bank.platform.api_secret, raw))).status == 401
    assert (await bank.send("query", raw, signed(rival.api_secret, raw))).status == 401
    assert (await bank.send("query", raw, signed(bank.platform.notice_secret, raw))).status == 401
    assert (await ask_as(bank, rival, "query", f'"request_no":"{no}"')).status == 200


async def test_what_was_accepted_is_executed_after_a_restart(bank: BankWorld) -> None:
    custody_no, project = await bank.account(), number()
    said = await bank.put("establish_project", {"project_no": project, "custody_no": custody_no, "amount_fen": 10_000})
    page = await bank.put("recharge", {"custody_no": custody_no, "amount_fen": 5}, page=True)
    await bank.stop()
    await bank.start()
    assert (await bank.ended(said["request_no"]))["status"] == "SUCCEEDED"
    assert (await bank.ask("query", request_no=page["request_no"])).said["page_url"] == page["page_url"]
    assert (await bank.confirm(page["page_url"])).status == 303
    assert (await bank.ended(page["request_no"]))["status"] == "SUCCEEDED"


@pytest.mark.parametrize("path", ["/", "/api/v1/", "/api/v1/gift", "/api/v2/query", "/ops/api"])
async def test_what_is_not_there_is_not_found(bank: BankWorld, path: str) -> None:
    async with bank.http.post(f"{bank.url}{path}", data=b"{}") as answer:
        assert answer.status == 404


async def test_an_action_is_asked_by_post_only(bank: BankWorld) -> None:
    async with bank.http.get(f"{bank.url}/api/v1/query") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
