"""The calendar as rows: only the step that it waits for finds something, and dates wait in order (FLOWS 5.3)."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import bindparam, select

from agents.runtime.calendar import KEY, STEP, Calendar, need_of
from agents.runtime.decision import Need
from stores import repayments as tables
from stores.actors import Change
from stores.calendars import Calendars
from stores.engine import StaleVersion, Store, Tx
from stores.repayments_actors import PLANS, STORE
from stores.statement import Statement
from tests.integration.stores.world import ids
from tests.unit.repayments.lives import made

FIRST, SECOND, THIRD = (date(2025, 3, day) for day in (1, 2, 3))
PLAN = replace(made((1_000_000,), months=1).now, next_due="2025-03-01")


async def saved(store: Store, *changes: Change[Calendar]) -> None:
    await store.transaction("loop.commit", STORE.save, list(changes))


async def loaded(store: Store, *needs: Need, key: str = KEY) -> tuple[Calendar, int] | None:
    def load(tx: Tx) -> dict[str, tuple[Calendar, int]]:
        return STORE.load(tx, [key], [(key, need) for need in needs])

    return (await store.transaction("loop.commit", load)).get(key)


async def due(store: Store, *keys: str, on: str = "2025-03-01") -> None:
    """Plans with something due on that date."""
    changes = [Change(key, None, replace(PLAN, id=key, next_due=on)) for key in keys]
    await store.transaction("loop.commit", PLANS.save, changes)


async def test_a_calendar_comes_back_with_the_dates_that_wait_in_order(store: Store) -> None:
    assert await loaded(store) is None
    scanning = Calendar(KEY, FIRST, "k", (SECOND, THIRD))
    await saved(store, Change(KEY, None, scanning))
    assert await loaded(store) == (scanning, 1)
    standing = Calendar(KEY, THIRD, None)
    await saved(store, Change(KEY, 1, standing))
    assert await loaded(store) == (standing, 2)


async def test_a_calendar_that_was_changed_meanwhile_is_not_written(store: Store) -> None:
    await saved(store, Change(KEY, None, Calendar(KEY, FIRST, None)))
    with pytest.raises(StaleVersion):
        await saved(store, Change(KEY, 7, Calendar(KEY, SECOND, "")))


async def test_the_step_that_it_waits_for_finds_what_is_due_by_its_day(store: Store) -> None:
    keys = sorted(ids(4, "loan"))
    await due(store, *keys[:2])
    await due(store, keys[2], on="2025-02-28")
    await due(store, keys[3], on="2025-03-02")
    await saved(store, Change(KEY, None, Calendar(KEY, FIRST, "")))
    found = await loaded(store, need_of("2025-03-01", ""))
    assert found is not None and found[0].due == tuple(sorted(keys[:3]))


async def test_it_goes_on_after_the_last_key_and_a_step_has_a_limit(store: Store) -> None:
    keys = sorted(ids(STEP + 3, "loan"))
    await due(store, *keys)
    await saved(store, Change(KEY, None, Calendar(KEY, FIRST, "")))
    first = await loaded(store, need_of("2025-03-01", ""))
    assert first is not None and first[0].due == tuple(keys[:STEP])
    await saved(store, Change(KEY, 1, Calendar(KEY, FIRST, keys[STEP - 1])))
    rest = await loaded(store, need_of("2025-03-01", keys[STEP - 1]))
    assert rest is not None and rest[0].due == tuple(keys[STEP:])


@pytest.mark.parametrize("need", [need_of("2025-03-01", "x"), need_of("2025-02-28", ""), Need("bids")], ids=str)
async def test_any_other_step_finds_nothing(store: Store, need: Need) -> None:
    (key,) = ids(1, "loan")
    await due(store, key)
    await saved(store, Change(KEY, None, Calendar(KEY, FIRST, "")))
    found = await loaded(store, need)
    assert found is not None and found[0].due == ()
    both = await loaded(store, need, need_of("2025-03-01", ""))
    assert both is not None and both[0].due == (key,)


async def test_a_calendar_whose_day_is_done_finds_nothing(store: Store) -> None:
    await due(store, *ids(1, "loan"))
    await saved(store, Change(KEY, None, Calendar(KEY, FIRST, None)))
    found = await loaded(store, need_of("2025-03-01", ""))
    assert found is not None and found[0].due == ()


def test_what_is_due_is_asked_by_day_after_and_limit() -> None:
    other = Statement(select(tables.plan.c.id).where(tables.plan.c.next_due <= bindparam("day")), "day")
    with pytest.raises(AssertionError, match="day, after and limit"):
        Calendars(tables.calendar, tables.calendar_waiting, other)
