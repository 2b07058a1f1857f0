"""Asking a service: one command onto the bus, a bounded wait for its end, and an honest answer either way (DESIGN 3).

The gateway waits and never depends: whatever the bus says or does not say, the store decides what is shown at the end.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, NamedTuple, Protocol, Self, TypeVar

from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.runtime.http.idempotency import HEADER
from agents.runtime.http.problems import Fault, Problem, away
from agents.runtime.http.replies import Replies, Subject, Ticket
from agents.runtime.http.store_reader import StoreUnreadable
from agents.runtime.messages import Mismatch
from bus.errors import BusAway, RecordRefused
from bus.log import Bus
from config import faults, logs

APPEND_FAILED_S: Final = 10.0  # so long after an append that failed the bus counts as one that takes nothing

log = logs.get("gateway")


class Document(Protocol):
    """A thing as a person may see it."""

    @property
    def is_settled(self) -> bool:
        """Waiting longer shows nothing new: it has ended, waits for an operator, or waits for the person."""

    def told(self, answer: Message) -> Self:
        """As it is after an answer of the bus; it is all that is known while the store cannot be read."""


D = TypeVar("D", bound=Document)


class Standing(NamedTuple, Generic[D]):
    """What a store knows of a thing at one moment, and the content-mac of the command that was asked."""

    found: D | None
    mac: str | None = None


class Question(NamedTuple):
    """One command of a person. `thing` is what is waited for, `actor` whom the command is for, `id` the command's message id."""

    thing: str
    actor: str
    id: str
    principal: str
    mac: str
    message: Message


class Outcome(NamedTuple, Generic[D]):
    """The thing at the end of the wait, and the last thing that was said about it."""

    document: D
    answer: Message | None


Look = Callable[[], Awaitable[Standing[D]]]  # may raise StoreUnreadable, and a Problem for what the person may not see


class Asking:
    """Sends commands of people and waits for what becomes of them."""

    def __init__(self, *, bus: Bus, replies: Replies, wait_ms: int, clock: Callable[[], int]) -> None:
        self._bus = bus
        self._replies = replies
        self._wait_s = wait_ms / 1000
        self._clock = clock
        self._append_failed_s = -math.inf

    @property
    def appends(self) -> bool:
        """Whether the bus takes records, as far as the last requests know; some time after a failure it may be tried again."""
        return time.monotonic() - self._append_failed_s > APPEND_FAILED_S

    async def ask(self, question: Question, look: Look[D], pending: D) -> Outcome[D]:
        """Send the command, wait for the end; the thing as it is then. Raises Problem."""
        with self.expect(question.id, question.mac) as ticket:  # not the thing's id: two people may decide the same about one thing
            await self.send(question, ticket)
            return await self.outcome(ticket, look, pending)

    @contextmanager
    def expect(self, subject: str, mac: str) -> Iterator[Ticket]:
        """A place to wait in; taken before anything costly is done. Raises Problem when all are taken."""
        with self._replies.expect(Subject(subject, mac)) as ticket:
            yield ticket

    async def send(self, question: Question, ticket: Ticket) -> None:
        """Put the command on the bus. Raises Problem."""
        origin = Origin(causation=question.id, trace=question.thing, principal=question.principal)
        record = encode(
            question.message,
            key=question.actor,
            message_id=question.id,
            origin=origin,
            now_ms=self._clock(),
            reply_to=ticket.reply_to,
            mac=question.mac,
        )
        try:
            with faults.around("gateway.send"):
                await self._bus.append([record])
            self._append_failed_s = -math.inf
        except (BusAway, RecordRefused) as exc:  # refused: a topic of ours was taken away, for what a request may hold is smaller
            self._append_failed_s = time.monotonic()
            log.warning("the bus does not take a request", why=str(exc))
            raise away("The bus does not answer; send the same request again, under the same key: it takes effect once.") from None

    async def outcome(self, ticket: Ticket, look: Look[D], pending: D) -> Outcome[D]:
        """Wait for an answer that ends it, or for what the store shows when the command was handled before. Raises Problem."""
        until_s = asyncio.get_running_loop().time() + self._wait_s
        document, mac = pending, ticket.subject.mac
        while (answer := await ticket.next(until_s)) is not None:
            if isinstance(answer, Mismatch):
                raise reused()
            document = document.told(answer)
            if document.is_settled:  # the store is read once more below
                break
            if (found := await _found(look, mac)) is not None and found.is_settled:
                return Outcome(found, answer)
        return Outcome(await _found(look, mac) or document, answer)


async def _found(look: Look[D], mac: str) -> D | None:
    """What the store says; None when it does not know yet or cannot be read. Raises Problem when it knows other content."""
    try:
        standing = await look()
    except StoreUnreadable as exc:
        log.warning("a store cannot be read", why=str(exc))
        return None
    if standing.mac is not None and standing.mac != mac:
        raise reused()
    return standing.found


def reused() -> Problem:
    """The same key with other content, also while the first is still running (CASES D14)."""
    detail = "This key was sent before with other content. A new request needs a new key."
    return Problem("idempotency_key_reused", detail, (Fault(code="idempotency_key_reused", detail=detail, header=HEADER),))
