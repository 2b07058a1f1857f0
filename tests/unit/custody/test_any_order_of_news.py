"""Whatever is delivered late, twice, or never, and in which order: with an honest bank an order ends once, as it has ended there."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.custody.behaviour import behave
from agents.custody.messages import Closed, CloseOrder, Notice, OrderDisputed, OrderEnded, PlaceOrder, Queried, Registered
from agents.custody.model import Order, Status
from agents.runtime.decision import Attempt, ClearTimer, Context, Message, SetTimer
from config.custody import Policy

ID = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
FINAL = ("SUCCEEDED", "REFUSED", "CLOSED")
STEPS_MAX = 60


@dataclass
class HonestBank:
    """A request as docs/bank-api.md has it: it goes forward, a final one never changes, a closed number is taken for ever."""

    page: bool
    succeeds: bool
    status: str = "UNKNOWN"
    noticed: bool = False

    def work(self) -> None:
        """The member confirms, or the delay is over."""
        self.status = {"AWAITING": "ACCEPTED", "ACCEPTED": "SUCCEEDED" if self.succeeds else "REFUSED"}.get(self.status, self.status)

    def answer(self, attempt: Attempt) -> Message:
        match attempt.target:
            case "register":
                if self.status == "UNKNOWN":
                    self.status = "AWAITING" if self.page else "ACCEPTED"
                return Registered(id=ID, page_url=self.page_url, **self.said)
            case "query":
                return Queried(id=ID, asked=attempt.content["asked"], kind=self.kind, page_url=self.page_url, **self.said)
            case "close":
                if self.status not in FINAL:
                    self.status = "CLOSED"
                return Closed(id=ID, **self.said)
        raise AssertionError(attempt)

    @property
    def kind(self) -> str:
        return "" if self.status == "UNKNOWN" else "recharge"

    @property
    def page_url(self) -> str | None:
        return "https://bank/p/x" if self.status == "AWAITING" else None

    @property
    def said(self) -> dict[str, Any]:
        succeeded = self.status == "SUCCEEDED"
        return {
            "status": self.status,
            "amount_fen": 0 if self.status == "UNKNOWN" else 500,
            "booked_date": "2026-03-02" if succeeded else None,
            "reason": "insufficient" if self.status == "REFUSED" else None,
            "details": {},
        }


@dataclass
class World:
    """The order, the bank, and everything that is on its way between them."""

    bank: HonestBank
    order: Any = None
    now_ms: int = 0
    count: int = 0
    questions: list[Attempt] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)
    timers: dict[str, SetTimer] = field(default_factory=dict)
    said: list[Message] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)

    def tell(self, message: Message) -> None:
        self.count += 1
        self.now_ms += 1
        before = self.order
        decision = behave(before, message, Context(ID, f"00000000-0000-4000-8000-{self.count:012d}", self.now_ms), Policy())
        self.order = decision.state
        if isinstance(before, Order) and before.status.is_final:
            assert self.order.status is before.status and self.order.result == before.result, "a final state never changes"
        for attempt in decision.attempts:
            assert attempt.number not in self.numbers, "every asking has a number of its own"
            self.numbers.add(attempt.number)
            self.questions.append(attempt)
        self.said += [send.message for send in decision.sends]
        for timer in decision.timers:
            if isinstance(timer, ClearTimer):
                self.timers.pop(timer.name, None)
            else:
                self.timers[timer.name] = timer

    def step(self, word: str, which: int) -> None:
        """Something happens; what cannot happen now does not."""
        match word:
            case "bank works":
                self.bank.work()
            case "a question arrives" if self.questions:
                self.answers.append(self.bank.answer(self.questions.pop(which % len(self.questions))))
            case "an answer arrives" if self.answers:
                self.tell(self.answers.pop(which % len(self.answers)))
            case "a notice arrives" if self.bank.status in FINAL:
                self.tell(self.notice())
            case "a timer fires" if self.timers:
                self.fire(sorted(self.timers)[which % len(self.timers)])
            case "placed again":
                self.tell(place(self.bank))
            case "given up":
                self.tell(CloseOrder(id=ID))

    def fire(self, name: str) -> None:
        timer = self.timers.pop(name)
        self.now_ms = max(self.now_ms, timer.due_ms)
        self.tell(timer.message)

    def notice(self) -> Notice:
        self.bank.noticed = True
        return Notice(id=ID, webhook_id=f"w{self.count}", body="{}", kind="recharge", **self.bank.said)

    def quiet(self) -> bool:
        return not (self.questions or self.answers or self.timers)


def place(bank: HonestBank) -> PlaceOrder:
    return PlaceOrder(
        id=ID, kind="recharge", content={"custody_no": "6", "amount_fen": 500}, page=bank.page, amount_fen=500,
        reply_topic="users.commands", reply_key="member",
    )  # fmt: skip


EVENTS = st.sampled_from(
    ("bank works", "a question arrives", "an answer arrives", "a notice arrives", "a timer fires", "placed again", "given up")
)


@settings(max_examples=400, deadline=None)
@given(
    page=st.booleans(),
    succeeds=st.booleans(),
    events=st.lists(st.tuples(EVENTS, st.integers(0, 7)), max_size=40),
    webhooks_are_lost=st.booleans(),
)
def test_with_an_honest_bank_an_order_ends_once_and_as_it_has_ended_there(
    page: bool, succeeds: bool, events: list[tuple[str, int]], webhooks_are_lost: bool
) -> None:
    world = World(HonestBank(page, succeeds))
    world.tell(place(world.bank))
    for word, which in events:
        if not (webhooks_are_lost and word == "a notice arrives"):
            world.step(word, which)
    for _ in range(STEPS_MAX):  # everything that is on its way comes at last
        for word in ("a question arrives", "an answer arrives", "bank works", "a timer fires"):
            world.step(word, 0)
        if world.quiet():
            break
    assert world.quiet(), "nothing is asked for ever"
    assert world.order.status.value == world.bank.status and world.order.status in (Status.SUCCEEDED, Status.REFUSED, Status.CLOSED)
    assert world.order.disputed is False and world.order.breaks == () and not world.order.unverified
    assert not any(isinstance(message, OrderDisputed) for message in world.said)
    assert {m.result for m in world.said if isinstance(m, OrderEnded)} == {world.bank.status.lower()}


LIES = st.sampled_from((("SUCCEEDED", 500), ("SUCCEEDED", 199_000), ("REFUSED", 500), ("CLOSED", 0), ("ACCEPTED", 500)))


@settings(max_examples=400, deadline=None)
@given(events=st.lists(st.tuples(EVENTS, st.integers(0, 7)), max_size=30), lies=st.lists(st.tuples(st.integers(0, 30), LIES), max_size=4))
def test_whatever_false_notices_come_an_order_has_no_end_that_the_bank_does_not_know(
    events: list[tuple[str, int]], lies: list[tuple[int, tuple[str, int]]]
) -> None:
    world = World(HonestBank(page=False, succeeds=True))
    world.tell(place(world.bank))
    for at, (word, which) in enumerate(events):
        for when, (status, amount_fen) in lies:
            if when == at:
                day = "2026-03-02" if status == "SUCCEEDED" else None
                lie = f"lie {at} {status} {amount_fen}"
                world.tell(Notice(id=ID, webhook_id=lie, body="{}", kind="recharge", status=status, amount_fen=amount_fen, booked_date=day))
        world.timers.pop("notice_alone", None)  # the query is answered in time
        world.step(word, which)
    for _ in range(STEPS_MAX):
        for word in ("a question arrives", "an answer arrives", "bank works"):
            world.step(word, 0)
        world.timers.pop("notice_alone", None)
        if not world.questions and not world.answers:
            world.step("a timer fires", 0)
    assert world.order.disputed or world.order.status.value == world.bank.status
    if not world.order.disputed:
        assert {m.result for m in world.said if isinstance(m, OrderEnded)} <= {world.bank.status.lower()}
