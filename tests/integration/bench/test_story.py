"""`bench story`: lives are told to their end, at once, on a platform and a bank that are gone afterwards. No times."""

import asyncio
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pytest

from config.settings import load
from tests.integration.bench.form import well_formed
from tools.bench import story
from tools.bench.story import Calendar
from tools.output import Failed
from tools.story import terms
from tools.story.play import Story

FILES: Final = load(bus="sqlite", db="sqlite")
FIRST: Final = date(2025, 1, 31)
FIGURES: Final = {
    "complete loan lives/s",
    "messages/s",
    "messages a life",
    "loans published, filled and disbursed/s",
    "instalments repaid/s",
    "days closed meanwhile",
    "members registered, with account and money/s",
}
MESSAGES_A_LIFE_MIN: Final = 60  # three bids and three instalments are more than twenty orders, each with its answers

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where a bench of this test puts its folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


async def test_two_lives_at_once_come_to_their_end_and_leave_no_folder(in_a_folder: Path) -> None:
    told = well_formed(await story.run(FILES, 2), "story")
    assert (told["conditions"]["lives_at_once"], told["conditions"]["bids"], told["conditions"]["instalments"]) == (2, 3, 3)
    assert set(told["figures"]) == FIGURES and told["bars"] == {}
    assert told["figures"]["messages a life"] >= MESSAGES_A_LIFE_MIN
    assert 85 <= told["figures"]["days closed meanwhile"] <= 95  # three months
    assert list(in_a_folder.iterdir()) == []


@pytest.mark.campaign
async def test_a_life_that_goes_another_way_ends_the_bench_and_leaves_no_folder(in_a_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(terms.RECHARGES, "lin", 400_000)  # less than his bid
    with pytest.raises(Failed, match="a life has not come to its end"):
        await story.run(FILES, 1)
    assert list(in_a_folder.iterdir()) == []


async def test_a_day_is_closed_once_for_all_lives_when_every_one_has_asked() -> None:
    closed: list[date] = []

    async def close() -> date:
        closed.append(FIRST + timedelta(days=len(closed) + 1))
        return closed[-1]

    calendar = Calendar(close, 3)

    async def life(days: int) -> list[date]:
        return [await calendar.roll() for _ in range(days)]

    async with asyncio.TaskGroup() as together:
        lives = [together.create_task(life(5)) for _ in range(3)]
    assert len(closed) == calendar.days == 5
    assert [task.result() for task in lives] == [closed] * 3


async def test_nobody_gets_a_day_ahead_of_the_others() -> None:
    async def close() -> date:
        raise AssertionError("one of two has asked")

    calendar = Calendar(close, 2)
    early = asyncio.create_task(calendar.roll())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not early.done()
    early.cancel()
    with pytest.raises(asyncio.CancelledError):
        await early


def test_a_life_is_the_loan_of_the_story() -> None:
    assert sum(amount_fen for _, amount_fen in terms.BIDS) == terms.SHOP.amount_fen
    assert (story.BIDS, terms.SHOP.months) == (3, 3)
    assert all(callable(getattr(Story, part)) for part in ("members", "lend", "repay"))
