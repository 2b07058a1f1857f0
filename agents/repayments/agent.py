"""The repayments agent: which topic, which behaviour, which store."""

from typing import Any

import faust

from agents.repayments import messages
from agents.repayments.behaviour import State, behave
from agents.repayments.model import Plan
from agents.runtime.mailbox import Mailbox, raw
from agents.runtime.service import Service
from agents.runtime.worker import House
from stores.repayments_actors import STORE


def service() -> Service[State]:
    """The repayment service; its mailbox takes custody's answers and dates too."""
    said = (*messages.COMMANDS, *messages.HEARD)
    return Service("repayments", messages.TOPIC, said, STORE, behave, is_final=is_final, dated=True)


def is_final(state: State, thing: str) -> bool:
    """Whoever repeats a payment waits only while it is the open collection; every other one has ended."""
    return not (isinstance(state, Plan) and state.collection == thing)


def listen(app: faust.App, mailbox: Mailbox) -> None:
    """Show the agent to the App."""

    @app.agent(raw(app, messages.TOPIC), name="repayments", concurrency=1)
    async def repayments(stream: Any) -> None:
        async for event in stream.noack().events():
            await mailbox.handle(event)


def house() -> House:
    """The service with its agent."""
    return House(service(), listen)
