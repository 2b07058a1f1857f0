"""Loans over a real store through the loop; custody and repayments are played: what a batch needs is loaded, what it makes is written."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import update

import stores.trading as tables
from agents.custody.messages import CloseOrder, DateRolled, OrderAwaiting, OrderDisputed, OrderEnded, PlaceOrder
from agents.repayments.messages import AskPlan, GeneratePlan, PlanMissing, PlanReady, PlanSettled, PrincipalRepaid
from agents.runtime.calendar import KEY as CALENDAR
from agents.runtime.decision import Message
from agents.trading.agent import service
from agents.trading.messages import (
    TOPIC as MAILBOX,
)
from agents.trading.messages import (
    ApproveFull,
    BidChanged,
    BidDeadline,
    FailStep,
    LoanChanged,
    PassFirstAudit,
    PlaceBid,
    PlanCheck,
    RefuseFull,
    ResumeLoan,
    Withdraw,
)
from agents.trading.model import EVERY, BidStatus
from bus.record import Outgoing
from config.products import BIDS_STEP
from stores.engine import Store
from stores.runtime import suspended, timer
from stores.statement import Statement
from stores.trading_actors import LOANS
from tests.integration.stores.world import World, ids
from tests.unit.trading.desk import DAY, LOAN, bid_id, publish
from topics import BY_TYPE

ROUNDS_MAX = 200
BATCH_MAX = 500
MANY = 1_200
Told = tuple[str, Message, str]


@dataclass
class Room:
    """The service over its store; what it says to itself comes back, everything else is kept for the test."""

    world: World
    mailbox: deque[Told] = field(default_factory=deque)
    said: list[tuple[str, Message]] = field(default_factory=list)
    twice: bool = False
    count: int = 0

    async def tell(self, *messages: Message, key: str = LOAN) -> "Room":
        """These messages in one batch, and then what follows from them, as much in a batch as there is and the loop takes."""
        self.mailbox.extend((key, message, self.next_id()) for message in messages)
        for _ in range(ROUNDS_MAX):
            if not self.mailbox:
                return self
            await self.run([self.mailbox.popleft() for _ in range(min(len(self.mailbox), BATCH_MAX))])
        raise AssertionError("it does not end")

    def next_id(self) -> str:
        self.count += 1
        return ids(1, f"told{self.count}")[0]

    async def run(self, batch: Sequence[Told]) -> None:
        """One batch, perhaps read twice; what it says leaves after its COMMIT."""
        records = [
            self.world.record(key, message, message_id=identity, reply_to="gw-1/1")._replace(topic=MAILBOX)
            for key, message, identity in batch
        ]
        for _ in range(1 + self.twice):
            for pending in (await self.world.run(*records)).leaving:
                self.take(pending.record)

    def take(self, record: Outgoing) -> None:
        headers = dict[str, bytes | None](record.headers)
        kind = BY_TYPE[(headers["type"] or b"").decode()]
        key, message = (record.key or b"").decode(), kind.model_validate_json(record.value or b"")
        if record.topic == MAILBOX:
            self.mailbox.append((key, message, (headers["message-id"] or b"").decode()))
        else:
            self.said.append((key, message))

    def all_of(self, kind: type[Message]) -> list[Any]:
        return [message for _, message in self.said if isinstance(message, kind)]

    def orders(self, kind: str) -> list[PlaceOrder]:
        return [order for order in self.all_of(PlaceOrder) if order.kind == kind]

    def ended(self, order: PlaceOrder, result: str = "succeeded", reason: str | None = None) -> OrderEnded:
        """Custody's answer to an order."""
        assert (order.reply_topic, order.reply_key) == (MAILBOX, LOAN)
        done = result == "succeeded"
        booked = DAY.isoformat() if done else None
        fen = order.amount_fen if done else 0
        return OrderEnded(id=order.id, kind=order.kind, result=result, reason=reason, booked_date=booked, amount_fen=fen)

    async def bank(self, kind: str, result: str = "succeeded", reason: str | None = None) -> "Room":
        """The end of the last order of this kind."""
        return await self.tell(self.ended(self.orders(kind)[-1], result, reason))

    async def loan(self) -> Any:
        async with self.world.store.reading() as connection:
            return await tables.loan_by_id(connection, LOAN)

    async def bid(self, n: int) -> Any:
        async with self.world.store.reading() as connection:
            return await tables.bid_by_id(connection, bid_id(n))

    async def bids(self) -> list[Any]:
        async with self.world.store.reading() as connection:
            return await tables.bids_of_loan(connection, LOAN, after=0, limit=EVERY)

    async def history(self) -> list[str]:
        async with self.world.store.reading() as connection:
            return [row.status for row in await tables.history_of(connection, LOAN)]

    async def timers(self) -> set[str]:
        return {row[2] for row in await self.world.rows(timer)}

    async def check(self) -> None:
        """Nobody is suspended, and the loan's sums are those of its bids."""
        assert await self.world.rows(suspended) == []
        loan, bids = await self.loan(), await self.bids()
        assert sum(b.amount_fen for b in bids if b.status == "ACCEPTED") == loan.accepted_fen <= loan.amount_fen
        assert sum(b.amount_fen for b in bids if BidStatus(b.status).is_open) == loan.reserved_fen
        assert [b.place for b in bids] == list(range(1, loan.places + 1))


