"""One run of records is one transaction (DESIGN 1, the loop): inbox, states, outbox, timers, attempts, aliases, position."""

import dataclasses

import pytest
from sqlalchemy import delete

from agents.runtime import attempts, position, timers
from agents.runtime.decision import Context, Decision, Send, SetTimer, derived_id
from agents.runtime.messages import DeadLettered
from agents.runtime.ownership import LostEpoch
from agents.runtime.position import Position
from bus.record import unpack_headers
from stores.actors import Change
from stores.engine import RowRejected, StaleVersion, Tx
from stores.runtime import alias, attempt, claim, dead_letter, inbox, outbox, timer
from stores.statement import Statement
from tests.integration.stores.world import BOXES, DAY_MS, HORIZON_MS, NOW_MS, Box, Do, Said, World, box, header, ids, message_id

FIRST, SECOND = ids(2)


async def test_what_follows_from_a_message_of_outside_belongs_to_the_trace_that_the_behaviour_knows(world: World) -> None:
    def behave(state: Box | None, do: Do, context: Context) -> Decision[Box]:
        sends, timers = (Send("b", Said(id="b", what="said")),), (SetTimer("later", NOW_MS + 1, do),)
        return Decision(Box(context.actor), sends=sends, timers=timers, trace="loan-1")

    world.service = dataclasses.replace(world.service, behave=behave)
    await world.take_over()
    done = await world.run(world.record("a", Do(), trace="notice-1"))
    assert [header(p.record.headers, "trace-id") for p in done.leaving] == ["loan-1"]
    assert await world.column(timer.c.trace) == ["loan-1"]


async def test_each_message_meets_the_state_that_the_one_before_left(world: World) -> None:
    done = await world.run(*(world.record("a", Do(number=n, word=f"w{n}")) for n in (1, 2, 3)))
    assert done.handled == 3
    assert await world.box("a") == Box("a", 6, "w1 w2 w3 ")
    assert await world.column(box.c.version) == [1], "one batch is one change of a row"


async def test_a_message_has_effect_once_within_a_batch(world: World) -> None:
    done = await world.run(*(world.record("a", Do(number=1), message_id=FIRST) for _ in range(3)))
    assert (done.handled, done.repeated) == (1, 2)
    assert await world.box("a") == Box("a", 1, "x ")


async def test_a_message_has_effect_once_across_batches(world: World) -> None:
    await world.run(world.record("a", Do(number=1), message_id=FIRST))
    done = await world.run(world.record("a", Do(number=1), message_id=FIRST), world.record("a", Do(number=10), message_id=SECOND))
    assert (done.handled, done.repeated) == (1, 1)
    assert await world.box("a") == Box("a", 11, "x x ")
    assert set(await world.column(inbox.c.id)) == {FIRST, SECOND}


async def test_a_whole_batch_that_comes_again_changes_nothing_but_its_position(world: World) -> None:
    records = [world.record(actor, Do(what="say", number=2, tags=("t",))) for actor in "abc"]
    await world.run(*records)
    before = await world.everything()
    done = await world.run(*records)
    assert (done.handled, done.leaving) == (0, [])
    assert await world.everything() == before


async def test_what_is_said_leaves_in_the_order_in_which_it_was_said(world: World) -> None:
    done = await world.run(
        world.record("b", Do(what="say", number=2, word="p")),
        world.record("a", Do(what="ask", number=5)),
        world.record("b", Do(what="say", number=1, word="q")),
    )
    assert [(p.actor, (p.record.key or b"").decode()) for p in done.leaving] == [("b", "p0"), ("b", "p1"), ("a", "a"), ("b", "q0")]
    assert [p.id for p in done.leaving] == await world.column(outbox.c.id) == sorted(await world.column(outbox.c.id))


async def test_outbox_numbers_grow_also_after_everything_has_left(world: World) -> None:
    first = await world.tell("a", what="say", number=3)
    numbers = [p.id for p in first.leaving]
    second = await world.run(world.record("a", Do(what="say", number=1)), sent=numbers)
    assert second.leaving[0].id > max(numbers)
    assert await world.column(outbox.c.id) == [second.leaving[0].id], "what the bus has acknowledged is gone"


