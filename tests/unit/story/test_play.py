"""The story on a platform that a test invents: it holds where everything is answered as it must, else that very scene does not."""

from typing import Any

import pytest

from tests.unit.story.stand_in import StandIn, told_on
from tools.story import http, terms
from tools.story.http import TooLong, Unexpected
from tools.story.outcome import PLATFORM, outcome, unbalanced
from tools.story.people import DEPOSIT_PASSWORD
from tools.story.play import told


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for what will never come."""
    monkeypatch.setattr(http, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(http, "LOOK_SELDOM_S", 0.001)


async def test_on_a_platform_that_answers_as_it_must_every_scene_holds() -> None:
    async with told_on(platform := StandIn()) as story:
        scenes = await told(story)
        assert [scene.told for scene in scenes if not scene.held] == []
        ended = await outcome(story, platform.balances)
    assert scenes == story.scenes
    assert ended.states["shop"] == "SETTLED"
    assert ended.states["cart"] == "FAILED"
    assert unbalanced(ended, terms.RECHARGES) == []


async def test_the_refusals_of_the_story_are_refusals() -> None:
    async with told_on(StandIn()) as story:
        scenes = await told(story)
    outcomes = {scene.does: scene.outcome for scene in scenes}
    assert outcomes["opens an account; the bank refuses the name"] == "REFUSED"
    assert outcomes["bids ¥3,000.00 on the shop, without the money"] == "REFUSED, insufficient"
    assert outcomes["bids ¥1,000.00 on the shop, too late"] == "not_raising"
    assert outcomes["tries to approve it a second time"] == "same_auditor"


async def test_what_failed_gives_everything_back_and_what_was_lent_comes_back_with_interest() -> None:
    async with told_on(platform := StandIn()) as story:
        await told(story)
        ended = await outcome(story, platform.balances)
    assert all(balance.held_fen == 0 for balance in ended.balances.values())
    assert ended.bids["cart"] == ("lin 150000 RELEASED", "zhao 100000 RELEASED")
    for part, bid in terms.BIDS:
        shares = sum(int(word) for line in ended.shares if line.startswith(part) for word in line.split()[4:7:2])
        assert shares > bid
        assert ended.balances[part].available_fen == terms.RECHARGES[part] - bid + shares
    assert ended.balances[PLATFORM].available_fen > 0


async def test_what_is_answered_503_is_sent_again_under_the_same_key() -> None:
    async with told_on(platform := StandIn(stumbles=3)) as story:
        await told(story)
        assert story.http.repeats == 3
    assert len(platform.keys) == len(set(platform.keys))


async def test_a_session_that_is_over_is_opened_anew() -> None:
    async with told_on(platform := StandIn()) as story:
        async for _ in story.members():
            pass
        story.http._tokens[story.cast.borrower.login_name] = "of nobody"
        before = len(platform.logins)
        assert all([scene.held async for scene in story.lend()])
    assert platform.logins[before:] == [story.cast.borrower.login_name]


async def test_the_deposit_password_is_said_on_the_banks_pages_only() -> None:
    seen: list[str] = []

    def heard(what: str, status: int, said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        seen.append(f"{what} {said}")
        return status, said

    async with told_on(platform := StandIn(spoil=heard)) as story:
        await told(story)
    assert platform.forms
    assert all(form["deposit_password"] == DEPOSIT_PASSWORD for form in platform.forms)
    assert sum("deposit_password_again" in form for form in platform.forms) == len(story.cast.everybody)
    assert not any(DEPOSIT_PASSWORD in text for text in seen)


@pytest.mark.parametrize(
    ("wrong", "said", "does"),
    [
        ("POST /registrations", {"code": "mobile_taken"}, "registers"),
        ("POST /recharges", {"code": "no_account"}, "brings ¥1,000.00"),
        ("POST /sessions", {"code": "wrong_password"}, "logs in"),
    ],
)
async def test_an_answer_that_is_not_the_storys_is_shown_as_not_held(wrong: str, said: dict[str, Any], does: str) -> None:
    def spoil(what: str, status: int, usual: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return (409, said) if what == wrong else (status, usual)

    async with told_on(StandIn(spoil=spoil), within_s=0.2) as story:
        scenes = []
        try:
            async for scene in story.members():
                scenes.append(scene)  # noqa: PERF401 - what came before the end counts
        except TooLong:
            assert wrong == "POST /sessions"
    found = [scene for scene in scenes if scene.does == does]
    assert found
    assert not any(scene.held for scene in found)
    assert found[0].outcome == said["code"]


async def test_a_second_approval_by_the_same_person_that_passes_does_not_hold() -> None:
    def spoil(what: str, status: int, said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return (200, {}) if what.endswith("full-audit") and status == 409 else (status, said)

    async with told_on(StandIn(spoil=spoil)) as story:
        scenes = await told(story)
    assert [scene.does for scene in scenes if not scene.held] == ["tries to approve it a second time"]


async def test_a_loan_that_never_fills_ends_the_story_with_how_it_stands() -> None:
    def spoil(what: str, status: int, said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return status, ({**said, "status": "SUSPENDED"} if said.get("status") == "FULL" else said)

    async with told_on(StandIn(spoil=spoil), within_s=0.1) as story:
        with pytest.raises(TooLong, match="the shop is full: still status SUSPENDED"):
            await told(story)


async def test_a_loan_that_is_not_accepted_ends_the_story_with_what_was_said() -> None:
    def spoil(what: str, status: int, said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return (422, {"code": "rate_over_cap"}) if what == "POST /loans" else (status, said)

    async with told_on(StandIn(spoil=spoil)) as story:
        with pytest.raises(Unexpected, match="rate_over_cap"):
            await told(story)


async def test_a_calendar_that_does_not_reach_the_day_ends_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.story.play.ROLLS_MAX", 40)
    async with told_on(platform := StandIn()) as story:
        for part in (story.members(), story.lend(), story.fail_another()):
            async for _ in part:
                pass
        start = platform.today

        async def stands_still() -> Any:
            return start

        story.roll = stands_still
        with pytest.raises(Unexpected, match="after 41 days"):
            async for _ in story.repay():
                pass
