"""A login account: who may come in; no business data (SEED 1.4)."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self


class Status(StrEnum):
    """UNAVAILABLE while its registration is not decided."""

    UNAVAILABLE = "UNAVAILABLE"
    AVAILABLE = "AVAILABLE"


@dataclass(frozen=True, slots=True)
class Account:
    """The login identity of one member, or of somebody who works here; `mobile` (empty: none) and `password_hash` are sealed."""

    id: str
    login_name: str
    mobile: str
    mobile_lookup: str
    password_hash: str
    status: Status
    created_ms: int
    role: str

    def with_status(self, status: Status) -> Self:
        """The same account in another status."""
        return replace(self, status=status)
