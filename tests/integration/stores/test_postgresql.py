"""PostgreSQL stores: two workers on one database, and what the server says or does not say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, text
from sqlalchemy.util import await_only

from agents.runtime import batch as batches
from agents.runtime import ownership, pruning
from agents.runtime.batch import Batch
from agents.runtime.ownership import LostEpoch, Tenure
from config import faults
from stores import postgresql
from stores.actors import Change
from stores.engine import OutcomeUnknown, RowRejected, StaleVersion, Store, StoreAway, StoreRefused, Tx
from stores.runtime import claim, inbox, meta, outbox, seen
from stores.statement import Statement, insert_new_row, insert_row
from tests.integration.stores.direct import execute, postgresql_only
from tests.integration.stores.world import BOXES, DAY_MS, HORIZON_MS, NOW_MS, PATIENCE_S, Box, Do, Said, World, ids, until
from tests.postgresql_server import sql

pytestmark = postgresql_only

_META = insert_row(meta)
_NEW = insert_new_row(meta)
_ALL = Statement(meta.select().order_by(meta.c.name))
_OUTBOX = insert_row(outbox, skip=("id", "refused"))
KEEP = pruning.Keep(
    inbox_ms=10 * DAY_MS,
    seen_ms=1000 * DAY_MS,
    barrier_ms=10 * DAY_MS,
    dead_letters_ms=30 * DAY_MS,
    waiting_ms=DAY_MS,
    retention_ms=7 * DAY_MS,
    segment_ms=DAY_MS // 2,
    every_s=1,
)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
async def other(store_url: str, store: Store) -> AsyncIterator[Store]:
    """The store of a second worker."""
    opened = await Store.open("other", store_url)
    yield opened
    await opened.close()


async def held(store: Store, work: Callable[[Tx], Any]) -> tuple["asyncio.Task[Any]", Callable[[], None]]:
    """A transaction that has done its work and waits with its COMMIT until it is let go."""
    loop = asyncio.get_running_loop()
    done, go = asyncio.Event(), asyncio.Event()

    def waits(tx: Tx) -> Any:
        made = work(tx)
        loop.call_soon(done.set)
        await_only(asyncio.wait_for(go.wait(), PATIENCE_S))
        return made

    task = asyncio.create_task(store.transaction("loop.commit", waits))
    await asyncio.wait_for(done.wait(), PATIENCE_S)
    return task, go.set


async def somebody_waits(url: str, count: int = 1) -> None:
    """Return when so many transactions wait for a lock."""
    await until(lambda: asyncio.to_thread(lambda: execute(url, WAITING)[0][0] >= count))


def note(tx: Tx, name: str, value: str = "v") -> int:
    return tx.run(_META, name, value)


async def names(store: Store) -> list[str]:
    return [row[0] for row in await store.transaction("loop.commit", lambda tx: tx.all(_ALL))]


async def test_transactions_of_one_store_go_on_beside_each_other(store: Store) -> None:
    first, go = await held(store, lambda tx: note(tx, "a"))
    assert await store.transaction("loop.commit", note, "b") == 1
    assert await names(store) == ["b"], "what is not committed is not seen"
    go()
    await first
    assert await names(store) == ["a", "b"] and store.parallel > 1


async def test_of_two_who_insert_the_same_row_exactly_one_is_told_that_it_was_new(store: Store, other: Store, store_url: str) -> None:
    first, go = await held(store, lambda tx: tx.new(_NEW, [("a", "1"), ("b", "1")]))
    second = asyncio.create_task(other.transaction("loop.commit", lambda tx: tx.new(_NEW, [("b", "2"), ("c", "2")])))
    await somebody_waits(store_url)
    go()
    assert set(await first) == {"a", "b"} and set(await second) == {"c"}
    assert await names(store) == ["a", "b", "c"]


async def test_a_take_over_waits_for_the_open_transaction_and_new_ones_wait_behind_it(store: Store, other: Store, store_url: str) -> None:
    tenure = await store.transaction("takeover.commit", ownership.take_over, 3, now_ms=NOW_MS)

    def owned(tx: Tx, name: str) -> None:
        ownership.check(tx, tenure)
        note(tx, name)

    open_one, go = await held(store, lambda tx: owned(tx, "a"))
    taking = asyncio.create_task(other.transaction("takeover.commit", ownership.take_over, 3, now_ms=NOW_MS))
    await somebody_waits(store_url)
    late = asyncio.create_task(store.transaction("loop.commit", owned, "b"))
    await somebody_waits(store_url, 2)
    beside = await other.transaction("takeover.commit", ownership.take_over, 4, now_ms=NOW_MS)
    assert beside == Tenure(4, 1), "another partition is none of their business"
    go()
    await open_one
    assert await taking == Tenure(3, 2)
    with pytest.raises(LostEpoch):
        await late
    assert await names(store) == ["a"]


@pytest.fixture
async def beside(world: World, other: Store) -> World:
    """The owner of another partition of the same store, in another worker."""
    made = World(other, offset=100)
    made.tenure = await other.transaction("takeover.commit", ownership.take_over, 1, now_ms=NOW_MS)
    return made


def handle(world: World, tx: Tx, actor: str, *tags: str) -> batches.Done:
    """One message of the world's partition."""
    ownership.check(tx, world.tenure)
    record = world.record(actor, Do(what="hold", tags=tags))._replace(partition=world.tenure.partition)
    return batches.apply(tx, world.batch(), batches.decoded([record], world.service.registry), None)


