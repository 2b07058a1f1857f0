"""Whatever is paid when and how often: a settled plan has given every claim exactly its receivable (MONEY 2)."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.custody.messages import OrderEnded, PlaceOrder
from agents.repayments.messages import PrincipalRepaid, ReleaseCollection, RetryCollection
from agents.repayments.model import CollectionStatus, InstalmentStatus, PlanStatus
from agents.repayments.payment import PAYMENT_FEN_MIN
from agents.repayments.schedule import Method
from tests.unit.repayments.lives import KEY, START, Life, made

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("day"), st.integers(1, 40)),
        st.tuples(st.just("hold"), st.integers(0, 100)),
        st.tuples(st.just("refuse"), st.just(0)),
        st.tuples(st.just("book"), st.just(0)),
        st.tuples(st.just("again"), st.integers(0, 50)),
        st.tuples(st.just("pay"), st.integers(0, 10**6)),
        st.tuples(st.just("retry"), st.just(0)),
        st.tuples(st.just("release"), st.just(0)),
    ),
    max_size=25,
)


class Bank:
    """What a bank makes of the orders of one plan; it answers the open one when it is told to, and may say again what it has said."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.ended: list[OrderEnded] = []
        self.held_fen: dict[str, int] = {}
        self.booked: list[PlaceOrder] = []

    @property
    def waiting(self) -> PlaceOrder | None:
        """The order that has no answer yet: there is one at most."""
        known = {each.id for each in self.ended}
        (*_, last) = (None, *(order for order in self.life.orders if order.id not in known))
        return last

    def answer(self, *, percent: int = 100) -> None:
        """Do what was asked; of a collection under an authorization at least ¥100, or all."""
        order = self.waiting
        if order is None:
            return
        amount = order.amount_fen
        if order.kind == "collect":
            amount = amount if order.page else max(min(PAYMENT_FEN_MIN, amount), amount * percent // 100)
            self.held_fen[order.id] = amount
        elif order.kind == "confirm_repayment":
            held = self.held_fen.pop(order.content["collect_no"])
            assert sum(part["amount_fen"] for part in order.content["parts"]) + order.content["fee_fen"] == held
            self.booked.append(order)
        else:
            self.held_fen.pop(order.content["hold_no"])
        self.say(order, "succeeded", amount, order.content.get("valid_on"))

    def refuse(self) -> None:
        """Say no."""
        if (order := self.waiting) is not None:
            self.say(order, "refused", 0, None)

    def say(self, order: PlaceOrder, result: str, amount_fen: int, booked_date: str | None) -> None:
        reason = "because" if result == "refused" else None
        self.ended.append(
            OrderEnded(id=order.id, kind=order.kind, result=result, reason=reason, amount_fen=amount_fen, booked_date=booked_date)
        )
        self.life.tell(self.ended[-1])


def live(life: Life, bank: Bank, steps: list[tuple[str, int]]) -> date:
    """A borrower, a calendar, a bank and an operator, in any order; the date at the end."""
    today = date.fromisoformat(START)
    for what, number in steps:
        match what:
            case "day":
                today += timedelta(days=number)
                life.on(today.isoformat())
            case "hold" | "book":
                bank.answer(percent=number or 100)
            case "refuse":
                bank.refuse()
            case "again" if bank.ended:
                life.tell(bank.ended[number % len(bank.ended)])
            case "pay":
                life.day = today.isoformat()
                life.pay(f"payment-{number}")
            case "retry":
                life.tell(RetryCollection(id=KEY, operator="o"))
            case "release":
                life.tell(ReleaseCollection(id=KEY, operator="o"))
        well(life)
    return today


def well(life: Life) -> None:
    """What holds at every moment."""
    plan = life.now
    running = [c for c in plan.seen.collections.values() if not c.status.is_final]
    assert [c.id for c in running] == ([plan.collection] if plan.collection else [])
    for i in plan.seen.instalments.values():
        claims = [plan.seen.receivables[i.number, place] for place in range(plan.bids)]
        assert sum(r.principal_paid_fen for r in claims) == i.principal_paid_fen <= i.principal_fen
        assert sum(r.interest_paid_fen for r in claims) == i.pool_paid_fen <= i.pool_fen
        assert all(r.principal_paid_fen <= r.principal_fen and r.interest_paid_fen <= r.interest_fen for r in claims)
        assert (i.status is InstalmentStatus.PAID) == (i.owed_fen == 0)
    assert plan.outstanding_fen == plan.amount_fen - sum(i.principal_paid_fen for i in plan.seen.instalments.values())


def settle(life: Life, bank: Bank, today: date) -> None:
    """From now on the bank does what it is asked, a day at a time, until nothing is owed."""
    for _ in range(400):
        if life.now.open is not None and life.now.open.status is CollectionStatus.SUSPENDED:
            life.tell(RetryCollection(id=KEY, operator="o"))
        while bank.waiting is not None:
            bank.answer()
        if life.now.status is PlanStatus.SETTLED:
            return
        today += timedelta(days=15)
        life.on(today.isoformat())
    raise AssertionError("it does not end")


@settings(max_examples=150, deadline=None)
@given(
    bids=st.lists(st.integers(10_000, 10**7), min_size=1, max_size=5),
    method=st.sampled_from(Method),
    months=st.integers(1, 5),
    rates=st.lists(st.integers(0, 240_000), min_size=2, max_size=2).map(sorted),
    steps=STEPS,
)
def test_any_payments_in_any_order_end_with_exact_receivables(
    bids: list[int], method: Method, months: int, rates: list[int], steps: list[tuple[str, int]]
) -> None:
    investor_rate, annual_rate = (f"0.{rate:06}" for rate in rates)
    life = made(bids, annual_rate=annual_rate, investor_rate=investor_rate, months=months, method=method.value)
    bank = Bank(life)
    settle(life, bank, live(life, bank, steps))
    well(life)
    plan = life.now
    for r in plan.seen.receivables.values():
        assert (r.principal_paid_fen, r.interest_paid_fen, r.penalty_paid_fen) == (r.principal_fen, r.interest_fen, 0)
    assert sum(m.amount_fen for m in life.all_of(PrincipalRepaid)) == sum(bids)
    given_to = [part for order in bank.booked for part in order.content["parts"]]
    for place, bid in enumerate(bids):
        interest = sum(plan.seen.receivables[i, place].interest_fen for i in plan.seen.instalments)
        assert sum(part["amount_fen"] for part in given_to if part["custody_no"] == f"C{place}") == bid + interest
    fees = sum(order.content["fee_fen"] for order in bank.booked)
    assert fees == sum(i.fee_fen for i in plan.seen.instalments.values())
    assert bank.held_fen == {}
