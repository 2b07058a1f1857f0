"""Plans over a real store through the loop, custody's answers by hand: what a batch needs is loaded, what it makes is written (FLOWS 5)."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

import stores.repayments as tables
from agents.custody.messages import DateRolled, OrderAwaiting, OrderDisputed, OrderEnded, PlaceOrder
from agents.repayments.agent import service
from agents.repayments.messages import (
    TOPIC as MAILBOX,
)
from agents.repayments.messages import (
    AskPlan,
    Pay,
    PaymentChanged,
    PlanMissing,
    PlanReady,
    PlanSettled,
    PrincipalRepaid,
    ReleaseCollection,
    RetryCollection,
)
from agents.runtime.calendar import KEY as CALENDAR
from agents.runtime.decision import Message
from bus.record import Outgoing
from stores.engine import Store
from stores.runtime import suspended
from tests.integration.stores.world import World, ids
from tests.unit.repayments.examples import BIDS
from tests.unit.repayments.lives import BORROWER, FIRST_DUE, INSTALMENT_FEN, KEY, SECOND_DUE, generate
from topics import BY_TYPE

ROUNDS_MAX = 200
MANY = [10_000 + n for n in range(1_200)]


@dataclass
class Room:
    """The service over its store; what it says to itself comes back, everything else is kept."""

    world: World
    mailbox: deque[tuple[str, Message, str]] = field(default_factory=deque)
    said: list[tuple[str, Message]] = field(default_factory=list)
    twice: bool = False
    count: int = 0

    async def tell(self, *commands: tuple[str, Message]) -> "Room":
        """These messages in one batch, and then what follows from them, a batch each."""
        await self.run([(key, message, self.next_id()) for key, message in commands])
        for _ in range(ROUNDS_MAX):
            if not self.mailbox:
                return self
            await self.run([self.mailbox.popleft()])
        raise AssertionError("it does not end")

    def next_id(self) -> str:
        self.count += 1
        return ids(1, f"said{self.count}")[0]

    async def run(self, batch: Sequence[tuple[str, Message, str]]) -> None:
        """One batch, perhaps read twice; what it says leaves after its COMMIT."""
        records = [self.world.record(key, message, message_id=identity, reply_to="gw-1/1") for key, message, identity in batch]
        records = [record._replace(topic=MAILBOX) for record in records]
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

    async def day(self, day: str) -> "Room":
        """Custody says that the bank stands on this date."""
        return await self.tell((CALENDAR, DateRolled(id="calendar", date=day)))

    async def ends(self, result: str = "succeeded", **changes: Any) -> "Room":
        """Custody's answer to the last order."""
        order: PlaceOrder = self.all_of(PlaceOrder)[-1]
        said = {
            "amount_fen": order.amount_fen if result == "succeeded" else 0,
            "booked_date": order.content.get("valid_on"),
            "reason": None if result == "succeeded" else "insufficient",
            **changes,
        }
        assert (order.reply_topic, order.reply_key) == (MAILBOX, KEY)
        return await self.tell((KEY, OrderEnded(id=order.id, kind=order.kind, result=result, **said)))

    async def rows(self, table: Any, **equal: object) -> list[dict[str, Any]]:
        names = [c.name for c in table.columns]
        found = [dict(zip(names, row, strict=True)) for row in await self.world.rows(table)]
        return [row for row in found if all(row[name] == value for name, value in equal.items())]

    async def plan(self) -> dict[str, Any]:
        (row,) = await self.rows(tables.plan)
        return row

    async def check(self) -> None:
        """Nobody is suspended, and every sum is what it has to be."""
        assert await self.world.rows(suspended) == []
        async with self.world.store.reading() as connection:
            assert await tables.unequal_instalments(connection) == []
            for row in await tables.sums_page(connection, after="", limit=10):
                assert row.instalment_principal_fen == row.receivable_principal_fen == row.plan_bid_amount_fen == row.amount_fen
                assert row.amount_fen - row.instalment_principal_paid_fen == row.outstanding_fen
                assert row.receivable_principal_paid_fen == row.instalment_principal_paid_fen
                assert row.receivable_interest_paid_fen == row.instalment_pool_paid_fen


@pytest.fixture
async def room(store: Store) -> Room:
    """An empty repayment service."""
    world = World(store)
    world.service = service()
    await world.take_over()
    return Room(world)


@pytest.fixture(params=[False, True], ids=["once", "twice"])
def every_batch(request: pytest.FixtureRequest, room: Room) -> Room:
    """The same with every batch read once, or twice."""
    room.twice = request.param
    return room


