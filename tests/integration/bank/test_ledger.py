"""The bank's ledger over both databases: a loan's whole life, linked sets, batches, repeats, and what its queries say."""

from typing import Any

import pytest

from bank import queries
from bank.messages import Close, ConfirmByMember
from bank.model import HoldState, ProjectState, Request, Status
from bank.tables import account, authorization, balance, hold, journal, project, request
from config.bank import HOLDS_MAX
from stores.runtime import suspended, timer
from tests.integration.bank.world import DATE, PLATFORM, PROJECT, House, hold_of, instruct, number, opening, results


async def balances(house: House) -> dict[str, int]:
    return {row[0]: row[1] for row in await house.world.rows(balance)}


async def whole(house: House) -> None:
    """The journal sums to zero and adds up to the balances; projects and held accounts are what the holds say."""
    rows = await house.asks(queries.balances_page, after="", limit=1_000)
    assert all(row.amount_fen == row.journal_fen and (row.amount_fen >= 0 or row.account == "card_network") for row in rows)
    assert sum(row.amount_fen for row in rows) == 0
    assert await house.asks(queries.accounts_without_balance) == []
    assert all(row.sum_fen == 0 for row in await house.asks(queries.sets_page, after="", limit=10_000))
    held = {f"held:{row.custody_no}": row.held_fen for row in await house.asks(queries.held_by_member)}
    assert held == {row.account: row.amount_fen for row in rows if row.account.startswith("held:") and row.amount_fen}
    for row in await house.asks(queries.projects_page, after="", limit=100):
        assert (row.holds, row.held_fen) == (row.counted, row.counted_fen)


async def lent(house: House) -> dict[str, str]:
    """A borrower whose loan of 800 yuan was paid out to him by two investors."""
    people = await house.people("wang", "lin", "zhao", fen=100_000)
    await house.project(people["wang"])
    await house.do(hold_of("b1", people["lin"], 50_000), hold_of("b2", people["zhao"], 30_000))
    (done,) = await house.do(instruct("lend", "confirm_loan", {"project_no": number(PROJECT), "count": 2, "sum_fen": 80_000}))
    assert done.status is Status.SUCCEEDED
    return people


def collect(name: str, custody_no: str, due_fen: int, valid_on: str = DATE, *, page: bool = True) -> Any:
    asked = {"project_no": number(PROJECT), "custody_no": custody_no, "due_fen": due_fen, "valid_on": valid_on}
    return instruct(name, "collect", asked, page=page)


async def test_a_loans_whole_life_is_entered_to_the_fen(house: House) -> None:
    people = await lent(house)
    await house.do(
        instruct(
            "may", "authorize", {"custody_no": people["wang"], "scope": "repay", "cap_fen": 50_000, "expires_on": "2026-12-31"}, page=True
        )
    )
    (collected,) = await house.do(collect("c", people["wang"], 60_000, page=False))
    assert (collected.status, collected.amount_fen, collected.booked_date) == (Status.SUCCEEDED, 50_000, DATE)
    parts = [{"custody_no": people["lin"], "amount_fen": 31_000}, {"custody_no": people["zhao"], "amount_fen": 18_700}]
    (paid,) = await house.do(instruct("pay", "confirm_repayment", {"collect_no": number("c"), "parts": parts, "fee_fen": 300}))
    assert (paid.status, paid.amount_fen) == (Status.SUCCEEDED, 50_000)
    (closed,) = await house.do(instruct("over", "close_project", {"project_no": number(PROJECT)}))
    assert closed.status is Status.SUCCEEDED
    found = await balances(house)
    assert {who: found[f"available:{no}"] for who, no in people.items()} == {"wang": 130_000, "lin": 81_000, "zhao": 88_700}
    assert (found["fee"], found["card_network"]) == (300, -300_000)
    (row,) = await house.world.rows(project)
    assert row[3:] == (ProjectState.CLOSED.value, 0, 0)
    assert {r[5] for r in await house.world.rows(hold)} == {HoldState.POSTED.value}
    await whole(house)


async def test_all_executions_of_one_batch_see_what_those_before_them_have_entered(house: House) -> None:
    people = await house.people("wang", "lin", fen=100_000)
    await house.project(people["wang"])
    done = await house.do(*(hold_of(n, people["lin"], 20_000) for n in range(8)))
    assert [r.status for r in done].count(Status.SUCCEEDED) == 5
    assert {r.reason for r in done if r.status is Status.REFUSED} == {"insufficient"}
    (one,) = await house.do(hold_of("one", people["lin"], 1))
    assert one.reason == "insufficient"
    assert (await balances(house))[f"available:{people['lin']}"] == 0
    await whole(house)


