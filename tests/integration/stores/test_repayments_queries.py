"""What gateway and tools ask of the repayment service's store, page by page, and how a break is seen (M31's kind, M42)."""

from typing import Any

import pytest

from agents.custody.messages import OrderEnded
from agents.repayments.model import Plan
from agents.runtime.decision import Need
from stores import repayments as tables
from stores.actors import Change
from stores.engine import Store, Tx
from stores.repayments_actors import AT_ONCE_MAX, PLANS
from tests.integration.stores.direct import execute
from tests.integration.stores.world import ids
from tests.unit.repayments.lives import FIRST_DUE, INSTALMENT_FEN, KEY, Life, decided, made

OTHER = ids(1, "other")[0]


async def kept(store: Store, *lives: Life) -> None:
    """Write the plans as they are."""
    changes = [Change(life.now.id, None, life.now) for life in lives]
    await store.transaction("loop.commit", PLANS.save, changes)


async def loaded(store: Store, *needs: Need, key: str = KEY) -> Plan:
    def load(tx: Tx) -> Plan:
        plan, _ = PLANS.load(tx, [key, "nobody"], [(key, need) for need in needs] + [("nobody", Need("bids"))])[key]
        return plan

    return await store.transaction("loop.commit", load)


async def asked(store: Store, question: Any, *args: Any, **named: Any) -> Any:
    async with store.reading() as connection:
        return await question(connection, *args, **named)


def paid() -> Life:
    """The loan of the cases with its first instalment paid."""
    return made().on(FIRST_DUE).ends().ends()


async def test_a_plan_and_its_instalments_are_shown(store: Store) -> None:
    await kept(store, paid())
    plan = await asked(store, tables.plan_by_loan, KEY)
    assert (plan.status, plan.outstanding_fen, plan.next_due) == ("REPAYING", 921_151, "2025-03-31")
    assert await asked(store, tables.plan_by_loan, OTHER) is None
    instalments = await asked(store, tables.instalments_of, KEY)
    assert [row.number for row in instalments] == list(range(1, 13))
    assert (instalments[0].status, instalments[0].paid_on, instalments[1].status) == ("PAID", FIRST_DUE, "PLANNED")
    assert await asked(store, tables.instalments_of, OTHER) == []


async def test_receivables_come_page_by_page_with_their_bid_and_date(store: Store) -> None:
    await kept(store, paid())
    every: list[Any] = []
    while page := await asked(
        store, tables.receivables_of_loan, KEY, after=(every[-1].number, every[-1].place) if every else (0, -1), limit=5
    ):
        every += page
    assert [(row.number, row.place) for row in every] == [(n, place) for n in range(1, 13) for place in range(3)]
    assert (every[0].bid, every[0].due_date, every[0].principal_fen, every[0].principal_paid_fen) == ("bid-0", FIRST_DUE, 39_424, 39_424)
    for number in range(1, 13):
        shares = [row for row in every if row.number == number]
        (instalment,) = [row for row in await asked(store, tables.instalments_of, KEY) if row.number == number]
        assert sum(row.principal_fen for row in shares) == instalment.principal_fen
        assert sum(row.interest_fen for row in shares) + instalment.fee_fen == instalment.pool_fen + instalment.fee_fen


async def test_an_investor_sees_his_own_of_one_loan_or_of_all(store: Store) -> None:
    await kept(store, made(), made(id=OTHER, months=2))
    every: list[Any] = []
    while page := await asked(
        store,
        tables.receivables_of_investor,
        "investor-1",
        after=(every[-1].loan, every[-1].number, every[-1].place) if every else ("", 0, -1),
        limit=4,
    ):
        every += page
    assert [row.loan for row in every] == sorted([KEY] * 12 + [OTHER] * 2)
    assert {row.investor for row in every} == {"investor-1"} and {row.bid for row in every} == {"bid-1"}
    of_one = await asked(store, tables.receivables_of_investor, "investor-1", loan=OTHER, limit=50)
    assert [row.number for row in of_one] == [1, 2]
    assert await asked(store, tables.receivables_of_investor, "nobody", limit=50) == []


async def test_collections_are_shown_by_id_by_loan_and_when_they_wait(store: Store) -> None:
    life = made().on(FIRST_DUE).ends("refused", reason="insufficient").on("2025-03-01").ends().ends("refused", reason="set_differs")
    await kept(store, life)
    (row,) = await asked(store, tables.suspended_collections)
    assert (row.id, row.loan, row.reason, row.amount_fen) == (life.open.id, KEY, "set_differs", INSTALMENT_FEN)
    assert await asked(store, tables.collection_by_id, row.id) == row
    assert await asked(store, tables.collection_by_id, "nobody") is None
    both = await asked(store, tables.collections_of, KEY, limit=10)
    assert {each.status for each in both} == {"NOTHING", "SUSPENDED"}
    assert len(await asked(store, tables.collections_of, KEY, limit=1)) == 1
    pages = [await asked(store, tables.collections_page, after="", limit=1)]
    pages.append(await asked(store, tables.collections_page, after=pages[0][0].id, limit=5))
    assert [each.id for page in pages for each in page] == sorted(each.id for each in both)


