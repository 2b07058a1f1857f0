"""A plan as its borrower sees it, and receivables as an investor sees them."""

import pytest

from agents.repayments.model import InstalmentStatus, PlanStatus
from gateway import plans
from tests.unit.gateway.rows import LOAN, THING, a_plan, a_receivable, an_instalment


def test_an_instalment_is_shown_with_the_interest_of_its_payer_and_all_that_was_paid() -> None:
    (row,) = plans.plan_shown(a_plan(), [an_instalment()]).instalments
    assert (row.principal_fen, row.interest_fen, row.paid_fen) == (330_567, 6_667 + 1_666, 7 + 6_667 + 1_666 + 3)
    assert (row.number, row.due_date, row.balance_fen, row.paid_on) == (1, "2026-02-28", 669_433, None)


@pytest.mark.parametrize("status", [*PlanStatus])
def test_instalments_are_shown_when_all_of_them_are_there(status: PlanStatus) -> None:
    document = plans.plan_shown(a_plan(status=status.value), [an_instalment()])
    assert (document.status, len(document.instalments)) == (status.value, int(status.is_made))


@pytest.mark.parametrize("status", [*InstalmentStatus])
def test_every_state_of_an_instalment_can_be_shown(status: InstalmentStatus) -> None:
    assert plans.plan_shown(a_plan(), [an_instalment(status=status.value)]).instalments[0].status == status.value


def test_receivables_name_their_bid_and_nobody_else() -> None:
    page = plans.receivables_shown(LOAN, [a_receivable()])
    assert (page.loan_id, page.next, page.receivables[0].bid_id) == (LOAN, None, THING)
    assert "investor" not in page.receivables[0].model_dump()


def test_a_full_page_goes_on_behind_its_last_row() -> None:
    rows = [a_receivable(number=1 + n // 2, place=n % 2) for n in range(plans.RECEIVABLES_PAGE_MAX)]
    following = plans.receivables_shown(LOAN, rows).next
    assert following is not None and plans.page_after(following) == (rows[-1].number, rows[-1].place)


@pytest.mark.parametrize("text", ["", "-", "1", "1-", "a-b", "1-2-3", "²-1", "1" * 30 + "-1"])
def test_what_is_no_cursor_begins_at_the_beginning(text: str) -> None:
    assert plans.page_after(text) == (0, -1)
