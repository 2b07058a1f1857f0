"""The accounts agent: which topic, which behaviour, which store."""

from typing import Any

import faust

from agents.accounts import messages
from agents.accounts.behaviour import behave
from agents.accounts.model import Account
from agents.runtime.mailbox import Mailbox, raw
from agents.runtime.service import Service
from agents.runtime.tcc import Participant, Phase
from agents.runtime.worker import House
from stores.accounts import ACCOUNTS


def service(barrier_memory_ms: int) -> Service[Account]:
    """The accounts service; its barrier refuses a Try that is older than it remembers."""
    participant = Participant(
        phases={messages.Try: Phase.TRY, messages.Confirm: Phase.CONFIRM, messages.Cancel: Phase.CANCEL},
        answers=messages.ANSWERS_OF_BRANCH,
        refuse=lambda key, code: messages.Refused(id=key, code=code),
        tried=messages.Tried,
        memory_ms=barrier_memory_ms,
    )
    return Service("accounts", messages.TOPIC, messages.COMMANDS, ACCOUNTS, behave, participant)


def listen(app: faust.App, mailbox: Mailbox) -> None:
    """Show the agent to the App."""

    @app.agent(raw(app, messages.TOPIC), name="accounts", concurrency=1)
    async def accounts(stream: Any) -> None:
        async for event in stream.noack().events():
            await mailbox.handle(event)


def house(barrier_memory_ms: int) -> House:
    """The service with its agent."""
    return House(service(barrier_memory_ms), listen)
