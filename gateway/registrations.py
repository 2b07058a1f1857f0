"""A registration at the edge, pure: what may be asked for, the command that asks for it, and how it is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, Field

from agents.runtime import canonical
from agents.runtime.canonical_json import canonical_bytes
from agents.runtime.decision import Message
from agents.runtime.http.problems import Fault
from agents.runtime.messages import Suspended
from agents.runtime.sealing import Keyring, mask_mobile
from agents.users.messages import Register, RegistrationEnded
from agents.users.model import Registration, Status
from config.roles import MEMBERS
from gateway import fields
from gateway.operations import LOCATION, RETRY_AFTER, Good, Operation, Query
from gateway.problems import Refusal
from gateway.things import PENDING, SUSPENDED, instant

ROUTE: Final = "/api/v1/registrations"
ROLES: Final = MEMBERS  # whoever registers himself is one of these, nothing else (DESIGN 3)

Shown = Literal["PENDING", "TRYING", "CONFIRMING", "CONFIRMED", "CANCELLING", "CANCELLED", "SUSPENDED"]
Reason = Literal["login_name_taken", "mobile_taken", "timed_out", "operator", "other"]


class RegistrationRequest(BaseModel):
    """Who wants to become a member. Every field is brought to its one spelling first; uniqueness is on that."""

    login_name: str = Field(description="3 to 32 letters, digits, `_`, `.`, `-`; not shaped like a mobile number; case does not count")
    mobile: str = Field(description="mainland mobile number: 11 digits, +86 before it or not")
    password: str = Field(repr=False, description="8 to 128 characters", json_schema_extra={"format": "password", "writeOnly": True})
    role: Literal["borrower", "investor"]


class RegistrationDocument(BaseModel):
    """A registration as its person may see it."""

    id: str = Field(description="registration, member and account have one id", json_schema_extra={"format": "uuid"})
    status: Shown = Field(
        description="PENDING: accepted, not begun yet. TRYING: names are being reserved. CONFIRMING, CANCELLING: decided, under way."
        " CONFIRMED, CANCELLED: ended. SUSPENDED: waits for an operator."
    )
    login_name: str | None = Field(None, description="in its one spelling")
    mobile: str | None = Field(None, description="masked: 138****0000; null when it was given up")
    role: Literal["borrower", "investor"] | None = None
    reason: Reason | None = Field(None, description="why it is being cancelled")
    created_at: str | None = Field(None, json_schema_extra={"format": "date-time"})
    changed_at: str | None = Field(None, json_schema_extra={"format": "date-time"})

    @property
    def is_final(self) -> bool:
        """Nothing changes any more."""
        return self.status in ("CONFIRMED", "CANCELLED")

    @property
    def is_settled(self) -> bool:
        """It has ended, or waits for an operator."""
        return self.is_final or self.status == SUSPENDED

    def told(self, answer: Message) -> Self:
        """What an answer of the bus changes; it is all that is known while the store cannot be read."""
        match answer:
            case RegistrationEnded(status=Status.CANCELLED):
                return self.model_copy(update={"status": answer.status, "reason": public_reason(answer.reason), "mobile": None})
            case RegistrationEnded():
                return self.model_copy(update={"status": answer.status})
            case Suspended():
                return self.model_copy(update={"status": SUSPENDED})
            case _:
                return self


@dataclass(frozen=True, slots=True)
class Standing:
    """What the users store knows of an id: the registration, whether it waits for an operator, and the content-mac of its command."""

    registration: Registration | None = None
    suspended: bool = False
    mac: str | None = None


def requested(body: Any) -> RegistrationRequest:
    """The request in its canonical form, from what `parse_json` returned. Raises Problem with every field that is wrong."""
    return RegistrationRequest(**fields.read(body, _FIELDS))


def content_mac(request: RegistrationRequest, keyring: Keyring) -> str:
    """What a repeat is compared by: the HMAC of the canonical unsealed body, password included (DESIGN 3)."""
    return keyring.mac(canonical_bytes(request.model_dump()))


def command(thing: str, request: RegistrationRequest, password_hash: str, keyring: Keyring) -> Register:
    """What the user centre is asked; nothing personal or secret in it is open."""
    return Register(
        id=thing,
        login_name=request.login_name,
        mobile=keyring.seal(request.mobile, field="mobile"),
        mobile_lookup=keyring.lookup(request.mobile, field="mobile"),
        password_hash=keyring.seal(password_hash, field="password_hash"),
        role=request.role,
    )


def pending(thing: str, request: RegistrationRequest | None = None) -> RegistrationDocument:
    """What can be said before the user centre has said anything."""
    if request is None:
        return RegistrationDocument(id=thing, status="PENDING")
    return RegistrationDocument(
        id=thing, status="PENDING", login_name=request.login_name, mobile=mask_mobile(request.mobile), role=request.role
    )


def shown(thing: str, standing: Standing, open_mobile: Callable[[str], str | None]) -> RegistrationDocument:
    """A registration as it stands; `open_mobile` opens a sealed number, or says None."""
    found = standing.registration
    if found is None:
        return pending(thing).model_copy(update={"status": SUSPENDED if standing.suspended else PENDING})
    waits = (standing.suspended or found.stuck) and not found.status.is_final
    mobile = open_mobile(found.member.mobile) if found.member else None
    return RegistrationDocument(
        id=thing,
        status="SUSPENDED" if waits else found.status.value,
        login_name=found.login_name,
        mobile=mask_mobile(mobile) if mobile else None,
        role=_role(found),
        reason=public_reason(found.reason),
        created_at=instant(found.created_ms),
        changed_at=instant(found.changed_ms),
    )


def refusal(document: RegistrationDocument) -> Refusal:
    """Why a registration that was asked for has come to nothing. The same key gets the same answer for ever."""
    again = "Send it again under a new Idempotency-Key."
    match document.reason:
        case "login_name_taken" | "mobile_taken" as code:
            name = code.removesuffix("_taken")
            detail = f"Another member has this {name.replace('_', ' ')}."
            return Refusal(code, f"{detail} {again}", (Fault(code=code, detail=detail, pointer=f"/{name}"),))
        case "timed_out":
            return Refusal("registration_timed_out", f"It was not tried in time, and nothing of it is left. {again}")
        case _:
            return Refusal("registration_cancelled", f"Nothing of it is left. {again}")


def public_reason(reason: str | None) -> Reason | None:
    """The stable code of a reason; what an operator has written is not for the person."""
    match reason:
        case None:
            return None
        case "login_name_taken" | "mobile_taken":
            return reason
        case "deadline":
            return "timed_out"
        case _ if reason.startswith("operator"):
            return "operator"
        case _:
            return "other"


def status_token_text(thing: str) -> str:
    """What the token of a status URL is made of: it opens this page and no other thing of the same id."""
    return f"{ROUTE}/{thing}"


def status_url(thing: str, token: str) -> str:
    """Where a registration is looked at."""
    return f"{ROUTE}/{thing}?token={token}"


def _role(found: Registration) -> Any:
    return found.member.role if found.member and found.member.role in ROLES else None


_FIELDS: Final[fields.Fields] = {
    "login_name": canonical.login_name,
    "mobile": canonical.mobile,
    "password": canonical.password,
    "role": fields.one_of("unknown_role", "a role", ROLES),
}

REGISTER: Final = Operation(
    "register",
    "post",
    ROUTE,
    "Register a member.",
    (
        Good(201, "Registered.", RegistrationDocument, LOCATION),
        Good(
            202,
            "Accepted and not ended yet, or waiting for an operator (SUSPENDED): look at Location.",
            RegistrationDocument,
            {**LOCATION, **RETRY_AFTER},
        ),
    ),
    ("login_name_taken", "mobile_taken", "registration_timed_out", "registration_cancelled"),
    "Waits a short time for the end. A repeat with the same key and content is safe at any time.",
    RegistrationRequest,
    keyed=True,
)
LOOK: Final = Operation(
    "look",
    "get",
    f"{ROUTE}/{{id}}",
    "A registration as it stands.",
    (Good(200, "The registration.", RegistrationDocument),),
    ("not_found", "unavailable"),
    "A URL that the gateway gave and whose registration has not begun yet shows PENDING, not 404.",
    query=(Query("token", "as Location had it", required=True),),
)