def bid(n: int, fen: int, investor: str | None = None) -> PlaceBid:
    who = investor or f"investor {n}"
    return PlaceBid(id=bid_id(n), loan=LOAN, investor=who, person_lookup=f"person {who}", custody_no=f"6{n}", amount_fen=fen)


@pytest.fixture
async def empty(store: Store) -> Room:
    """A trading centre that knows the date."""
    world = World(store)
    world.service = service()
    await world.take_over()
    return await Room(world).tell(DateRolled(id=CALENDAR, date=DAY.isoformat()), key=CALENDAR)


@pytest.fixture(params=[False, True], ids=["once", "twice"])
async def room(request: pytest.FixtureRequest, empty: Room) -> Room:
    """A loan that takes bids; every batch is read once, or twice."""
    empty.twice = request.param
    await empty.tell(publish())
    await empty.tell(PassFirstAudit(id=LOAN, auditor="an"))
    return await empty.bank("establish_project")


async def full(room: Room) -> Room:
    await room.tell(bid(1, 60_000), bid(2, 40_000))
    return await room.tell(*(room.ended(order) for order in room.orders("hold")))


async def repaying(room: Room) -> Room:
    await full(room)
    await room.tell(ApproveFull(id=LOAN, auditor="bo"))
    return await room.bank("confirm_loan")


async def test_a_loan_lives_from_its_draft_to_its_settlement(room: Room) -> None:
    await repaying(room)
    (plan,) = room.all_of(GeneratePlan)
    assert [(b.id, b.investor, b.amount_fen) for b in plan.bids] == [(bid_id(1), "investor 1", 60_000), (bid_id(2), "investor 2", 40_000)]
    assert (plan.step, plan.last, plan.start_date) == (0, True, DAY.isoformat())
    await room.tell(PlanReady(id=LOAN, checksum="c"))
    assert await room.timers() == set()
    await room.tell(PrincipalRepaid(id=LOAN, collection="k", amount_fen=60_000, outstanding_fen=40_000, date="2026-04-02"))
    assert (await room.loan()).outstanding_fen == 40_000
    await room.tell(PlanSettled(id=LOAN, date="2026-06-02"))
    await room.bank("close_project")
    assert await room.history() == ["DRAFT", "ESTABLISHING", "RAISING", "FULL", "DISBURSING", "REPAYING", "SETTLED"]
    loan = await room.loan()
    assert (loan.status, loan.outstanding_fen, loan.plan_checksum, loan.cap, loan.accepted) == ("SETTLED", 0, "c", "0.12", 2)
    assert [order.kind for order in room.all_of(PlaceOrder)] == ["establish_project", "hold", "hold", "confirm_loan", "close_project"]
    await room.check()


async def test_an_investor_gets_the_bank_s_page_and_then_the_end(room: Room) -> None:
    await room.tell(bid(1, 60_000))
    assert await room.timers() == {f"bid:{bid_id(1)}"} and room.all_of(BidChanged) == []
    await room.tell(OrderAwaiting(id=bid_id(1), page_url="http://bank/p/1"))
    assert (await room.bid(1)).page_url == "http://bank/p/1" == room.all_of(BidChanged)[-1].page_url
    await room.bank("hold")
    assert ((await room.bid(1)).status, (await room.bid(1)).page_url, await room.timers()) == ("ACCEPTED", None, set())
    await room.check()


async def test_bids_of_one_batch_share_the_room_that_there_is(room: Room) -> None:
    await room.tell(bid(1, 60_000, "lin"), bid(2, 10_000, "lin"), bid(3, 50_000), bid(4, 40_000), bid(5, 10_000, "wang"))
    stood = [(b.status, b.reason) for b in await room.bids()]
    assert stood == [("PENDING", None), ("REFUSED", "bid_open"), ("REFUSED", "no_room"), ("PENDING", None), ("REFUSED", "own_loan")]
    assert [order.id for order in room.orders("hold")] == [bid_id(1), bid_id(4)]
    await room.check()


