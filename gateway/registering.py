"""Registering: one command onto the bus, a bounded wait for its end, and an honest answer either way (DESIGN 3, FLOWS 2).

The gateway waits and never depends: whatever the bus says or does not say, the store decides what is shown at the end.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from agents.runtime.envelope import Origin, encode
from agents.runtime.http.hashing import Hasher
from agents.runtime.http.idempotency import ANONYMOUS, HEADER, command_id
from agents.runtime.http.problems import Fault, Problem, away
from agents.runtime.http.replies import Replies, Subject, Ticket
from agents.runtime.http.store_reader import StoreUnreadable
from agents.runtime.messages import Mismatch
from agents.runtime.sealing import CannotOpen, Keyring
from bus.errors import BusAway, RecordRefused
from bus.log import Bus
from bus.record import Outgoing
from config import faults, logs
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
    told,
)
from gateway.users_reader import Users

APPEND_FAILED_S: Final = 10.0  # so long after an append that failed the bus counts as one that takes nothing

log = logs.get("gateway")


class Registering:
    """What stands behind the routes of registrations."""

    def __init__(
        self, *, bus: Bus, replies: Replies, users: Users, keyring: Keyring, hasher: Hasher, wait_ms: int, clock: Callable[[], int]
    ) -> None:
        self._bus = bus
        self._replies = replies
        self._users = users
        self._keyring = keyring
        self._hasher = hasher
        self._wait_s = wait_ms / 1000
        self._clock = clock
        self._append_failed_s = -math.inf

    @property
    def appends(self) -> bool:
        """Whether the bus takes records, as far as the last requests know; some time after a failure it may be tried again."""
        return time.monotonic() - self._append_failed_s > APPEND_FAILED_S

    async def register(self, thing: str, request: RegistrationRequest) -> RegistrationDocument:
        """Send the command, wait for the end; the registration as it is then. Raises Problem."""
        subject = Subject(thing, content_mac(request, self._keyring))
        with self._replies.expect(subject) as ticket:
            await self._send(await self._record(request, ticket))
            return await self._outcome(request, ticket)

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

    async def _record(self, request: RegistrationRequest, ticket: Ticket) -> Outgoing:
        thing, mac = ticket.subject
        asked = command(thing, request, await self._hasher.hash(request.password), self._keyring)
        message_id = command_id(thing)
        origin = Origin(causation=message_id, trace=thing, principal=ANONYMOUS)
        return encode(asked, key=thing, message_id=message_id, origin=origin, now_ms=self._clock(), reply_to=ticket.reply_to, mac=mac)

    async def _send(self, record: Outgoing) -> None:
        try:
            with faults.around("gateway.send"):
                await self._bus.append([record])
            self._append_failed_s = -math.inf
        except (BusAway, RecordRefused) as exc:  # refused: a topic of ours was taken away, for what a request may hold is smaller
            self._append_failed_s = time.monotonic()
            log.warning("the bus does not take a request", why=str(exc))
            raise away("The bus does not answer; send the same request again, under the same key: it takes effect once.") from None

    async def _outcome(self, request: RegistrationRequest, ticket: Ticket) -> RegistrationDocument:
        until_s = asyncio.get_running_loop().time() + self._wait_s
        document = pending(ticket.subject.thing, request)
        while (answer := await ticket.next(until_s)) is not None:
            if isinstance(answer, Mismatch):
                raise reused()
            document = told(document, answer)
            if document.status != "PENDING":  # ended or suspended; the store is read once more below
                break
            if (found := await self._found(ticket.subject)) and (found.is_final or found.status == "SUSPENDED"):
                return found
        return await self._found(ticket.subject) or document

    async def _found(self, subject: Subject) -> RegistrationDocument | None:
        """What the store says; None when it does not know yet or cannot be read. Raises Problem when it knows other content."""
        try:
            standing = await self._users.standing(subject.thing)
        except StoreUnreadable as exc:
            log.warning("the users store cannot be read", why=str(exc))
            return None
        if standing.mac is not None and standing.mac != subject.mac:
            raise reused()
        return self._shown(subject.thing, standing) if standing.registration or standing.suspended else None

    def _shown(self, thing: str, standing: Standing) -> RegistrationDocument:
        return shown(thing, standing, self._open_mobile)

    def _open_mobile(self, sealed: str) -> str | None:
        try:
            return self._keyring.open(sealed, field="mobile")
        except CannotOpen as exc:
            log.warning("a sealed number does not open", why=str(exc))
            return None


def reused() -> Problem:
    """The same key with other content, also while the first is still running (CASES D14)."""
    detail = "This key was sent before with other content. A new request needs a new key."
    return Problem("idempotency_key_reused", detail, (Fault(code="idempotency_key_reused", detail=detail, header=HEADER),))
