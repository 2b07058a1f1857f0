"""Plans as they are told things, one message after another, with all that lies beside them at hand."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from agents.custody.messages import OrderAwaiting, OrderEnded, PlaceOrder
from agents.repayments.behaviour import State, behave
from agents.repayments.messages import CollectionStep, Command, Due, GeneratePlan, LentBid, MakeReceivables, Pay
from agents.repayments.model import Collection, Instalment, Plan
from agents.runtime.decision import Context, Decision, Message
from tests.unit.repayments.examples import BIDS, LOAN

M = TypeVar("M", bound=Message)
KEY = "0b7f2c5e-6a39-5d0b-9d0f-4c1f0a6f5a11"
BORROWER = "9d1c3b66-3a5f-5f5e-8c53-0a4b6a1d2e01"
PAYMENT, OTHER_PAYMENT = str(uuid.UUID(int=1, version=4)), str(uuid.UUID(int=2, version=4))
START = "2025-01-31"
FIRST_DUE, SECOND_DUE, LAST_DUE = "2025-02-28", "2025-03-31", "2026-01-31"
INSTALMENT_FEN = 88_849  # the loan of the cases
NOW_MS = 2_000


def lent(amounts: Sequence[int] = BIDS, first: int = 0) -> tuple[LentBid, ...]:
    """Bids of these amounts, each of an investor of his own."""
    return tuple(LentBid(id=f"bid-{n}", investor=f"investor-{n}", custody_no=f"C{n}", amount_fen=a) for n, a in enumerate(amounts, first))


def generate(amounts: Sequence[int] = BIDS, *, step: int = 0, last: bool = True, first: int = 0, **changes: Any) -> GeneratePlan:
    """What trading says of the loan of the cases."""
    said: dict[str, Any] = {
        "id": KEY,
        "borrower": BORROWER,
        "custody_no": "B1",
        "amount_fen": LOAN["principal"],
        "annual_rate": "0.12",
        "investor_rate": "0.1",
        "months": 12,
        "method": "equal_installment",
        "start_date": START,
        "project_no": KEY,
        **changes,
    }
    return GeneratePlan(step=step, bids=lent(amounts, first), last=last, **said)


def context(day: str | None = None, *, number: int = 1, instant_ms: int = NOW_MS) -> Context:
    """A context on a business date; `number` is the message."""
    return Context(KEY, str(uuid.UUID(int=number, version=5)), instant_ms, business_date=date.fromisoformat(day) if day else None)


def decided(plan: State | None, command: Command, day: str | None = None, **changes: Any) -> Decision[State]:
    """What a plan makes of it."""
    return behave(plan, command, context(day, **changes))


@dataclass
class Life:
    """One plan and all that it has said; what it says to itself it is told at once, once, and a second time for good measure."""

    plan: Plan | None = None
    day: str | None = None
    said: list[tuple[str, Message]] = field(default_factory=list)
    replies: list[Message] = field(default_factory=list)
    count: int = 0
    twice: bool = False

    def tell(self, command: Command) -> Decision[State]:
        """One message, and what follows from it inside the plan."""
        self.count += 1
        decision = behave(self.plan, command, context(self.day, number=self.count))
        assert decision.state is None or isinstance(decision.state, Plan)
        self.plan = decision.state
        if decision.reply is not None:
            self.replies.append(decision.reply)
        for key, message, _ in decision.sends:
            if isinstance(message, MakeReceivables | CollectionStep):
                for _ in range(1 + self.twice):
                    self.tell(message)
            else:
                self.said.append((key, message))
        return decision

    @property
    def now(self) -> Plan:
        """The plan."""
        assert self.plan is not None
        return self.plan

    @property
    def open(self) -> Collection:
        """The collection that is open."""
        assert self.now.open is not None
        return self.now.open

    @property
    def orders(self) -> list[PlaceOrder]:
        """Every order that was placed."""
        return self.all_of(PlaceOrder)

    def all_of(self, kind: type[M]) -> list[M]:
        """Everything of a kind that was said to others."""
        return [message for _, message in self.said if isinstance(message, kind)]

    def instalment(self, number: int) -> Instalment:
        """One of the plan's."""
        return self.now.seen.instalments[number]

    def collection(self, key: str) -> Collection:
        """One of the plan's."""
        return self.now.seen.collections[key]

    def on(self, day: str) -> "Life":
        """A business date comes, and something is due on it."""
        self.day = day
        self.tell(Due(id=KEY, date=day))
        return self

    def pay(self, key: str = PAYMENT, borrower: str = BORROWER) -> "Life":
        """The borrower wants to pay."""
        self.tell(Pay(id=key, loan=KEY, borrower=borrower))
        return self

    def page(self) -> "Life":
        """The bank has its page."""
        self.tell(OrderAwaiting(id=self.open.id, page_url="https://bank/p/1"))
        return self

    def ends(self, result: str = "succeeded", *, amount_fen: int | None = None, **changes: Any) -> "Life":
        """The bank answers the last order for good; all of it is held, on its date, unless something else is said."""
        order = self.orders[-1]
        amount = (order.amount_fen if result == "succeeded" else 0) if amount_fen is None else amount_fen
        said = {"booked_date": order.content.get("valid_on", self.day), **changes}
        self.tell(OrderEnded(id=order.id, kind=order.kind, result=result, amount_fen=amount, **said))
        return self


def made(amounts: Sequence[int] = BIDS, **changes: Any) -> Life:
    """A plan that is there, with nothing paid."""
    life = Life()
    life.tell(generate(amounts, **{"amount_fen": sum(amounts), **changes}))
    life.said.clear()
    return life
