"""What the named schedules come to as a whole, and that a delay decided yesterday is the delay decided today."""

import math

import pytest

from config.retry import ASKING_BANK, ATTEMPTS, DOUBLINGS_MAX, HEALING, JITTER, SECOND_PHASE, STORE_AWAY, WITHOUT_END, Schedule

MINUTE_MS = 60_000
SEEDS = ["", "a", "00000000-0000-4000-8000-000000000001", "名", "x" * 1000]


def total_ms(schedule: Schedule, seed: str) -> int:
    return sum(schedule.delay_ms(n, seed) for n in range(schedule.budget))


@pytest.mark.parametrize(
    ("schedule", "least_min", "most_min"),
    [
        pytest.param(SECOND_PHASE, 36, 45, id="a second phase is repeated for more than half an hour before it is stuck"),
        pytest.param(HEALING, 10, 17, id="a suspended actor heals by itself within twenty minutes or is stuck"),
        pytest.param(ATTEMPTS, 90, 125, id="the outside world has about two hours"),
        pytest.param(ASKING_BANK, 22 * 60, 26 * 60, id="the bank may be away for a day before a person has to look"),
    ],
)
@pytest.mark.parametrize("seed", SEEDS, ids=len)
def test_a_schedule_is_spent_after_about_as_long_as_is_promised(schedule: Schedule, least_min: int, most_min: int, seed: str) -> None:
    assert least_min * MINUTE_MS <= total_ms(schedule, seed) <= most_min * MINUTE_MS


@pytest.mark.parametrize(
    ("schedule", "n", "seed", "delay_ms"),
    [
        pytest.param(*case, id=f"{case[1]}")
        for case in [
            (SECOND_PHASE, 0, "actor", 557),
            (SECOND_PHASE, 5, "actor", 13289),
            (SECOND_PHASE, 49, "actor", 58407),
            (HEALING, 3, "名", 7778),
            (ATTEMPTS, 29, "", 279208),
            (STORE_AWAY, 10**9, "bus", 1861),
        ]
    ],
)
def test_a_batch_that_is_run_again_after_an_upgrade_decides_the_same_delay(schedule: Schedule, n: int, seed: str, delay_ms: int) -> None:
    assert schedule.delay_ms(n, seed) == delay_ms


@pytest.mark.parametrize("n", [DOUBLINGS_MAX - 1, DOUBLINGS_MAX, DOUBLINGS_MAX + 1, 10**6, 10**18])
@pytest.mark.parametrize("factor", [1.5, 2, 1e4], ids=str)
def test_however_often_it_was_repeated_the_delay_is_near_the_cap(n: int, factor: float) -> None:
    schedule = Schedule(1, factor, 300_000, WITHOUT_END)
    assert schedule.cap_ms * (1 - JITTER) - 1 <= schedule.delay_ms(n, "seed") <= schedule.cap_ms
    assert not schedule.is_spent(min(n, WITHOUT_END - 1))


@pytest.mark.parametrize("n", [0, 1, 7])
def test_the_smallest_schedule_still_waits_a_millisecond(n: int) -> None:
    assert {Schedule(1, 1.5, 1, 1).delay_ms(n, seed) for seed in SEEDS} == {1}


def test_delays_of_many_actors_are_spread_evenly_over_their_fifth() -> None:
    delays = [SECOND_PHASE.delay_ms(4, f"actor {n}") for n in range(4000)]
    curve = 500 * 2**4
    eighths = [math.floor((delay - curve * (1 - JITTER)) / (curve * 2 * JITTER) * 8) for delay in delays]
    assert all(400 < eighths.count(eighth) < 600 for eighth in range(8))


def test_the_repeats_of_one_actor_do_not_share_their_luck() -> None:
    shares = [ATTEMPTS.delay_ms(n, "actor") / (1000 * 2**n) for n in range(8)]
    assert len({round(share, 3) for share in shares}) == 8


def test_a_negative_repeat_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="counted from 0"):
        SECOND_PHASE.delay_ms(-1, "seed")
