"""Whoever asks is answered, and asked again is answered again: Known, Mismatch, Suspended, and the final answer for all who wait."""

from agents.runtime.batch import Done
from agents.runtime.messages import GATEWAY_REPLIES
from config.limits import REPLY_TO_MAX
from stores.runtime import waiting
from tests.integration.stores.world import Do, World, boxes, header, ids, message_id

FIRST, SECOND, THIRD = ids(3)


def replies(done: Done) -> list[tuple[str, str]]:
    """Who was told what, in order."""
    found = [p.record for p in done.leaving if p.record.topic == GATEWAY_REPLIES or header(p.record.headers, "reply-to")]
    return [(header(r.headers, "reply-to") or "", header(r.headers, "type") or "") for r in found]


async def test_who_waits_is_noted_and_not_answered_before_the_end(world: World) -> None:
    done = await world.run(world.record("a", reply_to="gw-1/1"))
    assert replies(done) == []
    assert [row[:2] for row in await world.rows(waiting)] == [("a", "gw-1/1")]


async def test_the_final_answer_goes_to_everybody_who_waits_and_nobody_waits_any_more(world: World) -> None:
    await world.run(world.record("a", reply_to="gw-1/1"), world.record("a", reply_to="gw-2/1"), world.record("b", reply_to="gw-1/2"))
    done = await world.tell("a", what="end")
    assert sorted(replies(done)) == [("gw-1/1", "test.Said"), ("gw-2/1", "test.Said")]
    assert [row[0] for row in await world.rows(waiting)] == ["b"]


async def test_an_answer_is_keyed_by_the_gateway_process_that_waits(world: World) -> None:
    done = await world.run(world.record("a", Do(what="end"), reply_to="gw-1/77"))
    (sent,) = [p.record for p in done.leaving]
    assert sent.key == b"gw-1" and header(sent.headers, "reply-to") == "gw-1/77"


async def test_each_answer_has_an_id_of_its_own_that_is_the_same_in_a_repeat(world: World) -> None:
    for actor in "ab":
        await world.run(*(world.record(actor, reply_to=f"gw-1/{n}") for n in range(3)))
    one = await world.run(world.record("a", Do(what="end"), message_id=FIRST))
    two = await world.run(world.record("b", Do(what="end"), message_id=SECOND))
    found = [message_id(p.record) for done in (one, two) for p in done.leaving]
    assert len(set(found)) == 6


async def test_at_most_eight_wait_for_one_actor(world: World) -> None:
    await world.run(*(world.record("a", reply_to=f"gw-1/{n}") for n in range(5)))
    await world.run(*(world.record("a", reply_to=f"gw-1/{n}") for n in range(3, 12)))
    assert await world.column(waiting.c.reply_to) == [f"gw-1/{n}" for n in range(REPLY_TO_MAX)]
    await world.run(world.record("b", reply_to="gw-1/0"))
    assert len(await world.rows(waiting)) == REPLY_TO_MAX + 1, "another actor's room is its own"


async def test_one_batch_answers_no_more_than_eight_either(world: World) -> None:
    done = await world.run(*(world.record("a", reply_to=f"gw-1/{n}") for n in range(20)), world.record("a", Do(what="end")))
    assert len(replies(done)) == REPLY_TO_MAX
    assert await world.rows(waiting) == []


async def test_the_same_waiter_twice_is_answered_once(world: World) -> None:
    await world.run(world.record("a", reply_to="gw-1/1"))
    done = await world.run(world.record("a", reply_to="gw-1/1"), world.record("a", Do(what="end"), reply_to="gw-1/1"))
    assert replies(done) == [("gw-1/1", "test.Said")]


async def test_a_repeat_with_the_same_content_is_known_and_goes_on_waiting(world: World) -> None:
    await world.run(world.record("a", message_id=FIRST, reply_to="gw-1/1", mac="m1"))
    done = await world.run(world.record("a", message_id=FIRST, reply_to="gw-2/9", mac="m1"))
    assert replies(done) == [("gw-2/9", "runtime.Known")]
    assert sorted(await world.column(waiting.c.reply_to)) == ["gw-1/1", "gw-2/9"]


