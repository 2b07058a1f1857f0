"""Who asks, and whether they may: what every route but the open ones begins with (DESIGN 3: deny by default)."""

from typing import Final, NamedTuple, Protocol

from aiohttp import web

from config import roles
from gateway.problems import Refusal

STAFF: Final = frozenset(roles.STAFF)  # who works here sees what belongs to members
CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}


class Principal(NamedTuple):
    """Somebody who is signed in: the account's id, which is the member's, and the role."""

    id: str
    role: str


class Doorkeeper(Protocol):
    """Knows who asks."""

    async def __call__(self, request: web.Request, permission: str) -> Principal:
        """Who has sent this request, who has this permission. Raises Refusal: `not_signed_in` or `not_allowed`."""


def not_signed_in() -> Refusal:
    """There is no session, or none any more."""
    return Refusal("not_signed_in", "Sign in first: POST /api/v1/sessions.", headers=CHALLENGE)


def not_allowed() -> Refusal:
    """Somebody who may not do this."""
    return Refusal("not_allowed", "Your role does not have this permission.")
