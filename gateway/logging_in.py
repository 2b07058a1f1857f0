"""Logging in by password: neither the answer nor the time that it takes tells whether there is such an account (DESIGN 3)."""

import math
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from agents.accounts.model import Account, Status
from agents.runtime import canonical
from agents.runtime.canonical import Unacceptable
from agents.runtime.http.hashing import Hasher
from agents.runtime.http.store_reader import StoreReader
from agents.runtime.sealing import CannotOpen, Keyring
from config import logs
from gateway import fields
from gateway.edge import read
from gateway.operations import Good, Operation
from gateway.principals import CHALLENGE, Principal
from gateway.problems import Refusal
from gateway.sessions import SESSION_S, Sessions
from gateway.throttle import Throttle
from stores.accounts import account_by_login

ROUTE: Final = "/api/v1/sessions"
FAILURES_MAX: Final = 10  # of one name from one address in a window
FAILURES_OF_ADDRESS_MAX: Final = 100
WINDOW_MS: Final = 15 * 60_000

log = logs.get("gateway")


class LogInRequest(BaseModel):
    """Who comes in."""

    login_name: str = Field(description="the login name, or the mobile number")
    password: str = Field(repr=False, json_schema_extra={"format": "password", "writeOnly": True})


class SessionDocument(BaseModel):
    """A session: its token is shown with every request, as `Authorization: Bearer <token>`."""

    token: str
    expires_in_s: int = Field(description="it is over after so many seconds; log in again")
    account: str = Field(description="also the member's id", json_schema_extra={"format": "uuid"})
    role: str


class EndedDocument(BaseModel):
    """A session that was ended."""

    status: Literal["ENDED"] = "ENDED"


LOG_IN: Final = Operation(
    "log_in",
    "post",
    ROUTE,
    "Log in.",
    (Good(201, "Logged in.", SessionDocument),),
    ("login_refused", "too_many_attempts", "busy", "unavailable"),
    "Whether the name or the password is wrong is not told.",
    LogInRequest,
)
LOG_OUT: Final = Operation(
    "log_out", "delete", ROUTE, "Log out: the token of this request lets nobody in any more.",
    (Good(200, "Logged out.", EndedDocument),), permission="end_session",
)  # fmt: skip


class LoggingIn:
    """What stands behind the log-in: the accounts store, the hashes, and the throttle."""

    def __init__(self, *, store: StoreReader, keyring: Keyring, hasher: Hasher, sessions: Sessions, clock: Callable[[], int]) -> None:
        self._store = store
        self._keyring = keyring
        self._hasher = hasher
        self._sessions = sessions
        self._throttle = Throttle(WINDOW_MS, clock)
        self._nobodys = ""

    async def start(self) -> None:
        """Make the hash that a password is compared with where there is no account."""
        self._nobodys = await self._hasher.hash(secrets.token_urlsafe())

    async def log_in(self, asked: LogInRequest, address: str) -> SessionDocument:
        """A session for whoever knows the password. Raises Problem."""
        pair, origin = self._keyring.lookup(f"{address} {asked.login_name}", field="log_in"), f"from {address}"
        wait_ms = self._throttle.wait_ms([(pair, FAILURES_MAX), (origin, FAILURES_OF_ADDRESS_MAX)])
        if wait_ms:
            raise _too_many(wait_ms)
        name, number = self._names(asked.login_name)
        account = await read(self._store, partial(account_by_login, login_name=name, mobile_lookup=number))
        known = account if account is not None and account.status is Status.AVAILABLE else None
        fits = await self._hasher.verify(self._hash_of(known), asked.password)
        if known is None or not fits:
            raise _refused()
        self._throttle.give_back((pair, origin))
        who = Principal(known.id, known.role)
        return SessionDocument(token=self._sessions.begun(who), expires_in_s=SESSION_S, account=who.id, role=who.role)

    def _names(self, name: str) -> tuple[str, str]:
        """The name or the hash of the number, as the store is asked; a login name is never shaped like a mobile number."""
        try:
            return "", self._keyring.lookup(canonical.mobile(name), field="mobile")
        except Unacceptable:
            return name, ""

    def _hash_of(self, account: Account | None) -> str:
        """The hash that the password must have; somebody else's where there is none, so that it takes as long."""
        if account is None:
            return self._nobodys
        try:
            return self._keyring.open(account.password_hash, field="password_hash")
        except CannotOpen as exc:
            log.error("a password hash does not open", account=account.id, why=str(exc))
            return self._nobodys


def requested(body: Any) -> LogInRequest:
    """The request in its canonical form. Raises Problem."""
    return LogInRequest(**fields.read(body, {"login_name": _login, "password": canonical.password}))


def _login(value: object) -> str:
    try:
        return canonical.mobile(value)
    except Unacceptable:
        return canonical.login_name(value)


def _refused() -> Refusal:
    return Refusal("login_refused", "There is no such log-in, or this is not its password.", headers=CHALLENGE)


def _too_many(wait_ms: int) -> Refusal:
    return Refusal("too_many_attempts", "Too many log-ins have failed: wait.", headers={"Retry-After": str(math.ceil(wait_ms / 1_000))})
