"""Opening a custody account at the edge, pure (SEED 3, FLOWS 3): what may be asked for, the sealed command, and how it is shown."""

from datetime import date
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from agents.runtime import canonical
from agents.runtime.sealing import Keyring
from agents.users.messages import SubmitOpening
from gateway import fields
from gateway.operations import TOKEN, creating, looking
from gateway.things import PENDING, SUSPENDED, Thing, instant, page_of, public_reason

ROUTE: Final = "/api/v1/openings"
NAME_CHARS_MAX: Final = 50

_WRITE_ONLY: Final[dict[str, Any]] = {"writeOnly": True}


class OpeningRequest(BaseModel):
    """Whose account it is to be. The deposit password is set on the bank's page: it is never sent here."""

    name: str = Field(repr=False, description="as on the identity card", json_schema_extra=_WRITE_ONLY)
    id_number: str = Field(repr=False, description="18 characters by GB 11643; of an adult", json_schema_extra=_WRITE_ONLY)
    card_number: str = Field(repr=False, description="16 to 19 digits", json_schema_extra=_WRITE_ONLY)


class OpeningDocument(Thing):
    """An opening as its member may see it."""

    FINAL: ClassVar[frozenset[str]] = frozenset({"OPENED", "REFUSED", "CLOSED"})
    status: Literal["PENDING", "AWAITING", "OPENED", "REFUSED", "CLOSED", "SUSPENDED"] = Field(
        description="PENDING: accepted, the bank is asked. AWAITING: the bank waits for the member on its page."
        " OPENED, REFUSED, CLOSED: ended. SUSPENDED: waits for an operator."
    )
    custody_no: str | None = Field(None, description="the account at the bank, once it is there")
    card: str | None = Field(None, description="masked by the bank")
    open_id: str | None = Field(None, description="the opening that was open already, when this one was not begun for it")


SUBMIT: Final = creating(
    "open_account", ROUTE, "Open a custody account, on the bank's page.", "open_account", takes=OpeningRequest, gives=OpeningDocument
)
LOOK: Final = looking("look_at_opening", f"{ROUTE}/{{id}}", "An opening as it stands.", "open_account", OpeningDocument, TOKEN)


def requested(body: Any, *, today: date) -> OpeningRequest:
    """The request in its canonical form. Raises Problem."""

    def id_number(value: object) -> str:
        number = canonical.id_number(value, today=today)
        canonical.refuse_minor(number, today=today)
        return number

    read = fields.read(body, {"name": fields.text(NAME_CHARS_MAX), "id_number": id_number, "card_number": canonical.bank_card})
    return OpeningRequest(**read)


def command(thing: str, member: str, request: OpeningRequest, keyring: Keyring) -> SubmitOpening:
    """What the user centre is asked; nothing personal in it is open."""
    return SubmitOpening(
        id=thing,
        member=member,
        name=keyring.seal(request.name, field="name"),
        id_number=keyring.seal(request.id_number, field="id_number"),
        card_number=keyring.seal(request.card_number, field="card_number"),
        person_lookup=keyring.lookup(request.id_number, field="id_number"),
    )


def pending(thing: str) -> OpeningDocument:
    """What can be said before the user centre has said anything."""
    return OpeningDocument(id=thing, status=PENDING)


def shown(row: Any, suspended: bool) -> OpeningDocument:
    """An opening from its row."""
    waits = suspended and row.status not in OpeningDocument.FINAL
    return OpeningDocument(
        id=row.id,
        status=SUSPENDED if waits else row.status,
        page_url=page_of(row.status, OpeningDocument.FINAL, row.page_url),
        reason=public_reason(row.reason),
        custody_no=row.custody_no,
        card=row.card,
        open_id=row.open_id,
        created_at=instant(row.created_ms),
        changed_at=instant(row.changed_ms),
    )
