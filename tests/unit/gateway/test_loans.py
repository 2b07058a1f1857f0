"""Loans and bids: what may be asked for, who may see what, and which decisions stand."""

from fractions import Fraction
from typing import Any

import pytest

from agents.repayments.schedule import Method
from agents.runtime.http.problems import Problem
from agents.trading.messages import ApproveFull, LoanChanged, PassFirstAudit, RefuseFirstAudit, RefuseFull
from agents.trading.model import BidStatus, Status
from gateway import bids, loans
from gateway.bids import BidDocument
from gateway.loans import AuditRequest, LoanDocument
from gateway.members import NO_ACCOUNT, Account
from gateway.principals import Principal
from tests.unit.gateway.rows import AUDITOR, BORROWER, INVESTOR, LOAN, THING, a_bid, a_loan

ASKED: dict[str, Any] = {
    "title": "a tea shop's stock",
    "amount_fen": 1_000_000,
    "annual_rate": "0.10",
    "investor_rate": "0.080",
    "months": 3,
    "method": "equal_installment",
    "raising_days": 20,
}
HIM, HER = Principal(BORROWER, "borrower"), Principal(INVESTOR, "investor")
STAFF = [Principal(AUDITOR, role) for role in ("auditor", "operator", "administrator")]
PASS, REFUSE = AuditRequest(decision="pass"), AuditRequest(decision="refuse", reason="no stock")


def test_an_application_is_sent_in_its_one_spelling_with_the_account_of_its_borrower() -> None:
    sent = loans.publish(THING, BORROWER, Account("c1", "p"), loans.requested(ASKED))
    assert (sent.id, sent.borrower, sent.custody_no, sent.person_lookup) == (THING, BORROWER, "c1", "p")
    assert (sent.annual_rate, sent.investor_rate, sent.amount_fen, sent.months) == ("0.1", "0.08", 1_000_000, 3)
    assert Fraction(sent.annual_rate) == Fraction(1, 10)
    assert loans.publish(THING, BORROWER, NO_ACCOUNT, loans.requested(ASKED)).custody_no == ""


@pytest.mark.parametrize(("changes", "pointer"), [
    ({"method": "interest"}, "/method"), ({"months": "3"}, "/months"), ({"months": 0}, "/months"), ({"amount_fen": 0}, "/amount_fen"),
    ({"annual_rate": 0.1}, "/annual_rate"), ({"investor_rate": "8%"}, "/investor_rate"), ({"title": "\n"}, "/title"),
    ({"raising_days": 10**9}, "/raising_days"), ({"borrower": "me"}, "/borrower"),
])  # fmt: skip
def test_an_application_that_is_wrong_is_refused_at_its_place(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Problem) as found:
        loans.requested({**ASKED, **changes})
    assert [e.pointer for e in found.value.errors] == [pointer]


@pytest.mark.parametrize("method", [*Method])
def test_every_method_may_be_asked_for(method: str) -> None:
    assert loans.requested({**ASKED, "method": method}).method == method


def test_a_decision_is_the_command_of_its_name() -> None:
    assert loans.first_audit(LOAN, AUDITOR, PASS) == PassFirstAudit(id=LOAN, auditor=AUDITOR)
    assert loans.first_audit(LOAN, AUDITOR, REFUSE) == RefuseFirstAudit(id=LOAN, auditor=AUDITOR, reason="no stock")
    assert loans.full_audit(LOAN, AUDITOR, PASS) == ApproveFull(id=LOAN, auditor=AUDITOR)
    assert loans.full_audit(LOAN, AUDITOR, REFUSE) == RefuseFull(id=LOAN, auditor=AUDITOR, reason="no stock")


def test_a_refusal_says_why_and_a_pass_need_not() -> None:
    assert loans.audited({"decision": "pass"}) == PASS
    assert loans.audited({"decision": "refuse", "reason": " no stock "}) == REFUSE
    for body in ({"decision": "refuse"}, {"decision": "perhaps"}, {}):
        with pytest.raises(Problem):
            loans.audited(body)


def test_a_first_audit_stands_when_the_loan_says_so_whoever_else_was_told() -> None:
    assert loans.first_audit_stands(a_loan(status="ESTABLISHING"), AUDITOR, PASS)
    assert not loans.first_audit_stands(a_loan(status="DRAFT", first_auditor=None), AUDITOR, PASS)
    assert not loans.first_audit_stands(a_loan(status="RAISING"), "somebody else", PASS)
    assert loans.first_audit_stands(a_loan(status="REFUSED", reason="audit: no stock"), AUDITOR, REFUSE)
    assert not loans.first_audit_stands(a_loan(status="REFUSED", reason="rate_above_cap"), AUDITOR, REFUSE)
    assert not loans.first_audit_stands(a_loan(status="RAISING"), AUDITOR, REFUSE)


def test_a_full_audit_stands_when_the_loan_says_so() -> None:
    assert loans.full_audit_stands(a_loan(status="REPAYING", second_auditor=AUDITOR), AUDITOR, PASS)
    assert not loans.full_audit_stands(a_loan(status="FULL"), AUDITOR, PASS)
    assert not loans.full_audit_stands(a_loan(status="DISBURSING", second_auditor="somebody else"), AUDITOR, PASS)
    for status in ("FAILING", "FAILED"):
        assert loans.full_audit_stands(a_loan(status=status, reason="audit: no stock"), AUDITOR, REFUSE)
        assert not loans.full_audit_stands(a_loan(status=status, reason="not_full"), AUDITOR, REFUSE)


