"""Fault points: a description names one point, one action and one hit; anything else is refused and nothing is half installed."""

import os
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import faults
from config.faults import InjectedFault, around, installed, parse, points, reach

points_drawn = st.sampled_from(points())


def test_every_operation_has_its_two_points_in_order() -> None:
    assert len(set(faults.OPERATIONS)) == len(faults.OPERATIONS)
    assert points()[:2] == ("loop.commit.before", "loop.commit.after")
    assert len(points()) == len(set(points())) == 2 * len(faults.OPERATIONS)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("raise", id="no point"),
        pytest.param("loop.commit.before", id="no action"),
        pytest.param("loop.commit:raise", id="no side"),
        pytest.param("loop.commit.during:raise", id="another side"),
        pytest.param("loop.comit.before:raise", id="a point misspelt"),
        pytest.param("loop.commit.before:explode", id="another action"),
        pytest.param("loop.commit.before:RAISE", id="an action in capitals"),
        pytest.param("loop.commit.before:raise:1:2", id="too much"),
        pytest.param("loop.commit.before:raise:", id="an empty number"),
        pytest.param("loop.commit.before:raise:first", id="a word as number"),
        pytest.param("loop.commit.before:raise:1.5", id="half a hit"),
        pytest.param("loop.commit.before:raise:0", id="a hit before the first"),
        pytest.param("loop.commit.before:raise:-1", id="a negative hit"),
        pytest.param("loop.commit.before:raise:１", id="a digit of another script"),
        pytest.param(" loop.commit.before:raise", id="a blank"),
        pytest.param("loop.commit.before:raise,loop.ack.before:kill", id="two"),
    ],
)
def test_a_wrong_description_is_refused_and_installs_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"expected point:kill\|freeze\|raise\[:nth\]"):
        parse(text)
    if text:
        monkeypatch.setenv("LENDBUS_FAULT", text)
        with pytest.raises(ValueError, match=r"expected point:kill\|freeze\|raise\[:nth\]"):
            faults.install_from_environment()
    for point in points():
        reach(point)


def test_a_wrong_point_or_action_is_answered_with_all_that_are_right() -> None:
    with pytest.raises(ValueError, match=r"kill\|freeze\|raise") as caught:
        parse("x:y")
    assert all(point in str(caught.value) for point in points())


@given(points_drawn, st.none() | st.integers(1, 50), st.lists(points_drawn, max_size=60))
def test_a_hook_acts_at_the_nth_hit_of_its_point_and_at_no_other(point: str, nth: int | None, before: list[str]) -> None:
    hook = parse(f"{point}:raise" if nth is None else f"{point}:raise:{nth}")
    hits = 0
    for reached in [*before, *[point] * 60]:
        hits += reached == point
        if reached == point and hits == (nth or 1):
            with pytest.raises(InjectedFault, match=point):
                hook(reached)
        else:
            hook(reached)


@pytest.mark.parametrize(("action", "number"), [("kill", signal.SIGKILL), ("freeze", signal.SIGSTOP)])
def test_kill_and_freeze_send_this_very_process_their_signal(action: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, signal: sent.append((pid, signal)))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    parse(f"bus.append.after:{action}")("bus.append.after")
    assert sent == [(os.getpid(), number)]


@pytest.mark.parametrize("operation", faults.OPERATIONS)
@pytest.mark.parametrize(("side", "done"), [("before", []), ("after", ["body"])])
def test_the_body_lies_between_its_points(operation: str, side: str, done: list[str]) -> None:
    did: list[str] = []

    def work() -> None:
        with around(operation):
            did.append("body")

    with installed(parse(f"{operation}.{side}:raise")), pytest.raises(InjectedFault):
        work()
    assert did == done


def test_a_body_that_fails_does_not_reach_the_point_after_it() -> None:
    reached: list[str] = []

    def work() -> None:
        with around("loop.ack"):
            raise KeyError

    with installed(reached.append), pytest.raises(KeyError):
        work()
    assert reached == ["loop.ack.before"]


def test_hooks_are_put_back_in_turn_also_when_a_test_fails() -> None:
    outer: list[str] = []
    inner: list[str] = []

    def work() -> None:
        with installed(inner.append):
            reach("one")
            raise KeyError

    with installed(outer.append):
        with pytest.raises(KeyError):
            work()
        reach("two")
    reach("three")
    assert (inner, outer) == (["one"], ["two"])


def test_the_environment_installs_its_hook_and_an_empty_one_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with installed(lambda _: None):
        monkeypatch.setenv("LENDBUS_FAULT", "")
        faults.install_from_environment()
        reach("relay.append.before")
        monkeypatch.setenv("LENDBUS_FAULT", "relay.append.before:raise:2")
        faults.install_from_environment()
        reach("relay.append.before")
        with pytest.raises(InjectedFault):
            reach("relay.append.before")
    reach("relay.append.before")
