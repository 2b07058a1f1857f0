"""One loan, told one message after another; the bank and repayments are played by the test."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from agents.custody.messages import CloseOrder, OrderAwaiting, OrderEnded, PlaceOrder
from agents.runtime.decision import ClearTimer, Context, Decision, Message, SetTimer
from agents.trading.behaviour import behave
from agents.trading.messages import ApproveFull, BidChanged, FailStep, LoanChanged, PassFirstAudit, PlaceBid, PlanStep, Publish
from agents.trading.model import EVERY, Bid, BidStatus, Loan, Status

LOAN = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
DAY = date(2026, 3, 2)


def bid_id(n: int) -> str:
    return f"00000000-0000-4000-9000-{n:012d}"


class Everything(Mapping[int, int]):
    """From every place on all bids are seen."""

    def __getitem__(self, place: int) -> int:
        return EVERY

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Desk:
    """The loan's actor as the loop runs it: everything is seen, what was sent is kept."""

    def __init__(self) -> None:
        self.loan: Loan | None = None
        self.day: date | None = DAY
        self.now_ms = 1_000_000
        self.count = 0
        self.sent: list[Message] = []
        self.replies: list[Message] = []
        self.timers: dict[str, Message] = {}
        self.history: list[str] = []

    def tell(self, message: Message, *, principal: str = "p") -> Decision[Any]:
        self.now_ms += 1
        self.count += 1
        context = Context(LOAN, f"00000000-0000-4000-8000-{self.count:012d}", self.now_ms, principal, business_date=self.day)
        decision = behave(self.loan, message, context)
        if isinstance(decision.state, Loan):
            self.history += [step.status for step in decision.state.steps]
            self.loan = replace(decision.state, changed={}, steps=(), windows=Everything())
        self.sent += [s.message for s in decision.sends]
        if decision.reply is not None:
            self.replies.append(decision.reply)
        for timer in decision.timers:
            if isinstance(timer, SetTimer):
                self.timers[timer.name] = timer.message
            elif isinstance(timer, ClearTimer):
                self.timers.pop(timer.name, None)
        return decision

    @property
    def now(self) -> Loan:
        assert self.loan is not None
        return self.loan

    def stands(self) -> Status:
        return self.now.status

    def bid(self, n: int) -> Bid:
        return self.now.seen[bid_id(n)]

    def answer(self) -> LoanChanged | BidChanged:
        reply = self.replies[-1]
        assert isinstance(reply, LoanChanged | BidChanged)
        return reply

    def orders(self, kind: str) -> list[PlaceOrder]:
        return [m for m in self.sent if isinstance(m, PlaceOrder) and m.kind == kind]

    def closings(self) -> list[str]:
        return [m.id for m in self.sent if isinstance(m, CloseOrder)]

    def bank(
        self, number: str | None, result: str = "succeeded", *, kind: str = "x", reason: str | None = None, on: str = DAY.isoformat()
    ) -> None:
        """The bank's end of an order, of as much as was ordered."""
        assert number is not None
        done = result == "succeeded"
        fen = next((m.amount_fen for m in self.sent if isinstance(m, PlaceOrder) and m.id == number), 0) if done else 0
        self.tell(OrderEnded(id=number, kind=kind, result=result, reason=reason, booked_date=on if done else None, amount_fen=fen))

    def loop(self) -> None:
        """Messages of the loan to itself arrive."""
        while own := [m for m in self.sent if isinstance(m, FailStep | PlanStep)]:
            self.sent = [m for m in self.sent if m not in own]
            for message in own:
                self.tell(message)

    def place(self, n: int, fen: int, *, investor: str | None = None) -> BidStatus:
        who = investor or f"investor {n}"
        self.tell(PlaceBid(id=bid_id(n), loan=LOAN, investor=who, person_lookup=f"person {who}", custody_no=f"6{n}", amount_fen=fen))
        return self.bid(n).status

    def page(self, n: int) -> None:
        self.tell(OrderAwaiting(id=bid_id(n), page_url="http://bank/p"))


def publish(**changes: Any) -> Publish:
    said: dict[str, Any] = {
        "id": LOAN, "borrower": "wang", "person_lookup": "person wang", "custody_no": "69", "title": "shop", "amount_fen": 100_000,
        "annual_rate": "0.12", "investor_rate": "0.10", "months": 3, "method": "equal_installment", "raising_days": 5,
    }  # fmt: skip
    return Publish(**{**said, **changes})


def raising() -> Desk:
    desk = Desk()
    desk.tell(publish())
    desk.tell(PassFirstAudit(id=LOAN, auditor="an"))
    desk.bank(desk.now.establish_no)
    assert desk.stands() is Status.RAISING
    return desk


def full() -> Desk:
    desk = raising()
    for n, fen in ((1, 60_000), (2, 40_000)):
        desk.place(n, fen)
        desk.bank(bid_id(n))
    assert desk.stands() is Status.FULL
    return desk


def disbursing() -> Desk:
    desk = full()
    desk.tell(ApproveFull(id=LOAN, auditor="bo"))
    return desk


def repaying() -> Desk:
    desk = disbursing()
    desk.bank(desk.now.confirm_no)
    return desk
