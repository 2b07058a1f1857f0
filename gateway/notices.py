"""The receiver of the bank's notices (FLOWS 3.5): the signature over the exact bytes decides, then the bus has it, or nobody has.

Whatever is wrong with a notice is one refusal, 401, which says nothing about what. A notice that is signed and has a form that
custody knows goes to `custody.commands`; its message id follows from its `webhook-id`, so a repeat is a repeat. What is signed
and of a kind that we do not know (a later bank's) is acknowledged and passed over. Nothing else is done before the answer.
"""

import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple

from aiohttp import web

from agents.custody.bank_answer import Unreadable, answer, business_date, document
from agents.custody.credentials import CredentialsFile, NoCredentials
from agents.custody.messages import DateNotice, Notice
from agents.runtime.calendar import KEY
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.runtime.http import signatures
from agents.runtime.http.bodies import read_body, refuse_encoding
from agents.runtime.http.door import TRACE
from agents.runtime.http.problems import KINDS, Kind, Problem, away
from bus.errors import BusAway, RecordRefused
from bus.log import Bus
from config import faults, logs

ROUTE: Final = "/bank/notices"
BODY_BYTES_MAX: Final = 64 * 1024
NAMESPACE: Final = uuid.UUID("0b0f9a52-93f4-4f5e-8c55-5d2f6d1a9e77")  # ours, for ever: another one would make other ids of the same notices
PRINCIPAL: Final = "bank"

log = logs.get("gateway")


class Refused(Problem):
    """The receiver's one problem of its own."""

    kinds: ClassVar[Mapping[str, Kind]] = MappingProxyType({**KINDS, "not_signed": Kind(401, "This is no notice that the bank has signed")})


class Addressed(NamedTuple):
    """A notice as a message, and the actor that it is for."""

    key: str
    message: Message


class Receiver:
    """Takes what the bank posts; `clock` is milliseconds UTC."""

    def __init__(self, bus: Bus, credentials: CredentialsFile, *, clock: Callable[[], int]) -> None:
        self._bus = bus
        self._credentials = credentials
        self._clock = clock

    async def receive(self, request: web.Request) -> web.Response:
        """200 when the bus has it, 401 for what is no notice of the bank's, 503 while the bus does not take it. Raises Problem."""
        refuse_encoding(request.headers.getall("Content-Encoding", ()))  # the bytes that were signed are the bytes that came
        body = await read_body(request, BODY_BYTES_MAX)
        identity = self._signed_by_the_bank(request, body)
        try:
            found = read(identity, body)
        except Unreadable as exc:
            log.warning("a signed notice that cannot be read", webhook_id=identity, why=str(exc))
            raise not_signed() from None
        if found is None:
            log.warning("a notice of a kind that nobody here knows", webhook_id=identity)
            return web.Response()
        request[TRACE] = found.key
        await self._put(identity, found)
        return web.Response()

    def _signed_by_the_bank(self, request: web.Request, body: bytes) -> str:
        try:
            secret = self._credentials.read().notice_secret
        except NoCredentials as exc:
            log.error("a notice of the bank cannot be verified", why=str(exc))
            raise away("No notice can be verified here just now; send it again later.") from None
        try:
            return signatures.verify(request.headers, body, [secret], now_s=self._clock() / 1000)
        except signatures.NotSigned as exc:
            log.warning("a notice that the bank has not signed", why=str(exc))
            raise not_signed() from None

    async def _put(self, identity: str, found: Addressed) -> None:
        message_id = str(uuid.uuid5(NAMESPACE, identity))
        origin = Origin(message_id, found.key, PRINCIPAL)
        record = encode(found.message, key=found.key, message_id=message_id, origin=origin, now_ms=self._clock())
        try:
            with faults.around("gateway.send"):
                await self._bus.append([record])
        except (BusAway, RecordRefused) as exc:
            log.warning("the bus does not take a notice; the bank sends it again", webhook_id=identity, why=str(exc))
            raise away("The notice could not be kept; send it again.") from None


def read(identity: str, body: bytes) -> Addressed | None:
    """A notice as custody hears of it; None for a type that nobody knows. Raises Unreadable."""
    said = document(body, max_bytes=BODY_BYTES_MAX)
    match said.get("type"):
        case "order.ended":
            return _told(identity, said.get("data"), body.decode())
        case "date.rolled":
            return Addressed(KEY, DateNotice(id=KEY, date=business_date(said.get("data")).isoformat()))
        case str():
            return None
    raise Unreadable("it has no type")


def not_signed() -> Refused:
    """The one answer to whatever is wrong with a notice."""
    return Refused("not_signed", "Send the exact bytes that were signed, just now, with the secret of this direction.")


def _told(identity: str, data: object, body: str) -> Addressed:
    found = answer(data)
    said: Mapping[str, Any] = {**found.said, "kind": found.kind or ""}
    return Addressed(found.request_no, Notice(id=found.request_no, webhook_id=identity, body=body, **said))
