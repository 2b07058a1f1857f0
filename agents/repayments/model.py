"""Repayments' things: a plan with its instalments, what each investor is owed of them, and the collections of what is due.

A plan is one actor. What it is handled with lies beside it in `seen`, as far as the messages of a batch need it; what a behaviour
writes of it goes to `changed` too, which is what the store saves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple, Self


class PlanStatus(StrEnum):
    """RECEIVING its bids, MAKING its receivables, REPAYING, SETTLED."""

    RECEIVING = "RECEIVING"
    MAKING = "MAKING"
    REPAYING = "REPAYING"
    SETTLED = "SETTLED"

    @property
    def is_made(self) -> bool:
        """The plan is there, whole."""
        return self in (PlanStatus.REPAYING, PlanStatus.SETTLED)


class InstalmentStatus(StrEnum):
    """OVERDUE from the day after its date until it is PAID, also when a part of it is."""

    PLANNED = "PLANNED"
    PARTLY_PAID = "PARTLY_PAID"
    OVERDUE = "OVERDUE"
    PAID = "PAID"


class CollectionStatus(StrEnum):
    """FROZEN: the bank holds the money; RELEASING: it is being given back. The other ends are BOOKED, NOTHING and RELEASED."""

    OPEN = "OPEN"
    FROZEN = "FROZEN"
    BOOKING = "BOOKING"
    BOOKED = "BOOKED"
    NOTHING = "NOTHING"
    SUSPENDED = "SUSPENDED"
    RELEASING = "RELEASING"
    RELEASED = "RELEASED"

    @property
    def is_final(self) -> bool:
        """Nothing changes any more."""
        return self in (CollectionStatus.BOOKED, CollectionStatus.NOTHING, CollectionStatus.RELEASED)


class Way(StrEnum):
    """How a collection is confirmed: under the borrower's authorization, or by the borrower on the bank's page."""

    AUTHORIZED = "AUTHORIZED"
    PAGE = "PAGE"


class Bid(NamedTuple):
    """An accepted bid, now a claim; `place` is its order among the loan's, from 0."""

    place: int
    id: str
    investor: str
    custody_no: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Instalment:
    """A row of the borrower's plan: the interest is the investors' pool and the platform's fee; `balance_fen` is left after it."""

    number: int
    due_date: str
    principal_fen: int
    pool_fen: int
    fee_fen: int
    balance_fen: int
    status: InstalmentStatus = InstalmentStatus.PLANNED
    principal_paid_fen: int = 0
    pool_paid_fen: int = 0
    fee_paid_fen: int = 0
    penalty_paid_fen: int = 0
    paid_on: str | None = None  # the business date of the payment that closed it

    @property
    def interest_fen(self) -> int:
        """What the borrower pays as its interest."""
        return self.pool_fen + self.fee_fen

    @property
    def owed_fen(self) -> int:
        """What is still owed, without penalty."""
        planned = self.principal_fen + self.pool_fen + self.fee_fen
        return planned - self.principal_paid_fen - self.pool_paid_fen - self.fee_paid_fen

    def but(self, **changes: Any) -> Self:
        """The same instalment with some fields changed."""
        return replace(self, **changes)


class Receivable(NamedTuple):
    """An investor's part of an instalment, and what has been paid of it."""

    number: int
    place: int
    investor: str
    principal_fen: int
    interest_fen: int
    principal_paid_fen: int = 0
    interest_paid_fen: int = 0
    penalty_paid_fen: int = 0


@dataclass(frozen=True, slots=True)
class Collection:
    """One payment being collected; its id is its request number at the bank, `order_no` that of the booking or release under way.

    `step` is the instalment and the place of the claim where the allocation, or the booking, goes on; None: it is whole, or not begun.
    `open_id` names, in a payment that was not begun, the collection that was open already.
    """

    id: str
    way: Way
    status: CollectionStatus
    due_fen: int
    valid_on: str
    created_ms: int
    changed_ms: int
    amount_fen: int = 0
    booked_date: str | None = None
    page_url: str | None = None
    reason: str | None = None
    order_no: str | None = None
    step: tuple[int, int] | None = None
    open_id: str | None = None

    def but(self, **changes: Any) -> Self:
        """The same collection with some fields changed."""
        return replace(self, **changes)


class Allotment(NamedTuple):
    """What a collection gives to one instalment."""

    collection: str
    number: int
    penalty_fen: int
    pool_fen: int
    fee_fen: int
    principal_fen: int

    @property
    def total_fen(self) -> int:
        """All of it."""
        return self.penalty_fen + self.pool_fen + self.fee_fen + self.principal_fen


class Record(NamedTuple):
    """What a collection gives to one claim of one instalment (还款明细)."""

    collection: str
    number: int
    place: int
    penalty_fen: int
    interest_fen: int
    principal_fen: int

    @property
    def total_fen(self) -> int:
        """All of it."""
        return self.penalty_fen + self.interest_fen + self.principal_fen


class Part(NamedTuple):
    """What a collection gives to one custody account."""

    custody_no: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows beside a plan, each under its key."""

    bids: Mapping[int, Bid] = field(default_factory=dict)
    instalments: Mapping[int, Instalment] = field(default_factory=dict)
    receivables: Mapping[tuple[int, int], Receivable] = field(default_factory=dict)
    collections: Mapping[str, Collection] = field(default_factory=dict)
    allotments: Mapping[tuple[str, int], Allotment] = field(default_factory=dict)
    records: Mapping[tuple[str, int, int], Record] = field(default_factory=dict)

    def with_(self, rows: "Rows") -> "Rows":
        """These rows, with others in their place or besides them."""
        return Rows(
            {**self.bids, **rows.bids},
            {**self.instalments, **rows.instalments},
            {**self.receivables, **rows.receivables},
            {**self.collections, **rows.collections},
            {**self.allotments, **rows.allotments},
            {**self.records, **rows.records},
        )


NO_ROWS = Rows()


@dataclass(frozen=True, slots=True)
class Plan:
    """How one loan is repaid. `steps` of its bids have come, `made` receivables are there; `asked_on` is the last date that was due.

    `collection` is the one that is open; `next_due` the date of the earliest instalment that is not paid.
    """

    id: str
    borrower: str
    custody_no: str
    project_no: str
    amount_fen: int
    annual_rate: str
    investor_rate: str
    months: int
    method: str
    start_date: str
    status: PlanStatus
    steps: int
    bids: int
    made: int
    checksum: str
    outstanding_fen: int
    next_due: str | None = None
    asked_on: str | None = None
    collection: str | None = None
    seen: Rows = NO_ROWS
    changed: Rows = NO_ROWS
    parts: tuple[Part, ...] = ()  # of the open collection, from the records that are stored

    @property
    def open(self) -> Collection | None:
        """The collection that is open; the store always brings it."""
        return None if self.collection is None else self.seen.collections[self.collection]

    def but(self, **changes: Any) -> Self:
        """The same plan with some fields changed."""
        return replace(self, **changes)

    def put(self, rows: Rows) -> Self:
        """The plan with these rows written."""
        return replace(self, seen=self.seen.with_(rows), changed=self.changed.with_(rows))
