"""Answers for waiting HTTP requests: this process reads their topic (`gateway.replies`) from the end, without a group (DESIGN 3).

Each waiting request has a number; `reply_to` is this process and that number. An answer that ends a registration is given
to every request of this process that asks for the same thing with the same content: the loop answers eight of them only.
"""

import asyncio
import contextlib
import itertools
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, NamedTuple

from aiohttp import web

from agents.runtime.decision import Message
from agents.runtime.envelope import Undecodable, decode
from agents.runtime.http.problems import busy
from agents.runtime.messages import GATEWAY_REPLIES
from bus.errors import BusError
from bus.log import Bus
from bus.record import Record
from config import logs
from config.retry import STORE_AWAY
from topics import messages_of

WAITING_MAX: Final = 2_000  # requests that wait at once

log = logs.get("http")


class Subject(NamedTuple):
    """What a request waits for: a thing, and the content that it asked for."""

    thing: str
    mac: str


class Ticket:
    """One waiting request."""

    def __init__(self, reply_to: str, subject: Subject) -> None:
        self.reply_to = reply_to
        self.subject = subject
        self._answers: asyncio.Queue[Message | None] = asyncio.Queue()

    def put(self, answer: Message | None) -> None:
        """An answer has come; None: nobody waits any longer."""
        self._answers.put_nowait(answer)

    async def next(self, until_s: float) -> Message | None:
        """The next answer; None when the loop's clock has reached `until_s` or the gateway stops."""
        try:
            async with asyncio.timeout_at(until_s):
                return await self._answers.get()
        except TimeoutError:
            return None


class Replies:
    """The reader and the requests that wait for it."""

    def __init__(self, bus: Bus, topic: str = GATEWAY_REPLIES) -> None:
        self._bus = bus
        self._topic = topic
        self._process = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._tickets: dict[str, Ticket] = {}
        self._same: dict[Subject, set[Ticket]] = defaultdict(set)
        self._registry = {kind.type: kind for kind in messages_of(self._topic)}
        self._next: dict[tuple[str, int], int] = {}
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    def live_in(self, app: web.Application) -> None:
        """Read from the application's start to its end, and let nobody wait once it shuts down; the server finds them in it."""

        async def lifetime(_: web.Application) -> AsyncIterator[None]:
            await self.start()
            yield
            await self.stop()

        async def end_waiting(_: web.Application) -> None:
            self.end_waiting()

        app[REPLIES] = self
        app.cleanup_ctx.append(lifetime)
        app.on_shutdown.append(end_waiting)

    async def start(self) -> None:
        """Stand at the end of every partition and begin to read. Raises BusError when the bus or the topic is not there."""
        ends = await self._bus.ends(self._topic)
        self._next = {(self._topic, partition): end for partition, (_, end) in ends.items()}
        self._task = asyncio.create_task(self._read(), name=self._topic)
        self._task.add_done_callback(_tell_end)

    async def stop(self) -> None:
        """Read no more."""
        self.end_waiting()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def watch(self) -> None:
        """Return when the reader was stopped; raises why it ended otherwise. Only after `start`."""
        assert self._task is not None, "start() first"
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    def end_waiting(self) -> None:
        """Nobody waits any longer: whoever does goes on with what is known by now."""
        self._ended = True
        for ticket in self._tickets.values():
            ticket.put(None)

    @property
    def alive(self) -> bool:
        """Whether answers can come."""
        return self._task is not None and not self._task.done()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._tickets)

    @contextlib.contextmanager
    def expect(self, subject: Subject) -> Iterator[Ticket]:
        """A place to wait in, for the length of the block. Raises Problem when all are taken."""
        if len(self._tickets) >= WAITING_MAX:
            raise busy("Too many requests are waiting; nothing was done. Send the same request again.")
        ticket = Ticket(f"{self._process}/{next(self._numbers)}", subject)
        self._tickets[ticket.reply_to] = ticket
        self._same[subject].add(ticket)
        if self._ended:
            ticket.put(None)
        try:
            yield ticket
        finally:
            del self._tickets[ticket.reply_to]
            self._same[subject].discard(ticket)
            if not self._same[subject]:
                del self._same[subject]

    def deliver(self, record: Record) -> None:
        """Give one record to whoever waits for it; what is another process', nobody's, or no answer is passed over."""
        if record.key != self._process.encode():
            return
        try:
            delivery = decode(record, self._registry)
        except Undecodable as exc:
            log.warning("an answer that cannot be read", offset=record.offset, why=str(exc))
            return
        ticket = self._tickets.get(delivery.reply_to or "")
        if ticket is None:
            return
        everybody = self._same[ticket.subject] if delivery.message.final else (ticket,)
        for each in everybody:
            each.put(delivery.message)

    async def _read(self) -> None:
        """Follow from where `start` stood; the bus waits by itself while it is away, what else is wrong with it is tried again."""
        failures = 0
        while True:
            try:
                async with contextlib.aclosing(self._bus.follow([self._topic], self._next)) as runs:
                    async for run in runs:
                        failures = 0
                        self._deliver(run)
            except BusError as exc:
                if failures == 0:
                    log.warning("the bus cannot be read; trying on", why=str(exc))
                await asyncio.sleep(STORE_AWAY.delay_ms(failures, self._process) / 1000)
                failures += 1

    def _deliver(self, run: Sequence[Record]) -> None:
        for record in run:
            self.deliver(record)
        last = run[-1]
        self._next[last.topic, last.partition] = last.offset + 1


REPLIES: Final = web.AppKey("replies", Replies)  # where an application keeps its reader


def _tell_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (reason := task.exception()) is not None:
        log.error("the reader of answers has ended", why=f"{type(reason).__name__}: {reason}")
