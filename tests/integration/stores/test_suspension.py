"""A message that cannot be handled stops its own actor, in order, and nobody else; mended, it goes on where it stopped (DESIGN 1)."""

import dataclasses

import pytest

from agents.runtime import suspension
from agents.runtime.decision import Attempt, Context, Decision, Send, SetTimer
from agents.runtime.operator import Act, NothingToDo, redrive_actor, skip_head
from config.limits import MESSAGE_BYTES_MAX
from config.retry import HEALING
from stores.runtime import attempt, inbox, parked, suspended, timer
from tests.integration.stores.world import NOW_MS, Box, Do, World, behave, ids, message_id

FIRST, SECOND = ids(2)
ACT = Act("operator-1", "because", NOW_MS)


@pytest.fixture
def broken(world: World) -> World:
    """A world in which every `boom` raises."""
    world.weather.broken = {"boom"}
    return world


async def test_a_behaviour_that_raises_stops_its_own_actor_only(broken: World) -> None:
    done = await broken.run(
        broken.record("a", Do(word="boom")),
        broken.record("b", Do(number=1)),
        broken.record("a", Do(number=2)),
        broken.record("b", Do(number=3)),
    )
    assert await broken.box("a") is None and await broken.box("b") == Box("b", 4, "x x ")
    assert done.handled == 2 and set(done.suspended) == {"a"} and done.wakes
    assert await broken.column(parked.c.offset) == [0, 2], "the failed one is the head, in the order of the log"


async def test_what_came_before_it_in_the_batch_stands(broken: World) -> None:
    await broken.run(broken.record("a", Do(number=1)), broken.record("a", Do(word="boom", number=5)), broken.record("a", Do(number=7)))
    assert await broken.box("a") == Box("a", 1, "x ")
    await broken.tell("a", number=9)
    assert await broken.box("a") == Box("a", 1, "x "), "later batches queue behind"
    assert len(await broken.rows(parked)) == 3


async def test_the_reason_is_kept_in_one_line_without_what_was_sealed(broken: World) -> None:
    await broken.run(broken.record("a", Do(word="boom")))
    ((actor, partition, reason, error, tries, next_ms, since_ms),) = await broken.rows(suspended)
    assert (actor, partition, reason, tries, since_ms) == ("a", 0, "behaviour_raised", 0, NOW_MS)
    assert error == "RuntimeError: cannot boom s1.…"
    assert next_ms == NOW_MS + HEALING.delay_ms(0, "a")


async def test_a_message_that_raised_takes_no_claims_and_says_nothing(broken: World) -> None:
    done = await broken.run(
        broken.record("a", Do(what="say", number=3, word="boom", tags=("t",))), broken.record("b", Do(what="hold", tags=("t",)))
    )
    assert [p.actor for p in done.leaving] == ["b"]
    found = await broken.box("b")
    assert found is not None


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_a_mended_version_heals_in_order_under_the_old_ids(broken: World, limit: int) -> None:
    records = [broken.record("a", Do(word=word, number=1)) for word in ("boom", "w1", "w2")]
    await broken.run(*records)
    broken.weather.broken.clear()
    healed = await broken.heal("a", limit=limit)
    while not healed.released:
        assert healed.error is None and not healed.stuck
        healed = await broken.heal("a", limit=limit)
    assert await broken.box("a") == Box("a", 3, "boom w1 w2 ")
    assert await broken.rows(parked) == await broken.rows(suspended) == []
    done = await broken.run(*records)
    assert done.repeated == 3, "their ids are in the inbox since they first came"


async def test_what_a_healed_message_says_is_what_it_would_have_said(broken: World) -> None:
    record = broken.record("a", Do(what="say", word="boom", number=2), message_id=FIRST)
    await broken.run(record)
    broken.weather.broken.clear()
    healed = await broken.heal("a")
    broken.weather.broken.clear()
    twin = await broken.run(broken.record("b", Do(what="say", word="boom", number=2), message_id=SECOND))
    assert [p.record.key for p in healed.leaving] == [p.record.key for p in twin.leaving]
    assert len({message_id(p.record) for p in healed.leaving}) == 2


async def test_a_healing_that_fails_counts_waits_longer_and_ends_stuck(broken: World) -> None:
    await broken.run(broken.record("a", Do(word="boom")))
    waits = []
    for tries in range(HEALING.budget):
        healed = await broken.heal("a", tries=tries)
        assert not healed.released and healed.error == "RuntimeError: cannot boom s1.…"
        ((*_, count, next_ms, _since),) = await broken.rows(suspended)
        assert count == tries + 1
        assert healed.stuck == (next_ms is None) == (tries + 1 == HEALING.budget)
        if next_ms is not None:
            waits.append(next_ms - NOW_MS)
    assert waits[:6] == sorted(waits[:6]), "longer and longer, until the cap"
    assert await broken.store.transaction("heal.commit", suspension.due, 0, now_ms=NOW_MS * 2, limit=9) == []


