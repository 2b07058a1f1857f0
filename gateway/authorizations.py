"""Letting instalments be collected, at the edge, pure: what may be asked for, the command, and how an authorization is shown."""

from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from agents.users.messages import AuthorizeRepay
from gateway import fields
from gateway.operations import TOKEN, creating, looking
from gateway.things import DATE, PENDING, SUSPENDED, Thing, instant, page_of, public_reason

ROUTE: Final = "/api/v1/authorizations"


class AuthorizationRequest(BaseModel):
    """The platform may collect what is due, at most so much at a time, until that day."""

    cap_fen: int = Field(gt=0)
    expires_on: str = Field(json_schema_extra=DATE)


class AuthorizationDocument(Thing):
    """An authorization as its borrower may see it."""

    FINAL: ClassVar[frozenset[str]] = frozenset({"ON", "REFUSED", "CLOSED"})
    status: Literal["PENDING", "AWAITING", "ON", "REFUSED", "CLOSED", "SUSPENDED"] = Field(
        description="PENDING: accepted, the bank is asked. AWAITING: the bank waits for the borrower on its page. ON: it holds."
        " REFUSED, CLOSED: it came to nothing. SUSPENDED: waits for an operator."
    )
    cap_fen: int | None = None
    expires_on: str | None = Field(None, json_schema_extra=DATE)


AUTHORIZE: Final = creating(
    "authorize",
    ROUTE,
    "Let the platform collect what is due, on the bank's page.",
    "authorize_repay",
    takes=AuthorizationRequest,
    gives=AuthorizationDocument,
)
LOOK: Final = looking(
    "look_at_authorization", f"{ROUTE}/{{id}}", "An authorization as it stands.", "authorize_repay", AuthorizationDocument, TOKEN
)


def requested(body: Any) -> AuthorizationRequest:
    """The request in its canonical form. Raises Problem."""
    return AuthorizationRequest(**fields.read(body, {"cap_fen": fields.amount, "expires_on": fields.day}))


def command(thing: str, member: str, request: AuthorizationRequest) -> AuthorizeRepay:
    """What the user centre is asked."""
    return AuthorizeRepay(id=thing, member=member, cap_fen=request.cap_fen, expires_on=request.expires_on)


def pending(thing: str, request: AuthorizationRequest | None = None) -> AuthorizationDocument:
    """What can be said before the user centre has said anything."""
    known = request.model_dump() if request else {}
    return AuthorizationDocument(id=thing, status=PENDING, **known)


def shown(row: Any, suspended: bool) -> AuthorizationDocument:
    """An authorization from its row."""
    waits = suspended and row.status not in AuthorizationDocument.FINAL
    return AuthorizationDocument(
        id=row.id,
        status=SUSPENDED if waits else row.status,
        page_url=page_of(row.status, AuthorizationDocument.FINAL, row.page_url),
        reason=public_reason(row.reason),
        cap_fen=row.cap_fen,
        expires_on=row.expires_on,
        created_at=instant(row.created_ms),
        changed_at=instant(row.changed_ms),
    )