def answers(done: batches.Done) -> list[str]:
    return [Said.model_validate_json(p.record.value or b"").what for p in done.leaving]


async def test_two_owners_commit_at_once_and_what_one_has_taken_is_a_repeat_for_the_other(world: World, beside: World) -> None:
    record = world.record("a", Do(what="ask"))
    done, again = await asyncio.gather(world.run(record), beside.run(record._replace(partition=1)))
    assert sorted([done.handled, again.handled]) == [0, 1] and sorted([done.repeated, again.repeated]) == [0, 1]
    assert len(await world.column(inbox.c.id)) == 1 and await world.box("a") == Box("a", 0, "x ")


@pytest.mark.parametrize("first_is", ["world", "beside"])
async def test_a_value_that_two_want_at_the_same_time_belongs_to_one_of_them(
    world: World, beside: World, store_url: str, first_is: str
) -> None:
    one, two = (world, beside) if first_is == "world" else (beside, world)
    first, go = await held(one.store, lambda tx: handle(one, tx, "a", "t", "u"))
    second = asyncio.create_task(two.store.transaction("loop.commit", lambda tx: handle(two, tx, "b", "s", "t")))
    await somebody_waits(store_url)
    go()
    assert answers(await first) == ["hold"] and answers(await second) == ["lost:tag"]
    assert await world.rows(claim) == [("tag:t", "a"), ("tag:u", "a")]


async def test_a_value_that_its_inserter_does_not_take_goes_to_whoever_waited(world: World, beside: World, store_url: str) -> None:
    await world.tell("z", what="hold", tags=("taken",))
    first, go = await held(world.store, lambda tx: handle(world, tx, "a", "t", "taken"))
    second = asyncio.create_task(beside.store.transaction("loop.commit", lambda tx: handle(beside, tx, "b", "t")))
    await somebody_waits(store_url)
    go()
    assert answers(await first) == ["lost:tag"] and answers(await second) == ["hold"]
    assert await world.rows(claim) == [("tag:t", "b"), ("tag:taken", "z")]


async def test_a_value_that_is_freed_while_another_waits_for_it_is_the_others(world: World, beside: World, store_url: str) -> None:
    await world.tell("a", what="hold", tags=("t",))

    def freed(tx: Tx) -> None:
        ownership.check(tx, world.tenure)
        record = world.record("a", Do(what="forget"))
        batches.apply(tx, world.batch(), batches.decoded([record], world.service.registry), None)

    first, go = await held(world.store, freed)
    second = asyncio.create_task(beside.store.transaction("loop.commit", lambda tx: handle(beside, tx, "b", "t")))
    await somebody_waits(store_url)
    go()
    await first
    assert answers(await second) == ["hold"]
    assert await world.rows(claim) == [("tag:t", "b")]


