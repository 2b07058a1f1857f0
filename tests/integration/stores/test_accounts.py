"""Who may log in, over a real store through the loop: staff beside members, found by name or by number."""

import pytest

from agents.accounts.agent import service
from agents.accounts.messages import TOPIC, Cancel, Confirm, CreateStaff, Try
from agents.accounts.model import Status
from agents.runtime.decision import Message
from config.settings import DAY_MS
from stores.accounts import account_by_login, count_of_role
from stores.engine import Store
from stores.runtime import suspended
from tests.integration.stores.world import World, ids

MEMBER, OTHER, STAFF = ids(3, "account")
MOBILE = "ab12"


def tried(key: str, name: str, mobile: str) -> Try:
    return Try(id=key, login_name=name, mobile="s1.m", mobile_lookup=mobile, password_hash="s1.h", role="investor")


def hired(key: str, name: str, role: str = "auditor") -> CreateStaff:
    return CreateStaff(id=key, login_name=name, password_hash="s1.s", role=role)


@pytest.fixture
async def accounts(store: Store) -> World:
    """An empty accounts service."""
    world = World(store)
    world.service = service(7 * DAY_MS)
    await world.take_over()
    return world


async def tell(world: World, *commands: tuple[str, Message]) -> None:
    """These messages in one batch."""
    await world.run(*(world.record(key, message)._replace(topic=TOPIC) for key, message in commands))


async def who(world: World, name: str = "", mobile: str = "") -> tuple[str, str, Status] | None:
    """The account that this log-in finds."""
    async with world.store.reading() as connection:
        found = await account_by_login(connection, login_name=name, mobile_lookup=mobile)
    return (found.id, found.role, found.status) if found else None


async def test_a_member_is_found_by_name_and_by_number_and_may_come_in_when_he_is_confirmed(accounts: World) -> None:
    await tell(accounts, (MEMBER, tried(MEMBER, "lin", MOBILE)))
    assert await who(accounts, "lin") == await who(accounts, mobile=MOBILE) == (MEMBER, "investor", Status.UNAVAILABLE)
    await tell(accounts, (MEMBER, Confirm(id=MEMBER)))
    assert await who(accounts, "lin") == (MEMBER, "investor", Status.AVAILABLE)
    assert await who(accounts, "nobody") is None
    assert await accounts.rows(suspended) == []


async def test_staff_have_no_number_and_are_found_by_none(accounts: World) -> None:
    await tell(accounts, (STAFF, hired(STAFF, "aud")))
    assert await who(accounts, "aud") == (STAFF, "auditor", Status.AVAILABLE)
    assert await who(accounts) is None


async def test_a_name_is_a_members_or_somebodys_who_works_here_in_whatever_batch(accounts: World) -> None:
    await tell(accounts, (MEMBER, tried(MEMBER, "lin", MOBILE)), (STAFF, hired(STAFF, "lin")))
    assert await who(accounts, "lin") == (MEMBER, "investor", Status.UNAVAILABLE)
    await tell(accounts, (MEMBER, Cancel(id=MEMBER)), (STAFF, hired(STAFF, "lin")), (OTHER, tried(OTHER, "lin", MOBILE)))
    assert await who(accounts, "lin") == (STAFF, "auditor", Status.AVAILABLE)
    assert await who(accounts, mobile=MOBILE) is None


async def test_a_log_in_is_made_once_and_administrators_are_counted(accounts: World) -> None:
    await tell(accounts, (STAFF, hired(STAFF, "adm", "administrator")), (STAFF, hired(STAFF, "adm", "auditor")))
    async with accounts.store.reading() as connection:
        assert [await count_of_role(connection, role) for role in ("administrator", "auditor")] == [1, 0]
