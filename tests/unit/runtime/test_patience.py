"""Waiting for what is away: without end, with back-off, and only for what promises that nothing was written."""

import asyncio

import pytest

from agents.runtime.patience import until_back
from config import retry
from config.retry import STORE_AWAY


class Away(Exception):
    """It is away."""


class Failing:
    """Raises what it is told to, one a call, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "back"


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody sleeps; how long it would have been, in seconds."""
    slept: list[float] = []

    async def nap(delay_s: float) -> None:
        slept.append(delay_s)

    monkeypatch.setattr("agents.runtime.patience.asyncio.sleep", nap)
    return slept


async def test_what_is_there_is_asked_once_and_without_waiting(naps: list[float]) -> None:
    call = Failing()
    assert await until_back(call, Away, what="store") == "back"
    assert (call.calls, naps) == (1, [])


async def test_it_is_asked_again_for_as_long_as_it_takes_and_less_and_less_often(naps: list[float]) -> None:
    call = Failing(*[Away()] * 200)
    assert await until_back(call, Away, what="store") == "back"
    assert call.calls == 201
    assert naps == [STORE_AWAY.delay_ms(n, "store") / 1000 for n in range(200)]
    assert naps[0] < naps[1] < naps[2] and max(naps) <= STORE_AWAY.cap_ms / 1000


async def test_what_raises_anything_else_is_not_asked_again(naps: list[float]) -> None:
    call = Failing(Away(), KeyError("row"))
    with pytest.raises(KeyError, match="row"):
        await until_back(call, Away, what="store")
    assert call.calls == 2 and len(naps) == 1


async def test_each_absence_is_counted(naps: list[float]) -> None:
    counted: list[int] = []
    await until_back(Failing(Away(), Away()), Away, what="store", on_away=lambda: counted.append(1))
    assert len(counted) == len(naps) == 2


async def test_whoever_waits_can_be_cancelled() -> None:
    waiting = asyncio.create_task(until_back(Failing(*[Away()] * 1000), Away, what="store"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_store_that_is_away_has_no_budget() -> None:
    assert retry.STORE_AWAY.budget == retry.WITHOUT_END
