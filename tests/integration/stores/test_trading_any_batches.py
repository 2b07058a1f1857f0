"""A loan over a real store: in whichever batches, how often and in which order everything comes, bank and platform agree at its end."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table

import stores.trading as tables
from agents.custody.messages import CloseOrder, DateRolled, OrderAwaiting, OrderDisputed, OrderEnded, PlaceOrder
from agents.repayments.messages import AskPlan, GeneratePlan, PlanMissing, PlanReady, PlanSettled
from agents.runtime.calendar import KEY as CALENDAR
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.trading.agent import service
from agents.trading.messages import (
    TOPIC,
    ApproveFull,
    BidDeadline,
    FailListing,
    PassFirstAudit,
    PlaceBid,
    PlanCheck,
    RefuseFull,
    ResumeLoan,
    Withdraw,
)
from agents.trading.model import BidStatus, Status, may_fail, may_resume
from bus.record import Outgoing, Record
from stores.runtime import dead_letter, suspended, timer
from tests.integration.stores.memory import Memory, memory
from tests.integration.stores.world import NOW_MS, ids
from tests.unit.trading.desk import DAY, LOAN, bid_id, publish
from topics import BY_TYPE

ROUNDS_MAX = 500
BIDS = 8
POSTED, HELD, RELEASED = "POSTED", "HELD", "RELEASED"


@dataclass
class Bank:
    """One project and its holds, by the rules of the bank's page; every number has one effect."""

    project: str | None = None
    holds: dict[str, tuple[int, str]] = field(default_factory=dict)
    ends: dict[str, tuple[str, str | None, int]] = field(default_factory=dict)

    def end(self, order: PlaceOrder, wanted: str) -> tuple[str, str | None, int]:
        """How an order ends; `wanted` is how it shall, if that is possible."""
        if order.id not in self.ends:
            refusal = None if wanted == "succeeded" else "broken" if order.kind == "release" else "insufficient"
            reason = refusal or self.refusal(order)
            if reason is None:
                self.execute(order)
            closed = wanted == "closed"
            self.ends[order.id] = (
                ("succeeded", None, order.amount_fen) if reason is None else ("closed" if closed else "refused", reason, 0)
            )
        return self.ends[order.id]

    def held(self) -> dict[str, int]:
        return {key: fen for key, (fen, state) in self.holds.items() if state == HELD}

    def refusal(self, order: PlaceOrder) -> str | None:
        content = order.content
        match order.kind:
            case "establish_project" if self.project is not None:
                return "project_exists"
            case "hold" | "confirm_loan" if self.project != "RAISING":
                return "project_closed"
            case "confirm_loan" if (len(self.held()), sum(self.held().values())) != (content["count"], content["sum_fen"]):
                return "set_differs"
            case "release" if content["hold_no"] not in self.held():
                return "not_held"
            case "close_project" if self.project is None or self.held():
                return "holds_left" if self.held() else "project_closed"
            case _:
                return None

    def execute(self, order: PlaceOrder) -> None:
        match order.kind:
            case "establish_project":
                self.project = "RAISING"
            case "hold":
                self.holds[order.id] = (order.amount_fen, HELD)
            case "release":
                number = order.content["hold_no"]
                self.holds[number] = (self.holds[number][0], RELEASED)
            case "confirm_loan":
                self.holds = {key: (fen, POSTED if state == HELD else state) for key, (fen, state) in self.holds.items()}
                self.project = "CONFIRMED"
            case "close_project":
                self.project = "CLOSED"


