"""The demo's own faults: each begins after its scene and is told with the scene that it holds up; one webhook is lost, once."""

import json

import pytest

from tests.unit.story.stand_in import StandIn, told_on
from tools import demo_faults
from tools.demo_faults import LOST, Faults, Hands


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_faults, "BANK_AWAY_S", 0.001)
    monkeypatch.setattr(demo_faults, "SERVICE_AWAY_S", 0.001)


class World:
    """Notes what is done to it, and after how many scenes."""

    def __init__(self) -> None:
        self.done: list[str] = []

    @property
    def hands(self) -> Hands:
        async def note(what: str) -> None:
            self.done.append(what)

        return Hands(lambda: note("bank down"), lambda: note("bank up"), lambda: note("stop"), lambda: note("start"))


def notice(kind: str) -> bytes:
    return json.dumps({"type": "order.ended", "data": {"kind": kind}}).encode()


async def test_the_bank_and_a_service_leave_and_come_back_and_the_story_holds() -> None:
    faults = Faults((world := World()).hands)
    async with told_on(StandIn()) as story:
        scenes = [scene async for scene in faults.tell(story)]
    assert all(scene.held for scene in scenes)
    assert world.done == ["bank down", "bank up", "stop", "start"]


async def test_the_scenes_that_are_held_up_are_told_with_why_and_their_time_is_not_the_storys() -> None:
    faults = Faults(World().hands)
    async with told_on(StandIn()) as story:
        scenes = [scene async for scene in faults.tell(story)]
    assert [scene.split(":")[0] for scene in faults.held_up] == [
        "borrower brings ¥1,000.00",
        "lin bids ¥5,000.00 on the shop",
        "second auditor approves the full loan",
    ]
    assert faults.waited_ms == sum(scene.took_ms for scene in scenes if scene.told in faults.held_up)


async def test_the_first_webhook_about_a_recharge_after_the_openings_is_lost_and_no_other() -> None:
    faults = Faults(World().hands)
    assert faults.fate(notice(LOST)) == "pass"
    async with told_on(StandIn()) as story:
        async for scene in faults.tell(story):
            if scene.does.endswith(demo_faults.LOSES):
                break
        assert faults._armed is False
    faults._begin(scene)
    assert [faults.fate(notice(kind)) for kind in ("open_account", LOST, LOST, "hold")] == ["pass", "lose", "pass", "pass"]
    assert faults.lost


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"data": []}', b'{"type": "date.rolled", "data": {"date": "2026-01-01"}}'])
async def test_what_is_no_order_is_never_lost(body: bytes) -> None:
    faults = Faults(World().hands)
    faults._armed = True
    assert faults.fate(body) == "pass"
    assert not faults.lost
