"""The bank's ledger as an agent: which topic, which behaviour, which store."""

from functools import partial
from typing import Any

import faust

from agents.runtime.mailbox import Mailbox, raw
from agents.runtime.service import Service
from agents.runtime.worker import House
from bank import messages
from bank.behaviour import behave
from bank.model import Request
from bank.store import ACTORS, BankBooks
from config.bank import Terms

NAME = "bank"


def service(terms: Terms) -> Service[Any]:
    """The ledger; its books make it one mailbox."""
    return Service(
        NAME, messages.TOPIC, messages.COMMANDS, ACTORS, partial(behave, terms=terms), is_final=_is_final, books=BankBooks()
    )  # fmt: skip


def _is_final(state: Any, _: str) -> bool:
    return not isinstance(state, Request) or state.status.is_final


def listen(app: faust.App, mailbox: Mailbox) -> None:
    """Show the agent to the App."""

    @app.agent(raw(app, messages.TOPIC), name=NAME, concurrency=1)
    async def bank(stream: Any) -> None:
        async for event in stream.noack().events():
            await mailbox.handle(event)


def house(terms: Terms, first_date: str) -> House:
    """The service with its agent; a bank that has no business date yet begins on `first_date`."""
    return House(service(terms), listen, opens=((messages.DAY, messages.OpenDay(id=messages.DAY, date=first_date)),))
