"""The throttle: so many tries in a window, good ones given back, and nothing grows without end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import throttle as module
from gateway.throttle import Throttle

WINDOW_MS = 1_000
NAMES = ("a", "b")


class Clock:
    """Stands until it is moved."""

    ms = 0

    def __call__(self) -> int:
        return self.ms


def test_so_many_tries_and_then_one_waits_until_the_window_of_the_first_is_over() -> None:
    clock = Clock()
    throttle = Throttle(WINDOW_MS, clock)
    for at in (0, 300, 900):
        clock.ms = at
        assert throttle.wait_ms([("a", 3)]) == 0
    assert throttle.wait_ms([("a", 3)]) == 100
    clock.ms = 999
    assert throttle.wait_ms([("a", 3)]) == 1
    clock.ms = 1_000
    assert throttle.wait_ms([("a", 3)]) == 0


def test_a_try_that_has_to_wait_counts_nowhere() -> None:
    throttle = Throttle(WINDOW_MS, Clock())
    assert throttle.wait_ms([("a", 1), ("b", 2)]) == 0
    assert throttle.wait_ms([("a", 1), ("b", 2)]) == WINDOW_MS
    assert throttle.wait_ms([("b", 2)]) == 0
    assert throttle.wait_ms([("b", 2)]) == WINDOW_MS


def test_a_good_try_does_not_count_and_takes_no_others_away() -> None:
    throttle = Throttle(WINDOW_MS, Clock())
    throttle.wait_ms([("a", 2)])
    for _ in range(10):
        assert throttle.wait_ms([("a", 2)]) == 0
        throttle.give_back(["a"])
    assert throttle.wait_ms([("a", 2)]) == 0
    assert throttle.wait_ms([("a", 2)]) == WINDOW_MS


def test_what_was_forgotten_is_given_back_without_a_word() -> None:
    throttle = Throttle(WINDOW_MS, Clock())
    throttle.give_back(["never seen"])
    assert throttle.wait_ms([("never seen", 1)]) == 0


def test_only_so_many_counts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNTS_MAX", 3)
    throttle = Throttle(WINDOW_MS, Clock())
    for name in "abcd":
        assert throttle.wait_ms([(name, 1)]) == 0
    assert throttle.wait_ms([("d", 1)]) == WINDOW_MS
    assert throttle.wait_ms([("a", 1)]) == 0


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 400), st.booleans()), max_size=60), st.integers(1, 4))
def test_no_window_lets_more_bad_tries_through_than_the_limit(tries: list[tuple[str, int, bool]], most: int) -> None:
    clock = Clock()
    throttle = Throttle(WINDOW_MS, clock)
    bad: dict[str, list[int]] = {name: [] for name in NAMES}
    for name, later_ms, good in tries:
        clock.ms += later_ms
        if throttle.wait_ms([(name, most)]):
            assert bad[name]
        elif good:
            throttle.give_back([name])
        else:
            bad[name].append(clock.ms)
    for times in bad.values():
        for n, at in enumerate(times):
            assert sum(at <= other < at + WINDOW_MS for other in times[n:]) <= 2 * most - 1  # a fixed window's edge, at the worst