async def test_a_repeat_to_an_actor_whose_state_is_final_is_known_and_leaves_nobody_waiting(world: World) -> None:
    world.service = boxes(is_final=lambda _, __: True)
    first = world.record("a", Do(what="end"), message_id=FIRST, reply_to="gw-1/1")
    assert replies(await world.run(first)) == [("gw-1/1", "test.Said")]
    done = await world.run(world.record("a", Do(what="end"), message_id=FIRST, reply_to="gw-1/2"))
    assert replies(done) == [("gw-1/2", "runtime.Known")]
    assert await world.rows(waiting) == []


async def test_a_repeat_with_other_content_is_a_mismatch_and_does_not_wait(world: World) -> None:
    await world.run(world.record("a", message_id=FIRST, reply_to="gw-1/1", mac="m1"))
    done = await world.run(world.record("a", message_id=FIRST, reply_to="gw-2/9", mac="m2"))
    assert replies(done) == [("gw-2/9", "runtime.Mismatch")]
    assert await world.column(waiting.c.reply_to) == ["gw-1/1"]


async def test_repeats_inside_one_batch_are_compared_alike(world: World) -> None:
    done = await world.run(
        world.record("a", Do(number=1), message_id=FIRST, reply_to="gw-1/1", mac="m1"),
        world.record("a", Do(number=2), message_id=FIRST, reply_to="gw-1/2", mac="m2"),
        world.record("a", Do(number=1), message_id=FIRST, reply_to="gw-1/3", mac="m1"),
    )
    assert replies(done) == [("gw-1/2", "runtime.Mismatch"), ("gw-1/3", "runtime.Known")]
    found = await world.box("a")
    assert found is not None and found.total == 1


async def test_a_repeat_of_what_waits_for_nobody_says_nothing(world: World) -> None:
    await world.run(world.record("a", message_id=FIRST, mac="m1"))
    done = await world.run(world.record("a", message_id=FIRST, mac="m1"), world.record("a", message_id=FIRST, mac="m2"))
    assert done.leaving == [] and done.repeated == 2


async def test_a_repeat_in_the_batch_that_ends_the_actor_gets_the_end_too(world: World) -> None:
    done = await world.run(
        world.record("a", message_id=FIRST, reply_to="gw-1/1", mac="m1"),
        world.record("a", message_id=FIRST, reply_to="gw-1/2", mac="m1"),
        world.record("a", Do(what="end")),
    )
    assert ("gw-1/2", "runtime.Known") in replies(done)
    assert {to for to, kind in replies(done) if kind == "test.Said"} == {"gw-1/1", "gw-1/2"}


async def test_a_person_whose_command_is_suspended_is_told_at_once_and_gets_the_end_when_it_heals(world: World) -> None:
    world.weather.broken = {"boom"}
    done = await world.run(
        world.record("a", Do(word="boom"), reply_to="gw-1/1"), world.record("a", Do(what="end"), message_id=FIRST, reply_to="gw-1/2")
    )
    assert replies(done) == [("gw-1/1", "runtime.Suspended"), ("gw-1/2", "runtime.Suspended")]
    repeated = await world.run(world.record("a", Do(what="end"), message_id=FIRST, reply_to="gw-1/3"))
    assert replies(repeated) == [("gw-1/3", "runtime.Suspended")]
    world.weather.broken.clear()
    healed = await world.heal("a")
    assert {header(p.record.headers, "reply-to") for p in healed.leaving} == {"gw-1/1", "gw-1/2", "gw-1/3"}


async def test_a_person_whose_command_the_database_rejects_waits_for_the_end_too(world: World) -> None:
    done = await world.run(world.record("a", Do(what="end"), reply_to="gw-1/1"), rejected="too big")
    assert replies(done) == [("gw-1/1", "runtime.Suspended")]
    healed = await world.heal("a")
    assert [header(p.record.headers, "reply-to") for p in healed.leaving] == ["gw-1/1"]
