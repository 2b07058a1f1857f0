"""`bank check` on books that somebody has changed behind the bank's back: each change is named, whichever its sign (CASES M31)."""

import pytest

from bank.check import broken
from bank.model import Status
from stores.engine import Store
from tests.integration.bank.world import DATE, PROJECT, House, hold_of, instruct, number
from tools.bank_check import read


async def lived(house: House) -> dict[str, str]:
    """Books with some of everything: lent, collected, a bid given back, one that was refused."""
    people = await house.people("wang", "lin", "zhao", fen=100_000)
    await house.project(people["wang"])
    await house.do(hold_of("b1", people["lin"], 50_000), hold_of("b2", people["zhao"], 30_000), hold_of("b3", people["zhao"], 500))
    await house.do(instruct("back", "release", {"hold_no": number("b3")}), hold_of("dear", people["lin"], 100_001))
    of = {"project_no": number(PROJECT)}
    await house.do(instruct("lend", "confirm_loan", {**of, "count": 2, "sum_fen": 80_000}))
    collect = {**of, "custody_no": people["wang"], "due_fen": 20_000, "valid_on": DATE}
    await house.do(instruct("c", "collect", collect, page=True))
    parts = [{"custody_no": people["lin"], "amount_fen": 12_000}, {"custody_no": people["zhao"], "amount_fen": 7_500}]
    await house.do(instruct("pay", "confirm_repayment", {"collect_no": number("c"), "parts": parts, "fee_fen": 500}))
    (last,) = await house.do(instruct("c2", "collect", collect, page=True))
    assert last.status is Status.SUCCEEDED
    return people


async def found(house: House) -> set[tuple[str, str]]:
    """Which rules do not hold, and for what."""
    store: Store = house.stores["bank"]
    async with store.reading() as connection:
        return {(finding.rule, finding.id) for finding in broken(await read(connection))}


def line(name: str, account: str) -> str:
    """Which line of the journal: of this request on this account."""
    return f"WHERE request_no = '{number(name)}' AND account = '{account}'"


async def test_books_that_nobody_has_touched_are_clean(house: House) -> None:
    await lived(house)
    assert await found(house) == set()


@pytest.mark.parametrize("fen", [10, -10, 1, -1])
async def test_a_line_that_is_changed_is_named_with_its_set_and_its_account(house: House, fen: int) -> None:
    lin = f"available:{(await lived(house))['lin']}"
    await house.spoil(f"UPDATE journal SET amount_fen = amount_fen + {fen} {line('recharge lin', lin)}")
    assert await found(house) >= {("set_is_not_zero", number("recharge lin")), ("balance_is_not_its_lines", lin)}


@pytest.mark.parametrize("sign", [1, -1])
async def test_two_sets_that_are_off_against_each_other_are_both_named(house: House, sign: int) -> None:
    people = await lived(house)
    lin, zhao = (f"available:{people[who]}" for who in ("lin", "zhao"))
    await house.spoil(
        f"UPDATE journal SET amount_fen = amount_fen + {sign} {line('recharge lin', lin)}",
        f"UPDATE journal SET amount_fen = amount_fen - {sign} {line('recharge zhao', zhao)}",
    )
    sets = {("set_is_not_zero", number(f"recharge {who}")) for who in ("lin", "zhao")}
    assert await found(house) >= {*sets, ("balance_is_not_its_lines", lin), ("balance_is_not_its_lines", zhao)}


@pytest.mark.parametrize("fen", [1, -1])
async def test_a_balance_that_is_changed_is_named(house: House, fen: int) -> None:
    lin = f"available:{(await lived(house))['lin']}"
    await house.spoil(f"UPDATE balance SET amount_fen = amount_fen + {fen} WHERE account = '{lin}'")
    assert await found(house) == {("balance_is_not_its_lines", lin), ("balances_are_not_zero", "ledger")}


async def test_lines_that_are_gone_with_their_partners_are_missed(house: House) -> None:
    lin = f"available:{(await lived(house))['lin']}"
    await house.spoil(f"DELETE FROM journal WHERE request_no = '{number('recharge lin')}'")
    assert await found(house) == {
        ("balance_is_not_its_lines", lin),
        ("balance_is_not_its_lines", "card_network"),
        ("moved_is_not_the_amount", number("recharge lin")),
    }


async def test_a_line_that_is_gone_alone_is_missed(house: House) -> None:
    people = await lived(house)
    await house.spoil(f"DELETE FROM journal {line('pay', 'fee')}")
    assert await found(house) >= {("set_is_not_zero", number("pay")), ("balance_is_not_its_lines", "fee")}
    assert people


async def test_a_whole_movement_that_nobody_has_ordered_is_named(house: House) -> None:
    people = await lived(house)
    other = number("nobody's")
    values = [f"('{other}', '{account}', {fen}, '{DATE}', 1)" for account, fen in ((f"available:{people['lin']}", 7), ("fee", -7))]
    await house.spoil(
        f"INSERT INTO journal(request_no, account, amount_fen, booked_date, at_ms) VALUES {', '.join(values)}",
        f"UPDATE balance SET amount_fen = amount_fen + 7 WHERE account = 'available:{people['lin']}'",
        "UPDATE balance SET amount_fen = amount_fen - 7 WHERE account = 'fee'",
    )
    assert await found(house) == {("entries_without_request", other)}


async def test_a_request_that_is_set_back_after_it_has_moved_money_is_named(house: House) -> None:
    await lived(house)
    await house.spoil(f"UPDATE request SET status = 'REFUSED' WHERE id = '{number('recharge lin')}'")
    assert await found(house) == {("entries_of_no_success", number("recharge lin"))}


async def test_a_request_that_claims_another_amount_is_named(house: House) -> None:
    await lived(house)
    await house.spoil(f"UPDATE request SET amount_fen = amount_fen + 1 WHERE id = '{number('lend')}'")
    assert await found(house) == {("moved_is_not_the_amount", number("lend"))}


@pytest.mark.parametrize("fen", [1, -1])
async def test_a_hold_that_is_changed_is_named_with_its_member_and_its_project(house: House, fen: int) -> None:
    people = await lived(house)
    await house.spoil(f"UPDATE hold SET amount_fen = amount_fen + {fen} WHERE request_no = '{number('c2')}'")
    assert await found(house) == {
        ("held_is_not_its_holds", f"held:{people['wang']}"),
        ("project_is_not_its_holds", number(PROJECT)),
    }


@pytest.mark.parametrize("change", ["holds = holds + 1", "holds = holds - 1", "held_fen = held_fen + 1", "held_fen = held_fen - 1"])
async def test_a_project_that_counts_otherwise_is_named(house: House, change: str) -> None:
    await lived(house)
    await house.spoil(f"UPDATE project SET {change}")
    assert await found(house) == {("project_is_not_its_holds", number(PROJECT))}


async def test_an_account_that_has_lines_and_no_balance_is_named(house: House) -> None:
    await lived(house)
    await house.spoil("DELETE FROM balance WHERE account = 'fee'")
    assert await found(house) == {("lines_without_balance", "fee"), ("balances_are_not_zero", "ledger")}


async def test_a_member_below_zero_is_named_even_when_everything_adds_up(house: House) -> None:
    people = await lived(house)
    lin, taken = f"available:{people['lin']}", 1_000_000
    await house.spoil(
        f"UPDATE balance SET amount_fen = amount_fen - {taken} WHERE account = '{lin}'",
        f"UPDATE balance SET amount_fen = amount_fen + {taken} WHERE account = 'fee'",
    )
    assert ("below_zero", lin) in await found(house)
