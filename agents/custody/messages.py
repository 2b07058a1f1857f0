"""What may be said to custody, the platform's side of the bank, and what it says (FLOWS 3).

An order is one instruction to the bank; its id is the request number there. Whoever places it says where it wants the answers:
they go to that service's own mailbox, keyed by that actor. Amounts are fen, dates business dates as ISO text.
"""

from typing import Any

from pydantic import Field

from agents.runtime.decision import Message, Need

TOPIC = "custody.commands"
USERS, TRADING, REPAYMENTS = "users.commands", "trading.commands", "repayments.commands"  # who places orders hears of them


class PlaceOrder(Message):
    """Put this instruction to the bank, until it is answered for good. The same number with other content is refused.

    `content` is what the bank is told, by kind (docs/bank-api.md); `sealed_content` holds what of it is personal, a JSON object
    whose every value is sealed for its field. `page`: the member confirms on the bank's page, else the instruction is direct.
    """

    type = "custody.PlaceOrder"
    topic = TOPIC
    sealed = frozenset({"sealed_content"})
    id: str  # request_no
    kind: str
    content: dict[str, Any]
    sealed_content: str | None = None
    page: bool
    amount_fen: int  # 0 where the kind has none
    reply_topic: str
    reply_key: str


class CloseOrder(Message):
    """Whoever placed the order gives it up: the bank is asked to close it, and what the bank says is its end."""

    type = "custody.CloseOrder"
    topic = TOPIC
    id: str


class Notice(Message):
    """A webhook of the bank about an order, verified; `body` is the exact text that was signed. Evidence, not yet the truth."""

    type = "custody.Notice"
    topic = TOPIC
    id: str  # request_no
    webhook_id: str
    body: str
    kind: str
    status: str
    amount_fen: int
    booked_date: str | None
    reason: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class DateNotice(Message):
    """A webhook of the bank: it stands on this business date now. Keyed by the calendar."""

    type = "custody.DateNotice"
    topic = TOPIC
    id: str  # calendar
    date: str


class Registered(Message):
    """The bank's answer to the registration of an order (the outcome of an attempt).

    `status` is AWAITING (with the page), ACCEPTED, or a final one; REJECTED: the bank will never take this number with this content.
    """

    type = "custody.Registered"
    topic = TOPIC
    id: str
    status: str
    page_url: str | None = None
    reason: str | None = None
    amount_fen: int = 0
    booked_date: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class Queried(Message):
    """The bank's answer to a question about an order; UNKNOWN is not final. `asked` is which question it was."""

    type = "custody.Queried"
    topic = TOPIC
    id: str
    asked: int
    status: str
    kind: str | None = None
    amount_fen: int = 0
    booked_date: str | None = None
    reason: str | None = None
    page_url: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class Closed(Message):
    """The bank's answer to `close`: what the order is for good now."""

    type = "custody.Closed"
    topic = TOPIC
    id: str
    status: str
    amount_fen: int = 0
    booked_date: str | None = None
    reason: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class ResultDue(Message):
    """No final answer yet: ask again. `round` counts from 1."""

    type = "custody.ResultDue"
    topic = TOPIC
    id: str
    round: int


class NoticeAlone(Message):
    """The query has not been answered for a minute after a notice: the notice decides, unverified."""

    type = "custody.NoticeAlone"
    topic = TOPIC
    id: str


class AskDate(Message):
    """Time to ask the bank for its business date. Keyed by the calendar."""

    type = "custody.AskDate"
    topic = TOPIC
    id: str  # calendar


class DateAnswered(Message):
    """The bank stands on this business date (the outcome of an attempt)."""

    type = "custody.DateAnswered"
    topic = TOPIC
    id: str  # calendar
    date: str


class OrderAwaiting(Message):
    """The bank waits for the member's confirmation on this page. To whoever placed the order."""

    type = "custody.OrderAwaiting"
    topic = USERS
    also = (TRADING, REPAYMENTS)
    id: str
    page_url: str

    def needs(self) -> tuple[Need, ...]:
        """What the order is of, in the store of whoever placed it."""
        return (Need("order", self.id),)


class OrderEnded(Message):
    """What the bank has made of an order, for good: `succeeded`, `refused` or `closed`. To whoever placed it.

    `details` hold what the kind yields: the `custody_no` of an account, the masked card, the parts of a set.
    """

    type = "custody.OrderEnded"
    topic = USERS
    also = (TRADING, REPAYMENTS)
    id: str
    kind: str
    result: str
    reason: str | None = None
    booked_date: str | None = None
    amount_fen: int = 0
    unverified: bool = False
    details: dict[str, Any] = Field(default_factory=dict)

    def needs(self) -> tuple[Need, ...]:
        """What the order is of, in the store of whoever placed it."""
        return (Need("order", self.id),)


class OrderDisputed(Message):
    """The bank's notice and its answer to a query do not agree: a break, which a person ends. To whoever placed the order."""

    type = "custody.OrderDisputed"
    topic = USERS
    also = (TRADING, REPAYMENTS)
    id: str
    noticed: str
    queried: str

    def needs(self) -> tuple[Need, ...]:
        """What the order is of, in the store of whoever placed it."""
        return (Need("order", self.id),)


class DateRolled(Message):
    """The business date is this one now: one message a day, in order, none skipped. To the calendar of every dated service."""

    type = "custody.DateRolled"
    topic = TRADING
    also = (REPAYMENTS,)
    id: str  # calendar
    date: str


COMMANDS: tuple[type[Message], ...] = (
    PlaceOrder,
    CloseOrder,
    Notice,
    DateNotice,
    Registered,
    Queried,
    Closed,
    ResultDue,
    NoticeAlone,
    AskDate,
    DateAnswered,
)
SAYS: tuple[type[Message], ...] = (OrderAwaiting, OrderEnded, OrderDisputed, DateRolled)
