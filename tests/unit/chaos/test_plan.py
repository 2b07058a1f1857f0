"""What befalls a disturbed story is drawn from its seed: the same again for the same, something else for another."""

import pytest

from config.faults import OPERATIONS, parse
from tools.chaos.plan import BUSY, FAULTS_A_STORY, FROZEN_S, HITS_A_STORY_MIN, POINTS, plan

SCENES = 50


def test_the_same_numbers_have_the_same_faults_and_others_have_others() -> None:
    assert plan(7, 3, 0, SCENES) == plan(7, 3, 0, SCENES)
    drawn = [plan(seed, story, attempt, SCENES) for seed in (7, 8) for story in (0, 1) for attempt in (0, 1)]
    assert len({str(faults) for faults in drawn}) == len(drawn)


def test_every_fault_can_be_done_and_strikes_somebody_who_is_busy_then() -> None:
    for story in range(200):
        faults = plan(1, story, 0, SCENES)
        assert HITS_A_STORY_MIN <= len(faults) <= FAULTS_A_STORY[1]
        assert faults == sorted(faults, key=lambda fault: fault.scene)
        assert len({(fault.scene, fault.target) for fault in faults}) == len(faults)
        for fault in faults:
            parse(fault.text)
            first, last = BUSY[fault.target]
            assert round(first * (SCENES - 1)) <= fault.scene <= round(last * (SCENES - 1))
            assert FROZEN_S[0] <= fault.frozen_s <= FROZEN_S[1]


def test_in_many_stories_everybody_is_struck_at_every_point_on_both_sides_and_in_both_ways() -> None:
    seen = {(fault.target, *fault.text.split(":")[:2]) for story in range(2_000) for fault in plan(2, story, 0, SCENES)}
    wanted = {
        (target, f"{operation}.{side}", action)
        for target, operations in POINTS.items()
        for operation in operations
        for side in ("before", "after")
        for action in ("kill", "freeze")
    }
    assert seen == wanted


@pytest.mark.parametrize("target", POINTS)
def test_only_declared_points_are_meant(target: str) -> None:
    assert set(POINTS[target]) <= set(OPERATIONS)
    assert target in BUSY


def test_a_short_story_has_its_faults_inside() -> None:
    assert all(fault.scene in (0, 1) for story in range(50) for fault in plan(1, story, 0, 2))