async def test_a_loan_lives_from_its_plan_to_its_end(every_batch: Room) -> None:
    room = every_batch
    await room.tell((KEY, generate(months=3)))
    assert len(room.all_of(PlanReady)) == 1
    for day in ("2025-01-31", FIRST_DUE, SECOND_DUE, "2025-04-30"):
        await room.day(day)
        if day != "2025-01-31":
            await room.ends()
            await room.ends()
        await room.check()
    assert [order.kind for order in room.all_of(PlaceOrder)] == ["collect", "confirm_repayment"] * 3
    assert ((await room.plan())["status"], (await room.plan())["outstanding_fen"]) == ("SETTLED", 0)
    assert {row["status"] for row in await room.rows(tables.instalment)} == {"PAID"}
    assert {row["status"] for row in await room.rows(tables.collection)} == {"BOOKED"}
    assert len(await room.rows(tables.repayment_record)) == 9
    assert sum(m.amount_fen for m in room.all_of(PrincipalRepaid)) == sum(BIDS)
    assert room.all_of(PlanSettled) == [PlanSettled(id=KEY, date="2025-04-30")]


async def test_bids_in_steps_of_one_batch_or_several_make_the_same_plan(room: Room) -> None:
    first, second = generate(BIDS[:1], step=0, last=False), generate(BIDS[1:], step=1, first=1)
    await room.tell((KEY, first))
    assert (await room.tell((KEY, AskPlan(id=KEY)))).all_of(PlanMissing) == [PlanMissing(id=KEY, steps=1)]
    await room.tell((KEY, second), (KEY, AskPlan(id=KEY)))
    other = ids(1, "other")[0]
    changes = {"id": other, "project_no": other}
    await room.tell((other, first.model_copy(update=changes)), (other, second.model_copy(update=changes)), (other, AskPlan(id=other)))
    checksums = {m.checksum for m in room.all_of(PlanReady)}
    assert len(checksums) == 1 and len(room.all_of(PlanReady)) == 4
    await room.check()


async def test_a_large_loan_is_made_allocated_and_booked_in_steps(every_batch: Room) -> None:
    room = every_batch
    await room.tell((KEY, generate(MANY[:500], step=0, last=False, amount_fen=sum(MANY), months=2)))
    await room.tell((KEY, generate(MANY[500:1000], step=1, last=False, first=500, amount_fen=sum(MANY), months=2)))
    await room.tell((KEY, generate(MANY[1000:], step=2, first=1000, amount_fen=sum(MANY), months=2)))
    assert ((await room.plan())["status"], (await room.plan())["made"]) == ("REPAYING", 2_400)
    await room.day(FIRST_DUE)
    await room.ends()
    (collect, booking) = room.all_of(PlaceOrder)
    assert len(booking.content["parts"]) == 1_200
    assert sum(part["amount_fen"] for part in booking.content["parts"]) + booking.content["fee_fen"] == collect.amount_fen
    assert [part["custody_no"] for part in booking.content["parts"]] == [f"C{n}" for n in range(1_200)]
    await room.ends()
    assert len(await room.rows(tables.repayment_record)) == 1_200
    assert [row["status"] for row in await room.rows(tables.instalment)] == ["PAID", "PLANNED"]
    await room.check()


