"""What is due is asked for once a business date, or by the borrower on a page; one collection a plan (FLOWS 5.4)."""

import pytest

from agents.custody.messages import CloseOrder, OrderAwaiting, OrderDisputed, OrderEnded, PlaceOrder
from agents.repayments.messages import TOPIC, Due, Pay, PaymentChanged
from agents.repayments.model import CollectionStatus, InstalmentStatus, Way
from agents.runtime.decision import Decision, Send, derived_id
from tests.unit.repayments.lives import (
    BORROWER,
    FIRST_DUE,
    INSTALMENT_FEN,
    KEY,
    OTHER_PAYMENT,
    PAYMENT,
    SECOND_DUE,
    Life,
    context,
    decided,
    generate,
    made,
)


def collect(key: str, amount_fen: int, day: str, *, page: bool) -> PlaceOrder:
    """The order for a collection of the loan of the cases."""
    content = {"project_no": KEY, "custody_no": "B1", "due_fen": amount_fen, "valid_on": day}
    return PlaceOrder(id=key, kind="collect", content=content, page=page, amount_fen=amount_fen, reply_topic=TOPIC, reply_key=KEY)


def payment(life: Life, key: str = PAYMENT) -> PaymentChanged:
    """The last answer, which is to this payment."""
    answer = life.replies[-1]
    assert isinstance(answer, PaymentChanged) and answer.id == key
    return answer


def test_on_the_due_date_the_instalment_is_collected_directly_for_that_date() -> None:
    plan = made().now
    decision = decided(plan, Due(id=KEY, date=FIRST_DUE), FIRST_DUE)
    key = derived_id(context().message_id, "collection")
    assert decision.sends == (Send(key, collect(key, INSTALMENT_FEN, FIRST_DUE, page=False)),)
    assert decision.aliases == (key,)
    life = made().on(FIRST_DUE)
    assert (life.open.way, life.open.status, life.open.due_fen) == (Way.AUTHORIZED, CollectionStatus.OPEN, INSTALMENT_FEN)
    assert life.instalment(1).status is InstalmentStatus.PLANNED


def test_nothing_is_collected_before_anything_is_due() -> None:
    assert made().on("2025-02-27").now.collection is None


def test_a_date_is_asked_for_once() -> None:
    life = made().on(FIRST_DUE).ends("refused", reason="insufficient")
    life.on(FIRST_DUE)
    assert len(life.orders) == 1
    assert life.now.collection is None


@pytest.mark.parametrize("reason", ["insufficient", "not_authorized", "date_passed"])
def test_what_the_bank_refuses_is_nothing_and_tried_again_on_the_next_date(reason: str) -> None:
    life = made().on(FIRST_DUE)
    first = life.open.id
    life.ends("refused", reason=reason)
    assert (life.collection(first).status, life.collection(first).reason) == (CollectionStatus.NOTHING, reason)
    assert life.now.collection is None and life.instalment(1).owed_fen == INSTALMENT_FEN
    life.on("2025-03-01")
    assert life.orders[1] == collect(life.open.id, INSTALMENT_FEN, "2025-03-01", page=False)
    assert life.open.id != first


def test_what_is_not_paid_after_its_date_is_overdue() -> None:
    life = made().on(FIRST_DUE).ends("refused", reason="insufficient")
    assert life.instalment(1).status is InstalmentStatus.PLANNED
    assert life.on("2025-03-01").instalment(1).status is InstalmentStatus.OVERDUE
    assert life.instalment(2).status is InstalmentStatus.PLANNED


def test_all_that_is_due_is_collected_together() -> None:
    life = made().on(FIRST_DUE).ends("refused", reason="insufficient").on(SECOND_DUE)
    assert life.open.due_fen == 2 * INSTALMENT_FEN
    assert [life.instalment(n).status for n in (1, 2)] == [InstalmentStatus.OVERDUE, InstalmentStatus.PLANNED]


def test_a_date_that_comes_while_a_collection_is_open_opens_no_second_one() -> None:
    life = made().on(FIRST_DUE).on("2025-03-01")
    assert len(life.orders) == 1
    assert life.instalment(1).status is InstalmentStatus.OVERDUE


def test_and_is_asked_for_when_that_one_ends() -> None:
    life = made().on(FIRST_DUE).on("2025-03-01").on("2025-03-02").ends("refused", reason="date_passed")
    assert life.orders[1:] == [collect(life.open.id, INSTALMENT_FEN, "2025-03-02", page=False)]


def test_a_date_is_never_asked_for_behind_the_services_own() -> None:
    life = made()
    life.day = "2025-03-02"
    life.tell(Due(id=KEY, date=FIRST_DUE))
    assert life.open.valid_on == "2025-03-02"
    life.tell(Due(id=KEY, date="2025-03-01"))
    life.tell(Due(id=KEY, date="2025-03-02"))
    assert len(life.orders) == 1


def test_without_the_services_date_the_message_says_it() -> None:
    life = made()
    life.tell(Due(id=KEY, date=FIRST_DUE))
    assert life.open.valid_on == FIRST_DUE


def test_nothing_is_due_of_a_plan_that_is_not_there() -> None:
    assert decided(None, Due(id=KEY, date=FIRST_DUE), FIRST_DUE) == Decision.stay(None)
    life = Life()
    life.tell(generate((500_000,), last=False))
    assert decided(life.now, Due(id=KEY, date=FIRST_DUE), FIRST_DUE) == Decision(life.now, trace=KEY)


