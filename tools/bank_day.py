"""The bank's day as its operator handles it: shown, and closed over the bank's own bus, on its own machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bank.day import DayEnd, day_end
from bank.reader import BankReader
from bus.connect import connect
from config.settings import Settings
from tools import bank_place

if TYPE_CHECKING:
    from bus.log import Bus


@asynccontextmanager
async def operating(own: Settings) -> AsyncIterator[DayEnd]:
    """The day's end of the bank of these settings (`settings.of_bank()`), for several days in a row. Raises BusError."""
    from agents.runtime.worker import utc_now_ms

    bus: Bus = connect(own.bus_url())
    reader = BankReader(own.store_url("bank"))
    platforms = bank_place.platforms_of(own)
    try:
        await bus.open()
        async with day_end(bus, reader, lambda: sorted(platforms.all()), wait_ms=own.wait_ms, clock=utc_now_ms) as end:
            yield end
    finally:
        await reader.close()
        await bus.close()


async def close_days(own: Settings, days: int = 1) -> str:
    """Close so many days, one after the other; the date on which the bank stands then. Raises DayStaysOpen, BusError."""
    async with operating(own) as end:
        for _ in range(days):
            await end.close()
        return await end.stands()
