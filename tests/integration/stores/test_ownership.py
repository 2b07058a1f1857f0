"""Taking over (DESIGN 1): epoch + 1 in one transaction, and whoever had the partition before writes nothing any more."""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from agents.runtime import ownership
from agents.runtime.ownership import LostEpoch, Tenure
from stores.engine import Store, Tx
from stores.migrate import create
from stores.process import process_start
from stores.runtime import outbox, owner
from stores.statement import insert_row
from tests.integration.stores.world import NOW_MS, PATIENCE_S, World

LOOPS = 4
ROWS = 50  # of one transaction of a loop
_SAY = insert_row(outbox, skip=("id", "refused"))


async def test_each_take_over_is_the_next_epoch_and_names_this_process(world: World) -> None:
    for epoch in (2, 3):
        world.now_ms += 1
        assert await world.take_over() == Tenure(0, epoch)
    assert await world.rows(owner) == [(0, 3, os.getpid(), process_start(os.getpid()), NOW_MS + 2)]


async def test_partitions_have_epochs_of_their_own(world: World) -> None:
    other = await world.store.transaction("takeover.commit", ownership.take_over, 7, now_ms=NOW_MS)
    assert other == Tenure(7, 1)
    await world.store.transaction("loop.commit", ownership.check, other)
    await world.store.transaction("loop.commit", ownership.check, world.tenure)


@pytest.mark.parametrize("tenure", [Tenure(0, 0), Tenure(0, 2), Tenure(1, 1)], ids=["earlier", "later", "nobody's"])
async def test_only_the_standing_epoch_is_an_owner(world: World, tenure: Tenure) -> None:
    with pytest.raises(LostEpoch, match=f"partition {tenure.partition}"):
        await world.store.transaction("loop.commit", ownership.check, tenure)


async def test_who_has_lost_the_epoch_rolls_back_what_it_has_written_in_that_transaction(world: World) -> None:
    await world.take_over()
    before = await world.everything()

    def late(tx: Tx) -> None:
        tx.run(_SAY, 0, "a", "t", b"k", b"v", b"[]", NOW_MS)
        ownership.check(tx, Tenure(0, 1))

    with pytest.raises(LostEpoch):
        await world.store.transaction("loop.commit", late)
    assert await world.everything() == before


class OldLoop:
    """A loop of the old owner, on a thread and a connection of its own: transaction after transaction without a pause."""

    def __init__(self, url: str, tenure: Tenure) -> None:
        self.url, self.tenure = url, tenure
        self.committed = 0
        self.ended_by: BaseException | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        store = await Store.open("old", self.url)
        try:
            while not self.stop.is_set():
                await store.transaction("loop.commit", self._one)
                self.committed += 1
        except LostEpoch as exc:
            self.ended_by = exc
        finally:
            await store.close()

    def _one(self, tx: Tx) -> None:
        ownership.check(tx, self.tenure)
        tx.many(_SAY, [(0, "old", "t", b"k", b"v" * 200, b"[]", NOW_MS)] * ROWS)


@contextlib.contextmanager
def four_loops(url: str, tenure: Tenure) -> Iterator[list[OldLoop]]:
    loops = [OldLoop(url, tenure) for _ in range(LOOPS)]
    for loop in loops:
        loop.thread.start()
    try:
        yield loops
    finally:
        for loop in loops:
            loop.stop.set()
        for loop in loops:
            loop.thread.join(PATIENCE_S)


async def test_a_take_over_passes_four_overlapping_loops_of_the_old_owner(world: World, store_url: str) -> None:
    """The waiter is not starved by four loops in a tight row (SQLite's own busy handler naps 100 ms and is); the bar is 0.5 s."""
    with four_loops(store_url, world.tenure) as loops:
        deadline = time.monotonic() + PATIENCE_S
        while not all(loop.committed for loop in loops):
            assert time.monotonic() < deadline and all(loop.thread.is_alive() for loop in loops)
            await asyncio.sleep(0.005)
        begun_s = time.monotonic()
        assert await asyncio.wait_for(world.take_over(), PATIENCE_S) == Tenure(0, 2)
        print(f"take-over past {LOOPS} loops: {time.monotonic() - begun_s:.3f} s", file=sys.stderr)
        taken_over = await world.column(outbox.c.id)
        for loop in loops:
            await asyncio.to_thread(loop.thread.join, PATIENCE_S)
    assert [type(loop.ended_by) for loop in loops] == [LostEpoch] * LOOPS
    assert await world.column(outbox.c.id) == taken_over, "not a row after the take-over"
    assert len(taken_over) == ROWS * sum(loop.committed for loop in loops), "and every one that was committed before"


async def test_take_overs_that_race_get_an_epoch_each(store_url: str) -> None:
    create(store_url)
    stores = [await Store.open("racer", store_url) for _ in range(LOOPS)]
    try:
        tenures = await asyncio.gather(
            *(s.transaction("takeover.commit", ownership.take_over, 0, now_ms=NOW_MS) for s in stores for _ in range(5))
        )
    finally:
        for store in stores:
            await store.close()
    assert sorted(t.epoch for t in tenures) == list(range(1, 21))
