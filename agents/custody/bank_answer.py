"""What the bank says of an instruction (docs/bank-api.md), read strictly: an answer of the API and the data of a notice alike."""

from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agents.runtime.canonical import Unacceptable, iso_date, uuid_text
from agents.runtime.canonical_json import INTEGER_MAX, canonical_bytes, parse_json

FINAL: Final = frozenset({"SUCCEEDED", "REFUSED", "CLOSED"})
_NUL: Final = b"\\u0000"  # no database of ours holds it


class Unreadable(Exception):
    """This is nothing that the bank says."""


def _is_date(text: str) -> str:
    iso_date(text)
    return text


BusinessDate = Annotated[str, AfterValidator(_is_date)]
Code = Annotated[str, Field(max_length=64)]


class Answer(BaseModel):
    """How an instruction stands at the bank; what a later bank says besides is passed over."""

    model_config = ConfigDict(frozen=True, strict=True)
    request_no: Annotated[str, AfterValidator(uuid_text)]
    status: Literal["UNKNOWN", "AWAITING", "ACCEPTED", "SUCCEEDED", "REFUSED", "CLOSED"]
    kind: Code | None
    amount_fen: Annotated[int, Field(ge=0, le=INTEGER_MAX)]
    booked_date: BusinessDate | None
    reason: Code | None
    page_url: Annotated[str, Field(max_length=2_000, pattern=r"^https?://[!-~]+$")] | None
    details: dict[str, Any]

    @property
    def is_final(self) -> bool:
        """Whether it never changes."""
        return self.status in FINAL

    @property
    def said(self) -> dict[str, Any]:
        """The fields that every message about an answer has."""
        return self.model_dump(include={"status", "amount_fen", "booked_date", "reason", "details"})


class _Date(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)
    date: BusinessDate


def document(body: bytes, *, max_bytes: int) -> dict[str, Any]:
    """A JSON object of the bank's. Raises Unreadable."""
    try:
        read = parse_json(body, max_bytes=max_bytes)
        if not isinstance(read, dict) or _NUL in canonical_bytes(read):
            raise Unreadable("no JSON object of text that can be kept")
    except Unacceptable as exc:
        raise Unreadable(exc.code) from None
    return read


def answer(read: object) -> Answer:
    """An answer about an instruction; what has succeeded has its date, what awaits its page. Raises Unreadable."""
    try:
        made = Answer.model_validate(read)
    except ValidationError as exc:
        raise Unreadable(_why(exc)) from None
    if (made.status == "SUCCEEDED" and made.booked_date is None) or (made.status == "AWAITING" and made.page_url is None):
        raise Unreadable(f"{made.status} without what belongs to it")
    return made


def business_date(read: object) -> date:
    """A business date. Raises Unreadable."""
    try:
        return iso_date(_Date.model_validate(read).date)
    except ValidationError as exc:
        raise Unreadable(_why(exc)) from None


def _why(exc: ValidationError) -> str:
    """Where it is wrong, never what stood there."""
    return ", ".join(".".join(map(str, error["loc"])) + f": {error['type']}" for error in exc.errors(include_input=False)[:3])
