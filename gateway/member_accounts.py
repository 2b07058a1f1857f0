"""Which account a member has at the bank, as the user centre knows it."""

from collections.abc import Awaitable, Callable

from agents.runtime.http.store_reader import StoreReader
from gateway.members import NO_ACCOUNT, Account
from gateway.principals import Principal


def account_of(store: StoreReader) -> Callable[[Principal], Awaitable[Account]]:
    """What loans and bids ask about their person."""

    async def find(who: Principal) -> Account:
        return NO_ACCOUNT

    return find