async def test_progress_begins_the_budget_anew(broken: World) -> None:
    await broken.run(*(broken.record("a", Do(word=word)) for word in ("boom", "fine", "bang")))
    broken.weather.broken = {"bang"}
    healed = await broken.heal("a", tries=HEALING.budget - 1)
    assert not healed.stuck and healed.error is not None
    assert await broken.column(suspended.c.tries) == [1]
    assert await broken.box("a") == Box("a", 0, "boom fine ")
    assert await broken.column(parked.c.offset) == [2]


async def test_a_healing_that_fails_writes_nothing_of_the_failed_message(broken: World) -> None:
    await broken.run(broken.record("a", Do(what="say", number=2, word="boom")))
    before = {name: rows for name, rows in (await broken.everything()).items() if name != "suspended"}
    await broken.heal("a")
    assert {name: rows for name, rows in (await broken.everything()).items() if name != "suspended"} == before


async def test_at_a_start_everything_that_is_not_stuck_is_due(broken: World) -> None:
    await broken.run(*(broken.record(actor, Do(word="boom")) for actor in "ab"))
    await broken.heal("b", tries=HEALING.budget - 1)
    await broken.store.transaction("heal.commit", suspension.wake_all, 0, now_ms=NOW_MS)
    assert await broken.store.transaction("heal.commit", suspension.due, 0, now_ms=NOW_MS, limit=9) == [("a", 0)]


async def test_an_operators_redrive_gives_a_stuck_actor_a_fresh_budget(broken: World) -> None:
    await broken.run(broken.record("a", Do(word="boom")))
    await broken.heal("a", tries=HEALING.budget - 1)
    await broken.store.transaction("operator.commit", redrive_actor, ACT, "a")
    assert await broken.store.transaction("heal.commit", suspension.due, 0, now_ms=NOW_MS, limit=9) == [("a", 0)]


async def test_an_operators_skip_gives_the_head_up_and_the_others_go_on(broken: World) -> None:
    await broken.run(broken.record("a", Do(word="boom")), broken.record("a", Do(word="next", number=1)))
    assert await broken.store.transaction("operator.commit", skip_head, ACT, "a") == "test.commands/0@0"
    healed = await broken.heal("a")
    assert healed.released and await broken.box("a") == Box("a", 1, "next ")


async def test_nobody_can_redrive_or_skip_what_is_not_suspended(world: World) -> None:
    for action in (redrive_actor, skip_head):
        with pytest.raises(NothingToDo, match="a is not suspended"):
            await world.store.transaction("operator.commit", action, ACT, "a")


async def test_a_row_that_the_database_rejects_suspends_its_actor_with_that_reason(world: World) -> None:
    done = await world.run(world.record("a", Do(what="big")), rejected="int too large")
    assert done.suspended == {"a": ("row_rejected", "int too large")}
    assert await world.box("a") is None and len(await world.rows(inbox)) == len(await world.rows(parked)) == 1


HUGE = Do(word="w" * MESSAGE_BYTES_MAX)
UNWRITABLE: dict[str, Decision[Box]] = {
    "answer": Decision(Box("a"), answer=HUGE),
    "send": Decision(Box("a"), sends=(Send("k", HUGE),)),
    "reply": Decision(Box("a"), reply=HUGE),
    "timer": Decision(Box("a"), timers=(SetTimer("bell", 1, HUGE),)),
    "attempt": Decision(Box("a"), attempts=(Attempt("bank", "N1", {"x": object()}),)),
}


@pytest.mark.parametrize("part", UNWRITABLE)
async def test_what_cannot_be_written_is_its_behaviours_mistake_and_stops_only_its_actor(world: World, part: str) -> None:
    def mistaken(state: Box | None, do: Do, context: Context) -> Decision[Box]:
        return UNWRITABLE[part] if context.actor == "a" else behave(state, do, context)

    world.service = dataclasses.replace(world.service, behave=mistaken)
    done = await world.run(world.record("a", reply_to="gw-1/1"), world.record("b", Do(number=1)))
    assert set(done.suspended) == {"a"} and done.handled == 1
    assert await world.box("a") is None and await world.box("b") == Box("b", 1, "x ")
    assert await world.rows(timer) == await world.rows(attempt) == []
