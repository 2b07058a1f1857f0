"""Sessions: who has logged in shows a token with every request (RFC 6750), and the doorkeeper reads from it who asks.

A token is a JWT of one fixed algorithm, signed with a key of its own that comes from the key file, so every gateway of the
platform reads it and nothing is kept. It is over after `SESSION_S`. Which sessions were ended before that is known to the process
that ended them, and to no other: whoever needs more than the hour waits for sessions in a store.
"""

import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

from aiohttp import web
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from agents.runtime.sealing import Keyring
from config.roles import may
from gateway.principals import Principal, not_allowed, not_signed_in

ALGORITHM: Final = "HS256"
TYPE: Final = "at+jwt"  # RFC 9068: a token for something else is no token for this
ISSUER: Final = "lendbus"
AUDIENCE: Final = "lendbus gateway"
PURPOSE: Final = "lendbus session tokens"
SESSION_S: Final = 3_600
CLOCKS_DIFFER_S: Final = 30  # between two gateways
TOKEN_CHARS_MAX: Final = 1_024
ENDED_MAX: Final = 100_000  # sessions remembered as ended; the oldest, which is over soonest, is forgotten first
JTI_BYTES: Final = 16


class Session(NamedTuple):
    """What a token says; `over_s` is when it is over, seconds UTC."""

    id: str
    principal: Principal
    over_s: int


class Sessions:
    """Makes and reads tokens; called, it is the gateway's doorkeeper. `clock` is milliseconds UTC."""

    def __init__(self, keyring: Keyring, clock: Callable[[], int]) -> None:
        self._key = OctKey.import_key(keyring.derived(PURPOSE))
        self._clock = clock
        self._ended: dict[str, int] = {}
        self._claims = jwt.JWTClaimsRegistry(
            now=self._now_s,
            leeway=CLOCKS_DIFFER_S,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            role={"essential": True},
            jti={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
        )

    async def __call__(self, request: web.Request, permission: str) -> Principal:
        """Who has sent this request, who has this permission. Raises Refusal."""
        session = self.of(request)
        if session is None:
            raise not_signed_in()
        if not may(session.principal.role, permission):
            raise not_allowed()
        return session.principal

    def begun(self, who: Principal) -> str:
        """A token for somebody who has just shown who he is."""
        now = self._now_s()
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": who.id, "role": who.role, "iat": now, "exp": now + SESSION_S}
        return jwt.encode(
            {"alg": ALGORITHM, "typ": TYPE}, {**claims, "jti": secrets.token_hex(JTI_BYTES)}, self._key, algorithms=[ALGORITHM]
        )

    def of(self, request: web.Request) -> Session | None:
        """The session that a request shows, or None for none, one that is over, and what is no token of ours."""
        shown = request.headers.getall("Authorization", ())
        if len(shown) != 1:
            return None
        scheme, _, token = shown[0].partition(" ")
        return self.read(token.strip()) if scheme.lower() == "bearer" else None

    def read(self, token: str) -> Session | None:
        """What a token says, or None when it says nothing."""
        if not token.isascii() or len(token) > TOKEN_CHARS_MAX:
            return None
        try:
            decoded = jwt.decode(token, self._key, algorithms=[ALGORITHM])
            self._claims.validate(decoded.claims)
        except (JoseError, ValueError):
            return None
        claims = decoded.claims
        if decoded.header.get("typ") != TYPE or claims["jti"] in self._ended:
            return None
        return Session(claims["jti"], Principal(claims["sub"], str(claims["role"])), int(claims["exp"]))

    def end(self, session: Session) -> None:
        """Let nobody in with this session any more."""
        now = self._now_s()
        while self._ended and (len(self._ended) >= ENDED_MAX or next(iter(self._ended.values())) + CLOCKS_DIFFER_S < now):
            del self._ended[next(iter(self._ended))]
        self._ended[session.id] = session.over_s

    def _now_s(self) -> int:
        return self._clock() // 1_000
