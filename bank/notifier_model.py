"""A notice: what the bank tells a platform, with the exact bytes, and every try to tell it."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self


class State(StrEnum):
    """Where a notice is; the last three are final."""

    SENDING = "SENDING"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    GIVEN_UP = "GIVEN_UP"  # the budget is spent; the platform's query tells it
    GONE = "GONE"  # the platform has said that it wants no more of it (410)

    @property
    def is_final(self) -> bool:
        """Nothing is sent any more."""
        return self is not State.SENDING


@dataclass(frozen=True, slots=True)
class Try:
    """One try: when, for how long, and the HTTP status, or why there was none."""

    n: int
    at_ms: int
    took_ms: int
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice; `body` never changes, nor does `webhook_id`. `new_tries` are not stored yet."""

    id: str
    platform: str
    type: str
    webhook_id: str
    body: str
    state: State
    tries: int
    created_ms: int
    changed_ms: int
    new_tries: tuple[Try, ...] = ()

    def but(self, **changes: Any) -> Self:
        """The same notice with some fields changed."""
        return replace(self, **changes)