@dataclass
class Platform:
    """The service with its mailbox; custody and the bank answer when they are told to, in any order."""

    store: Memory
    bank: Bank = field(default_factory=Bank)
    log: deque[Outgoing] = field(default_factory=deque)
    orders: dict[str, PlaceOrder] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    disputed: dict[str, str] = field(default_factory=dict)  # order → how it has really ended
    plans: list[GeneratePlan] = field(default_factory=list)
    closings: list[str] = field(default_factory=list)
    today: Any = DAY
    count: int = 0

    def say(self, message: Message, key: str = LOAN) -> None:
        """Something comes to the mailbox."""
        self.count += 1
        identity = ids(1, f"say{self.count}")[0]
        origin = Origin(identity, key, "p")
        self.log.append(encode(message, key=key, message_id=identity, origin=origin, now_ms=NOW_MS, reply_to="gw-1/1", topic=TOPIC))

    def deliver(self, count: int, *, twice: bool = False) -> None:
        """The next records as one batch, perhaps read twice; what it says leaves after its COMMIT."""
        sent = [self.log.popleft() for _ in range(min(count, len(self.log)))]
        batch = [Record(TOPIC, 0, self.store.next_offset(), NOW_MS, NOW_MS, o.key, o.value, o.headers) for o in sent]
        for _ in range((1 + twice) if batch else 0):
            for pending in self.store.run(batch).leaving:
                self.take(pending.record)

    def take(self, record: Outgoing) -> None:
        message = BY_TYPE[(dict(record.headers)["type"] or b"").decode()].model_validate_json(record.value or b"")
        if record.topic == TOPIC:
            self.log.append(record)
        elif isinstance(message, PlaceOrder):
            assert message.id not in self.orders, "an order is placed once"
            self.orders[message.id] = message
            self.open.append(message.id)
        elif isinstance(message, CloseOrder) and message.id not in self.disputed:
            self.end(message.id, "closed")
        elif isinstance(message, AskPlan):
            self.say(PlanReady(id=LOAN, checksum="c") if self.plans else PlanMissing(id=LOAN, steps=0))
        elif isinstance(message, GeneratePlan):
            self.plans.append(message)

    def answer(self, which: int, wanted: str) -> None:
        """One of the open orders ends."""
        if self.open:
            self.end(self.open[which % len(self.open)], wanted)

    def end(self, key: str, wanted: str) -> None:
        """The end of an order, as the bank has it; told again when it is asked for again."""
        order = self.orders[key]
        if key in self.open:
            self.open.remove(key)
        result, reason, fen = self.bank.end(order, wanted)
        booked = self.today.isoformat() if result == "succeeded" else None
        self.say(OrderEnded(id=key, kind=order.kind, result=result, reason=reason, booked_date=booked, amount_fen=fen))

    def dispute(self, which: int, wanted: str) -> None:
        """The bank says two things of an open order, which has ended there; custody never ends it by itself."""
        if self.open:
            key = self.open.pop(which % len(self.open))
            self.disputed[key] = self.bank.end(self.orders[key], wanted)[0]
            self.say(OrderDisputed(id=key, noticed="SUCCEEDED", queried="REFUSED"))

    def roll(self) -> None:
        self.today += timedelta(days=1)
        self.say(DateRolled(id="calendar", date=self.today.isoformat()), CALENDAR)

    def rows(self, table: Table, column: str) -> list[Any]:
        at = list(table.columns).index(table.c[column])
        return [row[at] for row in self.store.rows(table)]

    def one(self, column: str) -> Any:
        return self.rows(tables.loan, column)[0]

    def settle(self, *, approve: bool) -> None:
        """Everything arrives, the bank does what it is asked, people do what they can, until the loan is lent or has ended."""
        for _ in range(ROUNDS_MAX):
            while self.log:
                self.deliver(7)
            if self.open:
                self.answer(0, "succeeded")
                continue
            status = Status(self.one("status"))
            if status.is_final or (status is Status.REPAYING and self.plans):
                return
            self.press(status, approve=approve)
        raise AssertionError(f"it does not end: {self.store.rows(tables.loan)} {self.store.rows(tables.bid)}")

    def press(self, status: Status, *, approve: bool) -> None:
        """What somebody does about a loan that waits."""
        match status:
            case Status.DRAFT:
                self.say(PassFirstAudit(id=LOAN, auditor="an"))
            case Status.RAISING if approve:
                self.say(bid(BIDS + self.count, self.one("amount_fen") - self.one("accepted_fen")))
            case Status.RAISING:
                self.say(Withdraw(id=LOAN, borrower="wang"))
            case Status.FULL:
                self.say(ApproveFull(id=LOAN, auditor="bo") if approve else RefuseFull(id=LOAN, auditor="bo", reason="x"))
            case Status.SUSPENDED:
                self.operate(approve=approve)
            case _:
                raise AssertionError(f"{status}: nobody has anything to do, and nothing is under way")

    def operate(self, *, approve: bool) -> None:
        """An operator does what is safe; where nothing is, a person at custody ends the break as the bank has it."""
        stood, confirm_no = self.one("stood"), self.one("confirm_no")
        if may_resume(stood, confirm_no) and (approve or not may_fail(stood, confirm_no)):
            self.say(ResumeLoan(id=LOAN, operator="op"))
        elif may_fail(stood, confirm_no):
            self.say(FailListing(id=LOAN, operator="op", reason="x"))
        else:
            self.end(confirm_no, self.disputed.pop(confirm_no))


