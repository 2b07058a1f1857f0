"""The user centre's things: a registration (which outlives its outcome) and the member that it makes."""

from dataclasses import dataclass, replace
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
    """A business identity, one an account; `mobile` is sealed."""

    id: str
    role: str
    mobile: str
    status: MemberStatus
    created_ms: int


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

    def but(self, **changes: Any) -> Self:
        """The same registration with some fields changed."""
        return replace(self, **changes)
