"""Money that the bank holds is allocated, booked at the bank in one set, then here, to the fen (FLOWS 5.5; MONEY 2 and 3; M42)."""

import pytest

from agents.custody.messages import OrderDisputed, OrderEnded, PlaceOrder
from agents.repayments.messages import (
    RECEIVABLES_STEP,
    TOPIC,
    CollectionStep,
    InstalmentPaid,
    Pay,
    PaymentChanged,
    PlanSettled,
    PrincipalRepaid,
    ReleaseCollection,
    RetryCollection,
)
from agents.repayments.model import CollectionStatus, InstalmentStatus, Plan, PlanStatus, Record
from agents.runtime.decision import Decision, Send
from tests.unit.repayments.lives import (
    BORROWER,
    FIRST_DUE,
    INSTALMENT_FEN,
    KEY,
    OTHER_PAYMENT,
    PAYMENT,
    SECOND_DUE,
    Life,
    decided,
    made,
)

RETRY, RELEASE = RetryCollection(id=KEY, operator="o"), ReleaseCollection(id=KEY, operator="o")
PARTS = [
    {"custody_no": "C0", "amount_fen": 39_424 + 4_166},
    {"custody_no": "C1", "amount_fen": 23_655 + 2_500},
    {"custody_no": "C2", "amount_fen": 15_770 + 1_667},
]


def booking() -> Life:
    """The first instalment is held, and its booking is under way."""
    return made().on(FIRST_DUE).ends()


def suspended() -> Life:
    """The bank has refused to book it."""
    return booking().ends("refused", reason="set_differs")


def test_what_is_held_is_allocated_and_every_investors_part_is_ordered_in_one_set() -> None:
    life = booking()
    order = life.orders[1]
    assert order == PlaceOrder(
        id=order.id,
        kind="confirm_repayment",
        content={"collect_no": life.open.id, "parts": PARTS, "fee_fen": 1_667},
        page=False,
        amount_fen=INSTALMENT_FEN,
        reply_topic=TOPIC,
        reply_key=KEY,
    )
    assert (life.open.status, life.open.order_no) == (CollectionStatus.BOOKING, order.id)
    assert (life.open.amount_fen, life.open.booked_date) == (INSTALMENT_FEN, FIRST_DUE)


def test_the_allocation_is_stored_before_the_order_leaves() -> None:
    life = booking()
    key = life.open.id
    assert list(life.now.changed.records.values()) == [
        Record(key, 1, 0, 0, 4_166, 39_424),
        Record(key, 1, 1, 0, 2_500, 23_655),
        Record(key, 1, 2, 0, 1_667, 15_770),
    ]
    (allotment,) = life.now.seen.allotments.values()
    assert allotment == (key, 1, 0, 8_333, 1_667, 78_849)


def test_nothing_is_paid_before_the_bank_has_booked() -> None:
    life = booking()
    assert life.instalment(1).status is InstalmentStatus.PLANNED
    assert life.now.outstanding_fen == 1_000_000
    assert not any(r.principal_paid_fen for r in life.now.seen.receivables.values())


def test_booked_the_instalment_is_paid_and_the_loan_is_told() -> None:
    life = booking()
    key = life.open.id
    life.ends()
    assert (life.collection(key).status, life.now.collection) == (CollectionStatus.BOOKED, None)
    first = life.instalment(1)
    assert (first.status, first.owed_fen, first.paid_on) == (InstalmentStatus.PAID, 0, FIRST_DUE)
    assert (life.now.outstanding_fen, life.now.next_due) == (1_000_000 - 78_849, SECOND_DUE)
    claims = [life.now.seen.receivables[1, place] for place in range(3)]
    assert [(r.principal_paid_fen, r.interest_paid_fen) for r in claims] == [(r.principal_fen, r.interest_fen) for r in claims]
    repaid = PrincipalRepaid(id=KEY, collection=key, amount_fen=78_849, outstanding_fen=921_151, date=FIRST_DUE)
    assert life.all_of(InstalmentPaid) == [InstalmentPaid(id=KEY, number=1, status="PAID", date=FIRST_DUE)]
    assert life.said[-1] == (KEY, repaid)