async def test_a_deadlock_is_repeated_at_once_and_both_commit(store: Store, other: Store) -> None:
    await store.transaction("loop.commit", lambda tx: tx.many(_META, [("a", "0"), ("b", "0")]))
    change = Statement(meta.update().where(meta.c.name == bindparam("of")).values(value=bindparam("new")), "new", "of")
    both = asyncio.Barrier(2)
    tries = 0

    def crosswise(tx: Tx, one: str, two: str) -> None:
        nonlocal tries
        tries += 1
        tx.run(change, one + two, one)
        if tries <= 2:
            await_only(asyncio.wait_for(both.wait(), PATIENCE_S))
        tx.run(change, one + two, two)

    await asyncio.gather(store.transaction("loop.commit", crosswise, "a", "b"), other.transaction("loop.commit", crosswise, "b", "a"))
    assert tries > 2, "one of them was given up"
    (a, b) = await store.transaction("loop.commit", lambda tx: tx.all(_ALL))
    assert a[1] == b[1], "and neither was written by halves"


async def test_two_who_prune_at_once_do_not_wait_for_each_other_and_forget_nothing(world: World, beside: World, store_url: str) -> None:
    for n in range(3):
        await world.tell("a", what="add", number=n)
    later = Batch(world.service, world.tenure, "log-1", NOW_MS + 400 * DAY_MS, HORIZON_MS)
    first, go = await held(world.store, lambda tx: pruning.prune(tx, later, KEEP))
    second = await asyncio.wait_for(beside.store.transaction("prune.commit", pruning.prune, later, KEEP), PATIENCE_S)
    assert second.rows == 0
    go()
    assert (await first).rows == 3
    assert len(await world.rows(seen)) == 3 and await world.rows(inbox) == []


async def test_what_never_ends_in_a_deadlock_is_a_store_that_is_away(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "AGAIN_S", 0)

    def always(tx: Tx) -> None:
        note(tx, "a")
        raise asyncpg.DeadlockDetectedError("deadlock detected")

    with pytest.raises(StoreAway, match="gave up 8 times in a row"):
        await store.transaction("loop.commit", always)
    assert await names(store) == []


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (asyncpg.TooManyConnectionsError, StoreAway),
        (asyncpg.DiskFullError, StoreAway),
        (asyncpg.ReadOnlySQLTransactionError, StoreAway),
        (asyncpg.QueryCanceledError, StoreAway),
        (asyncpg.LockNotAvailableError, StoreAway),
        (asyncpg.CannotConnectNowError, StoreAway),
        (asyncpg.AdminShutdownError, StoreAway),
        (asyncpg.IdleInTransactionSessionTimeoutError, StoreAway),
        (ConnectionResetError, StoreAway),
        (asyncpg.ProgramLimitExceededError, RowRejected),
        (asyncpg.CharacterNotInRepertoireError, RowRejected),
        (asyncpg.ForeignKeyViolationError, RowRejected),
        (asyncpg.InsufficientPrivilegeError, StoreRefused),
        (asyncpg.InvalidPasswordError, StoreRefused),
        (asyncpg.SyntaxOrAccessError, asyncpg.SyntaxOrAccessError),
    ],
)
async def test_what_the_driver_raises_says_what_to_do(store: Store, error: type[Exception], becomes: type[Exception]) -> None:
    def fails(tx: Tx) -> None:
        note(tx, "a")
        raise error("so")

    with pytest.raises(becomes, match="so"):
        await store.transaction("loop.commit", fails)
    assert await names(store) == []


UNPACKABLE = "".join(ids(200))  # an index row may be 2,704 bytes


@pytest.mark.parametrize("value", ["a\x00b", UNPACKABLE], ids=["NUL", "no index holds it"])
async def test_a_text_that_this_database_cannot_hold_is_rejected(store: Store, value: str) -> None:
    rows = [(f"n{n:03}", "v") for n in range(499)] + [(value, "v")]
    with pytest.raises(RowRejected, match="the database refuses a row"):
        await store.transaction("loop.commit", lambda tx: tx.many(_META, rows))
    assert await names(store) == []


