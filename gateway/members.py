"""Who I am: the member as the person may see himself, with what the bank says of his money."""

from typing import Final, NamedTuple

from pydantic import BaseModel, Field

from gateway.operations import looking
from gateway.things import ID


class Account(NamedTuple):
    """What a loan or a bid needs to know of its person: the account at the bank, and the keyed hash of the identity number."""

    custody_no: str
    person_lookup: str


NO_ACCOUNT: Final = Account("", "")


class BalanceDocument(BaseModel):
    """What the bank says is on the custody account."""

    available_fen: int
    held_fen: int


class MeDocument(BaseModel):
    """Somebody who is signed in; who works here has no membership."""

    id: str = Field(json_schema_extra=ID)
    role: str
    status: str | None = Field(None, description="of the membership; null for who works here")
    custody_no: str | None = Field(None, description="the account at the bank; null without one")
    card: str | None = Field(None, description="masked by the bank")
    balance: BalanceDocument | None = Field(None, description="null without an account, and while the bank does not answer")


ME: Final = looking("look_at_me", "/api/v1/me", "Who I am.", "see_me", MeDocument)
