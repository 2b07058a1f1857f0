"""Bringing money at the edge, pure (充值): what may be asked for, the command, and how a transfer request is shown."""

from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from agents.users.messages import RequestRecharge
from gateway import fields
from gateway.operations import TOKEN, creating, looking
from gateway.things import PENDING, SUSPENDED, Thing, instant, page_of, public_reason

ROUTE: Final = "/api/v1/recharges"


class RechargeRequest(BaseModel):
    """How much is to go from the card to the custody account."""

    amount_fen: int = Field(gt=0)


class RechargeDocument(Thing):
    """A recharge as its member may see it."""

    FINAL: ClassVar[frozenset[str]] = frozenset({"DONE", "REFUSED", "CLOSED"})
    status: Literal["PENDING", "AWAITING", "DONE", "REFUSED", "CLOSED", "SUSPENDED"] = Field(
        description="PENDING: accepted, the bank is asked. AWAITING: the bank waits for the member on its page."
        " DONE, REFUSED, CLOSED: ended. SUSPENDED: waits for an operator."
    )
    amount_fen: int | None = None


RECHARGE: Final = creating(
    "recharge", ROUTE, "Bring money from the card, on the bank's page.", "recharge", takes=RechargeRequest, gives=RechargeDocument
)
LOOK: Final = looking("look_at_recharge", f"{ROUTE}/{{id}}", "A recharge as it stands.", "recharge", RechargeDocument, TOKEN)


def requested(body: Any) -> RechargeRequest:
    """The request in its canonical form. Raises Problem."""
    return RechargeRequest(**fields.read(body, {"amount_fen": fields.amount}))


def command(thing: str, member: str, request: RechargeRequest) -> RequestRecharge:
    """What the user centre is asked."""
    return RequestRecharge(id=thing, member=member, amount_fen=request.amount_fen)


def pending(thing: str, request: RechargeRequest | None = None) -> RechargeDocument:
    """What can be said before the user centre has said anything."""
    return RechargeDocument(id=thing, status=PENDING, amount_fen=request.amount_fen if request else None)


def shown(row: Any, suspended: bool) -> RechargeDocument:
    """A recharge from its row."""
    waits = suspended and row.status not in RechargeDocument.FINAL
    return RechargeDocument(
        id=row.id,
        status=SUSPENDED if waits else row.status,
        page_url=page_of(row.status, RechargeDocument.FINAL, row.page_url),
        reason=public_reason(row.reason),
        amount_fen=row.amount_fen,
        created_at=instant(row.created_ms),
        changed_at=instant(row.changed_ms),
    )