async def test_plans_come_page_by_page_with_their_sums(store: Store) -> None:
    await kept(store, paid(), made(id=OTHER, months=2))
    (first,) = await asked(store, tables.plans_page, after="", limit=1)
    (second,) = await asked(store, tables.plans_page, after=first.id, limit=1)
    assert [first.id, second.id] == sorted([KEY, OTHER])
    sums = {row.id: row for row in await asked(store, tables.sums_page, after="", limit=10)}
    assert {row.plan_bid_amount_fen for row in sums.values()} == {1_000_000}
    assert (sums[KEY].instalment_principal_paid_fen, sums[KEY].receivable_principal_paid_fen) == (78_849, 78_849)
    assert (sums[OTHER].instalment_principal_fen, sums[OTHER].receivable_interest_paid_fen) == (1_000_000, 0)
    assert type(sums[KEY].instalment_fee_fen) is int


async def test_the_date_of_a_service_that_has_heard_of_none_is_nothing(store: Store) -> None:
    assert await asked(store, tables.business_date) is None


async def test_instalments_and_receivables_that_agree_are_no_break(store: Store) -> None:
    await kept(store, paid(), made(id=OTHER))
    assert await asked(store, tables.unequal_instalments) == []


@pytest.mark.parametrize("plus", [1, -1])
@pytest.mark.parametrize("column", ["principal_fen", "interest_fen", "principal_paid_fen", "interest_paid_fen"])
async def test_a_fen_more_or_less_is_seen_with_its_loan_and_number(store: Store, store_url: str, column: str, plus: int) -> None:
    await kept(store, paid(), made(id=OTHER))
    execute(store_url, f"UPDATE receivable SET {column} = {column} + {plus} WHERE loan = '{KEY}' AND number = 1 AND place = 2")
    (row,) = await asked(store, tables.unequal_instalments)
    assert (row.loan, row.number) == (KEY, 1)


async def test_receivables_that_are_gone_are_seen(store: Store, store_url: str) -> None:
    await kept(store, made())
    execute(store_url, "DELETE FROM receivable WHERE number = 3")
    assert [(row.loan, row.number) for row in await asked(store, tables.unequal_instalments)] == [(KEY, 3)]


async def test_a_payment_that_is_being_booked_is_no_break(store: Store) -> None:
    many = made([10_000] * 700, months=2).on(FIRST_DUE).ends()
    booked = OrderEnded(id=many.orders[1].id, kind="confirm_repayment", result="succeeded", booked_date=FIRST_DUE)
    half = decided(many.now, booked, FIRST_DUE).state  # without the step that follows from it
    assert isinstance(half, Plan) and half.open is not None and half.open.step == (1, 500)
    await store.transaction("loop.commit", PLANS.save, [Change(KEY, None, half)])
    assert await asked(store, tables.unequal_instalments) == []
    (row,) = await asked(store, tables.sums_page, after="", limit=1)
    assert row.receivable_principal_paid_fen > row.instalment_principal_paid_fen == 0


async def test_a_plan_comes_with_its_open_collection_and_what_its_messages_need_only(store: Store) -> None:
    life = made().on(FIRST_DUE)
    await kept(store, life)
    bare = await loaded(store)
    assert bare.open == life.open
    assert (bare.seen.bids, bare.seen.instalments, bare.seen.receivables, bare.changed.collections) == ({}, {}, {}, {})
    assert len((await loaded(store, Need("bids"))).seen.bids) == 3
    assert list((await loaded(store, Need("instalments"))).seen.instalments) == list(range(1, 13))
    assert (await loaded(store, Need("order", "somebody's"))).seen.instalments == {}
    order = await loaded(store, Need("order", life.open.id))
    assert set(order.seen.receivables) == {(1, 0), (1, 1), (1, 2)}
    assert set((await loaded(store, Need("step", "2"))).seen.receivables) == {(2, 0), (2, 1), (2, 2)}


async def test_what_is_paid_does_not_come_again(store: Store) -> None:
    await kept(store, paid())
    assert list((await loaded(store, Need("instalments"))).seen.instalments) == list(range(2, 13))
    assert (await loaded(store, Need("order", "x"), Need("parts"), Need("step", "1"))).seen.receivables == {}


async def test_a_collection_comes_by_its_id_also_when_it_has_ended(store: Store) -> None:
    life = paid()
    (ended,) = life.now.seen.collections.values()
    await kept(store, life)
    plan = await loaded(store, Need("collection", ended.id), Need("collection", "nobody"))
    assert plan.open is None
    assert plan.seen.collections == {ended.id: ended}


@pytest.mark.parametrize(
    ("bids", "months", "come"), [(AT_ONCE_MAX, 1, True), (AT_ONCE_MAX + 1, 1, False), (AT_ONCE_MAX // 2 + 1, 2, False)]
)
async def test_few_claims_come_with_the_end_of_an_order_and_many_step_by_step(store: Store, bids: int, months: int, come: bool) -> None:
    life = made([10_000] * bids, months=months)
    life.on("2025-06-30")
    await kept(store, life)
    plan = await loaded(store, Need("order", life.open.id))
    assert len(plan.seen.receivables) == (bids * months if come else 0)
    assert life.open.due_fen == sum(i.owed_fen for i in plan.seen.instalments.values())


async def test_the_parts_of_an_open_collection_are_added_up_in_the_order_of_the_bids(store: Store) -> None:
    life = made().on(FIRST_DUE).ends().ends("refused", reason="set_differs")
    await kept(store, life)
    plan = await loaded(store, Need("parts"))
    assert [(part.custody_no, part.amount_fen) for part in plan.parts] == [("C0", 43_590), ("C1", 26_155), ("C2", 17_437)]
