"""Registering: what stands behind the routes of registrations (FLOWS 2)."""

from agents.runtime.http.hashing import Hasher
from agents.runtime.http.idempotency import ANONYMOUS, command_id
from agents.runtime.http.problems import away
from agents.runtime.http.store_reader import StoreUnreadable
from agents.runtime.sealing import CannotOpen, Keyring
from config import logs
from gateway import asking
from gateway.asking import Asking, Question
from gateway.registrations import (
    RegistrationDocument,
    RegistrationRequest,
    Standing,
    command,
    content_mac,
    pending,
    shown,
    status_token_text,
    status_url,
)
from gateway.users_reader import Users

log = logs.get("gateway")


class Registering:
    """Registrations of people whom nobody knows yet: the key is the only name, a token opens the status URL."""

    def __init__(self, *, asking: Asking, users: Users, keyring: Keyring, hasher: Hasher) -> None:
        self._asking = asking
        self._users = users
        self._keyring = keyring
        self._hasher = hasher

    async def register(self, thing: str, request: RegistrationRequest) -> RegistrationDocument:
        """Send the command, wait for the end; the registration as it is then. Raises Problem."""
        mac = content_mac(request, self._keyring)
        with self._asking.expect(thing, mac) as ticket:  # before the hash, which is costly
            asked = command(thing, request, await self._hasher.hash(request.password), self._keyring)
            await self._asking.send(Question(thing, thing, command_id(thing), ANONYMOUS, mac, asked), ticket)
            return (await self._asking.outcome(ticket, lambda: self._known(thing), pending(thing, request))).document

    async def look(self, thing: str) -> RegistrationDocument:
        """A registration as it stands; PENDING when the user centre has not seen it yet. Raises Problem."""
        try:
            return self._shown(thing, await self._users.standing(thing))
        except StoreUnreadable as exc:
            log.warning("the users store cannot be read", why=str(exc))
            raise away("The registration cannot be looked up just now.") from None

    def status_url(self, thing: str) -> str:
        """Where a registration is looked at, with the token that opens it."""
        return status_url(thing, self._keyring.token(status_token_text(thing)))

    def may_look(self, thing: str, token: str) -> bool:
        """Whether the token is one that this platform has given for this thing."""
        return self._keyring.token_fits(token, status_token_text(thing))

    async def _known(self, thing: str) -> asking.Standing[RegistrationDocument]:
        standing = await self._users.standing(thing)
        known = standing.registration or standing.suspended
        return asking.Standing(self._shown(thing, standing) if known else None, standing.mac)

    def _shown(self, thing: str, standing: Standing) -> RegistrationDocument:
        return shown(thing, standing, self._open_mobile)

    def _open_mobile(self, sealed: str) -> str | None:
        try:
            return self._keyring.open(sealed, field="mobile")
        except CannotOpen as exc:
            log.warning("a sealed number does not open", why=str(exc))
            return None
