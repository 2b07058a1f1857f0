"""The bank's operator closes its business day: the ledger is told, and stands on the next date when this returns."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from agents.runtime.http.problems import Problem
from agents.runtime.http.replies import Replies
from agents.runtime.http.store_reader import StoreUnreadable
from bank.messages import DAY, CloseDay
from bank.reader import BankReader
from bank.teller import Teller
from bus.log import Bus

CLOSE_S_MAX: Final = 30.0  # for one day; then the bank is not there
WAIT_MS_MIN: Final = 500  # for one answer


class DayStaysOpen(Exception):
    """The ledger does not close its day; the sentence says what to do."""


class DayEnd:
    """Closes days, one after the other."""

    def __init__(self, teller: Teller, reader: BankReader, platforms: Callable[[], Sequence[str]]) -> None:
        self._teller = teller
        self._reader = reader
        self._platforms = platforms

    async def stands(self) -> str:
        """The date on which the bank stands. Raises DayStaysOpen while it has none."""
        try:
            found = await self._reader.date()
        except StoreUnreadable as exc:
            raise DayStaysOpen(f"the bank's books cannot be read ({exc}): start it with `lendbus bank serve`") from exc
        if found is None:
            raise DayStaysOpen("the bank's first day has not begun: start it with `lendbus bank serve`")
        return found

    async def close(self) -> str:
        """End the present day; the date after it. Raises DayStaysOpen."""
        before = await self.stands()
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                while True:  # whoever closes a date that is over changes nothing, so it may be said again
                    await self._teller.say(DAY, CloseDay(id=DAY, date=before, platforms=tuple(self._platforms())), principal="operator")
                    if (after := await self.stands()) != before:
                        return after
        except (TimeoutError, Problem) as exc:
            why = exc.detail if isinstance(exc, Problem) else "its ledger does not answer"
            raise DayStaysOpen(f"the bank still stands on {before}: {why} Is `lendbus bank serve` running?") from exc


@asynccontextmanager
async def day_end(
    bus: Bus, reader: BankReader, platforms: Callable[[], Sequence[str]], *, wait_ms: int, clock: Callable[[], int]
) -> AsyncIterator[DayEnd]:
    """Over a bus that is open, for the length of the block."""
    replies = Replies(bus)
    await replies.start()
    try:
        yield DayEnd(Teller(bus=bus, replies=replies, reader=reader, wait_ms=max(wait_ms, WAIT_MS_MIN), clock=clock), reader, platforms)
    finally:
        await replies.stop()
