"""Which account a member has at the bank, as the user centre knows it."""

from collections.abc import Awaitable, Callable

from agents.runtime.http.store_reader import StoreReader
from gateway.edge import read
from gateway.members import NO_ACCOUNT, Account
from gateway.principals import Principal
from stores.users import member_by_id


def account_of(store: StoreReader) -> Callable[[Principal], Awaitable[Account]]:
    """What loans and bids ask about their person."""

    async def find(who: Principal) -> Account:
        found = await read(store, lambda c: member_by_id(c, who.id))
        if found is None or found.custody_no is None:
            return NO_ACCOUNT
        return Account(found.custody_no, found.person_lookup or "")

    return find
