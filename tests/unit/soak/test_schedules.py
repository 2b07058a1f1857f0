"""What a soak does to its processes is told by its seed alone, and leaves nothing out that a fault point offers."""

import collections
import itertools
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import faults
from tools.soak.plan import FREEZE_S, FROST_S, GAP_S, KINDS, POINTS, STAGES, TROUBLE_S, Deed, frosts, plan

SEEDS: Final = st.integers(min_value=0, max_value=2**32 - 1)
LONG_S: Final = 10_000
FEW: Final = settings(max_examples=25)
MS: Final = 0.001  # a plan is rounded to it


@FEW
@given(SEEDS, st.integers(min_value=1, max_value=300), st.integers(min_value=1, max_value=300))
def test_a_longer_run_of_a_seed_begins_as_the_shorter_one(seed: int, shorter: int, more: int) -> None:
    whole = plan(seed, shorter + more)
    begun = plan(seed, shorter)
    assert whole[: len(begun)] == begun
    assert all(deed.at_s >= shorter - MS for deed in whole[len(begun) :])


@FEW
@given(SEEDS, SEEDS)
def test_two_seeds_have_one_schedule_only_when_they_are_one(one: int, other: int) -> None:
    assert (plan(one, 60) == plan(other, 60)) is (one == other)


@FEW
@given(SEEDS)
def test_no_two_deeds_are_nearer_or_farther_than_promised(seed: int) -> None:
    times = [0.0, *(deed.at_s for deed in plan(seed, 120))]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(GAP_S[0] - MS <= gap <= GAP_S[1] + MS for gap in gaps)
    assert 120 - times[-1] <= GAP_S[1] + MS, "trouble is made until the end"


@FEW
@given(SEEDS)
def test_a_deed_lasts_as_long_as_its_kind_may_and_picks_an_actor_by_a_share(seed: int) -> None:
    for deed in plan(seed, 120):
        least_s, most_s = FREEZE_S if deed.kind in ("freeze", "fault") else TROUBLE_S
        assert least_s - MS <= deed.length_s <= most_s + MS
        assert 0 <= deed.share < 1


@FEW
@given(SEEDS)
def test_a_fault_strikes_within_the_passes_that_its_point_has(seed: int) -> None:
    for deed in plan(seed, 120):
        point, action, passes = deed.fault.split(":")
        operation, side = point.rsplit(".", 1)
        assert side in ("before", "after")
        assert action in ("kill", "freeze", "raise")
        assert 1 <= int(passes) <= POINTS[operation]


@FEW
@given(SEEDS)
def test_a_run_of_ten_minutes_of_any_seed_leaves_no_kind_of_deed_out(seed: int) -> None:
    assert {deed.kind for deed in plan(seed, 600)} == set(KINDS)


LONG: Final = plan(4_711, LONG_S)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param([(deed.kind, deed.stage, deed.owner) for deed in LONG], id="kind-stage-role"),
        pytest.param([(deed.fault.split(":")[0], deed.fault.split(":")[1]) for deed in LONG if deed.kind == "fault"], id="point-action"),
    ],
)
def test_a_long_schedule_has_every_combination(part: list[tuple[object, ...]]) -> None:
    values = [sorted({each[i] for each in part}, key=str) for i in range(len(part[0]))]
    assert set(part) == set(itertools.product(*values))


@pytest.mark.parametrize("operation", POINTS)
def test_a_point_has_its_first_and_its_last_pass_in_a_long_schedule(operation: str) -> None:
    passes = {int(deed.fault.rsplit(":", 1)[1]) for deed in LONG if deed.fault.rsplit(".", 1)[0] == operation}
    assert {1, POINTS[operation]} <= passes <= set(range(1, POINTS[operation] + 1))


def test_how_often_a_kind_comes_follows_its_weight() -> None:
    counts = collections.Counter(deed.kind for deed in LONG)
    for kind, weight in KINDS.items():
        assert counts[kind] / len(LONG) == pytest.approx(weight / sum(KINDS.values()), abs=0.02), kind


def test_the_owner_is_struck_three_times_of_four_and_both_stages_alike() -> None:
    assert sum(deed.owner for deed in LONG) / len(LONG) == pytest.approx(0.75, abs=0.02)
    for stage in STAGES:
        assert sum(deed.stage == stage for deed in LONG) / len(LONG) == pytest.approx(0.5, abs=0.02)


def test_freezes_last_from_less_than_a_lease_to_several() -> None:
    lengths = [deed.length_s for deed in LONG if deed.kind == "freeze"]
    assert min(lengths) < 0.5 < 1.0 < 3.0 < max(lengths)


@pytest.mark.parametrize("operation", POINTS)
def test_every_point_of_a_schedule_is_a_declared_operation(operation: str) -> None:
    for side, action in itertools.product(("before", "after"), ("kill", "freeze", "raise")):
        faults.parse(f"{operation}.{side}:{action}:1")


def test_a_run_that_is_shorter_than_the_first_gap_has_no_deed_at_all() -> None:
    assert plan(1, 0) == []


def test_a_deed_is_not_changed_once_it_is_planned() -> None:
    with pytest.raises(AttributeError):
        Deed(1.0, "kill", 1, True, 0.5).at_s = 2.0  # type: ignore[misc]


@FEW
@given(SEEDS, st.integers(1, 3))
def test_servers_are_frozen_one_at_a_time_and_woken_before_the_next(seed: int, servers: int) -> None:
    planned = frosts(seed, 600, servers)
    assert planned == frosts(seed, 600, servers)
    assert all(earlier.at_s + earlier.length_s < later.at_s for earlier, later in itertools.pairwise(planned))
    assert {frost.which for frost in planned} <= set(range(servers))
    assert planned and all(FROST_S[0] <= frost.length_s <= FROST_S[1] for frost in planned)


def test_without_servers_of_ones_own_none_is_frozen() -> None:
    assert frosts(5, 600, 0) == []
