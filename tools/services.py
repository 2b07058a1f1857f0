"""Which services a platform has, each with an agent, a mailbox and a store: a new one has its name here and its maker in `assemble`."""

from typing import Final

SERVICES: Final[tuple[str, ...]] = ("accounts", "custody", "repayments", "trading", "users")
