"""Whether a server lives, and whether it can do its work."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

from pydantic import BaseModel

from agents.runtime.http.problems import RETRY_AFTER_S, Fault, Problem
from agents.runtime.http.store_reader import StoreUnreadable
from bus.errors import BusError

CHECK_S_MAX: Final = 2.0

Check = Callable[[], Awaitable[None]]


class Health(BaseModel):
    """All is well."""

    status: Literal["ok"] = "ok"


class NotReady(Exception):
    """A part of the server does not do its work."""


async def readiness(parts: Mapping[str, Check]) -> Health:
    """Ask every part at once, a bounded time. Raises Problem that names those that do not answer."""
    wrong = [fault for fault in await asyncio.gather(*(_asked(part, check) for part, check in parts.items())) if fault]
    if wrong:
        names = ", ".join(fault.part or "" for fault in wrong)
        raise Problem("not_ready", f"Not ready: {names}.", tuple(wrong), {"Retry-After": str(RETRY_AFTER_S)})
    return Health()


async def _asked(part: str, check: Check) -> Fault | None:
    try:
        async with asyncio.timeout(CHECK_S_MAX):
            await check()
    except TimeoutError:
        return Fault(code="no_answer", detail=f"{part} did not answer within {CHECK_S_MAX:g} seconds", part=part)
    except (BusError, StoreUnreadable, NotReady):  # the reason may name files of this machine: it is not for the outside
        return Fault(code="away", detail=f"{part} cannot be used just now", part=part)
    return None
