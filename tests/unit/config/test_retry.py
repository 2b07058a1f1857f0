import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.registration import Policy
from config.retry import ATTEMPTS, HEALING, SECOND_PHASE, STORE_AWAY, Schedule

SCHEDULES = st.builds(
    Schedule,
    first_ms=st.integers(1, 10_000),
    factor=st.floats(1.5, 10),
    cap_ms=st.integers(10_000, 10_000_000),
    budget=st.integers(1, 100),
)


@given(SCHEDULES, st.integers(0, 10_000), st.text(max_size=40))
def test_a_delay_is_the_same_for_the_same_seed_and_never_over_the_cap(schedule: Schedule, n: int, seed: str) -> None:
    delay = schedule.delay_ms(n, seed)
    assert delay == schedule.delay_ms(n, seed)
    assert 1 <= delay <= schedule.cap_ms


@given(SCHEDULES, st.integers(0, 40), st.text(max_size=40))
def test_a_delay_lies_within_a_fifth_of_its_place_on_the_curve(schedule: Schedule, n: int, seed: str) -> None:
    curve = min(schedule.first_ms * schedule.factor**n, schedule.cap_ms)
    assert curve * 0.8 - 1 <= schedule.delay_ms(n, seed) <= curve * 1.2


@given(SCHEDULES, st.integers(0, 40), st.text(max_size=40))
def test_before_the_cap_each_delay_is_as_long_as_the_one_before(schedule: Schedule, n: int, seed: str) -> None:
    if schedule.first_ms * schedule.factor ** (n + 1) * 1.2 < schedule.cap_ms * 0.8:
        assert schedule.delay_ms(n, seed) <= schedule.delay_ms(n + 1, seed)


def test_who_began_together_does_not_come_back_together() -> None:
    for n in (0, 3, 40):
        delays = [SECOND_PHASE.delay_ms(n, f"actor {i}") for i in range(1000)]
        assert max(delays) - min(delays) > 0.15 * max(delays)


def test_a_budget_is_spent_when_that_many_repeats_were_made() -> None:
    assert not HEALING.is_spent(9)
    assert HEALING.is_spent(10)
    assert not STORE_AWAY.is_spent(10**9)


def test_the_named_schedules_are_what_the_documents_say() -> None:
    assert (SECOND_PHASE.first_ms, SECOND_PHASE.cap_ms, SECOND_PHASE.budget) == (500, 60_000, 50)
    assert (HEALING.first_ms, HEALING.cap_ms, HEALING.budget) == (1_000, 300_000, 10)
    assert ATTEMPTS.cap_ms == 300_000
    assert Policy() == Policy(10_000, SECOND_PHASE, one_time_codes=False)


@pytest.mark.parametrize(
    ("first_ms", "factor", "cap_ms", "budget"), [(0, 2, 10, 1), (11, 2, 10, 1), (1, 1.4, 10, 1), (1, 2, 10, 0), (-1, 2, 10, 1)]
)
def test_a_schedule_that_makes_no_sense_is_not_made(first_ms: int, factor: float, cap_ms: int, budget: int) -> None:
    with pytest.raises(ValueError, match=r"a schedule has|a factor under"):
        Schedule(first_ms, factor, cap_ms, budget)