async def test_an_investor_s_open_bid_is_found_in_a_later_batch(room: Room) -> None:
    await room.tell(bid(1, 10_000, "lin"))
    await room.tell(bid(2, 10_000, "lin"))
    assert (await room.bid(2)).reason == "bid_open"
    await room.bank("hold")
    await room.tell(bid(3, 10_000, "lin"))
    assert (await room.bid(3)).status == "PENDING"
    await room.check()


async def test_a_loan_that_may_not_be_leaves_its_row(empty: Room) -> None:
    await empty.tell(publish(annual_rate="0.13"))
    loan = await empty.loan()
    assert (loan.status, loan.reason) == ("REFUSED", "rate_above_cap")
    assert empty.all_of(LoanChanged)[-1] == LoanChanged(id=LOAN, status="REFUSED", refused="rate_above_cap")
    assert await empty.history() == ["REFUSED"]


async def test_a_bid_for_a_loan_that_is_none_is_refused_and_leaves_nothing(empty: Room) -> None:
    await empty.tell(bid(1, 10_000))
    assert empty.all_of(BidChanged)[-1].reason == "no_such_loan" and await empty.bids() == []
    assert await empty.world.rows(suspended) == []


async def test_a_bid_that_takes_too_long_is_given_up_at_the_bank(room: Room) -> None:
    await room.tell(bid(1, 60_000))
    await room.tell(BidDeadline(id=bid_id(1)))
    assert [m.id for m in room.all_of(CloseOrder)] == [bid_id(1)] and (await room.bid(1)).status == "PENDING"
    await room.bank("hold", "closed")
    assert ((await room.bid(1)).reason, (await room.loan()).reserved_fen) == ("closed", 0)
    await room.tell(bid(2, 100_000))
    await room.check()


async def test_a_listing_that_is_withdrawn_gives_back_what_is_held_and_closes_what_is_open(room: Room) -> None:
    await room.tell(bid(1, 30_000), bid(2, 30_000), bid(3, 30_000))
    await room.tell(room.ended(room.orders("hold")[0]))
    await room.tell(Withdraw(id=LOAN, borrower="wang"))
    assert {m.id for m in room.all_of(CloseOrder)} == {bid_id(2), bid_id(3)}
    _, second, third = room.orders("hold")
    await room.tell(room.ended(second), room.ended(third, "closed"))
    assert [order.content["hold_no"] for order in room.orders("release")] == [bid_id(1), bid_id(2)]
    assert not room.orders("close_project")
    await room.tell(*(room.ended(order) for order in room.orders("release")))
    await room.bank("close_project")
    assert [b.status for b in await room.bids()] == ["RELEASED", "RELEASED", "REFUSED"]
    assert (await room.history())[-2:] == ["FAILING", "FAILED"] and (await room.loan()).reason == "withdrawn"
    assert await room.timers() == set()
    await room.check()


async def test_raising_ends_with_the_calendar_after_its_last_day(room: Room) -> None:
    await room.tell(bid(1, 30_000))
    await room.bank("hold")
    await room.tell(DateRolled(id=CALENDAR, date="2026-03-07"), key=CALENDAR)
    assert (await room.loan()).status == "RAISING"
    await room.tell(DateRolled(id=CALENDAR, date="2026-03-08"), key=CALENDAR)
    assert ((await room.loan()).status, (await room.loan()).reason) == ("FAILING", "not_full")
    async with room.world.store.reading() as connection:
        assert await tables.business_date(connection) == "2026-03-08"
    await room.bank("release")
    await room.bank("close_project")
    assert (await room.loan()).status == "FAILED"
    await room.check()


async def test_a_plan_that_is_missing_is_sent_again_with_its_bids(room: Room) -> None:
    await repaying(room)
    assert await room.timers() == {"plan_check"}
    await room.tell(PlanCheck(id=LOAN, round=1))
    assert room.all_of(AskPlan) == [AskPlan(id=LOAN)]
    await room.tell(PlanMissing(id=LOAN, steps=0))
    first, again = room.all_of(GeneratePlan)
    assert first == again


async def test_a_suspended_loan_is_listed_and_goes_on(room: Room) -> None:
    await full(room)
    await room.tell(ApproveFull(id=LOAN, auditor="bo"))
    await room.bank("confirm_loan", "refused", "set_differs")
    async with room.world.store.reading() as connection:
        (waiting,) = await tables.suspended_loans(connection)
    assert (waiting.stood, waiting.reason, waiting.confirm_no) == ("DISBURSING", "confirm_loan: set_differs", None)
    await room.tell(ResumeLoan(id=LOAN, operator="op"))
    await room.bank("confirm_loan")
    assert (await room.loan()).status == "REPAYING" and len(room.all_of(GeneratePlan)) == 1
    await room.check()


