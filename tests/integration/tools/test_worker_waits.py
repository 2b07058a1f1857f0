"""A worker whose bus or store is away at the start: asked again until it is back, said once, and a stop works meanwhile (CASES B31)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.runtime import worker as worker_module
from agents.runtime.worker import Surroundings, Worker
from bus.errors import BusAway, LogMadeAnew
from config.retry import Schedule
from config.settings import load
from stores.engine import OutcomeUnknown, StoreAway
from tools import assemble

PATIENCE_S = 20.0


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setattr(worker_module, "STORE_AWAY", Schedule(1, 2, 5, 2**31 - 1))
    return assemble.worker(load(data=tmp_path), "users")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the worker has said aloud."""
    lines: list[str] = []
    for level in ("warning", "error"):
        monkeypatch.setattr(worker_module.log, level, lambda event, **fields: lines.append(f"{event}: {fields['why']}"), raising=False)
    return lines


def failing(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, failures: list[Exception]) -> None:
    """Let a step fail so often before it works."""
    real: Callable[..., Any] = getattr(place, name)

    def step(*args: Any, **kwargs: Any) -> Any:
        if failures:
            raise failures.pop(0)
        return real(*args, **kwargs)

    monkeypatch.setattr(place, name, step)


async def until(holds: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {PATIENCE_S} s"
        await asyncio.sleep(0.01)


async def ended(worker: Worker, running: asyncio.Task[None]) -> None:
    worker.request_stop()
    await asyncio.wait_for(running, PATIENCE_S)


@pytest.mark.parametrize("away", [BusAway("no broker answers"), StoreAway("no server answers")])
@pytest.mark.parametrize("step", ["connect", "make_app"])
async def test_what_is_away_is_asked_again_and_said_once(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, said: list[str], step: str, away: Exception
) -> None:
    failing(monkeypatch, worker_module, step, [away] * 4)
    running = asyncio.create_task(worker.run())
    await worker.wait_until_owner(PATIENCE_S)
    assert said == [f"bus or store is away; nothing is lost, asking again until it is back: {away}"]
    await ended(worker, running)


async def test_a_stop_ends_a_start_that_hangs(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = asyncio.Event()

    async def declare(_: Any) -> None:
        hanging.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(worker, "_declare", declare)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(hanging.wait(), PATIENCE_S)
    await ended(worker, running)


async def test_a_start_that_never_comes_to_an_end_is_given_up_and_tried_anew(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    real, calls = worker._declare, []

    async def declare(bus: Any) -> None:
        calls.append(bus)
        if len(calls) == 1:
            await asyncio.Event().wait()
        await real(bus)

    monkeypatch.setattr(worker, "_declare", declare)
    monkeypatch.setattr(worker_module, "START_S_MAX", 0.05)
    running = asyncio.create_task(worker.run())
    await until(lambda: said)
    monkeypatch.setattr(worker_module, "START_S_MAX", PATIENCE_S)
    await worker.wait_until_owner(PATIENCE_S)
    assert said[0].endswith("the bus has not answered within 0.05 s")
    await ended(worker, running)


@pytest.mark.parametrize("reason", [LogMadeAnew("users.commands/0 was made anew"), OutcomeUnknown("the connection was lost")])
async def test_a_log_made_anew_and_an_unknown_outcome_end_the_app_and_the_worker_takes_over_anew(
    worker: Worker, said: list[str], reason: Exception
) -> None:
    running = asyncio.create_task(worker.run())
    await worker.wait_until_owner(PATIENCE_S)
    first = worker.mailbox
    assert first is not None
    first.fail(reason)
    await until(lambda: worker.mailbox is not None and worker.mailbox is not first and worker.working.is_set())
    assert said == [f"taking over anew: {reason}"]
    await ended(worker, running)


async def test_anything_else_ends_the_worker_with_its_reason(worker: Worker) -> None:
    running = asyncio.create_task(worker.run())
    await worker.wait_until_owner(PATIENCE_S)
    assert worker.mailbox is not None
    worker.mailbox.fail(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        await asyncio.wait_for(running, PATIENCE_S)


async def test_eight_partitions_on_the_embedded_bus_are_one_owners(worker: Worker) -> None:
    around: Surroundings = worker._around
    wide = replace(around, topics=[replace(spec, partitions=8) for spec in around.topics])
    eight = Worker(worker._house, wide)
    running = asyncio.create_task(eight.run())
    await eight.wait_until_owner(PATIENCE_S)
    assert eight.mailbox is not None
    assert sorted(p.tenure.partition for p in eight.mailbox.owned()) == list(range(8))
    await ended(eight, running)
