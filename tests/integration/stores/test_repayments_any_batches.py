"""Plans over a real store: in whichever batches, how often and how late everything comes, nothing is paid twice and nothing is left."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table

import stores.repayments as tables
from agents.custody.messages import CloseOrder, DateRolled, OrderAwaiting, OrderEnded, PlaceOrder
from agents.repayments.agent import service
from agents.repayments.messages import TOPIC, AskPlan, InstalmentPaid, Pay, PlanReady, PlanSettled, PrincipalRepaid
from agents.runtime.calendar import KEY as CALENDAR
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from bus.record import Outgoing, Record
from stores.runtime import business_day, dead_letter, suspended
from tests.integration.stores.memory import Memory, memory
from tests.integration.stores.world import NOW_MS, ids
from tests.unit.repayments.examples import BIDS
from tests.unit.repayments.lives import BORROWER, KEY, START, generate
from topics import BY_TYPE

ROUNDS_MAX = 2_000
FIRST_DAY = date.fromisoformat(START)


@dataclass
class Platform:
    """The service with its mailbox, and a bank that does what it is asked when it is told to; the date is the bank's."""

    store: Memory
    today: date = FIRST_DAY
    log: deque[Outgoing] = field(default_factory=deque)
    orders: dict[str, PlaceOrder] = field(default_factory=dict)
    waiting: deque[str] = field(default_factory=deque)
    ended: set[str] = field(default_factory=set)
    facts: list[Message] = field(default_factory=list)
    held_fen: dict[str, int] = field(default_factory=dict)
    paid_fen: dict[str, int] = field(default_factory=dict)
    fee_fen: int = 0
    count: int = 0

    def say(self, key: str, message: Message) -> None:
        """Something comes to the mailbox."""
        self.count += 1
        identity = ids(1, f"say{self.count}")[0]
        self.log.append(
            encode(message, key=key, message_id=identity, origin=Origin(identity, key, "p"), now_ms=NOW_MS, reply_to="gw-1/1", topic=TOPIC)
        )

    def deliver(self, count: int, *, twice: bool = False) -> None:
        """The next records as one batch, perhaps read twice; what it says leaves after its COMMIT."""
        sent = [self.log.popleft() for _ in range(min(count, len(self.log)))]
        batch = [Record(TOPIC, 0, self.store.next_offset(), NOW_MS, NOW_MS, o.key, o.value, o.headers) for o in sent]
        for _ in range((1 + twice) if batch else 0):
            for pending in self.store.run(batch).leaving:
                self.take(pending.record)

    def take(self, record: Outgoing) -> None:
        """To the mailbox, the bank, or anyone."""
        message = BY_TYPE[(dict(record.headers)["type"] or b"").decode()].model_validate_json(record.value or b"")
        if record.topic == TOPIC:
            self.log.append(record)
        elif isinstance(message, PlaceOrder):
            assert message.id not in self.orders, "an order is placed once"
            self.orders[message.id] = message
            self.waiting.append(message.id)
        elif isinstance(message, CloseOrder):
            self.end(message.id, "closed")
        else:
            self.facts.append(message)

    def all_of(self, kind: type[Message]) -> list[Any]:
        return [message for message in self.facts if isinstance(message, kind)]

    def answer(self, *, refuse: bool) -> None:
        """The oldest order that has no answer ends."""
        if self.waiting:
            key = self.waiting.popleft()
            order = self.orders[key]
            passed = order.kind == "collect" and order.content["valid_on"] != self.today.isoformat()
            self.end(key, "refused" if passed or (refuse and order.kind == "collect") else "succeeded")

    def end(self, key: str, result: str) -> None:
        """For good: the second end of an order is the first one again."""
        order = self.orders[key]
        if key in self.ended:
            return
        self.ended.add(key)
        if result == "succeeded":
            self.move(order)
        amount_fen = order.amount_fen if result == "succeeded" else 0
        reason = None if result == "succeeded" else "insufficient"
        ended = OrderEnded(id=key, kind=order.kind, result=result, reason=reason, amount_fen=amount_fen, booked_date=self.today.isoformat())
        self.say(order.reply_key, ended)

    def move(self, order: PlaceOrder) -> None:
        """What the bank does with money."""
        if order.kind == "collect":
            self.held_fen[order.id] = order.amount_fen
            return
        assert order.kind == "confirm_repayment"
        held = self.held_fen.pop(order.content["collect_no"])
        for part in order.content["parts"]:
            self.paid_fen[part["custody_no"]] = self.paid_fen.get(part["custody_no"], 0) + part["amount_fen"]
        self.fee_fen += order.content["fee_fen"]
        assert held == sum(part["amount_fen"] for part in order.content["parts"]) + order.content["fee_fen"]

    def roll(self, days: int) -> None:
        """The bank's date goes on, and custody says so, a message a day."""
        for _ in range(days):
            self.today += timedelta(days=1)
            self.say(CALENDAR, DateRolled(id="calendar", date=self.today.isoformat()))

    def settle(self) -> None:
        """Everything arrives, the bank does what it is asked, and the days go on, until nothing is owed."""
        for _ in range(ROUNDS_MAX):
            while self.log:
                self.deliver(50)
            if self.waiting:
                self.answer(refuse=False)
            elif self.rows(tables.plan, "status") == ["SETTLED"]:
                return
            else:
                self.roll(1)
        raise AssertionError("it does not end")

    def rows(self, table: Table, column: str) -> list[Any]:
        at = list(table.columns).index(table.c[column])
        return [row[at] for row in self.store.rows(table)]