def test_what_one_account_gets_for_several_bids_is_one_part() -> None:
    life = made()
    bids = {place: bid._replace(custody_no="C9") for place, bid in life.now.seen.bids.items() if place}
    life.plan = life.now.put(life.now.changed.with_(type(life.now.seen)(bids=bids)))
    life.on(FIRST_DUE).ends()
    both = {"custody_no": "C9", "amount_fen": 23_655 + 2_500 + 15_770 + 1_667}
    assert life.orders[1].content["parts"] == [PARTS[0], both]


def test_the_borrower_who_paid_by_page_is_told_the_end() -> None:
    life = made()
    life.day = FIRST_DUE
    life.pay().page().ends().ends()
    assert life.replies[-1] == PaymentChanged(id=PAYMENT, loan=KEY, status="BOOKED", amount_fen=INSTALMENT_FEN, page_url="https://bank/p/1")


def test_the_last_payment_settles_the_plan() -> None:
    life = made(months=2)
    life.on(FIRST_DUE).ends().ends()
    assert life.all_of(PlanSettled) == []
    life.on(SECOND_DUE).ends().ends()
    assert (life.now.status, life.now.outstanding_fen, life.now.next_due) == (PlanStatus.SETTLED, 0, None)
    assert life.said[-1] == (KEY, PlanSettled(id=KEY, date=SECOND_DUE))
    assert life.on("2025-05-01").orders[4:] == []
    assert decided(life.now, Pay(id=OTHER_PAYMENT, loan=KEY, borrower=BORROWER), "2025-05-01").reply == PaymentChanged(
        id=OTHER_PAYMENT, loan=KEY, status="NOTHING", reason="settled"
    )


def test_interest_alone_repays_no_principal() -> None:
    life = made(method="interest_only").on(FIRST_DUE).ends().ends()
    assert life.all_of(PrincipalRepaid) == []
    assert life.instalment(1).status is InstalmentStatus.PAID


def test_a_fee_alone_is_booked_with_parts_of_nothing() -> None:
    life = made(method="interest_only", investor_rate="0").on(FIRST_DUE).ends()
    content = life.orders[1].content
    assert ([part["amount_fen"] for part in content["parts"]], content["fee_fen"]) == ([0, 0, 0], 10_000)
    assert life.ends().instalment(1).status is InstalmentStatus.PAID


def test_a_hold_ends_once() -> None:
    life = made().on(FIRST_DUE)
    hold = held(life)
    life.tell(OrderDisputed(id=hold.id, noticed="REFUSED", queried="SUCCEEDED"))
    life.tell(hold)
    before = life.now
    for again in (hold, hold.model_copy(update={"result": "refused", "amount_fen": 0}), hold.model_copy(update={"amount_fen": 1})):
        assert decided(before, again) == Decision.stay(before)


def test_a_part_is_interest_first_and_leaves_the_rest_owed() -> None:
    life = made().on(FIRST_DUE).ends(amount_fen=20_000).ends()
    first = life.instalment(1)
    assert (first.status, first.pool_paid_fen + first.fee_paid_fen, first.principal_paid_fen) == (
        InstalmentStatus.PARTLY_PAID,
        10_000,
        10_000,
    )
    assert life.all_of(InstalmentPaid)[-1].status == "PARTLY_PAID"
    assert life.now.next_due == FIRST_DUE
    life.on("2025-03-01")
    assert life.instalment(1).status is InstalmentStatus.OVERDUE
    assert life.open.due_fen == INSTALMENT_FEN - 20_000
    life.ends(amount_fen=30_000).ends()
    assert life.instalment(1).status is InstalmentStatus.OVERDUE  # late and partly paid is late
    life.on("2025-03-02").ends().ends()
    assert (life.instalment(1).status, life.instalment(1).paid_on) == (InstalmentStatus.PAID, "2025-03-02")
    for place in range(3):
        r = life.now.seen.receivables[1, place]
        assert (r.principal_paid_fen, r.interest_paid_fen) == (r.principal_fen, r.interest_fen)


def test_what_was_held_in_time_is_paid_in_time_however_late_we_hear_of_it() -> None:
    life = made().on(FIRST_DUE).on("2025-03-01")
    assert life.instalment(1).status is InstalmentStatus.OVERDUE
    life.ends().ends()
    assert (life.instalment(1).status, life.instalment(1).paid_on) == (InstalmentStatus.PAID, FIRST_DUE)
    assert life.now.collection is None  # the date that came meanwhile has nothing left to collect