def test_a_payment_asks_the_bank_for_a_page_with_the_amount_that_is_due() -> None:
    life = made()
    life.day = FIRST_DUE
    life.pay()
    assert life.orders == [collect(PAYMENT, INSTALMENT_FEN, FIRST_DUE, page=True)]
    assert life.replies == []
    assert life.open.way is Way.PAGE
    life.page()
    assert payment(life) == PaymentChanged(id=PAYMENT, loan=KEY, status="OPEN", amount_fen=INSTALMENT_FEN, page_url="https://bank/p/1")


def test_a_second_payment_is_answered_with_the_one_that_is_open() -> None:
    life = made()
    life.day = FIRST_DUE
    life.pay().page().pay(OTHER_PAYMENT)
    assert len(life.orders) == 1
    answer = payment(life, OTHER_PAYMENT)
    assert (answer.status, answer.reason, answer.collection) == ("NOTHING", "collection_open", PAYMENT)
    assert (answer.page_url, answer.amount_fen) == ("https://bank/p/1", INSTALMENT_FEN)
    assert life.collection(OTHER_PAYMENT).open_id == PAYMENT
    assert life.open.id == PAYMENT


def test_a_payment_beside_a_collection_by_authorization_is_answered_with_that() -> None:
    life = made().on(FIRST_DUE)
    open_ = life.open.id
    assert payment(life.pay()).collection == open_


def test_a_payment_that_is_said_again_is_answered_with_how_it_stands() -> None:
    life = made()
    life.day = FIRST_DUE
    life.pay().pay()
    assert life.replies == []  # its page is not there yet
    life.page().pay()
    assert payment(life).page_url == "https://bank/p/1"
    life.ends("closed").pay()
    assert (payment(life).status, payment(life).reason) == ("NOTHING", "closed")
    assert len(life.orders) == 1


@pytest.mark.parametrize(
    ("day", "borrower", "reason"),
    [(FIRST_DUE, "somebody", "not_the_borrower"), ("2025-02-27", BORROWER, "nothing_due"), (None, BORROWER, "nothing_due")],
)
def test_a_payment_that_cannot_be_is_refused_and_leaves_a_row(day: str | None, borrower: str, reason: str) -> None:
    life = made()
    life.day = day
    life.pay(borrower=borrower)
    assert (payment(life).status, payment(life).reason) == ("NOTHING", reason)
    assert (life.collection(PAYMENT).status, life.collection(PAYMENT).reason) == (CollectionStatus.NOTHING, reason)
    assert life.orders == [] and life.now.collection is None


def test_a_payment_for_a_loan_without_a_plan_is_refused() -> None:
    decision = decided(None, Pay(id=PAYMENT, loan=KEY, borrower=BORROWER), FIRST_DUE)
    assert decision == Decision(None, reply=PaymentChanged(id=PAYMENT, loan=KEY, status="NOTHING", reason="unknown_loan"))


def test_a_page_that_nobody_confirmed_is_closed_on_the_next_date_and_its_end_collects() -> None:
    life = made()
    life.day = FIRST_DUE
    life.pay().page()
    life.on("2025-03-01")
    assert life.all_of(CloseOrder) == [CloseOrder(id=PAYMENT)]
    assert len(life.orders) == 1
    life.ends("closed")
    assert life.orders[1] == collect(life.open.id, INSTALMENT_FEN, "2025-03-01", page=False)


def test_a_page_of_today_is_left_alone() -> None:
    life = made()
    life.day = FIRST_DUE
    life.pay().on(FIRST_DUE)
    assert life.all_of(CloseOrder) == []


def test_a_page_for_anything_but_the_open_collection_changes_nothing() -> None:
    life = made().on(FIRST_DUE)
    before = life.now
    assert decided(before, OrderAwaiting(id=PAYMENT, page_url="x")) == Decision.stay(before)
    idle = made().now
    assert decided(idle, OrderAwaiting(id=PAYMENT, page_url="x")) == Decision.stay(idle)
    assert decided(idle, OrderEnded(id=PAYMENT, kind="collect", result="succeeded", amount_fen=5)) == Decision.stay(idle)
    assert decided(idle, OrderDisputed(id=PAYMENT, noticed="x", queried="y")) == Decision.stay(idle)
    assert decided(before, OrderEnded(id=PAYMENT, kind="collect", result="succeeded", amount_fen=5)) == Decision.stay(before)


def test_a_dispute_suspends_the_open_collection() -> None:
    life = made().on(FIRST_DUE)
    life.tell(OrderDisputed(id=life.open.id, noticed="SUCCEEDED", queried="REFUSED"))
    assert (life.open.status, life.open.reason) == (CollectionStatus.SUSPENDED, "disputed: SUCCEEDED noticed, REFUSED queried")
    assert decided(life.now, OrderAwaiting(id=life.open.id, page_url="x")) == Decision.stay(life.now)


def test_a_suspended_collection_still_hears_what_became_of_its_hold() -> None:
    life = made().on(FIRST_DUE)
    key = life.open.id
    life.tell(OrderDisputed(id=key, noticed="SUCCEEDED", queried="REFUSED"))
    assert life.ends("refused", reason="insufficient").collection(key).status is CollectionStatus.NOTHING
    held = made().on(FIRST_DUE)
    held.tell(OrderDisputed(id=held.open.id, noticed="REFUSED", queried="SUCCEEDED"))
    held.ends(booked_date=FIRST_DUE)
    assert (held.open.status, held.open.amount_fen, held.open.booked_date) == (CollectionStatus.SUSPENDED, INSTALMENT_FEN, FIRST_DUE)
    assert len(held.orders) == 1
