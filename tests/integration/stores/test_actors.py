"""Actors are typed rows: what is saved is loaded, a stale version writes nothing, and questions are answered in pages."""

from collections.abc import Sequence
from typing import TypeVar

import pytest

from agents.accounts.model import Account
from agents.accounts.model import Status as AccountStatus
from agents.users.model import Member, MemberStatus, Registration, Status
from stores import accounts, users
from stores.accounts import ACCOUNTS
from stores.actors import ActorStore, Change
from stores.engine import Row, RowRejected, StaleVersion, Store, Tx
from stores.statement import Statement
from stores.users import REGISTRATIONS
from tests.integration.stores.direct import execute
from tests.integration.stores.world import ids

S = TypeVar("S")
A, B, C = sorted(ids(3, "actor"))
SPECIMEN = Account(A, "林_xiao", "s1.k1.mobile", "ab12", "s1.k1.hash", AccountStatus.UNAVAILABLE, 1_700_000_000_123, "investor")
MEMBER = Member(A, "borrower", "s1.k1.m", MemberStatus.UNAVAILABLE, 1)
TRYING = Registration(A, "lin_xiao", Status.TRYING, None, 0, False, 1, 2, MEMBER)


async def save(store: Store, actors: ActorStore[S], *changes: Change[S]) -> None:
    await store.transaction("loop.commit", actors.save, changes)


async def load(store: Store, actors: ActorStore[S], *keys: str) -> dict[str, tuple[S, int]]:
    return await store.transaction("loop.commit", actors.load, keys)


@pytest.mark.parametrize("status", list(AccountStatus))
async def test_an_account_comes_back_as_it_was_saved(store: Store, status: AccountStatus) -> None:
    account = SPECIMEN.with_status(status)
    await save(store, ACCOUNTS, Change(A, None, account))
    assert await load(store, ACCOUNTS, A, B) == {A: (account, 1)}


@pytest.mark.parametrize(
    "registration",
    [
        TRYING,
        TRYING.but(status=Status.CONFIRMING, round=3, stuck=True, member=Member(A, "investor", "s1.k1.m", MemberStatus.AVAILABLE, 1)),
        TRYING.but(status=Status.CANCELLING, reason="operator: 欺诈"),
        TRYING.but(status=Status.CANCELLED, reason="deadline", member=None),
    ],
    ids=lambda r: r.status,
)
async def test_a_registration_comes_back_with_its_member(store: Store, registration: Registration) -> None:
    await save(store, REGISTRATIONS, Change(A, None, registration))
    assert await load(store, REGISTRATIONS, A) == {A: (registration, 1)}


async def test_each_change_is_a_version_and_a_deleted_actor_is_nothing(store: Store) -> None:
    opened = SPECIMEN.with_status(AccountStatus.AVAILABLE)
    await save(store, ACCOUNTS, Change(A, None, SPECIMEN))
    await save(store, ACCOUNTS, Change(A, 1, opened))
    assert await load(store, ACCOUNTS, A) == {A: (opened, 2)}
    await save(store, ACCOUNTS, Change(A, 2, None))
    assert await load(store, ACCOUNTS, A) == {}


async def test_rows_are_written_in_key_order_so_that_two_batches_never_wait_for_each_other(store: Store) -> None:
    def in_order(tx: Tx) -> list[str]:
        written: list[str] = []

        def watched(statement: Statement, rows: Sequence[Row]) -> int:
            written.extend(row[-2] if "of_key" in statement.binds else row[0] for row in rows)
            return many(statement, rows)

        many, tx.many = tx.many, watched  # type: ignore[method-assign]
        ACCOUNTS.save(tx, [Change(key, None, SPECIMEN) for key in (C, A, B)])
        ACCOUNTS.save(tx, [Change(key, 1, SPECIMEN) for key in (B, C, A)])
        return written

    assert await store.transaction("loop.commit", in_order) == [A, B, C, A, B, C]


async def test_an_actor_that_was_nothing_and_is_nothing_costs_no_row(store: Store) -> None:
    await save(store, ACCOUNTS, Change(A, None, None))
    assert await load(store, ACCOUNTS, A) == {}


