"""Custody's things: an order, which is one instruction to the bank, and the bank's business date as the platform knows it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any, Self


class Status(StrEnum):
    """Where an order is. CREATED: not registered at the bank yet. The last three are final and never change."""

    CREATED = "CREATED"
    AWAITING_MEMBER = "AWAITING_MEMBER"
    ACCEPTED = "ACCEPTED"
    SUCCEEDED = "SUCCEEDED"
    REFUSED = "REFUSED"
    CLOSED = "CLOSED"

    @property
    def is_final(self) -> bool:
        """Nothing changes any more."""
        return self in (Status.SUCCEEDED, Status.REFUSED, Status.CLOSED)


@dataclass(frozen=True, slots=True)
class Result:
    """What somebody says that the bank has made of an order."""

    status: str
    amount_fen: int
    booked_date: str | None
    reason: str | None
    details: Mapping[str, Any]

    def agrees(self, other: "Result") -> bool:
        """Whether both say the same of what counts."""
        return (self.status, self.amount_fen, self.booked_date) == (other.status, other.amount_fen, other.booked_date)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A notice as it came: the exact text that was signed."""

    webhook_id: str
    order: str
    status: str
    body: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Break:
    """A disagreement between platform and bank that a person has to see (差错)."""

    order: str
    kind: str
    noticed: str
    queried: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Order:
    """One instruction to the bank, under its request number.

    `round` counts the timer's firings, `asked` the questions, `registrations` how often it was put; `asking_ms` is since when the
    last question waits for its answer (0: it does not). `noticed` is what the first notice that fits says. `trace` is whose
    business it is, which the bank's notices do not know. `evidence` and `breaks` are new rows of this batch.
    """

    id: str
    kind: str
    page: bool
    content: Mapping[str, Any]
    sealed_content: str | None
    content_hash: str
    amount_fen: int
    reply_topic: str
    reply_key: str
    status: Status
    created_ms: int
    changed_ms: int
    page_url: str | None = None
    result: Result | None = None
    unverified: bool = False
    noticed: Result | None = None
    disputed: bool = False
    closing: bool = False
    round: int = 0
    asked: int = 0
    asking_ms: int = 0
    registrations: int = 0
    trace: str = ""
    evidence: tuple[Evidence, ...] = ()
    breaks: tuple[Break, ...] = ()

    def but(self, **changes: Any) -> Self:
        """The same order with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Stray:
    """A request number that custody has no order of: what came about it is kept, and nothing else."""

    id: str
    evidence: tuple[Evidence, ...] = ()
    breaks: tuple[Break, ...] = ()

    def but(self, **changes: Any) -> Self:
        """The same number with more that came."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class BankDate:
    """The bank's business date as it was heard of last, and how often it was asked for."""

    key: str
    day: date | None
    asked: int
    asking_ms: int
