"""Two tellings are compared by what they came to: whatever differs is named, ids and times are not looked at."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.story.stand_in import StandIn, told_on
from tools.story import terms
from tools.story.outcome import PLATFORM, Balance, Outcome, differences, outcome, unbalanced
from tools.story.play import told


@pytest.fixture
async def ended() -> Outcome:
    """How a story ends."""
    return await once("1")


async def once(seed: str, **platform: Any) -> Outcome:
    async with told_on(stand_in := StandIn(**platform), seed=seed) as story:
        await told(story)
        return await outcome(story, stand_in.balances)


async def test_other_people_on_other_days_come_to_the_same(ended: Outcome) -> None:
    from datetime import date

    other = await once("2", today=date(2027, 2, 28), stumbles=2)
    assert differences(ended, other) == []


CHANGES: dict[str, tuple[Callable[[Outcome], Outcome], str]] = {
    "a fen": (
        lambda o: replace(o, balances={**o.balances, "lin": Balance(o.balances["lin"].available_fen + 1, 0)}),
        "balances.lin.available_fen: ",
    ),
    "a hold that stays": (
        lambda o: replace(o, balances={**o.balances, "sun": Balance(o.balances["sun"].available_fen, 1)}),
        "balances.sun.held_fen: 0 undisturbed, 1 disturbed",
    ),
    "a state": (lambda o: replace(o, states={**o.states, "cart": "FAILING"}), "states.cart: 'FAILED' undisturbed, 'FAILING' disturbed"),
    "an instalment": (lambda o: replace(o, plan=(*o.plan[:2], {**o.plan[2], "status": "DUE"})), "plan[2].status: "),
    "an instalment too many": (lambda o: replace(o, plan=(*o.plan, o.plan[2])), "plan: "),
    "a share": (lambda o: replace(o, shares=o.shares[1:]), "shares: "),
    "a bid": (lambda o: replace(o, bids={**o.bids, "cart": ()}), "bids.cart: "),
    "a scene": (lambda o: replace(o, scenes=("nobody does: nothing", *o.scenes[1:])), "scenes[0]: "),
    "somebody": (lambda o: replace(o, balances={k: v for k, v in o.balances.items() if k != "zhao"}), "balances.zhao: "),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_whatever_differs_is_named(ended: Outcome, what: str) -> None:
    change, said = CHANGES[what]
    (line,) = differences(ended, change(ended))
    assert line.startswith(said)


async def test_an_outcome_has_no_ids_and_no_days(ended: Outcome) -> None:
    text = str(ended.as_json())
    assert "2026" not in text
    assert "2025" not in text
    assert "'id'" not in text


async def test_money_that_comes_from_nowhere_or_stays_held_is_found(ended: Outcome) -> None:
    assert unbalanced(ended, terms.RECHARGES) == []
    richer = {**ended.balances, "lin": Balance(ended.balances["lin"].available_fen + 1, 0)}
    assert unbalanced(replace(ended, balances=richer), terms.RECHARGES) == ["the accounts hold 1450001 fen, 1450000 fen were brought"]
    held = {**ended.balances, "lin": Balance(ended.balances["lin"].available_fen - 5, 5)}
    assert unbalanced(replace(ended, balances=held), terms.RECHARGES) == ["lin still has 5 fen held"]


async def test_a_borrower_who_paid_more_than_the_interest_is_found(ended: Outcome) -> None:
    borrower, platform = ended.balances["borrower"], ended.balances[PLATFORM]
    moved = {**ended.balances, "borrower": Balance(borrower.available_fen - 3, 0), PLATFORM: Balance(platform.available_fen + 3, 0)}
    (line,) = unbalanced(replace(ended, balances=moved), terms.RECHARGES)
    assert line.startswith(f"the borrower has {borrower.available_fen - 3} fen")


async def test_the_fees_of_earlier_stories_do_not_count() -> None:
    async with told_on(platform := StandIn()) as story:
        platform.available[PLATFORM] = 77
        await told(story)
        ended = await outcome(story, platform.balances, fees_before_fen=77)
    assert ended.balances[PLATFORM] == (await once("1")).balances[PLATFORM]
