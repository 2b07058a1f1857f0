"""Everything that grows has an end (DESIGN 1), and nothing ends before the bus may still bring it."""

import dataclasses
from typing import Any

import pytest
from sqlalchemy import delete

from agents.runtime.pruning import HorizonTooShort, Keep, prune
from config.limits import PRUNE_STEP_ROWS
from stores.engine import Tx
from stores.runtime import alias, attempt, barrier, dead_letter, inbox, outbox, parked, seen, suspended, waiting
from stores.statement import Statement, insert_new_row, insert_row
from tests.integration.stores.world import DAY_MS, NOW_MS, Do, World, message_id

KEEP = Keep(
    inbox_ms=9 * DAY_MS,
    seen_ms=30 * DAY_MS,
    barrier_ms=9 * DAY_MS,
    dead_letters_ms=20 * DAY_MS,
    waiting_ms=DAY_MS,
    retention_ms=7 * DAY_MS,
    segment_ms=DAY_MS,
    every_s=60,
)


def keep(**changes: Any) -> Keep:
    return dataclasses.replace(KEEP, **changes)


async def pruned(world: World, after_ms: int) -> int:
    """One step, so long after everything was written."""
    world.now_ms = NOW_MS + after_ms
    rows: int = (await world.owned(lambda tx, batch: prune(tx, batch, KEEP))).rows
    return rows


def test_an_inbox_that_forgets_before_the_bus_does_is_refused() -> None:
    with pytest.raises(HorizonTooShort, match=r"would remember 9\.0 days; with this retention it needs 9\.5"):
        keep(segment_ms=DAY_MS * 3 // 2)
    with pytest.raises(HorizonTooShort):
        keep(inbox_ms=9 * DAY_MS - 1)
    with pytest.raises(HorizonTooShort):
        keep(retention_ms=7 * DAY_MS + 1)


def test_a_barrier_that_forgets_before_the_inbox_is_refused() -> None:
    with pytest.raises(HorizonTooShort, match="barrier"):
        keep(barrier_ms=9 * DAY_MS - 1)
    assert keep(barrier_ms=9 * DAY_MS, inbox_ms=9 * DAY_MS) == KEEP


async def test_an_inbox_row_past_its_horizon_leaves_what_a_trace_needs(world: World) -> None:
    record = world.record("a", Do(), trace="t-1")
    await world.run(record)
    assert await pruned(world, KEEP.inbox_ms) == 0, "not at the horizon, only past it"
    assert await pruned(world, KEEP.inbox_ms + 1) == 1
    assert await world.rows(inbox) == []
    assert await world.rows(seen) == [("t-1", message_id(record), "a", 0, 0, NOW_MS)]
    await pruned(world, KEEP.seen_ms)
    assert len(await world.rows(seen)) == len(await world.rows(alias)) == 1
    await pruned(world, KEEP.seen_ms + 1)
    assert await world.rows(seen) == await world.rows(alias) == []


async def test_dead_letters_and_people_who_wait_are_forgotten_at_their_own_times(world: World) -> None:
    await world.run(world.record("a", reply_to="gw-1/1"), world.poison())
    await pruned(world, KEEP.waiting_ms + 1)
    assert await world.rows(waiting) == [] and len(await world.rows(dead_letter)) == 1
    await pruned(world, KEEP.dead_letters_ms + 1)
    assert await world.rows(dead_letter) == []


async def test_the_barrier_is_forgotten_after_its_memory(world: World) -> None:
    row = ("a", "cancel", "accounts.Cancelled", b"{}", NOW_MS)
    await world.store.transaction("loop.commit", lambda tx: tx.run(insert_row(barrier), *row))
    await pruned(world, KEEP.barrier_ms)
    assert await world.rows(barrier) == [row]
    await pruned(world, KEEP.barrier_ms + 1)
    assert await world.rows(barrier) == []


async def test_what_waits_for_a_person_is_never_forgotten(world: World) -> None:
    world.weather.broken = {"boom"}
    await world.tell("a", word="boom")
    await pruned(world, 10_000 * DAY_MS)
    assert len(await world.rows(suspended)) == len(await world.rows(parked)) == 1


async def test_actors_and_positions_are_no_history(world: World) -> None:
    await world.tell("a", number=3)
    await pruned(world, 10_000 * DAY_MS)
    assert await world.box("a") is not None
    assert (await world.everything())["position"]


def _many(tx: Tx, count: int) -> None:
    for table, row in (
        (inbox, lambda n: (f"m{n:05}", "a", "t", 0, n, None, NOW_MS)),
        (seen, lambda n: ("t", f"s{n:05}", "a", 0, n, NOW_MS)),
        (alias, lambda n: (f"NO-{n}", "t", NOW_MS)),
        (barrier, lambda n: (f"a{n:05}", "try", "x", b"{}", NOW_MS)),
        (waiting, lambda n: (f"a{n:05}", "gw", NOW_MS)),
    ):
        tx.many(insert_new_row(table), [row(n) for n in range(count)])


async def test_a_step_is_small_and_a_full_one_says_that_there_is_more(world: World) -> None:
    count = PRUNE_STEP_ROWS + 10
    await world.store.transaction("loop.commit", _many, count)
    tables = (inbox, alias, barrier, waiting)
    assert await pruned(world, KEEP.seen_ms + 1) == PRUNE_STEP_ROWS
    assert [len(await world.rows(table)) for table in tables] == [10] * 4
    while await pruned(world, KEEP.seen_ms + 1) == PRUNE_STEP_ROWS:
        pass
    assert [len(await world.rows(table)) for table in (*tables, seen)] == [0] * 5


@pytest.mark.parametrize("table", [seen, alias, barrier, waiting], ids=lambda t: t.name)
async def test_more_of_one_table_alone_is_more_to_do(world: World, table: Any) -> None:
    await world.store.transaction("loop.commit", _many, PRUNE_STEP_ROWS + 10)
    await world.store.transaction("loop.commit", lambda tx: _leave_only(tx, table.name))
    assert await pruned(world, KEEP.seen_ms + 1) == PRUNE_STEP_ROWS
    assert len(await world.rows(table)) == 10


def _leave_only(tx: Tx, name: str) -> None:
    for table in (inbox, seen, alias, barrier, waiting):
        if table.name != name:
            tx.run(Statement(delete(table)))


def _refused_and_spent(tx: Tx) -> None:
    for number, refused in ((1, "too large"), (2, None)):
        tx.run(insert_row(outbox), number, 0, "a", "t", b"k", b"v", b"", NOW_MS, refused)
    for name, next_ms in (("spent", None), ("due", NOW_MS)):
        tx.run(insert_row(attempt), name, "a", 0, "outside", b"{}", 30, next_ms, "gone", "trace", "cause", NOW_MS)


async def test_what_the_bus_refused_and_questions_given_up_go_with_the_dead_letters_and_what_still_works_stays(world: World) -> None:
    await world.owned(lambda tx, batch: _refused_and_spent(tx))
    await pruned(world, KEEP.dead_letters_ms)
    assert (len(await world.rows(outbox)), len(await world.rows(attempt))) == (2, 2)
    await pruned(world, KEEP.dead_letters_ms + 1)
    assert [row[0] for row in await world.rows(outbox)] == [2]
    assert [row[0] for row in await world.rows(attempt)] == ["due"]
