"""Whether the gateway lives, and whether it can do its work."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

from pydantic import BaseModel

from agents.runtime.messages import GATEWAY_REPLIES
from bus.errors import BusError
from bus.log import Bus
from gateway.problems import RETRY_AFTER_S, Fault, Problem
from gateway.replies import Replies
from gateway.users_reader import StoreUnreadable, Users

CHECK_S_MAX: Final = 2.0

Check = Callable[[], Awaitable[None]]


class Health(BaseModel):
    """All is well."""

    status: Literal["ok"] = "ok"


class NotReady(Exception):
    """A part of the gateway does not do its work."""


def checks(bus: Bus, replies: Replies, users: Users, appends: Callable[[], bool]) -> Mapping[str, Check]:
    """What readiness means, part by part. `appends` knows whether the last record could be appended."""

    async def bus_answers() -> None:
        await bus.ends(GATEWAY_REPLIES)
        if not appends():
            raise NotReady("the last append has failed just now")

    async def answers_are_read() -> None:
        if not replies.alive:
            raise NotReady("answers are not being read")

    return {"bus": bus_answers, "replies": answers_are_read, "users_store": users.ping}


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