@contextmanager
def platform() -> Iterator[Platform]:
    """An empty one."""
    with memory(service(), tables.METADATA) as store:
        yield Platform(store)


def check(p: Platform, amounts: list[int]) -> None:
    """All is paid, once; the bank has given everybody what the plan says; nobody is suspended."""
    assert p.store.rows(suspended) == [] and p.store.rows(dead_letter) == []
    assert set(p.rows(tables.instalment, "status")) == {"PAID"}
    assert set(p.rows(tables.collection, "status")) <= {"BOOKED", "NOTHING"}
    for planned, paid in (("principal_fen", "principal_paid_fen"), ("interest_fen", "interest_paid_fen")):
        assert p.rows(tables.receivable, planned) == p.rows(tables.receivable, paid)
    assert sum(p.rows(tables.receivable, "principal_fen")) == sum(amounts)
    of_place: dict[str, int] = {}
    for row in p.store.rows(tables.receivable):
        of_place[f"C{row[2]}"] = of_place.get(f"C{row[2]}", 0) + row[4] + row[5]
    assert p.paid_fen == of_place
    assert p.fee_fen == sum(p.rows(tables.instalment, "fee_fen"))
    assert p.held_fen == {}
    assert sum(m.amount_fen for m in p.all_of(PrincipalRepaid)) == sum(amounts)
    assert len(p.all_of(PlanSettled)) == 1
    assert [m.status for m in p.all_of(InstalmentPaid)].count("PAID") == len(p.rows(tables.instalment, "status"))
    assert len({m.checksum for m in p.all_of(PlanReady)}) == 1


def begins(p: Platform, amounts: list[int], cut: int) -> None:
    """Trading says its bids in two steps, asks whether the plan is there, and says the second one again."""
    terms: dict[str, Any] = {"amount_fen": sum(amounts), "months": 3}
    first, second = generate(amounts[:cut], step=0, last=False, **terms), generate(amounts[cut:], step=1, first=cut, **terms)
    for message in (first, AskPlan(id=KEY), second, second, AskPlan(id=KEY)):
        p.say(KEY, message)
    p.say(CALENDAR, DateRolled(id="calendar", date=START))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(1, 8), st.booleans()),
        st.tuples(st.just("roll"), st.integers(1, 40), st.booleans()),
        st.tuples(st.just("answer"), st.just(0), st.booleans()),
        st.tuples(st.just("pay"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("page"), st.just(0), st.booleans()),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_comes_in_whichever_batches_everybody_has_what_the_plan_says(steps: list[tuple[str, int, bool]]) -> None:
    with platform() as p:
        begins(p, list(BIDS), 1)
        for what, number, flag in steps:
            match what:
                case "deliver":
                    p.deliver(number, twice=flag)
                case "roll":
                    p.roll(number)
                case "answer":
                    p.answer(refuse=flag)
                case "pay":
                    p.say(KEY, Pay(id=ids(1, f"payment{number}")[0], loan=KEY, borrower=BORROWER))
                case "page" if p.waiting:
                    p.say(KEY, OrderAwaiting(id=p.waiting[0], page_url="https://bank/p"))
        p.settle()
        check(p, list(BIDS))
        assert p.store.rows(business_day) == [(1, p.today.isoformat())]


@settings(max_examples=8, deadline=None)
@given(STEPS.map(lambda steps: steps[:12]))
def test_so_it_is_with_claims_that_take_several_steps(steps: list[tuple[str, int, bool]]) -> None:
    amounts = [10_000 + n for n in range(620)]
    with platform() as p:
        begins(p, amounts, 500)
        for what, number, flag in steps:
            if what == "deliver":
                p.deliver(number, twice=flag)
            elif what == "roll":
                p.roll(number)
            elif what == "answer":
                p.answer(refuse=flag)
        p.settle()
        check(p, amounts)


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
def test_one_message_a_batch_and_all_in_one_batch_make_the_same_plan(twice: bool) -> None:
    def made(count: int) -> list[list[Any]]:
        with platform() as p:
            begins(p, list(BIDS), 2)
            while p.log:
                p.deliver(count, twice=twice)
            return [p.store.rows(table) for table in (tables.plan_bid, tables.instalment, tables.receivable)]

    assert made(1) == made(100)


def test_a_day_is_told_to_every_plan_however_many_there_are() -> None:
    """Two steps and a part of a third, with a date that comes in the batch of a step."""
    keys = sorted(ids(1_100, "loan"))
    with platform() as p:
        for key in keys:
            p.say(key, generate((1_000_000,), id=key, project_no=key, months=1))
        p.say(CALENDAR, DateRolled(id="calendar", date="2025-02-27"))
        while p.log:
            p.deliver(100)
        assert p.orders == {}
        p.say(CALENDAR, DateRolled(id="calendar", date="2025-02-28"))
        p.deliver(1)
        p.say(CALENDAR, DateRolled(id="calendar", date="2025-03-01"))
        p.log.rotate(1)  # the date first, then the step
        while p.log:
            p.deliver(100)
        assert sorted(order.reply_key for order in p.orders.values()) == keys
        assert p.store.rows(tables.calendar) == [(CALENDAR, p.store.rows(tables.calendar)[0][1], "2025-03-01", None)]
        assert set(p.rows(tables.plan, "asked_on")) == {"2025-03-01"}
        assert set(p.rows(tables.instalment, "status")) == {"OVERDUE"}
