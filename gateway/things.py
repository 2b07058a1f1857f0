"""What the documents of a person's things have in common: a status, the bank's page while it waits for one, and how it has ended."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, Field

from agents.runtime.decision import Message
from agents.runtime.messages import Suspended

PENDING: Final = "PENDING"
SUSPENDED: Final = "SUSPENDED"
ID: Final[dict[str, Any]] = {"format": "uuid"}
INSTANT: Final[dict[str, Any]] = {"format": "date-time"}
INTERNAL: Final = ("operator", "disputed")
DATE: Final[dict[str, Any]] = {"format": "date"}


class Thing(BaseModel):
    """Something that a person has asked for. `FINAL` are the statuses in which that has ended, well or not."""

    FINAL: ClassVar[frozenset[str]]
    id: str = Field(json_schema_extra=ID)
    status: str
    page_url: str | None = Field(None, description="the bank's page on which the person confirms, while it is not final")
    reason: str | None = Field(None, description="stable code: why it was refused")
    created_at: str | None = Field(None, json_schema_extra=INSTANT)
    changed_at: str | None = Field(None, json_schema_extra=INSTANT)

    @property
    def is_final(self) -> bool:
        """What was asked for has ended."""
        return self.status in self.FINAL

    @property
    def is_made(self) -> bool:
        """A POST need not say `202`: nothing is awaited."""
        return self.is_final

    @property
    def is_settled(self) -> bool:
        """Waiting longer shows nothing new: it has ended, waits for an operator, or waits for the person at the bank."""
        return self.is_final or self.status == SUSPENDED or self.page_url is not None

    def told(self, answer: Message) -> Self:
        """As it is after an answer of the bus."""
        if isinstance(answer, Suspended):
            return self.model_copy(update={"status": SUSPENDED})
        if not answer.final:
            return self
        said = {name: value for name in ("status", "page_url", "reason") if (value := getattr(answer, name, None)) is not None}
        if (refused := getattr(answer, "refused", None)) is not None:
            said["reason"] = refused
        return self.model_copy(update=said)


def instant(at_ms: int) -> str:
    """Milliseconds UTC as RFC 3339."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def page_of(status: str, final: frozenset[str], page_url: str | None) -> str | None:
    """The bank's page, while there is something to confirm on it."""
    return None if status in final else page_url


def public_reason(reason: str | None) -> str | None:
    """Why, for the person: what an operator has written, and what notice and query said against each other, is not for him."""
    head, _, _ = (reason or "").partition(":")
    return head if head in INTERNAL else reason
