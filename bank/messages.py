"""What is said inside the bank: instructions to its ledger, and the results that its notifier tells platforms (FLOWS 3).

The bank's bus is its own; nothing of it is seen outside. One partition of `bank.instructions` is the ledger's one mailbox.
Amounts are fen, dates business dates as ISO text.
"""

from typing import Any

from pydantic import Field

from agents.runtime.decision import Message
from agents.runtime.messages import GATEWAY_REPLIES

TOPIC = "bank.instructions"
RESULTS = "bank.results"
DAY = "day:1"  # the key of the bank's business day


class Instruct(Message):
    """A platform puts an instruction; the same number with the same content is answered as it stands, with other content refused."""

    type = "bank.Instruct"
    topic = TOPIC
    sealed = frozenset({"sealed_content"})
    id: str  # request number
    platform: str
    kind: str
    page: bool
    content: dict[str, Any]
    sealed_content: str | None = None  # what of it is personal, a JSON object sealed as a whole
    content_mac: str  # keyed hash over the whole content
    person_lookup: str | None = None  # keyed hash of the identity number, where an account is opened


class ConfirmByMember(Message):
    """The member has confirmed on the bank's page; where an account is opened he has chosen his deposit password."""

    type = "bank.ConfirmByMember"
    topic = TOPIC
    sealed = frozenset({"password_hash"})
    id: str
    password_hash: str | None = None  # argon2id, sealed


class RefuseByMember(Message):
    """The member has refused on the bank's page."""

    type = "bank.RefuseByMember"
    topic = TOPIC
    id: str


class Execute(Message):
    """The bank's delay is over: move the money."""

    type = "bank.Execute"
    topic = TOPIC
    id: str


class Close(Message):
    """A platform gives an instruction up: what is not executed ends as closed, what is unknown is remembered as closed."""

    type = "bank.Close"
    topic = TOPIC
    id: str
    platform: str


class OpenDay(Message):
    """The bank's first business date; a bank that has one keeps it."""

    type = "bank.OpenDay"
    topic = TOPIC
    id: str
    date: str


class CloseDay(Message):
    """End this business date; the next one begins, and these platforms are told. Whoever is late with it changes nothing."""

    type = "bank.CloseDay"
    topic = TOPIC
    id: str
    date: str
    platforms: tuple[str, ...] = ()


class Answered(Message):
    """How an instruction stands: the answer to whoever put, closed, confirmed or refused it.

    `differs`: the number belongs to another content, or to another platform; nothing else is said then.
    """

    type = "bank.Answered"
    topic = GATEWAY_REPLIES
    final = True
    id: str
    status: str
    differs: bool = False


class DayStands(Message):
    """The business date on which the bank stands: the answer to whoever opened or closed a day."""

    type = "bank.DayStands"
    topic = GATEWAY_REPLIES
    final = True
    id: str
    date: str


class Ended(Message):
    """An instruction is final: succeeded, refused or closed. For the notifier."""

    type = "bank.Ended"
    topic = RESULTS
    id: str
    platform: str
    kind: str
    status: str
    amount_fen: int
    booked_date: str | None
    reason: str | None
    details: dict[str, Any] = Field(default_factory=dict)


class DayBegan(Message):
    """A business date has begun: one message for each platform. For the notifier."""

    type = "bank.DayBegan"
    topic = RESULTS
    id: str  # of this platform's notice of this date
    platform: str
    date: str


class NoticeTried(Message):
    """What came of the n-th try to tell a platform (the outcome of an attempt): the HTTP status, or why there is none."""

    type = "notifier.NoticeTried"
    topic = RESULTS
    id: str
    n: int
    at_ms: int
    took_ms: int
    status: int | None
    error: str | None


class NoticeDue(Message):
    """Time for the n-th try to tell a platform."""

    type = "notifier.NoticeDue"
    topic = RESULTS
    id: str
    n: int


Command = Instruct | ConfirmByMember | RefuseByMember | Execute | Close | OpenDay | CloseDay
COMMANDS: tuple[type[Message], ...] = (Instruct, ConfirmByMember, RefuseByMember, Execute, Close, OpenDay, CloseDay)
SAYS: tuple[type[Message], ...] = (Answered, DayStands, Ended, DayBegan, NoticeTried, NoticeDue)

Notifying = Ended | DayBegan | NoticeTried | NoticeDue
NOTIFYING: tuple[type[Message], ...] = (Ended, DayBegan, NoticeTried, NoticeDue)  # what the notifier is told
