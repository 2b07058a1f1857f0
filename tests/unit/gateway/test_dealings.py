"""Openings, recharges, authorizations and payments: what may be asked for, what is sent, and how they are shown."""

from datetime import date
from typing import Any

import pytest

from agents.repayments.messages import PaymentChanged
from agents.runtime.http.problems import Problem
from agents.runtime.messages import Known, Suspended
from agents.runtime.sealing import Keyring, is_sealed
from agents.users.messages import OpeningChanged
from config.keys import generate
from gateway import authorizations, openings, payments, recharges
from gateway.things import Thing
from tests.unit.gateway.rows import BORROWER, LOAN, THING, a_dealing, a_payment

KEYRING = Keyring.from_keys(generate())
TODAY = date(2026, 1, 31)
PAPERS = {"name": "林晓", "id_number": "11010519491231002X", "card_number": "4111111111111111"}

SHOWN: list[tuple[Any, Any, str]] = [
    (openings.shown, a_dealing, "OPENED"),
    (recharges.shown, a_dealing, "DONE"),
    (authorizations.shown, a_dealing, "ON"),
    (payments.shown, a_payment, "BOOKED"),
]
WAITING: dict[Any, str] = {payments.shown: "OPEN"}


def refused(body: Any) -> list[tuple[str | None, str]]:
    """Where an opening is wrong, and why."""
    with pytest.raises(Problem) as found:
        openings.requested(body, today=TODAY)
    return [(e.pointer, e.code) for e in found.value.errors]


def test_papers_are_brought_to_their_one_spelling() -> None:
    asked = openings.requested({"name": " 林晓 ", "id_number": "11010519491231002x", "card_number": "4111 1111 1111 1111"}, today=TODAY)
    assert asked.model_dump() == PAPERS


def test_papers_that_are_wrong_are_named_and_not_repeated() -> None:
    assert refused({**PAPERS, "id_number": "110105194912310021", "card_number": "4111111111111112"}) == [
        ("/id_number", "id_check_character"), ("/card_number", "bank_card_check_digit"),
    ]  # fmt: skip
    assert refused({**PAPERS, "name": ""}) == [("/name", "too_short")]


def test_a_minor_opens_no_account() -> None:
    asked = {**PAPERS, "id_number": "11010520080201001X"}
    with pytest.raises(Problem) as found:
        openings.requested({**asked, "id_number": with_check("11010520080201001")}, today=TODAY)
    assert [(e.pointer, e.code) for e in found.value.errors] == [("/id_number", "minor")]
    assert openings.requested({**asked, "id_number": with_check("11010520080131001")}, today=TODAY).name == "林晓"  # 18 today


def with_check(digits: str) -> str:
    """An ID number with the character that GB 11643 wants."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return digits + "10X98765432"[sum(w * int(d) for w, d in zip(weights, digits, strict=True)) % 11]


def test_nothing_of_the_papers_is_open_in_the_command_or_in_what_is_printed() -> None:
    asked = openings.requested(PAPERS, today=TODAY)
    sent = openings.command(THING, BORROWER, asked, KEYRING)
    assert all(is_sealed(value) for value in (sent.name, sent.id_number, sent.card_number))
    assert [KEYRING.open(getattr(sent, field), field=field) for field in PAPERS] == list(PAPERS.values())
    assert not [value for value in PAPERS.values() if value in repr(asked) or value in repr(sent)]
    again = openings.command(LOAN, BORROWER, asked, KEYRING)
    assert again.person_lookup == sent.person_lookup != KEYRING.lookup(PAPERS["id_number"], field="mobile")


def test_commands_carry_what_was_asked_for() -> None:
    recharge = recharges.command(THING, BORROWER, recharges.requested({"amount_fen": 5}))
    assert (recharge.id, recharge.member, recharge.amount_fen) == (THING, BORROWER, 5)
    asked = authorizations.requested({"cap_fen": 5, "expires_on": "2027-02-28"})
    authorization = authorizations.command(THING, BORROWER, asked)
    assert (authorization.member, authorization.cap_fen, authorization.expires_on) == (BORROWER, 5, "2027-02-28")
    pay = payments.command(THING, LOAN, BORROWER)
    assert (pay.id, pay.loan, pay.borrower) == (THING, LOAN, BORROWER)


def test_a_payment_asks_for_nothing() -> None:
    payments.requested({})
    with pytest.raises(Problem):
        payments.requested({"amount_fen": 5})


@pytest.mark.parametrize(("shown", "row", "end"), SHOWN)
def test_the_banks_page_is_shown_while_there_is_something_to_confirm(shown: Any, row: Any, end: str) -> None:
    waiting, ended = shown(row(), False), shown(row(status=end), False)
    assert waiting.page_url == "http://bank/p" and waiting.is_settled and not waiting.is_final
    assert ended.page_url is None and ended.is_settled and ended.is_final and ended.is_made
    assert (waiting.created_at, waiting.changed_at) == ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.500Z")


@pytest.mark.parametrize(("shown", "row", "end"), SHOWN)
def test_what_waits_for_an_operator_says_so_until_it_has_ended(shown: Any, row: Any, end: str) -> None:
    assert shown(row(), True).status == "SUSPENDED" and shown(row(), True).is_settled
    assert shown(row(status=end), True).status == end


@pytest.mark.parametrize(("shown", "row", "end"), SHOWN)
def test_a_refused_one_has_its_reason(shown: Any, row: Any, end: str) -> None:
    status = "NOTHING" if end == "BOOKED" else "REFUSED"
    document = shown(row(status=status, reason="card_refused"), False)
    assert (document.status, document.reason, document.is_final) == (status, "card_refused", True)


@pytest.mark.parametrize("status", ["FROZEN", "BOOKING", "RELEASING"])
def test_a_payment_that_is_confirmed_shows_no_page_and_is_not_over(status: str) -> None:
    document = payments.shown(a_payment(status=status), False)
    assert document.page_url is None and not document.is_settled


def test_pending_things_repeat_what_was_asked() -> None:
    assert recharges.pending(THING, recharges.RechargeRequest(amount_fen=5)).amount_fen == 5
    assert authorizations.pending(THING).model_dump(exclude_none=True) == {"id": THING, "status": "PENDING"}
    assert payments.pending(THING, LOAN).loan_id == LOAN
    assert not [t for t in (openings.pending(THING), recharges.pending(THING)) if t.is_settled or t.is_made]


def test_an_answer_changes_what_it_speaks_of() -> None:
    before: Thing = openings.pending(THING)
    page = before.told(OpeningChanged(id=THING, member=BORROWER, status="AWAITING", page_url="http://bank/p"))
    assert (page.status, page.page_url, page.is_settled) == ("AWAITING", "http://bank/p", True)
    assert before.told(OpeningChanged(id=THING, member=BORROWER, status="REFUSED", reason="has_account")).reason == "has_account"
    assert before.told(Suspended(id=THING)).status == "SUSPENDED"
    assert before.told(Known(id=THING)) == before
    assert payments.pending(THING).told(PaymentChanged(id=THING, loan=LOAN, status="NOTHING", reason="unknown_loan")).is_final
