"""The trading centre's things: a loan, from its draft until it is settled, and the bids for it.

A loan is one actor and carries the sums that it decides by. Its bids lie beside it: in `seen` are those that the messages of a
batch need, what a behaviour writes goes to `changed` too, which is what the store saves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

EVERY: Final = 2**31 - 1  # a place that no bid has: all bids are before it


class Status(StrEnum):
    """Where a loan is (标的). SUSPENDED waits for an operator; REFUSED, FAILED and SETTLED are ends."""

    DRAFT = "DRAFT"
    ESTABLISHING = "ESTABLISHING"
    RAISING = "RAISING"
    FULL = "FULL"
    DISBURSING = "DISBURSING"
    REPAYING = "REPAYING"
    SETTLED = "SETTLED"
    FAILING = "FAILING"
    FAILED = "FAILED"
    REFUSED = "REFUSED"
    SUSPENDED = "SUSPENDED"

    @property
    def is_final(self) -> bool:
        """Nothing changes any more."""
        return self in (Status.SETTLED, Status.FAILED, Status.REFUSED)


class BidStatus(StrEnum):
    """PENDING holds room; ACCEPTED is money held at the bank; RELEASING gives it back.

    SUSPENDED holds room too: the bank says two things of its hold, and its loan waits for an operator.
    """

    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    RELEASING = "RELEASING"
    RELEASED = "RELEASED"
    REFUSED = "REFUSED"
    SUSPENDED = "SUSPENDED"

    @property
    def is_open(self) -> bool:
        """It has room, and its hold has not ended."""
        return self in (BidStatus.PENDING, BidStatus.SUSPENDED)

    @property
    def is_final(self) -> bool:
        """Nothing changes any more; an accepted bid is lent by its loan's state."""
        return self in (BidStatus.RELEASED, BidStatus.REFUSED)


@dataclass(frozen=True, slots=True)
class Bid:
    """One investor's commitment; its id is the request number of its hold. `place` is its order among the loan's bids, from 1."""

    id: str
    loan: str
    place: int
    investor: str
    custody_no: str
    amount_fen: int
    status: BidStatus
    created_ms: int
    changed_ms: int
    page_url: str | None = None
    reason: str | None = None
    release_no: str | None = None

    def but(self, **changes: Any) -> Self:
        """The same bid with some fields changed."""
        return replace(self, **changes)


class Step(NamedTuple):
    """One line of a loan's history: it became this, then, because of that."""

    status: str
    at_ms: int
    who: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Loan:
    """A borrower's request. `accepted_fen` is held at the bank, `reserved_fen` waits for its holds.

    A failing loan goes through its bids by place: those up to `failing_after` (None: all) were taken up, and of these `ending` have
    not ended. `stood` is the state that a SUSPENDED loan was in. The numbers of its own orders are kept so that their ends are
    recognized; `confirm_no` is none once the bank has refused it. `windows` says which bids are seen: from a place on, up to which.
    """

    id: str
    borrower: str
    person_lookup: str
    custody_no: str
    title: str
    amount_fen: int
    annual_rate: str
    investor_rate: str
    months: int
    method: str
    raising_days: int
    status: Status
    created_ms: int
    changed_ms: int
    reason: str | None = None
    stood: str | None = None
    first_auditor: str | None = None
    second_auditor: str | None = None
    raising_until: str | None = None
    cap: str | None = None
    lpr_since: str | None = None
    accepted_fen: int = 0
    accepted: int = 0
    reserved_fen: int = 0
    places: int = 0
    establish_no: str | None = None
    confirm_no: str | None = None
    close_no: str | None = None
    ending: int = 0
    failing_after: int | None = None
    start_date: str | None = None
    plan_round: int = 0
    plan_checksum: str | None = None
    outstanding_fen: int = 0
    seen: Mapping[str, Bid] = field(default_factory=dict)
    windows: Mapping[int, int] = field(default_factory=dict)
    changed: Mapping[str, Bid] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    @property
    def where(self) -> Status:
        """The state that it is in, or was in when it was suspended."""
        return Status(self.stood) if self.status is Status.SUSPENDED and self.stood is not None else self.status

    @property
    def room_fen(self) -> int:
        """What may still be bid for."""
        return self.amount_fen - self.accepted_fen - self.reserved_fen

    def but(self, **changes: Any) -> Self:
        """The same loan with some fields changed."""
        return replace(self, **changes)

    def put(self, *bids: Bid) -> Self:
        """The loan with these bids written."""
        rows = {bid.id: bid for bid in bids}
        return replace(self, seen={**self.seen, **rows}, changed={**self.changed, **rows})

    def next_bids(self, after: int, *statuses: BidStatus) -> tuple[list[Bid], int]:
        """The next bids in these states, by place, and up to which place that are all (`EVERY`: there are no more)."""
        reach = self.windows[after]
        found = [bid for bid in self.seen.values() if after < bid.place <= reach and bid.status in statuses]
        return sorted(found, key=lambda bid: bid.place), reach


def may_resume(stood: str | None, confirm_no: str | None) -> bool:
    """Whether a SUSPENDED loan may go on where it stood; not while nobody knows whether its money has moved, or its project exists."""
    return stood != Status.ESTABLISHING.value and not (stood == Status.DISBURSING.value and confirm_no is not None)


def may_fail(stood: str | None, confirm_no: str | None) -> bool:
    """Whether a SUSPENDED loan may be given up: its money has surely not moved."""
    if stood == Status.DISBURSING.value:
        return confirm_no is None
    return stood in (Status.ESTABLISHING.value, Status.RAISING.value, Status.FULL.value, Status.FAILING.value)
