"""A fault waits in the file of its target until it strikes once, or until it is taken away."""

import os
from pathlib import Path

import pytest

from config import faults
from config.faults import InjectedFault
from tools.chaos.arming import Arming
from tools.chaos.plan import Fault

RAISE = Fault(3, "custody", "loop.commit.before:raise:1", 1.0)


def process(arming: Arming, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process becomes one of the target."""
    for name, value in arming.environment(target).items():
        monkeypatch.setenv(name, value)
    faults.install_from_environment()


def test_a_fault_strikes_in_its_target_once_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arming = Arming(tmp_path)
    with faults.installed(lambda _: None):
        process(arming, "custody", monkeypatch)
        faults.reach("loop.commit.before")
        arming.arm(RAISE)
        assert arming.struck(["custody"]) == []
        with pytest.raises(InjectedFault):
            faults.reach("loop.commit.before")
        (hit,) = arming.struck(["users", "custody"])
        assert (hit.fault, hit.point, hit.pid) == (RAISE, "loop.commit.before", os.getpid())
        faults.reach("loop.commit.before")
    assert arming.struck(["custody"]) == []
    assert arming.disarm() == []


def test_a_fault_that_nobody_meets_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arming = Arming(tmp_path)
    with faults.installed(lambda _: None):
        process(arming, "custody", monkeypatch)
        arming.arm(RAISE)
        assert arming.disarm() == [RAISE]
        faults.reach("loop.commit.before")
    assert arming.struck(["custody"]) == []


def test_another_target_is_not_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arming = Arming(tmp_path)
    with faults.installed(lambda _: None):
        process(arming, "users", monkeypatch)
        arming.arm(RAISE)
        faults.reach("loop.commit.before")


def test_a_hit_that_is_not_written_to_its_end_is_looked_at_again(tmp_path: Path) -> None:
    arming = Arming(tmp_path)
    arming.arm(RAISE)
    said = tmp_path / "custody.fault.hit"
    said.write_text("loop.commit.before")
    assert arming.struck(["custody"]) == []
    said.write_text("loop.commit.before 77\n")
    assert [hit.pid for hit in arming.struck(["custody"])] == [77]


def test_a_kill_is_told_from_a_freeze() -> None:
    assert Fault(0, "bank", "loop.commit.before:kill:2", 1.0).is_kill
    assert not Fault(0, "bank", "loop.commit.before:freeze:1", 1.0).is_kill
