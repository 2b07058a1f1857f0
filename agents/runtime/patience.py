"""Waiting for a store or a bus that is away: with back-off, without end, with a line in the log, and nothing lost."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from config.retry import STORE_AWAY

T = TypeVar("T")

log = structlog.get_logger("lendbus.patience")


async def until_back(call: Callable[[], Awaitable[T]], away: type[Exception], *, what: str, on_away: Callable[[], None] | None = None) -> T:
    """The result of `call`, asked again while it raises `away` (which promises that nothing was written). Others' raises pass."""
    for n in itertools.count():
        try:
            return await call()
        except away as exc:
            delay_ms = STORE_AWAY.delay_ms(n, what)
            log.warning("away; nothing is lost, asking again", what=what, error=str(exc), retry_ms=delay_ms)
            if on_away is not None:
                on_away()
        await asyncio.sleep(delay_ms / 1000)
    raise AssertionError("counting does not end")
