"""One order of custody on a desk, and what is said to it."""

from typing import Any

from agents.custody.behaviour import behave
from agents.custody.messages import (
    Notice,
    PlaceOrder,
    Queried,
    Registered,
)
from agents.custody.model import Order, Status
from agents.runtime.decision import ClearTimer, Context, Decision, Message, SetTimer
from config.custody import Policy

ID = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
URL = "http://bank/pages/x"
POLICY = Policy()
END: dict[str, Any] = {"status": "SUCCEEDED", "amount_fen": 500, "booked_date": "2026-03-02", "reason": None, "details": {"a": 1}}
NO: dict[str, Any] = {"status": "REFUSED", "amount_fen": 500, "booked_date": None, "reason": "insufficient", "details": {}}


class Desk:
    """One order, told one message after another."""

    def __init__(self) -> None:
        self.order: Order | None = None
        self.now_ms = 1_000_000
        self.sends: list[tuple[str, str | None, Message]] = []
        self.asked: list[str] = []
        self.timers: dict[str, Message] = {}
        self.count = 0

    def tell(self, message: Message, *, after_ms: int = 1, trace: str = "bank") -> Decision[Any]:
        self.now_ms += after_ms
        self.count += 1
        context = Context(ID, f"00000000-0000-4000-8000-{self.count:012d}", self.now_ms, trace_id=trace)
        decision = behave(self.order, message, context, POLICY)
        self.order = decision.state
        self.sends += [(s.key, s.topic, s.message) for s in decision.sends]
        self.asked += [f"{a.target} {a.number}" for a in decision.attempts]
        for timer in decision.timers:
            if isinstance(timer, SetTimer):
                self.timers[timer.name] = timer.message
            elif isinstance(timer, ClearTimer):
                self.timers.pop(timer.name, None)
        return decision

    def stands(self) -> Status:
        assert self.order is not None
        return self.order.status

    @property
    def said(self) -> list[Message]:
        return [message for _, _, message in self.sends]


def place(**changes: Any) -> PlaceOrder:
    said: dict[str, Any] = {
        "id": ID, "kind": "recharge", "content": {"custody_no": "6", "amount_fen": 500}, "page": True, "amount_fen": 500,
        "reply_topic": "users.commands", "reply_key": "member",
    }  # fmt: skip
    return PlaceOrder(**{**said, **changes})


def a_notice(webhook: str = "w1", **changes: Any) -> Notice:
    return Notice(id=ID, webhook_id=webhook, body="{}", kind="recharge", **{**END, **changes})


def an_answer(asked: int = 1, **changes: Any) -> Queried:
    return Queried(id=ID, asked=asked, kind="recharge", **{**END, **changes})


def awaiting(desk: Desk) -> Desk:
    desk.tell(Registered(id=ID, status="AWAITING", page_url=URL))
    return desk
