"""The life of a loan: every transition of FLOWS 4, and what is refused on the way."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from agents.custody.messages import DateRolled, OrderDisputed
from agents.repayments.messages import AskPlan, GeneratePlan, PlanMissing, PlanReady, PlanSettled, PrincipalRepaid
from agents.runtime.decision import Context
from agents.trading.behaviour import behave
from agents.trading.messages import (
    ApproveFull,
    FailListing,
    LoanMoved,
    PassFirstAudit,
    RaisingEnded,
    RefuseFirstAudit,
    RefuseFull,
    RetryDisbursement,
    ScanLoans,
    Withdraw,
)
from agents.trading.model import Status
from config import lpr
from tests.unit.trading.desk import DAY, LOAN, Desk, bid_id, disbursing, full, publish, raising, repaying


def test_a_whole_life_passes_through_every_state_and_each_is_a_line_of_history_and_a_fact() -> None:
    desk = repaying()
    desk.tell(PlanReady(id=LOAN, checksum="c"))
    desk.tell(PrincipalRepaid(id=LOAN, collection="k", amount_fen=60_000, outstanding_fen=40_000, date="2026-04-02"))
    desk.tell(PlanSettled(id=LOAN, date="2026-06-02"))
    lived = ["DRAFT", "ESTABLISHING", "RAISING", "FULL", "DISBURSING", "REPAYING", "SETTLED"]
    assert desk.history == lived == [m.status for m in desk.sent if isinstance(m, LoanMoved)]
    assert desk.now.outstanding_fen == 0 and len(desk.orders("close_project")) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"custody_no": ""}, "no_custody_account"),
        ({"amount_fen": 9_999}, "amount_out_of_range"),
        ({"amount_fen": 20_000_001}, "amount_out_of_range"),
        ({"months": 0}, "months_out_of_range"),
        ({"months": 37}, "months_out_of_range"),
        ({"raising_days": 31}, "raising_days_out_of_range"),
        ({"method": "balloon"}, "unknown_method"),
        ({"investor_rate": "0.1201"}, "investor_rate_above_rate"),
        ({"annual_rate": "0.1200001"}, "rate_above_cap"),
    ],
)
def test_a_loan_that_may_not_be_is_refused_at_once_and_kept(changes: dict[str, Any], code: str) -> None:
    desk = Desk()
    desk.tell(publish(**changes))
    assert (desk.stands(), desk.now.reason) == (Status.REFUSED, code)
    answer = desk.answer()
    assert answer.status == "REFUSED" and getattr(answer, "refused", None) == code and not desk.orders("establish_project")


def test_the_cap_is_an_exact_comparison_and_before_the_first_rate_there_is_none() -> None:
    desk = Desk()
    desk.tell(publish(annual_rate="0.120000000000", investor_rate="0.12"))
    assert desk.stands() is Status.DRAFT
    early = Desk()
    early.day = date(2019, 8, 19)
    early.tell(publish())
    assert early.now.reason == "rate_above_cap" and lpr.cap_on(date(2019, 8, 19)) is None
    assert [row[0] for row in lpr.ONE_YEAR] == sorted(row[0] for row in lpr.ONE_YEAR)


def test_who_does_not_know_the_date_lists_nothing() -> None:
    desk = Desk()
    desk.day = None
    desk.tell(publish())
    assert desk.now.reason == "no_business_date"


def test_a_loan_published_again_is_answered_and_not_made_twice() -> None:
    desk = raising()
    desk.tell(publish())
    assert desk.answer().status == "RAISING" and desk.history.count("DRAFT") == 1


def test_the_first_audit_establishes_the_project_once() -> None:
    desk = Desk()
    desk.tell(publish())
    for _ in range(2):
        desk.tell(PassFirstAudit(id=LOAN, auditor="an"))
    [order] = desk.orders("establish_project")
    assert order.content == {"project_no": LOAN, "custody_no": "69", "amount_fen": 100_000} and not order.page
    assert (order.reply_topic, order.reply_key, desk.now.first_auditor) == ("trading.commands", LOAN, "an")


def test_nobody_audits_his_own_loan() -> None:
    desk = Desk()
    desk.tell(publish())
    desk.tell(PassFirstAudit(id=LOAN, auditor="wang"))
    assert desk.stands() is Status.DRAFT and getattr(desk.answer(), "refused", None) == "own_loan"


def test_a_refused_audit_is_the_end() -> None:
    desk = Desk()
    desk.tell(publish())
    desk.tell(RefuseFirstAudit(id=LOAN, auditor="an", reason="no papers"))
    desk.tell(PassFirstAudit(id=LOAN, auditor="an"))
    assert desk.stands() is Status.REFUSED and desk.now.reason == "audit: no papers"


def test_a_project_that_the_bank_refuses_is_no_listing() -> None:
    desk = Desk()
    desk.tell(publish())
    desk.tell(PassFirstAudit(id=LOAN, auditor="an"))
    desk.bank(desk.now.establish_no, "refused", reason="unknown_account")
    assert desk.stands() is Status.REFUSED and desk.now.reason == "bank: unknown_account"


def test_raising_ends_so_many_days_after_the_bank_has_the_project() -> None:
    assert raising().now.raising_until == "2026-03-07"


@pytest.mark.parametrize("auditor", ["an", "wang"])
def test_the_second_audit_needs_a_second_person(auditor: str) -> None:
    desk = full()
    desk.tell(ApproveFull(id=LOAN, auditor=auditor))
    assert desk.stands() is Status.FULL and getattr(desk.answer(), "refused", None) == "second_person_needed"


def test_the_approval_freezes_the_cap_and_asks_for_one_linked_set() -> None:
    desk = disbursing()
    assert (desk.now.cap, desk.now.lpr_since, desk.now.second_auditor) == ("0.12", "2025-05-20", "bo")
    [order] = desk.orders("confirm_loan")
    assert order.content == {"project_no": LOAN, "count": 2, "sum_fen": 100_000}


def test_a_rate_above_the_cap_of_that_day_lets_the_full_listing_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = full()
    monkeypatch.setattr(lpr, "ONE_YEAR", (*lpr.ONE_YEAR, (DAY, "0.0299")))
    monkeypatch.setattr(lpr, "_DATES", [*lpr._DATES, DAY])
    desk.tell(ApproveFull(id=LOAN, auditor="bo"))
    assert desk.stands() is Status.FAILING and desk.now.reason == "rate_above_cap" and not desk.orders("confirm_loan")


def test_the_state_and_the_message_that_makes_the_plan_are_one_decision() -> None:
    desk = disbursing()
    before = len(desk.sent)
    desk.bank(desk.now.confirm_no, on="2026-03-05")
    [plan] = [m for m in desk.sent[before:] if isinstance(m, GeneratePlan)]
    assert (plan.start_date, plan.step, plan.last, plan.project_no) == ("2026-03-05", 0, True, LOAN)
    assert [(b.id, b.amount_fen) for b in plan.bids] == [(bid_id(1), 60_000), (bid_id(2), 40_000)]
    assert desk.stands() is Status.REPAYING and "plan_check" in desk.timers


def test_a_plan_that_is_missing_is_asked_for_and_sent_again_until_it_is_there() -> None:
    desk = repaying()
    first = desk.timers["plan_check"]
    desk.tell(first)
    assert sum(isinstance(m, AskPlan) for m in desk.sent) == 1
    desk.tell(first)
    assert sum(isinstance(m, AskPlan) for m in desk.sent) == 1, "a firing that was overtaken"
    desk.tell(PlanMissing(id=LOAN, steps=0))
    desk.loop()
    assert sum(isinstance(m, GeneratePlan) for m in desk.sent) == 2
    desk.tell(PlanReady(id=LOAN, checksum="c"))
    desk.tell(PlanReady(id=LOAN, checksum="other"))
    assert desk.now.plan_checksum == "c" and "plan_check" not in desk.timers


def test_a_disbursement_that_the_bank_refuses_waits_for_an_operator_who_tries_again_under_a_new_number() -> None:
    desk = disbursing()
    old = desk.now.confirm_no
    desk.bank(old, "refused", reason="set_differs")
    assert (desk.stands(), desk.now.stood) == (Status.SUSPENDED, "DISBURSING")
    desk.tell(RetryDisbursement(id=LOAN, operator="op"))
    assert desk.stands() is Status.DISBURSING and desk.now.confirm_no != old
    desk.bank(old)
    assert desk.stands() is Status.DISBURSING, "the old number says nothing any more"
    desk.bank(desk.now.confirm_no)
    assert desk.stands() is Status.REPAYING


def test_or_the_operator_lets_the_listing_fail() -> None:
    desk = disbursing()
    desk.bank(desk.now.confirm_no, "refused", reason="set_differs")
    desk.tell(FailListing(id=LOAN, operator="op", reason="hopeless"))
    assert desk.stands() is Status.FAILING and desk.now.reason == "operator: hopeless"


def test_a_dispute_suspends_the_loan_and_keeps_where_it_stood() -> None:
    desk = full()
    for _ in range(2):
        desk.tell(OrderDisputed(id=bid_id(1), noticed="SUCCEEDED", queried="REFUSED"))
    assert (desk.stands(), desk.now.stood) == (Status.SUSPENDED, "FULL")
    desk.tell(ApproveFull(id=LOAN, auditor="bo"))
    assert desk.stands() is Status.SUSPENDED and not desk.orders("confirm_loan")


def test_a_settled_loan_stays_settled_and_principal_only_goes_down() -> None:
    desk = repaying()
    for left in (60_000, 80_000, 0):
        desk.tell(PrincipalRepaid(id=LOAN, collection="k", amount_fen=1, outstanding_fen=left, date="2026-04-02"))
    assert desk.now.outstanding_fen == 0
    for _ in range(2):
        desk.tell(PlanSettled(id=LOAN, date="2026-06-02"))
    assert len(desk.orders("close_project")) == 1
    desk.bank(desk.now.close_no)
    assert desk.stands() is Status.SETTLED


@pytest.mark.parametrize(
    "command",
    [
        PassFirstAudit(id=LOAN, auditor="an"),
        ApproveFull(id=LOAN, auditor="bo"),
        RefuseFull(id=LOAN, auditor="bo", reason="x"),
        Withdraw(id=LOAN, borrower="wang"),
        RetryDisbursement(id=LOAN, operator="op"),
    ],
)
def test_a_command_to_a_loan_that_is_none_keeps_nothing(command: Any) -> None:
    decision = behave(None, command, Context(LOAN, "00000000-0000-4000-8000-000000000001", 1))
    assert decision.state is None and decision.refused and getattr(decision.reply, "refused", None) == "no_such_loan"


def test_the_calendar_tells_the_loans_whose_raising_is_over() -> None:
    begun = behave(None, DateRolled(id="calendar:1", date="2026-03-08"), Context("calendar:1", bid_id(0), 1))
    assert begun.business_date == date(2026, 3, 8)
    [scan] = [s.message for s in begun.sends]
    assert scan == ScanLoans(id="calendar:1", date="2026-03-08", after="")
    assert begun.state is not None
    found = replace(begun.state, due=(LOAN,))
    told = behave(found, scan, Context("calendar:1", bid_id(1), 1))
    assert [s.message for s in told.sends] == [RaisingEnded(id=LOAN, date="2026-03-08")]
