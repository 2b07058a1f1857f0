"""What may be owned only once (DESIGN 1, loop step 4): in a batch, over batches, and in any order against a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.batch import Done
from stores.runtime import claim
from tests.integration.stores.memory import memory
from tests.integration.stores.world import METADATA, Do, Said, World, boxes


def answers(done: Done) -> list[tuple[str, str]]:
    """Who was answered what, in order."""
    return [(p.actor, Said.model_validate_json(p.record.value or b"").what) for p in done.leaving]


async def test_a_value_belongs_to_whoever_comes_first(world: World) -> None:
    done = await world.run(*(world.record(actor, Do(what="hold", tags=("t",))) for actor in "ab"))
    assert answers(done) == [("a", "hold"), ("b", "lost:tag")]
    assert answers(await world.tell("c", what="hold", tags=("t",))) == [("c", "lost:tag")]
    assert await world.rows(claim) == [("tag:t", "a")]


async def test_its_own_value_is_nobodys_loss(world: World) -> None:
    await world.tell("a", what="hold", tags=("t",))
    done = await world.run(*(world.record("a", Do(what="hold", tags=("t", "u"))) for _ in range(2)))
    assert answers(done) == [("a", "hold"), ("a", "hold")]
    assert await world.rows(claim) == [("tag:t", "a"), ("tag:u", "a")]


async def test_who_loses_one_value_takes_none_of_the_others(world: World) -> None:
    await world.tell("a", what="hold", tags=("t",))
    done = await world.run(world.record("b", Do(what="hold", tags=("u", "t"))), world.record("c", Do(what="hold", tags=("u",))))
    assert answers(done) == [("b", "lost:tag"), ("c", "hold")]
    assert await world.rows(claim) == [("tag:t", "a"), ("tag:u", "c")]


async def test_a_behaviour_that_does_not_mind_a_lost_value_does_not_take_it_away(world: World) -> None:
    await world.tell("a", what="hold", tags=("t",))
    await world.tell("b", what="add", tags=("t", "u"))
    assert await world.rows(claim) == [("tag:t", "a"), ("tag:u", "b")]


async def test_a_cancel_two_tries_for_what_it_frees_and_a_refused_try_in_one_batch(world: World) -> None:
    """CASES D9: each claim ends with whom it belongs to."""
    await world.run(
        world.record("a", Do(what="hold", tags=("mobile1", "name1"))), world.record("z", Do(what="hold", tags=("mobile9", "name9")))
    )
    done = await world.run(
        world.record("a", Do(what="forget")),
        world.record("b", Do(what="hold", tags=("mobile1", "name2"))),
        world.record("c", Do(what="hold", tags=("mobile1", "name1"))),
        world.record("d", Do(what="hold", tags=("mobile9", "name3"))),
    )
    assert answers(done) == [("a", "forget"), ("b", "hold"), ("c", "lost:tag"), ("d", "lost:tag")]
    assert await world.rows(claim) == [("tag:mobile1", "b"), ("tag:mobile9", "z"), ("tag:name2", "b"), ("tag:name9", "z")]
    done = await world.run(world.record("e", Do(what="hold", tags=("name1",))), world.record("d", Do(what="hold", tags=("name3",))))
    assert answers(done) == [("e", "hold"), ("d", "hold")], "the refused ones hold nothing"


async def test_what_is_taken_and_freed_and_taken_again_in_one_batch_ends_with_the_last(world: World) -> None:
    done = await world.run(
        world.record("a", Do(what="hold", tags=("t",))),
        world.record("b", Do(what="hold", tags=("t",))),
        world.record("a", Do(what="forget")),
        world.record("b", Do(what="hold", tags=("t",))),
        world.record("a", Do(what="hold", tags=("t",))),
    )
    assert [what for _, what in answers(done)] == ["hold", "lost:tag", "forget", "hold", "lost:tag"]
    assert await world.rows(claim) == [("tag:t", "b")]


async def test_a_message_that_is_parked_takes_nothing(world: World) -> None:
    world.weather.broken = {"boom"}
    done = await world.run(
        world.record("a", Do(what="hold", word="boom", tags=("t",))),
        world.record("a", Do(what="hold", tags=("u",))),
        world.record("b", Do(what="hold", tags=("t", "u"))),
    )
    assert answers(done) == [("b", "hold")]
    world.weather.broken.clear()
    await world.heal("a")
    assert await world.rows(claim) == [("tag:t", "b"), ("tag:u", "b")], "healed, it finds who owns them now"


async def test_a_mended_message_takes_its_claims_anew(world: World) -> None:
    world.weather.broken = {"boom"}
    await world.tell("a", what="hold", word="boom", tags=("t",))
    world.weather.broken.clear()
    await world.heal("a")
    assert await world.rows(claim) == [("tag:t", "a")]


@pytest.mark.parametrize("tags", [("t",), ("t", "t")])
async def test_the_same_value_twice_in_one_message_is_one_claim(world: World, tags: tuple[str, ...]) -> None:
    assert answers(await world.tell("a", what="hold", tags=tags)) == [("a", "hold")]
    assert await world.rows(claim) == [("tag:t", "a")]


Step = tuple[str, str, tuple[str, ...]]
STEPS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["hold", "hold", "forget", "refuse"]),
        st.lists(st.sampled_from("tuv"), max_size=2).map(tuple),
    ),
    max_size=12,
)


def modelled(steps: list[Step]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Owners and answers, one message after another in a dictionary."""
    owners: dict[str, str] = {}
    said: list[tuple[str, str]] = []
    for actor, what, tags in steps:
        if what == "forget":
            owners = {tag: owner for tag, owner in owners.items() if owner != actor}
            said.append((actor, "forget"))
        elif what == "hold" and (lost := [tag for tag in tags if owners.get(tag, actor) != actor]):
            said.append((actor, "lost:" + ",".join("tag" for _ in lost)))
        else:
            said.append((actor, what))
            if what == "hold":
                owners |= dict.fromkeys(tags, actor)
    return owners, said


@given(steps=STEPS, cuts=st.sets(st.integers(1, 11)))
def test_in_any_order_and_any_batches_claims_are_as_if_handled_one_by_one(steps: list[Step], cuts: set[int]) -> None:
    with memory(boxes(), METADATA) as store:
        records = [store.record(actor, Do(what=what, tags=tags)) for actor, what, tags in steps]
        said = [answer for done in store.run_cut(records, cuts) for answer in answers(done)]
        owners, expected = modelled(steps)
        assert said == expected
        assert dict(store.rows(claim)) == {f"tag:{tag}": owner for tag, owner in owners.items()}
