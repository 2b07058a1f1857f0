"""The notifier as an agent of its own: which topic, which behaviour, which store, and how a try is made."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import faust

from agents.runtime.mailbox import Mailbox, raw
from agents.runtime.service import Service
from agents.runtime.worker import House, utc_now_ms
from bank import messages
from bank.messages import NoticeTried
from bank.notifier_behaviour import TARGET, behave
from bank.notifier_model import Notice
from bank.notifier_store import NOTICES
from config.bank import NOTICE_CALL_MS_MAX, NOTICE_ERROR_CHARS_MAX
from config.retry import Schedule

NAME = "notifier"

# Posts exactly these bytes to the platform, signed with a fresh timestamp: `post(platform, webhook_id, body)` returns the HTTP
# status. Whatever it raises instead is a try that failed.
Post = Callable[[str, str, bytes], Awaitable[int]]


def service(post: Post, schedule: Schedule) -> Service[Notice]:
    """What the bank tells platforms."""
    return Service(
        NAME,
        messages.RESULTS,
        messages.NOTIFYING,
        NOTICES,
        partial(behave, schedule=schedule),
        callers={TARGET: partial(try_once, post)},
        is_final=lambda notice, _: notice.state.is_final,
    )


async def try_once(post: Post, number: str, asked: Mapping[str, Any]) -> NoticeTried:
    """One try, whatever comes of it: also one without an answer is told, so that it counts (CASES D31)."""
    at_ms, began = utc_now_ms(), time.monotonic()
    status, error = None, None
    try:
        async with asyncio.timeout(NOTICE_CALL_MS_MAX / 1000):
            status = await post(asked["platform"], asked["webhook_id"], asked["body"].encode())
    except Exception as exc:  # noqa: BLE001 - a name that does not resolve, a reset, a time-out: each is a failed try
        error = _described(exc)
    took_ms = round((time.monotonic() - began) * 1000)
    return NoticeTried(id=asked["id"], n=asked["n"], at_ms=at_ms, took_ms=took_ms, status=status, error=error)


def _described(exc: Exception) -> str:
    """In one line, also of an exception that cannot say what it is."""
    said = "".join(traceback.format_exception_only(exc)).strip()
    return "".join(c if c.isprintable() else " " for c in said)[:NOTICE_ERROR_CHARS_MAX]


def listen(app: faust.App, mailbox: Mailbox) -> None:
    """Show the agent to the App."""

    @app.agent(raw(app, messages.RESULTS), name=NAME, concurrency=1)
    async def notifier(stream: Any) -> None:
        async for event in stream.noack().events():
            await mailbox.handle(event)


def house(post: Post, schedule: Schedule, *, closing: Callable[[], Awaitable[None]] | None = None) -> House:
    """The service with its agent; `closing` lets go of what `post` holds."""
    return House(service(post, schedule), listen, closing=closing)