async def test_what_a_message_says_has_ids_that_follow_from_its_own(world: World) -> None:
    done = await world.run(world.record("a", Do(what="say", number=3), message_id=FIRST))
    assert [message_id(p.record) for p in done.leaving] == [derived_id(FIRST, n) for n in range(3)]


async def test_the_same_message_decided_twice_makes_the_same_records(world: World) -> None:
    record = world.record("a", Do(what="say", number=3), message_id=FIRST)

    first = await world.run(record)
    await world.store.transaction("loop.commit", forget_all)
    second = await world.run(record)
    assert [p.record for p in first.leaving] == [p.record for p in second.leaving]


def forget_all(tx: Tx) -> None:
    for table in (inbox, box, outbox):
        tx.run(Statement(delete(table)))


async def test_an_answer_inherits_trace_principal_and_cause(world: World) -> None:
    done = await world.run(world.record("a", Do(what="ask"), message_id=FIRST, trace="t-1", principal="p-1"))
    headers = done.leaving[0].record.headers
    assert (header(headers, "trace-id"), header(headers, "principal"), header(headers, "causation-id")) == ("t-1", "p-1", FIRST)


async def test_a_refused_message_says_so_and_changes_nothing(world: World) -> None:
    await world.tell("a", number=1)
    done = await world.tell("a", what="refuse", number=9)
    assert await world.box("a") == Box("a", 1, "x ")
    assert len(done.leaving) == 1 and await world.column(box.c.version) == [1]


async def test_a_forgotten_actor_is_gone_with_its_timers_and_may_begin_anew(world: World) -> None:
    await world.run(world.record("a", Do(what="timer", number=NOW_MS, word="bell")), world.record("a", Do(number=5)))
    await world.tell("a", what="forget")
    assert await world.box("a") is None and await world.rows(timer) == []
    await world.tell("a", number=1)
    assert await world.box("a") == Box("a", 1, "x ")


async def test_an_actor_forgotten_and_begun_anew_in_one_batch_is_the_new_one(world: World) -> None:
    await world.tell("a", number=5, tags=("old",))
    await world.run(
        world.record("a", Do(what="timer", number=NOW_MS, word="bell")),
        world.record("a", Do(what="forget")),
        world.record("a", Do(what="timer", number=7, word="chime", tags=("new",))),
    )
    assert await world.box("a") == Box("a", 7, "chime ")
    assert await world.column(timer.c.name) == ["chime"]
    assert await world.rows(claim) == [("tag:new", "a")]


async def test_an_actor_made_and_forgotten_in_one_batch_leaves_nothing(world: World) -> None:
    await world.run(world.record("a", Do(what="timer", number=7, tags=("t",))), world.record("a", Do(what="forget")))
    assert [await world.rows(table) for table in (box, timer, claim)] == [[], [], []]


async def test_a_timer_is_set_replaced_and_cleared_by_its_name(world: World) -> None:
    await world.tell("a", what="timer", number=5, word="bell")
    await world.tell("b", what="timer", number=6, word="bell")
    await world.tell("a", what="timer", number=9, word="bell")
    assert sorted(await world.column(timer.c.due_ms)) == [6, 9]
    await world.tell("a", what="clear", word="bell")
    assert await world.column(timer.c.actor) == ["b"]


async def test_the_last_word_about_a_timer_in_a_batch_holds(world: World) -> None:
    await world.run(
        world.record("a", Do(what="timer", number=5, word="bell")),
        world.record("a", Do(what="clear", word="bell")),
        world.record("b", Do(what="clear", word="bell")),
        world.record("b", Do(what="timer", number=6, word="bell")),
        world.record("b", Do(what="timer", number=7, word="bell")),
    )
    assert [(row[1], row[4]) for row in await world.rows(timer)] == [("b", 7)]


async def test_a_timer_set_anew_is_another_timer_and_fires_under_another_id(world: World) -> None:
    await world.tell("a", what="timer", number=5, word="bell")
    (old,) = await world.store.transaction("timers.commit", timers.due, 0, now_ms=5, limit=10)
    await world.tell("a", what="timer", number=5, word="bell")
    (new,) = await world.store.transaction("timers.commit", timers.due, 0, now_ms=5, limit=10)
    assert old.firing_id != new.firing_id
    assert new.firing_id == derived_id(new.id, "firing")


