"""A plan is made once, of bids that come in steps, with receivables that are made in steps (FLOWS 5.1; MONEY 1 and 2; M42)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.repayments.messages import RECEIVABLES_STEP, AskPlan, MakeReceivables, PlanMissing, PlanReady
from agents.repayments.model import InstalmentStatus, Plan, PlanStatus
from agents.repayments.schedule import Method
from agents.runtime.decision import Decision, Send
from tests.unit.repayments.examples import BIDS, LOAN, a_schedule, the_receivables
from tests.unit.repayments.lives import FIRST_DUE, INSTALMENT_FEN, KEY, LAST_DUE, Life, decided, generate, made

MANY = [10_000] * 1_200


def test_a_plan_with_its_receivables_is_made_at_once_and_the_loan_is_told() -> None:
    life = Life()
    life.tell(generate())
    plan = life.now
    assert (plan.status, plan.steps, plan.bids, plan.made) == (PlanStatus.REPAYING, 1, 3, 36)
    assert (plan.outstanding_fen, plan.next_due) == (LOAN["principal"], FIRST_DUE)
    assert life.said == [(KEY, PlanReady(id=KEY, checksum=plan.checksum))]


def test_its_instalments_are_those_of_the_schedule() -> None:
    rows = a_schedule(**LOAN).rows
    instalments = made().now.seen.instalments
    assert [(i.principal_fen, i.interest_fen, i.balance_fen) for i in instalments.values()] == [
        (r.principal_fen, r.interest_fen, r.balance_fen) for r in rows
    ]
    assert (instalments[1].due_date, instalments[12].due_date) == (FIRST_DUE, LAST_DUE)
    assert instalments[1].owed_fen == INSTALMENT_FEN
    assert {i.status for i in instalments.values()} == {InstalmentStatus.PLANNED}


def test_its_receivables_are_the_shares() -> None:
    plan = made().now
    for each in the_receivables(a_schedule(**LOAN), BIDS, "0.1"):
        claims = [plan.seen.receivables[each.n, place] for place in range(3)]
        assert tuple(r.principal_fen for r in claims) == each.principal_fen
        assert tuple(r.interest_fen for r in claims) == each.interest_fen
        assert plan.seen.instalments[each.n].fee_fen == each.platform_fee_fen
        assert [r.investor for r in claims] == ["investor-0", "investor-1", "investor-2"]


def test_bids_come_in_steps_and_the_last_one_makes_the_plan() -> None:
    life = Life()
    life.tell(generate(BIDS[:1], step=0, last=False))
    assert (life.now.status, life.now.steps, life.said) == (PlanStatus.RECEIVING, 1, [])
    life.tell(generate(BIDS[1:], step=1, first=1))
    assert life.now.but(steps=1) == made().now
    assert life.now.steps == 2


def test_a_step_that_is_there_changes_nothing() -> None:
    life = Life()
    life.tell(generate(BIDS[:1], step=0, last=False))
    before = life.now
    assert decided(before, generate(BIDS[:1], step=0, last=False)) == Decision.stay(before)


def test_a_step_that_skips_one_is_answered_with_how_many_are_there() -> None:
    missing = Decision(None, sends=(Send(KEY, PlanMissing(id=KEY, steps=0)),))
    assert decided(None, generate(step=1)) == missing
    life = Life()
    life.tell(generate(BIDS[:1], step=0, last=False))
    assert decided(life.now, generate(step=2)) == Decision(life.now, sends=(Send(KEY, PlanMissing(id=KEY, steps=1)),))


def test_a_plan_that_is_there_answers_and_is_not_made_twice() -> None:
    plan = made().now
    assert decided(plan, generate()) == Decision(plan, sends=(Send(KEY, PlanReady(id=KEY, checksum=plan.checksum)),))
    settled = plan.but(status=PlanStatus.SETTLED)
    assert decided(settled, generate()).sends == (Send(KEY, PlanReady(id=KEY, checksum=plan.checksum)),)


def test_whether_a_plan_is_there_is_answered_in_every_state() -> None:
    ask = AskPlan(id=KEY)
    assert decided(None, ask) == Decision(None, sends=(Send(KEY, PlanMissing(id=KEY, steps=0)),))
    life = Life()
    life.tell(generate(BIDS[:1], step=0, last=False))
    assert decided(life.now, ask).sends == (Send(KEY, PlanMissing(id=KEY, steps=1)),)
    ready = made().now
    assert decided(ready, ask).sends == (Send(KEY, PlanReady(id=KEY, checksum=ready.checksum)),)
    making = ready.but(status=PlanStatus.MAKING)
    assert decided(making, ask) == Decision.stay(making)  # the end of the making says it


def test_bids_that_are_not_the_loan_are_a_mistake_of_whoever_sent_them() -> None:
    with pytest.raises(AssertionError, match="the bids are the loan"):
        decided(None, generate(BIDS[:2]))


def test_many_receivables_are_made_a_step_at_a_time() -> None:
    decision = decided(None, generate(MANY, amount_fen=sum(MANY), months=3))
    plan = decision.state
    assert isinstance(plan, Plan) and (plan.status, plan.made) == (PlanStatus.MAKING, RECEIVABLES_STEP)
    assert decision.sends == (Send(KEY, MakeReceivables(id=KEY, made=RECEIVABLES_STEP)),)
    assert len(plan.changed.receivables) == RECEIVABLES_STEP
    assert plan.next_due is None
    stale = decided(plan, MakeReceivables(id=KEY, made=0))
    assert stale == Decision.stay(plan)


def test_the_steps_make_the_same_as_the_shares_at_once() -> None:
    amounts = [10_000 + n for n in range(700)]
    plan = made(amounts, months=3).now
    assert (plan.status, plan.made) == (PlanStatus.REPAYING, 2_100)
    expected = the_receivables(a_schedule("equal_installment", sum(amounts), "0.12", 3), amounts, "0.1")
    for each in expected:
        assert [plan.seen.receivables[each.n, n].principal_fen for n in range(700)] == list(each.principal_fen)
        assert [plan.seen.receivables[each.n, n].interest_fen for n in range(700)] == list(each.interest_fen)


def test_steps_that_come_twice_make_nothing_twice() -> None:
    once, twice = Life(), Life(twice=True)
    for life in (once, twice):
        life.tell(generate(MANY, amount_fen=sum(MANY), months=2))
    assert twice.now == once.now
    assert twice.said == once.said


def test_the_checksum_is_of_this_plan_only() -> None:
    again = made().now.checksum
    assert again == made().now.checksum and len(again) == 64
    assert (
        len({again, made(BIDS[::-1]).now.checksum, made(investor_rate="0.09").now.checksum, made(start_date="2025-02-01").now.checksum})
        == 4
    )


def test_an_instalment_of_nothing_is_never_owed() -> None:
    plan = made(annual_rate="0", investor_rate="0", method="interest_only", months=3).now
    assert [i.status for i in plan.seen.instalments.values()] == [InstalmentStatus.PAID, InstalmentStatus.PAID, InstalmentStatus.PLANNED]
    assert plan.next_due == "2025-04-30"


def test_a_loan_without_a_schedule_is_a_mistake_of_whoever_published_it() -> None:
    with pytest.raises(AssertionError, match="not published"):
        decided(None, generate([300], amount_fen=300, months=600, annual_rate="0", investor_rate="0"))


@given(
    bids=st.lists(st.integers(10_000, 10**8), min_size=1, max_size=7),
    method=st.sampled_from(Method),
    months=st.integers(1, 8),
    rates=st.lists(st.integers(0, 240_000), min_size=2, max_size=2).map(sorted),
)
@settings(max_examples=60)
def test_all_principal_is_the_loan_and_all_shares_are_the_instalment(
    bids: list[int], method: Method, months: int, rates: list[int]
) -> None:
    investor_rate, annual_rate = (f"0.{rate:06}" for rate in rates)
    plan = made(bids, annual_rate=annual_rate, investor_rate=investor_rate, months=months, method=method.value).now
    instalments = plan.seen.instalments.values()
    assert sum(i.principal_fen for i in instalments) == sum(bids) == plan.amount_fen
    for i in instalments:
        claims = [plan.seen.receivables[i.number, place] for place in range(len(bids))]
        assert sum(r.principal_fen for r in claims) == i.principal_fen
        assert sum(r.interest_fen for r in claims) == i.pool_fen
        assert i.fee_fen >= 0
    for place, bid in enumerate(bids):
        assert sum(plan.seen.receivables[i.number, place].principal_fen for i in instalments) == bid