@contextmanager
def platform() -> Iterator[Platform]:
    """One with a loan whose first audit has been passed."""
    with memory(service(), tables.METADATA) as store:
        p = Platform(store)
        p.say(DateRolled(id="calendar", date=DAY.isoformat()), CALENDAR)
        p.say(publish())
        p.say(PassFirstAudit(id=LOAN, auditor="an"))
        p.deliver(1)
        p.deliver(9)
        yield p


def bid(n: int, fen: int) -> PlaceBid:
    return PlaceBid(id=bid_id(n), loan=LOAN, investor=f"i{n % 5}", person_lookup=f"p{n % 5}", custody_no=f"6{n % 5}", amount_fen=fen)


def sums_hold(p: Platform) -> None:
    """What the loan decides by is what its bids say, after every transaction."""
    bids = list(zip(p.rows(tables.bid, "status"), p.rows(tables.bid, "amount_fen"), strict=True))
    accepted = [fen for status, fen in bids if status == BidStatus.ACCEPTED]
    assert (sum(accepted), len(accepted)) == (p.one("accepted_fen"), p.one("accepted"))
    assert sum(fen for status, fen in bids if BidStatus(status).is_open) == p.one("reserved_fen")
    assert p.one("accepted_fen") + p.one("reserved_fen") <= p.one("amount_fen")
    assert sorted(p.rows(tables.bid, "place")) == list(range(1, p.one("places") + 1))


def check(p: Platform) -> None:
    """Bank and platform agree, nothing is under way, nobody is suspended."""
    assert p.store.rows(suspended) == [] and p.store.rows(dead_letter) == []
    status = p.one("status")
    states = dict(zip(p.rows(tables.bid, "id"), p.rows(tables.bid, "status"), strict=True))
    if status == "REPAYING":
        posted = {key: fen for key, (fen, state) in p.bank.holds.items() if state == POSTED}
        assert {key for key, state in states.items() if state == "ACCEPTED"} == posted.keys()
        assert sum(posted.values()) == p.one("amount_fen") and p.bank.project == "CONFIRMED"
        assert {b.id: b.amount_fen for b in p.plans[-1].bids} == posted and p.plans[-1].last
        assert all(plan == p.plans[0] for plan in p.plans)
    else:
        assert p.plans == [] and POSTED not in [state for _, state in p.bank.holds.values()]
        assert "ACCEPTED" not in states.values()
    assert p.bank.held() == {}, "nothing is held for a loan that is lent or has ended"
    assert all(BidStatus(state).is_final or (status, state) == ("REPAYING", "ACCEPTED") for state in states.values())
    assert {row[2] for row in p.store.rows(timer)} <= {"plan_check"}
    history = [row[2] for row in sorted(p.store.rows(tables.history))]
    assert history[-1] == status and history.count("REPAYING") <= 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(1, 9), st.booleans()),
        st.tuples(st.just("bid"), st.integers(1, BIDS), st.sampled_from([20_000, 40_000, 60_000, 100_000])),
        st.tuples(st.just("answer"), st.integers(0, 9), st.sampled_from(["succeeded", "succeeded", "succeeded", "refused"])),
        st.tuples(st.just("dispute"), st.integers(0, 9), st.sampled_from(["succeeded", "refused"])),
        st.tuples(st.just("late"), st.integers(1, BIDS), st.none()),
        st.tuples(st.just("page"), st.integers(0, 9), st.none()),
        st.tuples(st.sampled_from(["roll", "withdraw", "approve", "plan check", "operate"]), st.none(), st.booleans()),
    ),
    max_size=40,
)