async def test_whole_lives_can_pass_in_one_batch(house: House) -> None:
    """What is loaded for a batch is enough for whatever its executions lead to: of one project, from its beginning to its end."""
    people = await house.people("wang", "lin", fen=100_000)
    of_project = {"project_no": number(PROJECT)}
    steps = [
        instruct("e", "establish_project", {**of_project, "custody_no": people["wang"], "amount_fen": 30_000}),
        hold_of("b1", people["lin"], 10_000),
        hold_of("b2", people["lin"], 20_000),
        hold_of("b3", people["lin"], 5_000),
        instruct("r", "release", {"hold_no": number("b3")}),
        instruct("lend", "confirm_loan", {**of_project, "count": 2, "sum_fen": 30_000}),
        collect("c", people["wang"], 130_000),
        instruct(
            "pay",
            "confirm_repayment",
            {"collect_no": number("c"), "parts": [{"custody_no": people["lin"], "amount_fen": 129_999}], "fee_fen": 1},
        ),
        instruct("z", "close_project", of_project),
    ]
    await house.put(*steps)
    await house.tell(*((said.id, house.execution(said)) for said in steps))
    assert {(await house.request(said.id)).status for said in steps} == {Status.SUCCEEDED}
    found = await balances(house)
    assert (found[f"available:{people['wang']}"], found[f"available:{people['lin']}"], found["fee"]) == (0, 199_999, 1)
    await whole(house)


async def test_two_thousand_bids_are_paid_out_as_one_set_or_not_at_all(house: House) -> None:
    people = await house.people("wang", "lin", fen=100_000)
    await house.project(people["wang"])
    for start in range(0, HOLDS_MAX, 500):
        await house.do(*(hold_of(n, people["lin"], 50) for n in range(start, start + 500)))
    of = {"project_no": number(PROJECT), "sum_fen": 50 * HOLDS_MAX}
    (one, two, more) = await house.do(
        instruct("less", "confirm_loan", {**of, "count": HOLDS_MAX - 1}),
        instruct("all", "confirm_loan", {**of, "count": HOLDS_MAX}),
        hold_of("more", people["wang"], 50),
    )
    assert {one.reason, more.reason} <= {"set_differs", "project_closed"} and one.status is Status.REFUSED
    assert two.status is Status.SUCCEEDED
    found = await balances(house)
    assert (found[f"available:{people['wang']}"], found[f"held:{people['lin']}"]) == (200_000, 0)
    lines = [row for row in await house.world.rows(journal) if row[1] == number("all")]
    assert len(lines) == 2 * HOLDS_MAX and sum(row[3] for row in lines) == 0
    await whole(house)


async def test_a_number_that_comes_again_does_nothing_again(house: House) -> None:
    people = await house.people("lin", fen=100_000)
    again = instruct("recharge lin", "recharge", {"custody_no": people["lin"], "amount_fen": 100_000}, page=True)
    before = await house.world.rows(journal)
    (done,) = await house.do(again)
    assert done.status is Status.SUCCEEDED and await house.world.rows(journal) == before
    other = instruct("recharge lin", "recharge", {"custody_no": people["lin"], "amount_fen": 1}, page=True)
    (same,) = await house.do(other)
    assert same == done and await house.world.rows(timer) == []


async def test_the_same_messages_delivered_again_change_not_one_row(house: House) -> None:
    people = await house.people("lin", fen=100_000)
    await house.project(people["lin"])
    said = hold_of("b", people["lin"], 1_000)
    records = [house.world.record(said.id, said), house.world.record(said.id, ConfirmByMember(id=said.id))]
    await house.world.run(*records)
    await house.fire()
    before = {table.name: await house.world.rows(table) for table in (request, balance, journal, hold, project, timer)}
    again = await house.world.run(*records)
    assert again.handled == 0 and again.repeated == 2
    assert before == {table.name: await house.world.rows(table) for table in (request, balance, journal, hold, project, timer)}


async def test_an_end_is_told_once_with_what_it_has_yielded_and_its_date(house: House) -> None:
    await house.put(opening("lin"))
    (told,) = results(await house.fire())
    assert (told.status, told.platform, told.booked_date) == ("SUCCEEDED", PLATFORM, DATE)
    assert set(told.details) == {"custody_no", "card"}
    assert await house.fire() is None


async def test_the_deposit_password_stays_with_the_account(house: House) -> None:
    await house.people("lin")
    (opened,) = await house.world.rows(account)
    assert "s1.k1.hash" in opened
    assert all("s1.k1.hash" not in row for row in await house.world.rows(request))


