"""Wrong deposit passwords: counted by account, for a while, in bounded memory."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bank import throttle
from bank.throttle import Throttle
from config.bank import WRONG_PASSWORDS_MAX, WRONG_PASSWORDS_MS


@dataclass
class Clock:
    now_ms: int = 1_000

    def __call__(self) -> int:
        return self.now_ms


def tried(of: Throttle, account: str, times: int) -> None:
    for _ in range(times):
        of.try_(account)


def test_one_less_than_too_many_is_heard() -> None:
    of = Throttle(Clock())
    tried(of, "a", WRONG_PASSWORDS_MAX - 1)
    assert of.wait_ms("a") == 0
    of.try_("a")
    assert of.wait_ms("a") == WRONG_PASSWORDS_MS and of.wait_ms("b") == 0


def test_the_wait_is_from_the_first_of_them_and_then_all_is_forgotten() -> None:
    clock = Clock()
    of = Throttle(clock)
    tried(of, "a", 1)
    clock.now_ms += WRONG_PASSWORDS_MS - 1
    tried(of, "a", WRONG_PASSWORDS_MAX - 1)
    assert of.wait_ms("a") == 1
    clock.now_ms += 1
    assert of.wait_ms("a") == 0
    tried(of, "a", WRONG_PASSWORDS_MAX - 1)
    assert of.wait_ms("a") == 0


def test_the_right_one_clears_the_count() -> None:
    of = Throttle(Clock())
    tried(of, "a", WRONG_PASSWORDS_MAX - 1)
    of.right("a")
    tried(of, "a", WRONG_PASSWORDS_MAX - 1)
    assert of.wait_ms("a") == 0


def test_the_longest_silent_one_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "ACCOUNTS_MAX", 2)
    of = Throttle(Clock())
    tried(of, "a", WRONG_PASSWORDS_MAX)
    tried(of, "b", WRONG_PASSWORDS_MAX)
    tried(of, "a", 1)
    tried(of, "c", 1)
    assert of.wait_ms("a") > 0 and of.wait_ms("b") == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, WRONG_PASSWORDS_MS // 3)), max_size=40))
def test_never_more_than_so_many_are_heard_within_the_time(tries: list[tuple[str, int]]) -> None:
    clock = Clock()
    of = Throttle(clock)
    heard: dict[str, list[int]] = {"a": [], "b": []}
    for account, later_ms in tries:
        clock.now_ms += later_ms
        if of.wait_ms(account) == 0:
            of.try_(account)
            heard[account].append(clock.now_ms)
    for times in heard.values():
        for at, first in enumerate(times[: -2 * WRONG_PASSWORDS_MAX] or []):
            assert times[at + 2 * WRONG_PASSWORDS_MAX] - first >= WRONG_PASSWORDS_MS