async def test_timers_are_due_at_their_instant_earliest_first(world: World) -> None:
    for due_ms in (30, 10, 20):
        await world.tell(f"a{due_ms}", what="timer", number=due_ms)
    due = await world.store.transaction("timers.commit", timers.due, 0, now_ms=20, limit=10)
    assert [t.actor for t in due] == ["a10", "a20"]
    assert await world.store.transaction("timers.commit", timers.next_due_ms, 0) == 10
    assert await world.store.transaction("timers.commit", timers.due, 1, now_ms=20, limit=10) == [], "another partition's"


async def test_an_attempt_is_written_once_under_its_number(world: World) -> None:
    await world.run(world.record("a", Do(what="attempt", number=1, word="N1")), world.record("a", Do(what="attempt", number=2, word="N1")))
    await world.tell("b", what="attempt", number=3, word="N1")
    (due,) = await world.store.transaction("attempts.commit", attempts.due, 0, now_ms=NOW_MS, limit=9)
    assert (due.number, due.actor, due.target, due.content, due.tries) == ("N1", "a", "bank", {"number": 1}, 0)
    assert await world.column(attempt.c.next_ms) == [NOW_MS]


async def test_a_new_actor_of_another_trace_and_its_business_numbers_are_found_by_the_trace(world: World) -> None:
    await world.run(world.record("a", Do(what="alias", tags=("NO-1", "NO-2")), trace="t-1"), world.record("b", Do(), trace="b"))
    assert [row[:2] for row in await world.rows(alias)] == [("NO-1", "t-1"), ("NO-2", "t-1"), ("a", "t-1")]


async def test_an_alias_stays_with_its_first_trace(world: World) -> None:
    await world.run(world.record("a", Do(what="alias", tags=("NO-1",)), trace="t-1"))
    await world.run(world.record("b", Do(what="alias", tags=("NO-1",)), trace="t-2"))
    assert await world.column(alias.c.id) == ["NO-1", "a", "b"]
    assert await world.column(alias.c.trace) == ["t-1", "t-1", "t-2"]


async def test_a_record_that_cannot_be_read_is_put_aside_with_its_bytes_and_announced_and_the_others_go_on(world: World) -> None:
    bad = world.record("a")._replace(value=b"\xff\x00", headers=(*world.record("a").headers, ("x", None), ("x", b"\xff")))
    done = await world.run(world.record("a", Do(number=1)), bad, world.record("a", Do(number=2)))
    assert await world.box("a") == Box("a", 3, "x x ")
    (row,) = await world.rows(dead_letter)
    assert (row[7], unpack_headers(row[8]), row[9]) == (b"\xff\x00", bad.headers, "bad_json")
    assert [d.reason for d in done.dead] == ["bad_json"]
    (told,) = [p.record for p in done.leaving]
    said = DeadLettered.model_validate_json(told.value or b"")
    assert (said.id, said.service, said.offset, said.reason) == (row[0], "boxes", bad.offset, "bad_json")


async def test_null_empty_and_missing_stay_three_things_in_a_dead_letter(world: World) -> None:
    null, empty = world.poison(None), world.poison(b"")
    await world.run(null, empty, world.record("a")._replace(key=None), world.record("a")._replace(key=b""))
    assert sorted(await world.column(dead_letter.c.reason)) == ["empty_key", "empty_value", "no_key", "no_value"]
    assert {None, b""} <= set(await world.column(dead_letter.c.value))
    assert {None, b""} <= set(await world.column(dead_letter.c.key))


async def test_a_dead_letter_that_is_read_again_is_the_same_one(world: World) -> None:
    bad = world.poison()
    await world.run(bad)
    await world.run(bad)
    assert len(await world.rows(dead_letter)) == 1


async def test_the_position_is_behind_the_last_record_and_knows_it_again(world: World) -> None:
    first, last = world.record("a"), world.record("b", message_id=FIRST)
    await world.run(first, last)
    assert await here(world) == Position(2, 2, 1, NOW_MS, FIRST, "log-1")


async def test_a_run_that_ends_with_a_dead_letter_is_passed_all_the_same(world: World) -> None:
    await world.run(world.record("a"), world.poison())
    assert await here(world) == Position(2, 2, 1, NOW_MS, None, "log-1")