async def test_a_person_opens_one_account_also_when_two_instructions_run_in_one_batch(house: House) -> None:
    two = opening("lin").model_copy(update={"id": number("again")})
    done = await house.do(opening("lin"), two)
    assert sorted([r.status for r in done]) == [Status.REFUSED, Status.SUCCEEDED]
    (late,) = await house.do(opening("lin").model_copy(update={"id": number("late")}))
    assert late.reason == "person_has_account" and len(await house.world.rows(account)) == 1


async def test_what_is_closed_does_not_run_and_what_runs_is_not_closed(house: House) -> None:
    people = await house.people("wang", "lin", fen=100_000)
    await house.project(people["wang"])
    await house.put(hold_of("b1", people["lin"], 1_000), hold_of("b2", people["lin"], 1_000))
    await house.tell((number("b1"), Close(id=number("b1"), platform=PLATFORM)))
    await house.fire()
    await house.tell((number("b2"), Close(id=number("b2"), platform=PLATFORM)))
    assert [(await house.request(number(name))).status for name in ("b1", "b2")] == [Status.CLOSED, Status.SUCCEEDED]
    assert (await balances(house))[f"held:{people['lin']}"] == 1_000
    await whole(house)


async def test_the_date_decides_which_an_instruction_is_executed_on(house: House) -> None:
    people = await lent(house)
    await house.put(collect("c1", people["wang"], 10_000), collect("c2", people["wang"], 20_000, "2026-03-03"))
    await house.roll()
    await house.fire()
    assert (await house.request(number("c1"))).reason == "date_passed"
    done = await house.request(number("c2"))
    assert (done.status, done.booked_date) == (Status.SUCCEEDED, "2026-03-03")
    assert {row[4] for row in await house.world.rows(journal)} == {DATE, "2026-03-03"}
    assert await house.asks(queries.business_date) == "2026-03-03"
    await whole(house)


async def test_an_authorization_is_replaced_by_the_next(house: House) -> None:
    people = await house.people("lin", fen=100_000)
    for n in (1, 2):
        asked = {"custody_no": people["lin"], "scope": "repay", "cap_fen": n * 10_000, "expires_on": "2026-12-31"}
        await house.do(instruct(f"may {n}", "authorize", asked, page=True))
    assert await house.world.rows(authorization) == [(people["lin"], "repay", number("may 2"), 20_000, "2026-12-31")]


async def test_a_balance_that_somebody_has_spoiled_stops_only_who_would_overdraw_it(house: House) -> None:
    people = await house.people("wang", "lin", fen=100_000)
    await house.project(people["wang"])
    await house.do(hold_of("b1", people["lin"], 1_000), hold_of("b2", people["wang"], 1_000))
    await house.spoil(f"UPDATE balance SET amount_fen = 1 WHERE account = 'held:{people['lin']}'")
    await house.put(*(instruct(f"r{n}", "release", {"hold_no": number(f"b{n}")}) for n in (1, 2)))
    await house.fire()
    assert await house.world.column(suspended.c.actor) == [number("r1")]
    assert "overdraw" in (await house.world.column(suspended.c.error))[0]
    assert (await house.request(number("r2"))).status is Status.SUCCEEDED
    assert (await house.request(number("r1"))).status is Status.ACCEPTED


async def test_the_queries_of_the_api_say_how_things_stand(house: House) -> None:
    people = await house.people("wang", "lin", fen=100_000)
    await house.project(people["wang"])
    await house.do(hold_of("b", people["lin"], 1_000))
    found: Request = await house.asks(queries.request_by_id, number("b"))
    assert found == await house.request(number("b")) and found.content["amount_fen"] == 1_000
    assert await house.asks(queries.balances_of, people["lin"]) == (99_000, 1_000)
    assert (await house.asks(queries.account_by_no, people["lin"])).member_id == number("lin")
    assert await house.asks(queries.request_by_id, number("none")) is None
    assert await house.asks(queries.account_by_no, "6none") is None
    assert await house.asks(queries.balances_of, "6none") == (0, 0)


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_pages_go_through_everything_in_order(house: House, limit: int) -> None:
    people = await house.people("wang", "lin", "zhao", fen=1_000)
    await house.project(people["wang"])
    await house.do(*(hold_of(n, people["lin"], 10) for n in range(3)))
    for page, key, count in (
        (queries.requests_page, "id", 10),
        (queries.accounts_page, "custody_no", 3),
        (queries.holds_page, "request_no", 3),
        (queries.sets_page, "request_no", 6),
        (queries.projects_page, "project_no", 1),
        (queries.balances_page, "account", 5),
    ):
        keys: list[str] = []
        while rows := await house.asks(page, after=keys[-1] if keys else "", limit=limit):
            assert len(rows) <= limit
            keys += [getattr(row, key) for row in rows]
        assert keys == sorted(keys) and len(keys) == len(set(keys)) == count
