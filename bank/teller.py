"""The teller: puts one command to the ledger and waits, a bounded time, until it has been handled; the books say what became of it."""

import asyncio
import uuid
from collections.abc import Callable

from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, encode
from agents.runtime.http.problems import away
from agents.runtime.http.replies import Replies, Subject
from agents.runtime.http.store_reader import StoreUnreadable
from bank.model import Request
from bank.reader import BankReader
from bus.errors import BusAway, RecordRefused
from bus.log import Bus
from config import faults, logs

log = logs.get("bank")


class Teller:
    """Stands between HTTP and the ledger's one mailbox."""

    def __init__(self, *, bus: Bus, replies: Replies, reader: BankReader, wait_ms: int, clock: Callable[[], int]) -> None:
        self._bus = bus
        self._replies = replies
        self._reader = reader
        self._wait_s = wait_ms / 1000
        self._clock = clock

    async def put(self, key: str, message: Message, *, principal: str) -> Request:
        """The request as it stands after the command. Raises Problem when that is not known in time: then ask again."""
        await self.say(key, message, principal=principal)
        found = await self.look(key)
        if found is None:
            raise away("The ledger has not answered in time; send the same request again: it takes effect once.")
        return found

    async def say(self, key: str, message: Message, *, principal: str) -> None:
        """Put a command and wait until it has been handled, or the wait is over. Raises Problem when the bus does not take it.

        The command has a new id each time: whatever comes twice is the ledger's to recognize, and it answers again.
        """
        identity = str(uuid.uuid4())
        with self._replies.expect(Subject(key, identity)) as ticket:  # the answer to this command, not to another's about the same
            record = encode(
                message,
                key=key,
                message_id=identity,
                origin=Origin(causation=identity, trace=key, principal=principal),
                now_ms=self._clock(),
                reply_to=ticket.reply_to,
            )
            try:
                with faults.around("gateway.send"):
                    await self._bus.append([record])
            except (BusAway, RecordRefused) as exc:
                log.warning("the bus does not take a command", why=str(exc))
                raise away("The bank's ledger cannot be reached; send the same request again: it takes effect once.") from None
            await ticket.next(asyncio.get_running_loop().time() + self._wait_s)

    async def look(self, request_no: str) -> Request | None:
        """How a request stands. Raises Problem while the books cannot be read."""
        try:
            return await self._reader.request(request_no)
        except StoreUnreadable as exc:
            log.warning("the books cannot be read", why=str(exc))
            raise away("The bank's books cannot be read just now; send the same request again.") from None