async def test_the_highest_offset_stays_when_the_position_is_set_back(world: World) -> None:
    records = [world.record("a") for _ in range(5)]
    await world.run(*records)
    await world.run(*records[:2])
    assert await here(world) == Position(2, 5, 1, NOW_MS, message_id(records[1]), "log-1")


async def test_the_highest_offset_of_another_log_means_nothing_here(world: World) -> None:
    await world.run(*(world.record("a") for _ in range(5)))
    world.offset, world.incarnation = 0, "log-2"
    record = world.record("a")
    await world.run(record)
    assert await here(world) == Position(1, 1, 0, NOW_MS, message_id(record), "log-2")


async def test_an_old_record_below_the_highest_offset_is_refused_as_expired(world: World) -> None:
    old = world.record("a", Do(number=1))
    await world.run(old, world.record("a", Do(number=2)))
    world.now_ms += HORIZON_MS + 1
    done = await world.run(old)
    assert [d.reason for d in done.dead] == ["expired"] and done.handled == 0
    assert await world.box("a") == Box("a", 3, "x x ")


async def test_a_record_beyond_the_position_is_run_however_old(world: World) -> None:
    first, second = world.record("a", Do(number=1)), world.record("a", Do(number=2))
    world.now_ms += 100 * DAY_MS
    await world.run(first)
    done = await world.run(second)
    assert done.dead == [] and await world.box("a") == Box("a", 3, "x x ")


async def test_an_old_record_of_another_log_is_run(world: World) -> None:
    await world.run(*(world.record("a", Do(number=1)) for _ in range(5)))
    world.offset, world.incarnation = 0, "log-2"
    old = world.record("a", Do(number=10))
    world.now_ms += HORIZON_MS + 1
    done = await world.run(old)
    assert done.dead == [] and done.handled == 1


async def test_a_record_within_the_horizon_is_answered_by_the_inbox_and_not_refused(world: World) -> None:
    old = world.record("a", Do(number=1))
    await world.run(old, world.record("a"))
    world.now_ms += HORIZON_MS
    done = await world.run(old)
    assert (done.dead, done.repeated) == ([], 1)


async def test_what_came_under_a_lost_epoch_writes_nothing_in_any_table(world: World) -> None:
    await world.run(world.record("a", Do(what="timer", number=1, tags=("t",))), world.poison())
    old = world.tenure
    await world.take_over()
    world.tenure = old
    before = await world.everything()
    with pytest.raises(LostEpoch, match="epoch is 2, this process had 1"):
        await world.run(world.record("a", Do(what="forget")), world.record("b", Do(what="attempt", tags=("u",))), world.poison())
    with pytest.raises(LostEpoch):
        await world.heal("a")
    assert await world.everything() == before


async def test_a_row_that_somebody_else_has_changed_stops_everything_and_nothing_is_written(world: World) -> None:
    await world.run(world.record("a", Do(number=1)), world.record("b", Do(number=1)))
    before = await world.everything()

    def meddle(tx: Tx, batch: object) -> None:
        loaded = BOXES.load(tx, ["a", "b"])
        BOXES.save(tx, [Change(key, version + (key == "b"), state.plus(1, "y")) for key, (state, version) in loaded.items()])

    with pytest.raises(StaleVersion, match="1 of 2 actors"):
        await world.owned(meddle)
    assert await world.everything() == before


async def test_a_row_that_the_database_rejects_stops_everything_and_nothing_is_written(world: World) -> None:
    before = await world.everything()
    with pytest.raises(RowRejected):
        await world.run(world.record("a", Do(number=1)), world.record("b", Do(what="big")))
    assert await world.everything() == before


async def test_an_empty_store_has_no_position_and_no_owner_but_the_one_that_takes_over(world: World) -> None:
    assert await here(world) is None
    assert world.tenure.epoch == 1


async def here(world: World) -> Position | None:
    return await world.store.transaction("loop.commit", position.read, 0)


async def test_said_is_what_the_boxes_say(world: World) -> None:
    done = await world.tell("a", what="ask", number=4)
    assert Said.model_validate_json(done.leaving[0].record.value or b"") == Said(id="a", what="ask", number=4)
