"""What a behaviour sees and what it says: the message, the context it is handled in, and the decision.

`behave(state, message, context) -> Decision(state after, messages to send, timers, answer)`; no I/O, no clock, no randomness.
Imports nothing of ours, so that messages, models and behaviours can stand on it.
"""

from collections.abc import Mapping
from datetime import date
from hashlib import sha1
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict

S = TypeVar("S")

_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}  # the two bits that say whose UUIDs these are


class Claim(NamedTuple):
    """A value that only one actor of a service may own, e.g. a login name. `value` is canonical or a keyed hash."""

    name: str
    value: str


class Need(NamedTuple):
    """Rows beside an actor that handling a message wants to see, e.g. one bid of a loan, or the next ones of a step.

    What `kind` there is, and what `key` and `after` mean, says the service's store; `limit` bounds how many rows may come (0: by key, all).
    """

    kind: str
    key: str = ""
    after: str = ""
    limit: int = 0


class Message(BaseModel):
    """Anything that is said on the bus: typed, versioned, addressed to one topic (`topic`), keyed by one actor's id.

    `type` is the name on the wire; `sealed` names the fields that hold sealed values; `final` marks an answer
    that ends a person's wait; `also` names further topics where it may stand: of others who may have asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_bytes="base64", val_json_bytes="base64")
    type: ClassVar[str]
    topic: ClassVar[str]
    version: ClassVar[int] = 1
    sealed: ClassVar[frozenset[str]] = frozenset()
    final: ClassVar[bool] = False
    also: ClassVar[tuple[str, ...]] = ()

    def claims(self) -> tuple[Claim, ...]:
        """The values that handling this message wants to own; the loop finds out who has them before `behave`."""
        return ()

    def needs(self) -> tuple[Need, ...]:
        """The rows beside its actor that handling this message wants to see; the store loads them with the actor."""
        return ()

    def thing(self, actor: str) -> str:
        """What a person who says this waits for, or is told of: the actor, unless the message is about something of it (a loan's bid)."""
        return actor


class Send(NamedTuple):
    """A message to one actor, keyed by `key`, after COMMIT. It goes to the message's own topic.

    An answer that several services may be told (an order's end) goes to the topic of the one that asked: `topic`.
    """

    key: str
    message: Message
    topic: str | None = None


class SetTimer(NamedTuple):
    """At `due_ms` (UTC) the actor gets `message`; a timer of the same name is replaced."""

    name: str
    due_ms: int
    message: Message


class ClearTimer(NamedTuple):
    """What the timer waited for has ended."""

    name: str


class Attempt(NamedTuple):
    """Something to ask of the outside world: never called in the loop, repeated by a pool until it is answered.

    `target` names the caller that the service declares; `number` is its idempotency key there.
    """

    target: str
    number: str
    content: Mapping[str, Any]


class Context(NamedTuple):
    """What the loop looked up: when it is, who asks, which message this is, and which claims others own.

    `business_date` and `books` are there for a service that has them (`Service`); books are read here and changed by entries.
    """

    actor: str
    message_id: str
    instant_ms: int
    principal: str = "anonymous"
    trace_id: str = ""
    business_date: date | None = None
    claims_lost: tuple[str, ...] = ()
    books: Any = None


class Decision(NamedTuple, Generic[S]):
    """The state after (None: the actor is nothing, or is nothing any more), and what follows from it.

    `answer` goes back to whoever asked, keyed by this actor; `reply` is the final answer to every person who waits
    for its thing; `aliases` are business ids that `lendbus trace` shall find this actor's trace by.
    `frees` are claims that the actor gives back while it goes on; `entries` go into the service's books, all or none;
    `business_date` is the date on which the service stands from now on; `trace` is the trace that what follows belongs to, where
    the message came from outside and does not know it.
    A refusal keeps the state as it was and takes no claims.
    """

    state: S | None
    answer: Message | None = None
    sends: tuple[Send, ...] = ()
    timers: tuple[SetTimer | ClearTimer, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    reply: Message | None = None
    aliases: tuple[str, ...] = ()
    refused: bool = False
    frees: tuple[Claim, ...] = ()
    entries: tuple[Any, ...] = ()
    business_date: date | None = None
    trace: str | None = None

    @classmethod
    def refuse(cls, answer: Message, *, state: S | None = None) -> Self:
        """Say no: the actor stays as it was (`state`), its claims are not taken."""
        return cls(state, answer=answer, refused=True)

    @classmethod
    def forget(cls, *, answer: Message | None = None) -> Self:
        """The actor is gone, and what it owned is free for those after it."""
        return cls(None, answer=answer)

    @classmethod
    def stay(cls, state: S | None) -> Self:
        """Nothing changes and nothing is said."""
        return cls(state)


def derived_id(message_id: str, ordinal: int | str) -> str:
    """The id of the `ordinal`-th thing that follows from a message: UUIDv5, so a repeat makes the same (FLOWS 1.2).

    RFC 9562, 5.5, spelled out: `uuid.uuid5` takes four times as long, and the loop makes one for everything it sends.
    """
    name = bytes.fromhex(message_id.replace("-", "")) + str(ordinal).encode()
    text = sha1(name, usedforsecurity=False).hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"
