"""The custody agent: which topic, which behaviour, which store, and whom its attempts ask."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import faust

from agents.custody import messages
from agents.custody.behaviour import behave
from agents.custody.model import Order
from agents.runtime.calendar import KEY
from agents.runtime.mailbox import Mailbox, raw
from agents.runtime.service import Caller, Service
from agents.runtime.worker import House
from config.custody import Policy
from stores.custody import ORDERS

NAME = "custody"


def service(policy: Policy, callers: Mapping[str, Caller]) -> Service[Any]:
    """The platform's side of the bank."""
    return Service(
        NAME, messages.TOPIC, messages.COMMANDS, ORDERS, partial(behave, policy=policy), callers=callers, is_final=_is_final, dated=True
    )  # fmt: skip


def _is_final(state: Any, _: str) -> bool:
    return isinstance(state, Order) and state.status.is_final


def listen(app: faust.App, mailbox: Mailbox) -> None:
    """Show the agent to the App."""

    @app.agent(raw(app, messages.TOPIC), name=NAME, concurrency=1)
    async def custody(stream: Any) -> None:
        async for event in stream.noack().events():
            await mailbox.handle(event)


def house(policy: Policy, callers: Mapping[str, Caller], *, closing: Any = None) -> House:
    """The service with its agent; it begins to ask for the date whenever a worker starts. `closing` lets go of what the callers hold."""
    return House(service(policy, callers), listen, opens=((KEY, messages.AskDate(id=KEY)),), closing=closing)