async def test_a_stale_one_among_five_hundred_stops_them_all(store: Store) -> None:
    await store.transaction("loop.commit", BOXES.save, [Change(f"b{n:03}", None, Box(f"b{n:03}")) for n in range(500)])
    changes = [Change(f"b{n:03}", 1 if n != 250 else 7, Box(f"b{n:03}", n)) for n in range(500)]
    with pytest.raises(StaleVersion, match="1 of 500 actors"):
        await store.transaction("loop.commit", BOXES.save, changes)
    found = await store.transaction("loop.commit", BOXES.load, ["b001", "b499"])
    assert found == {"b001": (Box("b001"), 1), "b499": (Box("b499"), 1)}


async def test_five_hundred_numbers_come_in_the_order_of_their_rows(store: Store, store_url: str) -> None:
    rows = [(0, f"a{n}", "t", None, b"v", b"[]", n) for n in range(500)]
    numbers = await store.transaction("loop.commit", lambda tx: tx.numbered(_OUTBOX, rows))
    stored = execute(store_url, "SELECT id, actor FROM outbox ORDER BY id")
    assert stored == [(number, f"a{n}") for n, number in enumerate(numbers)]


async def test_a_cancelled_transaction_is_committed_before_the_cancellation_goes_on(store: Store) -> None:
    task, go = await held(store, lambda tx: note(tx, "a"))
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=0)
    assert not done
    go()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names(store) == ["a"]


async def ended(store_url: str) -> None:
    """Cut off every connection of this database but this one."""
    await asyncio.to_thread(sql, store_url, KILL)


KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


async def test_a_connection_that_is_cut_in_a_transaction_wrote_nothing_and_the_next_one_is_whole(store: Store, store_url: str) -> None:
    task, go = await held(store, lambda tx: note(tx, "a"))
    await ended(store_url)
    go()
    with pytest.raises((StoreAway, OutcomeUnknown)):
        await task
    assert await names(store) == []
    assert await store.transaction("loop.commit", note, "b") == 1


async def test_a_connection_that_is_lost_with_its_commit_under_way_says_so(store: Store, store_url: str) -> None:
    def cut(point: str) -> None:
        if point == "loop.commit.before":
            sql(store_url, KILL)

    with faults.installed(cut), pytest.raises(OutcomeUnknown, match="lost during COMMIT"):
        await store.transaction("loop.commit", note, "a")
    assert await names(store) == [], "this time it was not written"


async def test_who_wrote_nothing_need_not_know_how_its_commit_ended(store: Store, store_url: str) -> None:
    def cut(point: str) -> None:
        if point == "loop.commit.before":
            sql(store_url, KILL)

    with faults.installed(cut), pytest.raises(StoreAway):
        await store.transaction("loop.commit", lambda tx: tx.all(_ALL))


async def test_what_a_lost_commit_had_written_is_found_by_the_take_over(world: World, store_url: str) -> None:
    """The COMMIT is durable and its answer is lost: the next owner reads the position and sends the outbox, nothing twice."""
    record = world.record("a", Do(what="ask", number=1))
    await world.run(record)  # as the server has it; the caller was told nothing
    before = await world.everything()
    assert await world.take_over() == Tenure(0, 2)
    done = await world.run(record)
    assert (done.handled, done.repeated, done.leaving) == (0, 1, [])
    after = await world.everything()
    assert {name for name in before if before[name] != after[name]} == {"owner"}


async def test_a_session_is_durable_and_bounded(store: Store) -> None:
    def shown(tx: Tx) -> dict[str, str]:
        return {name: tx.all(Statement(text(f"SHOW {name}")))[0][0] for name in postgresql.SETTINGS}

    assert await store.transaction("loop.commit", shown) == postgresql.SETTINGS


async def test_a_reader_reads_beside_an_open_transaction_and_cannot_write(store: Store) -> None:
    await store.transaction("loop.commit", note, "a")
    task, go = await held(store, lambda tx: note(tx, "b"))
    async with store.reading() as connection:
        assert [row.name for row in (await connection.execute(meta.select())).all()] == ["a"]
        with pytest.raises(Exception, match="read-only transaction"):
            await connection.execute(meta.insert().values(name="c", value="v"))
    go()
    await task