def happens(p: Platform, what: str, number: Any, how: Any) -> None:
    """One step of a story."""
    match what:
        case "deliver":
            p.deliver(number, twice=how)
        case "bid":
            p.say(bid(number, how))
        case "answer":
            p.answer(number, how)
        case "dispute":
            p.dispute(number, how)
        case "late":
            p.say(BidDeadline(id=bid_id(number)))
        case "page" if p.open:
            p.say(OrderAwaiting(id=p.open[number % len(p.open)], page_url="http://bank/p"))
        case "roll":
            p.roll()
        case "withdraw" if how:
            p.say(Withdraw(id=LOAN, borrower="wang"))
        case "approve":
            p.say(ApproveFull(id=LOAN, auditor="bo"))
        case "plan check":
            p.say(PlanCheck(id=LOAN, round=p.one("plan_round")))
        case "operate":
            p.say(ResumeLoan(id=LOAN, operator="op") if how else FailListing(id=LOAN, operator="op", reason="x"))


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans())
def test_whatever_comes_in_whichever_batches_bank_and_platform_agree_at_the_end(steps: list[tuple[str, Any, Any]], approve: bool) -> None:
    with platform() as p:
        for what, number, how in steps:
            happens(p, what, number, how)
            sums_hold(p)
        p.settle(approve=approve)
        sums_hold(p)
        check(p)


def filled(p: Platform, cuts: int, *, twice: bool) -> None:
    """The loan filled by three bids, everything delivered so many at a time."""

    def arrives() -> None:
        while p.log:
            p.deliver(cuts, twice=twice)

    p.answer(0, "succeeded")
    arrives()
    for n, fen in ((1, 60_000), (2, 20_000), (3, 20_000)):
        p.say(bid(n, fen))
    arrives()
    while p.open:
        p.answer(0, "succeeded")
    arrives()


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("approve", [False, True], ids=["failing", "lent"])
def test_one_message_a_batch_and_all_in_one_batch_end_alike(twice: bool, approve: bool) -> None:
    def ended(cuts: int) -> tuple[Any, ...]:
        with platform() as p:
            filled(p, cuts, twice=twice)
            assert p.one("status") == "FULL"
            p.settle(approve=approve)
            check(p)
            of_loan = [p.one(name) for name in ("status", "accepted_fen", "accepted", "reserved_fen", "ending", "start_date", "cap")]
            history = [row[2] for row in sorted(p.store.rows(tables.history))]
            return of_loan, p.rows(tables.bid, "status"), history, p.bank.holds

    assert ended(1) == ended(2) == ended(100)


def test_a_loan_that_was_lent_is_settled_and_its_project_closed() -> None:
    with platform() as p:
        filled(p, 3, twice=True)
        p.settle(approve=True)
        for _ in range(2):
            p.say(PlanSettled(id=LOAN, date="2026-06-02"))
        p.settle(approve=True)
        while p.open or p.log:
            p.answer(0, "succeeded")
            p.deliver(5, twice=True)
        assert (p.one("status"), p.bank.project) == ("SETTLED", "CLOSED")
        assert [order.kind for order in p.orders.values()].count("close_project") == 1


def test_a_day_ends_the_raising_of_every_loan_whose_last_day_it_was() -> None:
    """Two steps and a part of a third, with a date that comes in the batch of a step."""
    keys = sorted(ids(1_100, "loan"))
    with platform() as p:
        for key in keys:
            p.say(publish(id=key, raising_days=1), key)
            p.say(PassFirstAudit(id=key, auditor="an"), key)
        while p.log:
            p.deliver(200)
        while p.open:
            order = p.orders[p.open.pop()]
            p.say(OrderEnded(id=order.id, kind=order.kind, result="succeeded", booked_date=DAY.isoformat()), order.reply_key)
        while p.log:
            p.deliver(200)
        assert set(p.rows(tables.loan, "status")) == {"RAISING"}
        p.roll()
        while p.log:
            p.deliver(200)
        assert set(p.rows(tables.loan, "status")) == {"RAISING"}, "the last day is a day of raising"
        p.roll()
        p.deliver(1)
        p.roll()
        p.log.rotate(1)  # the date first, then the step
        while p.log:
            p.deliver(200)
        failing = {row[0] for row in p.store.rows(tables.loan) if row[12] == "FAILING"}
        assert failing == set(keys)