async def test_instalments_that_are_late_together_are_paid_together_step_by_step(room: Room) -> None:
    many = MANY[:400]
    await room.tell((KEY, generate(many, amount_fen=sum(many), months=3)))
    await room.day(FIRST_DUE)
    await room.ends("refused")
    await room.day(SECOND_DUE)  # and every day before it
    while room.all_of(PlaceOrder)[-1].content["valid_on"] < SECOND_DUE:
        await room.ends("refused")
    order = room.all_of(PlaceOrder)[-1]
    owed = [row["principal_fen"] + row["pool_fen"] + row["fee_fen"] for row in await room.rows(tables.instalment)]
    assert order.amount_fen == owed[0] + owed[1]
    await room.ends(amount_fen=owed[0] + owed[1] // 2)
    await room.ends()
    assert [row["status"] for row in await room.rows(tables.instalment)] == ["PAID", "PARTLY_PAID", "PLANNED"]
    assert len(await room.rows(tables.repayment_record)) == 800
    await room.check()


async def test_a_refused_collection_is_tried_on_every_following_date_once(room: Room) -> None:
    await room.tell((KEY, generate()))
    await room.day("2025-02-27")
    assert room.all_of(PlaceOrder) == []
    for day in (FIRST_DUE, "2025-03-01", "2025-03-02"):
        await room.day(day)
        await room.day(day)
        await room.ends("refused", reason="not_authorized")
    assert [order.content["valid_on"] for order in room.all_of(PlaceOrder)] == [FIRST_DUE, "2025-03-01", "2025-03-02"]
    assert [row["status"] for row in await room.rows(tables.instalment)][:2] == ["OVERDUE", "PLANNED"]
    assert {row["reason"] for row in await room.rows(tables.collection)} == {"not_authorized"}


async def test_dates_that_were_not_heard_of_are_scanned_too(room: Room) -> None:
    await room.tell((KEY, generate()))
    await room.day("2025-02-26")
    await room.tell((CALENDAR, DateRolled(id="calendar", date="2025-03-02")), (CALENDAR, DateRolled(id="calendar", date="2025-03-01")))
    async with room.world.store.reading() as connection:
        assert await tables.business_date(connection) == "2025-03-02"
    dates = [order.content["valid_on"] for order in room.all_of(PlaceOrder)]
    assert dates == ["2025-03-01"]  # the next day had begun when the plan heard of its own, and a date that has passed is refused
    assert await room.rows(tables.calendar_waiting) == []
    await room.ends("refused", reason="date_passed")
    assert [order.content["valid_on"] for order in room.all_of(PlaceOrder)] == ["2025-03-01", "2025-03-02"]


async def test_a_payment_by_page_and_a_second_one_beside_it(room: Room) -> None:
    first, second, third = ids(3, "payment")
    await room.tell((KEY, generate()))
    await room.day("2025-02-27")
    await room.tell((KEY, Pay(id=first, loan=KEY, borrower=BORROWER)))
    assert room.all_of(PaymentChanged)[-1].reason == "nothing_due"
    await room.day(FIRST_DUE)
    await room.ends("refused")
    await room.tell(
        (KEY, Pay(id=second, loan=KEY, borrower=BORROWER)), (KEY, Pay(id=(third := ids(1, "third")[0]), loan=KEY, borrower=BORROWER))
    )
    answer = room.all_of(PaymentChanged)[-1]
    assert (answer.id, answer.collection) == (third, second)
    await room.tell((KEY, OrderAwaiting(id=second, page_url="https://bank/p/1")))
    assert room.all_of(PaymentChanged)[-1].page_url == "https://bank/p/1"
    await room.ends()
    await room.tell((KEY, Pay(id=second, loan=KEY, borrower=BORROWER)))
    assert room.all_of(PaymentChanged)[-1].status == "BOOKING"
    await room.ends()
    await room.tell((KEY, Pay(id=second, loan=KEY, borrower=BORROWER)))
    paid = room.all_of(PaymentChanged)[-1]
    assert paid == PaymentChanged(id=second, loan=KEY, status="BOOKED", amount_fen=INSTALMENT_FEN, page_url="https://bank/p/1")
    assert {row["id"]: row["status"] for row in await room.rows(tables.collection, way="PAGE")} == {
        first: "NOTHING",
        second: "BOOKED",
        third: "NOTHING",
    }
    await room.check()


@pytest.mark.parametrize("bids", [BIDS, MANY], ids=["small", "large"])
async def test_a_suspended_booking_is_done_again_by_an_operator(room: Room, bids: Sequence[int]) -> None:
    for step in range(0, len(bids), 500):
        last = step + 500 >= len(bids)
        await room.tell((KEY, generate(bids[step : step + 500], step=step // 500, last=last, first=step, amount_fen=sum(bids), months=2)))
    await room.day(FIRST_DUE)
    await room.ends()
    await room.ends("refused", reason="set_differs")
    async with room.world.store.reading() as connection:
        (waiting,) = await tables.suspended_collections(connection)
    assert (waiting.status, waiting.reason) == ("SUSPENDED", "set_differs")
    await room.tell((KEY, RetryCollection(id=KEY, operator="o")))
    first, second = room.all_of(PlaceOrder)[1:]
    assert first.content == second.content and first.id != second.id
    await room.ends()
    await room.check()
    assert (await room.rows(tables.instalment, number=1))[0]["status"] == "PAID"


async def test_a_disputed_hold_is_given_back_by_an_operator(room: Room) -> None:
    await room.tell((KEY, generate()))
    await room.day(FIRST_DUE)
    key = room.all_of(PlaceOrder)[0].id
    await room.tell((KEY, OrderDisputed(id=key, noticed="REFUSED", queried="SUCCEEDED")))
    await room.ends()
    await room.tell((KEY, ReleaseCollection(id=KEY, operator="o")))
    assert room.all_of(PlaceOrder)[-1].content == {"hold_no": key}
    await room.ends()
    assert [(row["status"], row["amount_fen"]) for row in await room.rows(tables.collection)] == [("RELEASED", INSTALMENT_FEN)]
    await room.day("2025-03-01")
    assert room.all_of(PlaceOrder)[-1].kind == "collect"
    await room.check()
