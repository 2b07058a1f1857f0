"""Waiting for something that no signal tells, with a deadline."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

LOOK_S: Final = 0.02


async def until(holds: Callable[[], bool], within_s: float, *, look_s: float = LOOK_S) -> bool:
    """Wait for something that no signal tells; False when the time is over first."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(look_s)
    return True
