"""The users agent: which topic, which behaviour, which store."""

from functools import partial
from typing import Any

import faust

from agents.accounts.messages import ANSWERS_OF_BRANCH
from agents.custody.messages import OrderAwaiting, OrderDisputed, OrderEnded
from agents.runtime.decision import Message
from agents.runtime.mailbox import Mailbox, raw
from agents.runtime.service import Service
from agents.runtime.worker import House
from agents.users import messages
from agents.users.behaviour import behave
from agents.users.model import Registration
from config.registration import Policy
from stores.users import REGISTRATIONS


def service(policy: Policy) -> Service[Registration]:
    """The user centre; its mailbox takes the branches' answers and custody's too."""
    said: tuple[type[Message], ...] = (*messages.COMMANDS, *ANSWERS_OF_BRANCH, OrderAwaiting, OrderEnded, OrderDisputed)
    return Service("users", messages.TOPIC, said, REGISTRATIONS, partial(behave, policy=policy), is_final=_is_final)


def _is_final(registration: Registration, thing: str) -> bool:
    dealing = registration.seen.get(thing)
    return dealing.status.is_final if dealing is not None else registration.status.is_final


def listen(app: faust.App, mailbox: Mailbox) -> None:
    """Show the agent to the App."""

    @app.agent(raw(app, messages.TOPIC), name="users", concurrency=1)
    async def users(stream: Any) -> None:
        async for event in stream.noack().events():
            await mailbox.handle(event)


def house(policy: Policy) -> House:
    """The service with its agent."""
    return House(service(policy), listen)