async def test_a_disputed_bid_is_found_when_its_loan_goes_on(room: Room) -> None:
    await room.tell(bid(1, 60_000))
    await room.tell(OrderDisputed(id=bid_id(1), noticed="SUCCEEDED", queried="REFUSED"))
    assert ((await room.loan()).status, (await room.bid(1)).status) == ("SUSPENDED", "SUSPENDED")
    await room.check()
    await room.tell(ResumeLoan(id=LOAN, operator="op"))
    assert [order.content for order in room.orders("release")] == [{"hold_no": bid_id(1)}]
    await room.bank("release", "refused", "not_held")
    assert ((await room.loan()).status, (await room.bid(1)).status, (await room.loan()).reserved_fen) == ("RAISING", "RELEASED", 0)
    await room.check()


async def many(room: Room) -> list[PlaceOrder]:
    """A loan with more bids than a step has, the first and the last of them still open."""
    await room.tell(publish(amount_fen=MANY * 10_000))
    await room.tell(PassFirstAudit(id=LOAN, auditor="an"))
    await room.bank("establish_project")
    await room.tell(*(bid(n, 10_000) for n in range(1, MANY + 1)))
    holds = room.orders("hold")
    await room.tell(*(room.ended(order) for order in holds[1:-1]))
    return holds


async def test_a_large_loan_is_lent_by_steps_of_its_bids_in_their_order(empty: Room) -> None:
    holds = await many(empty)
    await empty.tell(empty.ended(holds[0]), empty.ended(holds[-1]))
    await empty.tell(ApproveFull(id=LOAN, auditor="bo"))
    await empty.bank("confirm_loan")
    plans = empty.all_of(GeneratePlan)
    assert [(plan.step, len(plan.bids), plan.last) for plan in plans] == [(0, BIDS_STEP, False), (1, BIDS_STEP, False), (2, 200, True)]
    assert [b.id for plan in plans for b in plan.bids] == [bid_id(n) for n in range(1, MANY + 1)]
    assert empty.orders("confirm_loan")[0].content == {"project_no": LOAN, "count": MANY, "sum_fen": MANY * 10_000}
    await empty.check()


@pytest.mark.parametrize("count", [BIDS_STEP, BIDS_STEP + 1])
async def test_a_step_that_takes_all_there_is_is_the_last_one(empty: Room, count: int) -> None:
    await many(empty)
    await set_released(empty, count)
    needs = [(LOAN, need) for need in FailStep(id=LOAN, after="0").needs()]
    found = await empty.world.store.transaction("loop.commit", LOANS.load, [LOAN], needs)
    bids, reach = found[LOAN][0].next_bids(0, BidStatus.ACCEPTED, BidStatus.PENDING)
    assert (len(bids), reach) == ((BIDS_STEP, EVERY) if count == BIDS_STEP else (BIDS_STEP, BIDS_STEP))


async def set_released(room: Room, after: int) -> None:
    """As if the bids after a place had been given back."""
    core = update(tables.bid).where(tables.bid.c.place > after).values(status="RELEASED")
    await room.world.store.transaction("loop.commit", lambda tx: tx.run(Statement(core, "status", "place_1"), "RELEASED", after))


async def test_a_large_listing_fails_by_steps_whatever_ends_between_them(empty: Room) -> None:
    holds = await many(empty)
    refusal = RefuseFull(id=LOAN, auditor="bo", reason="x")
    await empty.tell(refusal)
    assert (await empty.loan()).status == "RAISING", "it is not full"
    await empty.run([(LOAN, Withdraw(id=LOAN, borrower="wang"), empty.next_id())])
    first = empty.mailbox.popleft()
    # Two holds end in the batch of the first step: one that it would have taken up, and one that it does not reach.
    ends = (empty.ended(holds[0], "refused"), empty.ended(holds[-1]))
    await empty.run([*((LOAN, end, empty.next_id()) for end in ends), first])
    assert (await empty.loan()).failing_after == BIDS_STEP
    await empty.tell()
    assert {order.content["hold_no"] for order in empty.orders("release")} == {bid_id(n) for n in range(2, MANY + 1)}
    assert len(empty.orders("release")) == (await empty.loan()).ending == MANY - 1 and not empty.orders("close_project")
    await empty.tell(*(empty.ended(order) for order in empty.orders("release")))
    await empty.bank("close_project")
    assert (await empty.loan()).status == "FAILED"
    assert [b.status for b in await empty.bids()] == ["REFUSED", *["RELEASED"] * (MANY - 1)]
    await empty.check()
