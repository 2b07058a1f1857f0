"""Asking a service: what is sent, how long is waited, and that the store has the last word."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.runtime.decision import Message
from agents.runtime.envelope import Delivery, decode
from agents.runtime.http.problems import Problem
from agents.runtime.http.replies import Replies
from agents.runtime.http.store_reader import StoreUnreadable
from agents.runtime.messages import Known, Mismatch, Suspended
from agents.runtime.waiting import reply
from agents.users.messages import RequestRecharge, TransferChanged
from bus.errors import BusAway
from bus.record import Outgoing, Record
from gateway import recharges
from gateway.asking import Asking, Outcome, Question, Standing
from gateway.recharges import RechargeDocument

THING, MEMBER = "04484baa-3aaa-5913-a335-04d36d3dfc06", "0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa"
COMMAND = "7b8e5f6c-5b0c-4c1e-9c3a-0d7d5b1e2f30"
PENDING = recharges.pending(THING, recharges.RechargeRequest(amount_fen=5))
QUESTION = Question(THING, MEMBER, COMMAND, MEMBER, "mac", RequestRecharge(id=THING, member=MEMBER, amount_fen=5))
TRANSFER = {"id": THING, "member": MEMBER}


@dataclass
class Wire:
    """A bus that hands each command to a script, whose answers come back at once; nothing is read from anywhere else."""

    answers: Sequence[Message] = ()
    away: bool = False
    sent: list[Delivery] = field(default_factory=list)
    asked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))  # one release a command
    replies: Replies = field(init=False)

    async def append(self, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        """Take the command; answer it."""
        if self.away:
            raise BusAway("as the test wants it")
        for record in records:
            delivery = decode(as_read(record), {RequestRecharge.type: RequestRecharge})
            self.sent.append(delivery)
            self.asked.release()
            assert delivery.reply_to is not None
            for answer in self.answers:
                self.replies.deliver(as_read(reply(answer, delivery.reply_to, caused_by=delivery, now_ms=1)))
        return [(0, 0)]


def as_read(record: Outgoing) -> Record:
    """The record as a consumer gets it."""
    return Record(record.topic, 0, 0, 1, 1, record.key, record.value, record.headers)


@dataclass
class Store:
    """What the owner's store says, one look after the other; the last one again and again. None: it cannot be read."""

    says: Sequence[Standing[RechargeDocument] | None]
    looks: int = 0

    async def look(self) -> Standing[RechargeDocument]:
        """Look once more."""
        found = self.says[min(self.looks, len(self.says) - 1)]
        self.looks += 1
        if found is None:
            raise StoreUnreadable("as the test wants it")
        return found


def asking(wire: Wire, wait_ms: int = 0) -> Asking:
    """Asking over this wire."""
    wire.replies = Replies(wire)  # type: ignore[arg-type] # only `append` is used
    return Asking(bus=wire, replies=wire.replies, wait_ms=wait_ms, clock=lambda: 1_700)  # type: ignore[arg-type]


def stands(status: str, mac: str | None = "mac", **more: Any) -> Standing[RechargeDocument]:
    """A recharge in the store."""
    return Standing(PENDING.model_copy(update={"status": status, **more}), mac)


async def asked(wire: Wire, store: Store, wait_ms: int = 10_000) -> Outcome[RechargeDocument]:
    """Ask once."""
    return await asking(wire, wait_ms).ask(QUESTION, store.look, PENDING)


NOTHING: Standing[RechargeDocument] = Standing(None)


async def test_the_command_carries_who_asks_what_is_waited_for_and_the_content() -> None:
    wire = Wire()
    await asked(wire, Store([NOTHING]), wait_ms=0)
    (sent,) = wire.sent
    assert (sent.id, sent.actor, sent.trace, sent.principal, sent.mac) == (COMMAND, MEMBER, THING, MEMBER, "mac")
    assert sent.message == QUESTION.message


async def test_a_final_answer_ends_the_wait_and_the_store_is_shown() -> None:
    wire = Wire([TransferChanged(**TRANSFER, status="AWAITING", page_url="http://bank/p")])
    document, answer = await asked(wire, Store([stands("AWAITING", page_url="http://bank/q")]))
    assert document.page_url == "http://bank/q" and isinstance(answer, TransferChanged)


