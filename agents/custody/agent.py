"""The custody agent: which topic, which behaviour, which store, and whom its attempts ask."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import faust

from agents.custody import messages
from agents.custody.bank_client import BankClient, Opener
from agents.custody.behaviour import behave
from agents.custody.credentials import CredentialsFile
from agents.custody.model import Order
from agents.runtime.calendar import KEY
from agents.runtime.mailbox import Mailbox, raw
from agents.runtime.service import Caller, Service
from agents.runtime.worker import House
from config.custody import Policy
from config.retry import ASKING_BANK
from stores.custody import ORDERS

NAME = "custody"


def service(policy: Policy, callers: Mapping[str, Caller]) -> Service[Any]:
    """The platform's side of the bank."""
    return Service(
        NAME,
        messages.TOPIC,
        messages.COMMANDS,
        ORDERS,
        partial(behave, policy=policy),
        callers=callers,
        is_final=_is_final,
        dated=True,
        attempts=ASKING_BANK,
    )


def _is_final(state: Any, _: str) -> bool:
    return isinstance(state, Order) and state.status.is_final


def listen(app: faust.App, mailbox: Mailbox) -> None:
    """Show the agent to the App."""

    @app.agent(raw(app, messages.TOPIC), name=NAME, concurrency=1)
    async def custody(stream: Any) -> None:
        async for event in stream.noack().events():
            await mailbox.handle(event)


def house(policy: Policy, credentials: CredentialsFile, open_sealed: Opener) -> House:
    """The service with its agent and its client of the bank; it begins to ask for the date whenever a worker starts."""
    bank = BankClient(credentials, open_sealed)
    return House(service(policy, bank.callers()), listen, opens=((KEY, messages.AskDate(id=KEY)),), closing=bank.close)
