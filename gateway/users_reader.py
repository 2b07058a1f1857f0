"""The gateway's eye on the users store: its owner's query functions over a connection that cannot write (DESIGN 3)."""

from typing import Protocol

from agents.runtime.http.idempotency import command_id
from agents.runtime.http.store_reader import StoreReader
from gateway.registrations import Standing
from stores.standing import is_suspended, mac_of
from stores.users import registration_by_id


class Users(Protocol):
    """What the gateway asks the user centre's store; every method may raise StoreUnreadable."""

    async def standing(self, thing: str) -> Standing:
        """What is known of a registration, of one moment."""

    async def ping(self) -> None:
        """Return when the store can be read."""

    async def close(self) -> None:
        """Let go of it."""


class UsersReader:
    """See `Users`; over the store of the URL, which may come into being later."""

    def __init__(self, url: str) -> None:
        self._store = StoreReader(url)

    async def standing(self, thing: str) -> Standing:
        """What is known of a registration, in one read transaction. Raises StoreUnreadable."""
        async with self._store.reading() as connection:
            found = await registration_by_id(connection, thing)
            return Standing(found, await is_suspended(connection, thing), await mac_of(connection, command_id(thing)))

    async def ping(self) -> None:
        """Read a row that is not there. Raises StoreUnreadable."""
        async with self._store.reading() as connection:
            await registration_by_id(connection, "")

    async def close(self) -> None:
        """Close the connections; the process does not exit before."""
        await self._store.close()
