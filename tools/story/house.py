"""What a story needs around itself: a bank in a process of its own, the platform enrolled there, and the road between the two.

The bank has its port for the whole of its life, so that it can be stopped and started; webhooks come over a road on which they
may be lost. Whoever builds a house starts the platform himself: in his own process, or in others.
"""

import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tools.children import Child
from tools.reading import ask
from tools.story.http import wait
from tools.story.outcome import PLATFORM, Balance
from tools.webhook_relay import Choose, WebhookRelay

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bank.day import DayEnd
    from config.settings import Settings

BANK: Final = "bank"
DAY_WITHIN_S: Final = 20.0
DATE_ASKED_EVERY_MS: Final = 2_000  # a story rolls the date; a lost word of it should not hold it up for a minute
NAME: Final = "lendbus"  # under which the platform is enrolled
NOTICES: Final = "/bank/notices"
LOOPBACK: Final = "127.0.0.1"


@dataclass
class House:
    """The bank beside a platform. `settings` are the platform's; it finds its credentials where they say."""

    settings: "Settings"
    bank: Child
    road: WebhookRelay
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)
    _operator: "DayEnd | None" = None

    @classmethod
    async def build(
        cls, settings: "Settings", choose: Choose, environment: Mapping[str, str] | None = None, *, keep: bool = False
    ) -> "House":
        """Open the road, enrol the platform at the bank, prepare the bank's process. Nothing runs but the road."""
        from bank.enrolment import write_private
        from config.keys import load_or_create
        from tools.bank_place import platforms_of
        from tools.demo_place import is_on_this_machine

        port = free_port()
        asked_every_ms = settings.bank_asked_every_ms if "bank_asked_every_ms" in settings.model_fields_set else DATE_ASKED_EVERY_MS
        settings = settings.model_copy(update={"bank_port": port, "bank_asked_every_ms": asked_every_ms})
        road = WebhookRelay(f"http://{LOOPBACK}:1{NOTICES}", choose)
        await road.open()
        own = settings.of_bank()
        own.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not own.may_generate_keys and is_on_this_machine(own):  # its databases are a story's own, like the platform's
            load_or_create(own.key_path(), may_generate=True)
        enrolled = platforms_of(own).enrol(NAME, road.url)
        write_private(settings.bank_credentials_path(), enrolled.credentials(f"http://{LOOPBACK}:{port}"))
        return cls(settings, Child("bank", ("bank", "serve"), {**told(settings), **(environment or {})}, own.data, keep=keep), road)

    async def open(self) -> None:
        """Start the bank and wait for its day; its operator is at his desk. Raises NotStarted, TooLong."""
        from tools.bank_day import operating

        await self.bank.start(says_where=True)
        self._operator = await self._open.enter_async_context(operating(self.settings.of_bank()))
        await wait(self._stands, DAY_WITHIN_S, lambda: "the bank's first day has not begun")

    def lead_to(self, gateway_url: str) -> None:
        """From now on webhooks go to this gateway."""
        self.road.target = f"{gateway_url}{NOTICES}"

    async def close(self) -> None:
        """End the bank, close the road."""
        await self._open.aclose()
        await self.bank.stop()
        await self.road.close()

    async def down(self) -> None:
        """The bank's process is gone; `up` brings it back."""
        await self.bank.stop(signal.SIGTERM)

    async def up(self) -> None:
        """The bank's process is there again. Raises NotStarted."""
        await self.bank.start(says_where=True)

    async def _stands(self) -> str | None:
        from bank.day import DayStaysOpen

        assert self._operator is not None, "open() first"
        try:
            return await self._operator.stands()
        except DayStaysOpen:
            return None

    async def roll(self) -> date:
        """The bank's operator closes the day; the date on which it stands then."""
        assert self._operator is not None, "open() first"
        return date.fromisoformat(await self._operator.close())

    async def balances(self, accounts: Sequence[str]) -> dict[str, Balance]:
        """What the bank's books say of these accounts and of the platform's fees."""
        from bank.queries import balances_of

        own, found = self.settings.of_bank(), {}
        for account in accounts:
            found[account] = Balance(*await ask(own, BANK, partial(balances_of, custody_no=account)))
        return {**found, PLATFORM: Balance(await ask(own, BANK, fees_of), 0)}


async def fees_of(connection: "AsyncConnection") -> int:
    """What stands on the account of the platform's fees (primary key)."""
    from sqlalchemy import select

    from bank.model import FEE
    from bank.tables import balance

    return int((await connection.execute(select(balance.c.amount_fen).where(balance.c.account == FEE))).scalar() or 0)


def told(settings: "Settings") -> dict[str, str]:
    """What a process of ours is told of these settings, by its environment: URLs hold passwords."""
    said: dict[str, Any] = {"LENDBUS_DATA": str(settings.data), "LENDBUS_BUS": settings.bus, "LENDBUS_DB": settings.db}
    for name in PASSED_ON:
        if name in settings.model_fields_set and (value := getattr(settings, name)) is not None:
            said[f"LENDBUS_{name.upper()}"] = value
    return {name: str(value) for name, value in said.items()}


PASSED_ON: Final = (
    "host", "port", "wait_ms", "log_level", "log_format", "stop_timeout_ms", "try_deadline_ms", "bank_port", "bank_url", "bank_date",
    "bank_delay_ms", "bank_delay_jitter_ms", "bank_asked_every_ms",
)  # fmt: skip


def free_port() -> int:
    """A port of loopback that nobody has just now."""
    with socket.create_server((LOOPBACK, 0)) as found:
        return int(found.getsockname()[1])
