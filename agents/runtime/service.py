"""What a service declares: its messages, its tables and its behaviour; nothing else (DESIGN 1)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from agents.runtime.books import BookStore
from agents.runtime.decision import Context, Decision, Message
from agents.runtime.tcc import Participant
from config.retry import ATTEMPTS, Schedule
from stores.actors import ActorStore

S = TypeVar("S")

# Asks the outside world: `call(number, content)` returns the answer as a message to the actor. Raising means *unknown*: ask again.
Caller = Callable[[str, Mapping[str, Any]], Awaitable[Message]]


@dataclass(frozen=True)
class Service(Generic[S]):
    """One service: the mailbox it reads, what may be said to it, how its actors are stored, and what it decides.

    `participant` puts the TCC barrier around the behaviour; `callers` are the targets of its attempts by name, which are repeated by
    the schedule `attempts`. `is_final` says of a state and a thing of it that nothing changes any more: whoever repeats a message
    about it has no answer left to wait for. `books` is what all actors of the mailbox share (one partition only); `dated` services
    stand on a business date.
    """

    name: str
    topic: str
    messages: tuple[type[Message], ...]
    store: ActorStore[S]
    behave: Callable[[S | None, Any, Context], Decision[S]]
    participant: Participant | None = None
    callers: Mapping[str, Caller] = field(default_factory=dict)
    is_final: Callable[[S, str], bool] = lambda _, __: False
    books: BookStore[S] | None = None
    dated: bool = False
    attempts: Schedule = ATTEMPTS

    @property
    def registry(self) -> dict[str, type[Message]]:
        """Type on the wire → message."""
        return {m.type: m for m in self.messages}
