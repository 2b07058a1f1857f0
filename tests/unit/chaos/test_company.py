"""The company of a disturbed story: who hears of a fault, what is counted, and that nobody is left standing still."""

import asyncio
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from tools.chaos.arming import Arming, Hit
from tools.chaos.company import TARGETS, UNDERSTUDY, Company
from tools.chaos.plan import Fault
from tools.children import Child
from tools.services import SERVICES
from tools.story.house import House

FREEZE = Fault(4, "trading", "loop.commit.after:freeze:1", 0.01)
KILL = Fault(7, "gateway", "gateway.send.before:kill:2", 1.0)


class Player:
    """Notes the signals that it gets."""

    def __init__(self) -> None:
        self.got: list[signal.Signals] = []

    def send(self, number: signal.Signals) -> bool:
        self.got.append(number)
        return True


@pytest.fixture
def company(tmp_path: Path) -> Company:
    heard: list[Hit] = []
    players = {target: cast(Child, Player()) for target in TARGETS}
    made = Company(cast(House, None), Arming(tmp_path), players, heard.append)
    made.told = heard  # type: ignore[attr-defined]
    return made


def strike(company: Company, target: str, pid: int = 4_194_304) -> None:
    """As the process does it just before it acts (a pid that no process has)."""
    (company.arming.folder / f"{target}.fault.hit").write_text(f"loop.commit.after {pid}\n")


def test_a_fault_for_a_service_waits_in_its_worker_and_in_the_understudy(company: Company) -> None:
    company.arm(FREEZE)
    assert set(company.arming.armed) == {"trading", UNDERSTUDY}
    company.arm(KILL)
    assert company.arming.armed["gateway"] == KILL
    assert company.arming.armed[UNDERSTUDY].text == FREEZE.text


async def test_kills_and_freezes_are_counted_and_told_and_who_is_frozen_is_woken(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda pid, number: woken.append((pid, number)))
    company.arm(FREEZE)
    company.arm(KILL)
    strike(company, "trading", 77)
    strike(company, "gateway", 78)
    company.look()
    assert dict(company.counted) == {"kills": 1, "freezes": 1}
    told: Any = company.told  # type: ignore[attr-defined]
    assert {hit.pid for hit in told} == {77, 78}
    await asyncio.gather(*company._side)
    assert woken == [(77, signal.SIGCONT)]


async def test_one_that_was_ended_while_it_stood_still_needs_no_waking(company: Company) -> None:
    company.arm(FREEZE)
    strike(company, "trading")
    company.look()
    await asyncio.gather(*company._side)


def test_when_it_is_calm_no_fault_waits_and_everybody_goes_on(company: Company) -> None:
    company.arm(FREEZE)
    company.calm()
    assert company.arming.armed == {}
    assert all(cast(Player, player).got == [signal.SIGCONT] for player in company.children.values())
    strike(company, "trading")
    company.look()
    assert not company.counted, "a hit of a fault that was taken away counts nowhere"


def test_everybody_may_be_meant() -> None:
    assert set(SERVICES) < set(TARGETS)
    assert {"gateway", "bank", UNDERSTUDY} < set(TARGETS)
