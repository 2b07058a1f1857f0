"""What the bank says is on an account, for whoever looks: asked now, never kept, and left out when the bank does not answer."""

import asyncio
from typing import Final

import aiohttp

from agents.custody.bank_client import BankClient, NoAnswer
from agents.custody.credentials import CredentialsFile, NoCredentials
from config import logs
from gateway.members import BalanceDocument

log = logs.get("gateway")

BALANCE_S_MAX: Final = 1.5  # somebody waits for a page on which it is one line
UNANSWERED: Final = (NoAnswer, NoCredentials, aiohttp.ClientError, TimeoutError, OSError)


class Balances:
    """Asks the bank for balances with the platform's credentials."""

    def __init__(self, credentials: CredentialsFile) -> None:
        self._bank = BankClient(credentials, _nothing_sealed)

    async def __call__(self, custody_no: str) -> BalanceDocument | None:
        """The balance; None when the bank does not say one."""
        try:
            async with asyncio.timeout(BALANCE_S_MAX):
                found = await self._bank.balance(custody_no)
        except UNANSWERED as exc:
            log.warning("the bank says no balance", why=f"{type(exc).__name__}: {exc}")
            return None
        return BalanceDocument(available_fen=found[0], held_fen=found[1]) if found is not None else None

    async def close(self) -> None:
        """Close the connections."""
        await self._bank.close()


def _nothing_sealed(value: str, field: str) -> str:
    raise AssertionError(f"a question about a balance holds no {field}")