@pytest.mark.parametrize("after", [SPECIMEN, None], ids=["update", "delete"])
@pytest.mark.parametrize("version", [0, 2])
async def test_a_stale_version_raises_and_nothing_of_the_batch_is_written(store: Store, after: Account | None, version: int) -> None:
    await save(store, ACCOUNTS, Change(A, None, SPECIMEN))
    with pytest.raises(StaleVersion, match=f"1 of 1 actors were changed by somebody else, among .*{A}"):
        await save(store, ACCOUNTS, Change(B, None, SPECIMEN), Change(A, version, after))
    assert await load(store, ACCOUNTS, A, B) == {A: (SPECIMEN, 1)}


async def test_an_actor_that_appeared_meanwhile_is_rejected_like_a_stale_one(store: Store) -> None:
    await save(store, ACCOUNTS, Change(A, None, SPECIMEN))
    with pytest.raises(RowRejected):
        await save(store, ACCOUNTS, Change(A, None, SPECIMEN))


async def test_a_member_that_somebody_else_has_changed_is_stale(store: Store, store_url: str) -> None:
    await save(store, REGISTRATIONS, Change(A, None, TRYING))
    execute(store_url, "UPDATE registration SET version = 9")
    with pytest.raises(StaleVersion):
        await save(store, REGISTRATIONS, Change(A, 1, TRYING.but(round=1)))


async def test_a_cancelled_registration_stays_and_its_member_goes(store: Store) -> None:
    await save(store, REGISTRATIONS, Change(A, None, TRYING))
    ended = TRYING.but(status=Status.CANCELLED, reason="deadline", member=None)
    await save(store, REGISTRATIONS, Change(A, 1, ended))
    assert await load(store, REGISTRATIONS, A) == {A: (ended, 2)}
    async with store.reading() as connection:
        assert await users.registration_by_id(connection, A) == ended


async def test_a_person_reads_a_registration_and_an_account_by_their_id(store: Store) -> None:
    await save(store, REGISTRATIONS, Change(A, None, TRYING))
    await save(store, ACCOUNTS, Change(A, None, SPECIMEN))
    async with store.reading() as connection:
        assert await users.registration_by_id(connection, A) == TRYING
        assert await accounts.account_by_id(connection, A) == SPECIMEN
        assert await users.registration_by_id(connection, B) is None
        assert await accounts.account_by_id(connection, B) is None


async def test_statuses_come_in_pages_by_key(store: Store) -> None:
    for key in (C, A, B):
        member = Member(key, "investor", "s1.k1.m", MemberStatus.UNAVAILABLE, 1)
        await save(store, REGISTRATIONS, Change(key, None, TRYING.but(id=key, member=member)))
        await save(store, ACCOUNTS, Change(key, None, SPECIMEN))
    async with store.reading() as connection:
        first = await accounts.statuses(connection, after="", limit=2)
        assert first == [(A, "UNAVAILABLE"), (B, "UNAVAILABLE")]
        assert await accounts.statuses(connection, after=B, limit=2) == [(C, "UNAVAILABLE")]
        rows = await users.statuses(connection, after=A, limit=9)
        assert [tuple(row) for row in rows] == [(B, "TRYING", False, "UNAVAILABLE"), (C, "TRYING", False, "UNAVAILABLE")]


async def test_a_registration_without_a_member_is_in_the_list_too(store: Store) -> None:
    await save(store, REGISTRATIONS, Change(A, None, TRYING.but(status=Status.CANCELLED, member=None)))
    async with store.reading() as connection:
        assert [tuple(row) for row in await users.statuses(connection, after="", limit=9)] == [(A, "CANCELLED", False, None)]


async def test_only_undecided_registrations_without_repeats_left_are_stuck(store: Store) -> None:
    for key, status, stuck in ((A, Status.CONFIRMING, True), (B, Status.CONFIRMING, False), (C, Status.TRYING, False)):
        await save(store, REGISTRATIONS, Change(key, None, TRYING.but(id=key, member=None, status=status, stuck=stuck)))
    async with store.reading() as connection:
        assert [row.id for row in await users.stuck_registrations(connection)] == [A]
