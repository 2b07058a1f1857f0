"""The trading agent: which topic, which behaviour, which store."""

from typing import Any

import faust

from agents.custody.messages import SAYS as CUSTODY_SAYS
from agents.repayments.messages import PlanMissing, PlanReady, PlanSettled, PrincipalRepaid
from agents.runtime.decision import Message
from agents.runtime.mailbox import Mailbox, raw
from agents.runtime.service import Service
from agents.runtime.worker import House
from agents.trading import messages
from agents.trading.behaviour import behave
from agents.trading.model import Loan
from stores.trading_actors import LOANS

NAME = "trading"


def service() -> Service[Any]:
    """The trading centre; its mailbox takes custody's and repayments' answers too."""
    said: tuple[type[Message], ...] = (*messages.COMMANDS, *CUSTODY_SAYS, PlanReady, PlanMissing, PrincipalRepaid, PlanSettled)
    return Service(NAME, messages.TOPIC, said, LOANS, behave, is_final=_is_final, dated=True)


def _is_final(state: Any, thing: str) -> bool:
    if not isinstance(state, Loan):
        return True
    bid = state.seen.get(thing)
    return bid.status.is_final if bid is not None else state.status.is_final


def listen(app: faust.App, mailbox: Mailbox) -> None:
    """Show the agent to the App."""

    @app.agent(raw(app, messages.TOPIC), name=NAME, concurrency=1)
    async def trading(stream: Any) -> None:
        async for event in stream.noack().events():
            await mailbox.handle(event)


def house() -> House:
    """The service with its agent."""
    return House(service(), listen)
