"""The bank's things: requests, which are its actors, and what stands in the ledger that they share.

Money is whole fen. A member has two ledger accounts, available and held; the platform's fee, the card network and the
outside world have one each. Every movement is a transfer between two of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

CARD_NETWORK = "card_network"  # the outside world: money comes from it and goes to it, so it may stand below zero
FEE = "fee"
BID, REPAYMENT = "bid", "repayment"  # what a hold is for


class Status(StrEnum):
    """Where a request is; the last three are final and never change."""

    AWAITING = "AWAITING"
    ACCEPTED = "ACCEPTED"
    SUCCEEDED = "SUCCEEDED"
    REFUSED = "REFUSED"
    CLOSED = "CLOSED"

    @property
    def is_final(self) -> bool:
        """Nothing changes any more."""
        return self in (Status.SUCCEEDED, Status.REFUSED, Status.CLOSED)


@dataclass(frozen=True, slots=True)
class Request:
    """One request number and everything about it.

    `kind` empty: it was closed before anybody had put it, and will be refused for ever.
    """

    id: str
    platform: str
    kind: str
    page: bool
    content: Mapping[str, Any]
    sealed_content: str | None
    content_mac: str
    person_lookup: str | None
    password_hash: str | None  # sealed; only until the account is opened
    status: Status
    amount_fen: int
    booked_date: str | None
    reason: str | None
    details: Mapping[str, Any]
    created_ms: int
    changed_ms: int

    def but(self, **changes: Any) -> Self:
        """The same request with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Day:
    """The business day as an actor; the date itself is the ledger's (`Books.date`)."""

    key: str
    date: str


@dataclass(frozen=True, slots=True)
class Account:
    """A member's custody account; what stands on it is in the ledger. `password_hash` and `personal` are sealed."""

    custody_no: str
    member_id: str
    person_lookup: str
    personal: str
    card: str  # masked
    password_hash: str
    opened_date: str

    @property
    def available(self) -> str:
        """Its ledger account of what the member may dispose of."""
        return f"available:{self.custody_no}"

    @property
    def held(self) -> str:
        """Its ledger account of what is held."""
        return f"held:{self.custody_no}"


class HoldState(StrEnum):
    """What became of a hold."""

    HELD = "HELD"
    POSTED = "POSTED"
    RELEASED = "RELEASED"


@dataclass(frozen=True, slots=True)
class Hold:
    """Money of a member that is held for a project: a bid, or a repayment that is being collected."""

    request_no: str
    project_no: str
    custody_no: str
    amount_fen: int
    purpose: str  # BID or REPAYMENT
    state: HoldState


class ProjectState(StrEnum):
    """RAISING takes bids, CONFIRMED was paid out, CLOSED takes nothing more."""

    RAISING = "RAISING"
    CONFIRMED = "CONFIRMED"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True)
class Project:
    """A loan as the bank knows it, with the count and sum of what is held for it: bids, later a repayment."""

    project_no: str
    custody_no: str  # the borrower's
    amount_fen: int
    state: ProjectState
    holds: int = 0
    held_fen: int = 0


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a member lets the platform do without his password, up to an amount each time and until a date."""

    authorization_no: str
    custody_no: str
    scope: str
    cap_fen: int
    expires_on: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Move an amount from one ledger account to another."""

    debit: str
    credit: str
    amount_fen: int


Entry = Transfer | Account | Hold | Project | Authorization | Day


@dataclass(frozen=True, slots=True)
class Posting:
    """The entries of one request: all of them, or none."""

    request_no: str
    at_ms: int
    entries: tuple[Entry, ...] = field(default=())
