"""Every fault point, in process: the hook raises there once, stores and App are built anew, and the work ends (issue: faults)."""

import asyncio
import contextlib
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from agents.runtime import deadletters, suspension
from agents.runtime.worker import Worker
from config import faults
from config.retry import Schedule
from stores.engine import Store
from tests.faults.probe import COMMANDS, World, begin, stale, unreadable, until_all_ended

T = TypeVar("T")

OF_THE_GATEWAY = ("gateway.send",)
ENDS_WITHIN_S = 20.0
POINTS = [point for point in faults.points() if not point.startswith(OF_THE_GATEWAY)]


class Once:
    """A hook that raises at one point, the first time that it is reached while armed."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.hits = 0

    def __call__(self, reached: str) -> None:
        if reached == self.point:
            self.hits += 1
            if self.hits == 1:
                raise faults.InjectedFault(reached)


def test_there_are_enough_points_and_their_list_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{len(faults.points())} fault points: {', '.join(faults.points())}")
    assert len(set(faults.points())) >= 25


@pytest.mark.parametrize("point", POINTS)
async def test_the_work_ends_although_everything_stops_once_at(point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspension, "HEALING", Schedule(20, 2, 200, 1000))
    hook = Once(point)
    world = World(tmp_path)
    keys = {str(uuid.uuid4()) for _ in range(3)}
    fragile, mended = str(uuid.uuid4()), str(uuid.uuid4())
    records = [*map(begin, sorted(keys)), begin(fragile, fragile=True), unreadable(mended), stale()]
    with faults.installed(hook):
        bus = await _stubborn(world.bus)
        await _stubborn(lambda: bus.append(records))
        async with _restarted_whenever_it_ends(world):
            letter = await _dead_letter(world)
            await _stubborn(lambda: _redrive(world, letter))
            found = await until_all_ended(bus, keys | {fragile, mended}, ENDS_WITHIN_S)
            await _until(lambda: hook.hits > 0, f"{point} was never reached")
            await _until_settled(world)
        await bus.close()
    assert found == dict.fromkeys(keys | {fragile, mended}, 3), "each thing takes exactly three steps"
    assert set(world.asked) == {f"ask-{key}" for key in found}
    assert hook.hits > 0


@contextlib.asynccontextmanager
async def _restarted_whenever_it_ends(world: World) -> AsyncIterator[None]:
    """A worker that is built anew each time that it ends, as a supervisor would."""
    stopping = asyncio.Event()
    current: list[Worker] = []

    async def supervise() -> None:
        while not stopping.is_set():
            current[:] = [world.worker()]
            with contextlib.suppress(faults.InjectedFault):
                await current[0].run()

    task = asyncio.create_task(supervise())
    try:
        yield
    finally:
        stopping.set()
        for worker in current:
            worker.request_stop()
        async with asyncio.timeout(ENDS_WITHIN_S):
            await task


async def _dead_letter(world: World) -> str:
    found: list[str] = []

    def look() -> bool:
        with contextlib.closing(sqlite3.connect(world.store_path)) as c:
            found[:] = [row[0] for row in c.execute("SELECT id FROM dead_letter WHERE topic=?", (COMMANDS,))]
        return bool(found)

    await _until(look, "the unreadable record never became a dead letter")
    return found[0]  # an append that was repeated has left two of it; one is mended


async def _redrive(world: World, letter: str) -> None:
    store = await Store.open("probe", world.store_url)
    try:
        with contextlib.suppress(deadletters.NoSuchDeadLetter):  # the transaction had committed before it was stopped
            await store.transaction(
                "operator.commit", lambda tx: deadletters.redrive(tx, letter, value=b"{}", key=None, headers=None, new_id=str(uuid.uuid4()))
            )
    finally:
        await store.close()


async def _stubborn(work: Callable[[], Awaitable[T]]) -> T:
    """As a client that repeats what it was not answered."""
    try:
        return await work()
    except faults.InjectedFault:
        return await work()


async def _until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait for a condition, with a deadline."""
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            while not condition():  # noqa: ASYNC110 - a condition in a file has no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(otherwise)


async def _until_settled(world: World) -> None:
    """Nothing waits any more: no outbox row, no timer, no attempt, nobody suspended."""

    def settled() -> bool:
        with contextlib.closing(sqlite3.connect(world.store_path)) as c:
            return not any(
                c.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchall() for name in ("outbox", "timer", "attempt", "suspended", "parked")
            )

    await _until(settled, "something is still waiting in the store")