def test_a_payment_of_several_instalments_pays_the_oldest_first() -> None:
    life = made().on(FIRST_DUE).ends("refused", reason="insufficient").on(SECOND_DUE).ends(amount_fen=100_000).ends()
    assert [life.instalment(n).status for n in (1, 2)] == [InstalmentStatus.PAID, InstalmentStatus.PARTLY_PAID]
    assert life.instalment(2).owed_fen == 2 * INSTALMENT_FEN - 100_000
    assert [m.number for m in life.all_of(InstalmentPaid)] == [1, 2]


@pytest.mark.parametrize("amount_fen", [0, -1, INSTALMENT_FEN + 1])
def test_an_amount_that_cannot_be_suspends_the_collection_and_can_only_be_given_back(amount_fen: int) -> None:
    life = made().on(FIRST_DUE).ends(amount_fen=amount_fen)
    assert (life.open.status, life.open.reason) == (CollectionStatus.SUSPENDED, "amount_differs")
    assert decided(life.now, RETRY) == Decision.stay(life.now)
    assert len(life.orders) == 1


def test_a_booking_that_the_bank_refuses_waits_for_an_operator() -> None:
    life = suspended()
    assert (life.open.status, life.open.reason, life.open.order_no) == (CollectionStatus.SUSPENDED, "set_differs", None)
    assert life.instalment(1).owed_fen == INSTALMENT_FEN
    assert isinstance(life.replies[-1], PaymentChanged) and life.replies[-1].status == "SUSPENDED"


def test_no_date_collects_beside_a_suspended_collection() -> None:
    life = suspended().on("2025-03-01")
    assert len(life.orders) == 2


def test_an_operator_has_it_booked_again_under_a_new_number() -> None:
    life = suspended()
    life.tell(RETRY)
    first, second = life.orders[1:]
    assert second.content == first.content and second.id != first.id
    life.day = "2025-03-05"
    life.ends(booked_date="2025-03-05")
    assert life.instalment(1).paid_on == FIRST_DUE  # the payment's date stays the hold's


def test_an_operator_gives_the_money_back() -> None:
    life = suspended()
    key = life.open.id
    life.tell(RELEASE)
    assert (life.orders[2].kind, life.orders[2].content) == ("release", {"hold_no": key})
    assert life.open.status is CollectionStatus.RELEASING
    life.ends()
    assert (life.collection(key).status, life.now.collection) == (CollectionStatus.RELEASED, None)
    assert life.instalment(1).owed_fen == INSTALMENT_FEN
    assert life.on("2025-03-01").open.due_fen == INSTALMENT_FEN


def test_a_release_that_the_bank_refuses_waits_for_an_operator_again() -> None:
    life = suspended()
    life.tell(RELEASE)
    life.ends("refused", reason="not_held")
    assert (life.open.status, life.open.reason) == (CollectionStatus.SUSPENDED, "release: not_held")


@pytest.mark.parametrize("command", [RETRY, RELEASE])
def test_an_operator_changes_nothing_while_an_order_is_under_way_or_nothing_waits(command: RetryCollection | ReleaseCollection) -> None:
    disputed = booking()
    disputed.tell(OrderDisputed(id=disputed.open.id, noticed="SUCCEEDED", queried="REFUSED"))
    unheard = made().on(FIRST_DUE)
    unheard.tell(OrderDisputed(id=unheard.open.id, noticed="SUCCEEDED", queried="REFUSED"))
    releasing = suspended()
    releasing.tell(RELEASE)
    for life in (disputed, unheard, releasing, booking(), made(), made().on(FIRST_DUE)):
        assert decided(life.now, command) == Decision.stay(life.now)


def test_what_the_bank_has_booked_is_booked_here_though_it_was_disputed() -> None:
    life = booking()
    life.tell(OrderDisputed(id=life.orders[1].id, noticed="REFUSED", queried="SUCCEEDED"))
    assert life.open.status is CollectionStatus.SUSPENDED
    life.ends()
    assert life.instalment(1).status is InstalmentStatus.PAID