def test_a_withdrawal_stands_when_the_listing_was_withdrawn() -> None:
    assert loans.withdrawal_stands(a_loan(status="FAILED", reason="withdrawn"))
    assert not loans.withdrawal_stands(a_loan(status="FAILED", reason="not_full"))


@pytest.mark.parametrize("status", [*Status])
def test_a_listing_is_everybodys_and_what_is_none_yet_its_borrowers_and_the_staffs(status: str) -> None:
    row = a_loan(status=status)
    assert all(loans.may_see(row, who) for who in (HIM, *STAFF))
    assert loans.may_see(row, HER) == (status not in ("DRAFT", "ESTABLISHING", "REFUSED"))


def test_a_page_leaves_out_what_is_not_to_be_seen_and_goes_on_behind_it() -> None:
    rows = [a_loan(id=f"{n:03}", status="DRAFT" if n % 2 else "RAISING") for n in range(loans.PAGE_MAX)]
    page = loans.page_shown(rows, HER)
    assert len(page.loans) == loans.PAGE_MAX // 2 and page.next == f"{loans.PAGE_MAX - 1:03}"
    assert loans.page_shown(rows[:-1], HER).next is None


@pytest.mark.parametrize("status", [*Status])
def test_a_loan_is_shown_as_it_stands_and_an_application_is_made_once_it_is_there(status: str) -> None:
    document = loans.shown(a_loan(status=status, reason="r"), False)
    assert (document.status, document.reason, document.borrower_id, document.accepted_fen) == (status, "r", BORROWER, 300_000)
    assert document.is_settled and document.is_made == (status != "SUSPENDED")
    assert not loans.pending(THING).is_settled and not loans.pending(THING).is_made


def test_an_answer_that_refuses_gives_the_reason() -> None:
    told = loans.pending(THING).told(LoanChanged(id=THING, status="REFUSED", refused="rate_above_cap"))
    assert (told.status, told.reason) == ("REFUSED", "rate_above_cap")
    problem = loans.refused("not_now")
    assert (problem.status, problem.errors[0].code) == (409, "not_now")


def test_a_bid_is_sent_for_its_loan_with_the_account_of_its_investor() -> None:
    sent = bids.command(THING, LOAN, INVESTOR, Account("c2", "q"), bids.requested({"amount_fen": 200_000}))
    assert (sent.id, sent.loan, sent.investor, sent.custody_no, sent.person_lookup) == (THING, LOAN, INVESTOR, "c2", "q")


@pytest.mark.parametrize("status", [*BidStatus])
def test_every_state_of_a_bid_can_be_shown(status: str) -> None:
    document = bids.shown(a_bid(status=status), False)
    assert document.status == status and document.is_final == (status in BidDocument.FINAL)
    assert (document.page_url is None) == document.is_final
    assert bids.shown(a_bid(status=status), True).status == (status if document.is_final else "SUSPENDED")


def test_an_investor_sees_his_bids_and_borrower_and_staff_all_without_the_banks_page() -> None:
    rows = [a_bid(id="1", place=1), a_bid(id="2", place=2, investor="somebody else")]
    mine = bids.page_shown(rows, for_whom=HER, borrower=BORROWER)
    assert [(bid.id, bid.page_url) for bid in mine.bids] == [("1", "http://bank/p")]
    for who in (HIM, *STAFF):
        seen = bids.page_shown(rows, for_whom=who, borrower=BORROWER)
        assert [(bid.id, bid.page_url) for bid in seen.bids] == [("1", None), ("2", None)]
    assert bids.page_shown(rows, for_whom=Principal("stranger", "borrower"), borrower=BORROWER).bids == []


def test_a_full_page_of_bids_goes_on_behind_its_last_place() -> None:
    rows = [a_bid(place=n) for n in range(1, bids.PAGE_MAX + 1)]
    assert bids.page_shown(rows, for_whom=HER, borrower=BORROWER).next == str(bids.PAGE_MAX)
    assert bids.page_after(str(bids.PAGE_MAX)) == bids.PAGE_MAX


@pytest.mark.parametrize("text", ["", "-1", "x", "１", "1" * 30, "1.5"])
def test_what_is_no_cursor_begins_at_the_beginning(text: str) -> None:
    assert bids.page_after(text) == 0


def test_a_loan_is_shown_by_its_field_names_only() -> None:
    assert set(loans.shown(a_loan(), False).model_dump()) == set(LoanDocument.model_fields)
    assert not {"person_lookup", "custody_no", "first_auditor", "second_auditor"} & set(LoanDocument.model_fields)


@pytest.mark.parametrize(("reason", "code"), [
    ("rate_above_cap", "rate_above_cap"), ("withdrawn", "withdrawn"), ("audit: no stock", "not_now"), ("operator: by mistake", "not_now"),
    (None, "not_now"), ("", "not_now"),
])  # fmt: skip
def test_a_decision_that_was_not_taken_has_a_code_and_never_what_somebody_wrote(reason: str | None, code: str) -> None:
    assert loans.why_not(a_loan(reason=reason)) == code


@pytest.mark.parametrize(("reason", "shown"), [
    ("operator: by mistake", "operator"), ("disputed: order x, noticed a, answered b", "disputed"), ("audit: no stock", "audit: no stock"),
    ("bank: closed", "bank: closed"), ("not_full", "not_full"), (None, None),
])  # fmt: skip
def test_what_an_operator_wrote_is_not_for_the_person_what_an_auditor_says_is(reason: str | None, shown: str | None) -> None:
    assert loans.shown(a_loan(status="FAILED", reason=reason), False).reason == shown
    assert bids.shown(a_bid(status="REFUSED", reason=reason), False).reason == shown
