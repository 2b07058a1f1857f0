"""The user centre's things: a registration (which outlives its outcome), the member that it makes, and the member's bank business.

A member's openings, recharges and authorizations lie beside it: in `seen` are those that the messages of a batch need, what a
behaviour writes goes to `changed` too, which is what the store saves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self


class Status(StrEnum):
    """Where a registration is; CONFIRMING and CANCELLING are decisions and never flip."""

    TRYING = "TRYING"
    CONFIRMING = "CONFIRMING"
    CONFIRMED = "CONFIRMED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Nothing changes any more."""
        return self in (Status.CONFIRMED, Status.CANCELLED)


class MemberStatus(StrEnum):
    """UNAVAILABLE while the registration is not decided."""

    UNAVAILABLE = "UNAVAILABLE"
    AVAILABLE = "AVAILABLE"


@dataclass(frozen=True, slots=True)
class Member:
    """A business identity, one an account; `mobile` is sealed. `opening` is the request for a custody account that is open."""

    id: str
    role: str
    mobile: str
    status: MemberStatus
    created_ms: int
    custody_no: str | None = None
    card: str | None = None  # masked by the bank
    person_lookup: str | None = None
    opening: str | None = None

    def but(self, **changes: Any) -> Self:
        """The same member with some fields changed."""
        return replace(self, **changes)


class Kind(StrEnum):
    """What a member wants of the bank."""

    OPENING = "opening"
    TRANSFER = "transfer"
    AUTHORIZATION = "authorization"


class Standing(StrEnum):
    """Where a member's request to the bank is. SUSPENDED waits for a person; OPENED, DONE, ON, REFUSED and CLOSED are ends."""

    PENDING = "PENDING"
    AWAITING = "AWAITING"
    OPENED = "OPENED"
    DONE = "DONE"
    ON = "ON"
    REFUSED = "REFUSED"
    CLOSED = "CLOSED"
    SUSPENDED = "SUSPENDED"

    @property
    def is_final(self) -> bool:
        """Nothing changes any more."""
        return self not in (Standing.PENDING, Standing.AWAITING, Standing.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Dealing:
    """One request of a member to the bank; its id is its request number there.

    An opening has `person_lookup`, `custody_no` and `card`, and in `open_id` the one beside which it was not begun; a transfer
    `amount_fen`; an authorization `amount_fen`, its cap, and `expires_on`.
    """

    kind: Kind
    id: str
    member: str
    status: Standing
    created_ms: int
    changed_ms: int
    page_url: str | None = None
    reason: str | None = None
    amount_fen: int = 0
    expires_on: str | None = None
    person_lookup: str | None = None
    custody_no: str | None = None
    card: str | None = None
    open_id: str | None = None

    def but(self, **changes: Any) -> Self:
        """The same request with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Registration:
    """One registration as its coordinator sees it; `round` counts how often the second phase was said."""

    id: str
    login_name: str
    status: Status
    reason: str | None
    round: int
    stuck: bool
    created_ms: int
    changed_ms: int
    member: Member | None
    seen: Mapping[str, Dealing] = field(default_factory=dict)
    changed: Mapping[str, Dealing] = field(default_factory=dict)

    def put(self, dealing: Dealing) -> Self:
        """The same registration with this request of its member written."""
        return replace(self, seen={**self.seen, dealing.id: dealing}, changed={**self.changed, dealing.id: dealing})

    def but(self, **changes: Any) -> Self:
        """The same registration with some fields changed."""
        return replace(self, **changes)