def test_money_that_was_held_under_dispute_is_allocated_when_an_operator_says_so() -> None:
    life = made().on(FIRST_DUE)
    life.tell(OrderDisputed(id=life.open.id, noticed="REFUSED", queried="SUCCEEDED"))
    life.ends()
    life.tell(RETRY)
    assert life.orders[1].content["parts"] == PARTS
    life.ends()
    assert life.instalment(1).status is InstalmentStatus.PAID


def test_the_end_of_an_earlier_booking_says_nothing_of_a_later_one() -> None:
    life = suspended()
    old = life.orders[1]
    life.tell(RETRY)
    before = life.now
    from_old = Life(before)
    from_old.said = [(old.id, old)]
    from_old.ends()
    assert from_old.now is before


MANY = [10_000 + n for n in range(1_200)]


def test_many_claims_are_allocated_and_booked_a_step_at_a_time() -> None:
    life = made(MANY, months=2)
    life.on(FIRST_DUE)
    plan, hold = life.now, life.orders[0]
    decision = decided(plan, held(life), FIRST_DUE)
    after = decision.state
    assert isinstance(after, Plan) and after.open is not None
    assert (after.open.status, after.open.step) == (CollectionStatus.FROZEN, (1, RECEIVABLES_STEP))
    assert len(after.changed.records) == RECEIVABLES_STEP
    assert decision.sends == (Send(KEY, CollectionStep(id=KEY, collection=hold.id, number=1, place=RECEIVABLES_STEP)),)
    stale = CollectionStep(id=KEY, collection=hold.id, number=1, place=0)
    assert decided(after, stale) == Decision.stay(after)
    assert decided(after, stale.model_copy(update={"collection": PAYMENT, "place": RECEIVABLES_STEP})) == Decision.stay(after)


@pytest.mark.parametrize("twice", [False, True])
def test_the_steps_give_every_claim_what_it_has_to_get(twice: bool) -> None:
    life = made(MANY, months=2)
    life.twice = twice
    life.on(FIRST_DUE).ends()
    parts = life.orders[1].content["parts"]
    assert len(life.orders) == 2 and len(parts) == len(MANY)
    assert sum(part["amount_fen"] for part in parts) + life.orders[1].content["fee_fen"] == life.orders[0].amount_fen
    life.ends()
    assert life.instalment(1).status is InstalmentStatus.PAID
    claims = [life.now.seen.receivables[1, place] for place in range(len(MANY))]
    assert all((r.principal_paid_fen, r.interest_paid_fen) == (r.principal_fen, r.interest_fen) for r in claims)
    assert [p["amount_fen"] for p in parts] == [r.principal_fen + r.interest_fen for r in claims]


def test_a_dispute_between_the_steps_stops_them_until_an_operator_goes_on() -> None:
    life = made(MANY, months=2).on(FIRST_DUE)
    frozen = decided(life.now, held(life), FIRST_DUE).state
    assert isinstance(frozen, Plan) and frozen.open is not None
    stopped = decided(frozen, OrderDisputed(id=frozen.open.id, noticed="REFUSED", queried="SUCCEEDED")).state
    assert isinstance(stopped, Plan)
    step = CollectionStep(id=KEY, collection=frozen.open.id, number=1, place=RECEIVABLES_STEP)
    assert decided(stopped, step) == Decision.stay(stopped)
    again = decided(stopped, RETRY)
    assert again.sends == (Send(KEY, step),)
    on = Life(stopped, FIRST_DUE)
    on.tell(RETRY)
    assert [order.kind for order in on.orders] == ["confirm_repayment"]


def test_a_dispute_of_what_the_bank_has_booked_stops_no_booking() -> None:
    life = made(MANY, months=2).on(FIRST_DUE).ends()
    half = decided(life.now, OrderEnded(id=life.orders[1].id, kind="confirm_repayment", result="succeeded", booked_date=FIRST_DUE)).state
    assert isinstance(half, Plan) and half.open is not None
    assert (half.open.status, half.open.step, half.open.order_no) == (CollectionStatus.BOOKING, (1, RECEIVABLES_STEP), None)
    assert decided(half, OrderDisputed(id=half.open.id, noticed="REFUSED", queried="SUCCEEDED")) == Decision.stay(half)


def held(life: Life) -> OrderEnded:
    """The bank holds all that was asked for."""
    order = life.orders[-1]
    return OrderEnded(id=order.id, kind="collect", result="succeeded", amount_fen=order.amount_fen, booked_date=FIRST_DUE)