async def test_what_the_answer_says_is_shown_while_the_store_cannot_be_read() -> None:
    wire = Wire([TransferChanged(**TRANSFER, status="REFUSED", reason="no_custody_account")])
    document, _ = await asked(wire, Store([None]))
    assert (document.status, document.reason, document.amount_fen) == ("REFUSED", "no_custody_account", 5)


async def test_without_an_answer_the_store_has_the_last_word() -> None:
    assert (await asked(Wire(), Store([stands("DONE")]), wait_ms=0)).document.status == "DONE"
    assert (await asked(Wire(), Store([NOTHING]), wait_ms=0)) == Outcome(PENDING, None)
    assert (await asked(Wire(), Store([None]), wait_ms=0)) == Outcome(PENDING, None)


async def test_a_known_command_whose_thing_has_ended_is_answered_at_once() -> None:
    store = Store([stands("DONE")])
    document, answer = await asked(Wire([Known(id=THING)]), store)
    assert (document.status, type(answer), store.looks) == ("DONE", Known, 1)


async def test_a_known_command_whose_thing_is_under_way_is_waited_for() -> None:
    wire = Wire([Known(id=THING), TransferChanged(**TRANSFER, status="AWAITING", page_url="http://bank/p")])
    store = Store([stands("PENDING"), stands("AWAITING", page_url="http://bank/p")])
    document, answer = await asked(wire, store)
    assert (document.status, type(answer), store.looks) == ("AWAITING", TransferChanged, 2)


async def test_a_suspended_actor_is_an_answer() -> None:
    document, _ = await asked(Wire([Suspended(id=THING)]), Store([NOTHING]))
    assert document.status == "SUSPENDED"


@pytest.mark.parametrize(("answers", "store"), [
    ([Mismatch(id=THING)], [NOTHING]),
    ([], [stands("DONE", mac="another")]),
    ([Known(id=THING)], [stands("DONE", mac="another")]),
])  # fmt: skip
async def test_other_content_under_a_known_key_is_refused_whoever_says_so(answers: Any, store: Any) -> None:
    with pytest.raises(Problem) as found:
        await asked(Wire(answers), Store(store), wait_ms=0 if not answers else 10_000)
    assert found.value.code == "idempotency_key_reused"


async def test_content_that_is_forgotten_is_not_held_against_anybody() -> None:
    assert (await asked(Wire(), Store([stands("DONE", mac=None)]), wait_ms=0)).document.status == "DONE"


async def test_a_bus_that_is_away_is_told_at_once_and_remembered_until_it_takes_something() -> None:
    wire = Wire(away=True)
    made = asking(wire)
    with pytest.raises(Problem) as found:
        await made.ask(QUESTION, Store([NOTHING]).look, PENDING)
    assert (found.value.code, made.appends, wire.replies.waiting) == ("unavailable", False, 0)
    wire.away = False
    await made.ask(QUESTION, Store([NOTHING]).look, PENDING)
    assert made.appends


async def test_two_people_who_decide_alike_about_one_thing_do_not_get_each_others_answer() -> None:
    wire = Wire()
    made = asking(wire, 10_000)
    other = QUESTION._replace(id="8b8e5f6c-5b0c-4c1e-9c3a-0d7d5b1e2f30")
    first = asyncio.create_task(made.ask(QUESTION, Store([NOTHING]).look, PENDING))
    second = asyncio.create_task(made.ask(other, Store([NOTHING]).look, PENDING))
    for _ in range(2):
        await wire.asked.acquire()
    for delivery, status in zip(wire.sent, ("DONE", "REFUSED"), strict=True):
        assert delivery.reply_to is not None
        said = TransferChanged(**TRANSFER, status=status)
        wire.replies.deliver(as_read(reply(said, delivery.reply_to, caused_by=delivery, now_ms=1)))
    assert [(await task).document.status for task in (first, second)] == ["DONE", "REFUSED"]


async def test_a_repeat_beside_the_first_gets_the_same_end() -> None:
    wire = Wire()
    made = asking(wire, 10_000)
    tasks = [asyncio.create_task(made.ask(QUESTION, Store([NOTHING]).look, PENDING)) for _ in range(3)]
    for _ in tasks:
        await wire.asked.acquire()
    delivery = wire.sent[-1]
    assert delivery.reply_to is not None
    wire.replies.deliver(as_read(reply(TransferChanged(**TRANSFER, status="DONE"), delivery.reply_to, caused_by=delivery, now_ms=1)))
    assert {(await task).document.status for task in tasks} == {"DONE"}
