"""The HTTP side's eye on the books: the bank's query functions over a connection that cannot write."""

from dataclasses import dataclass

from agents.runtime.http.store_reader import StoreReader
from bank.model import Account, Request
from bank.queries import account_by_no, balances_of, business_date, request_by_id


@dataclass(frozen=True, slots=True)
class Balance:
    """What stands on a member's account."""

    available_fen: int
    held_fen: int


class BankReader:
    """Every method may raise StoreUnreadable."""

    def __init__(self, url: str) -> None:
        self._store = StoreReader(url)

    async def request(self, request_no: str) -> Request | None:
        """How a request stands."""
        async with self._store.reading() as connection:
            return await request_by_id(connection, request_no)

    async def account(self, custody_no: str) -> Account | None:
        """An account."""
        async with self._store.reading() as connection:
            return await account_by_no(connection, custody_no)

    async def balance(self, custody_no: str) -> Balance | None:
        """What stands on an account; None for no account."""
        async with self._store.reading() as connection:
            known = await account_by_no(connection, custody_no)
            return Balance(*await balances_of(connection, custody_no)) if known else None

    async def date(self) -> str | None:
        """The business date."""
        async with self._store.reading() as connection:
            return await business_date(connection)

    async def ping(self) -> None:
        """Return when the books can be read."""
        await self.date()

    async def close(self) -> None:
        """Close the connections."""
        await self._store.close()
