"""The supervisor of worker processes: started again with the reason said, ended in bounded time, never left behind."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.retry import Schedule
from config.settings import load
from stores.process import process_start
from tools import supervisor
from tools.supervisor import PIPE, Supervisor, of_platform

PATIENCE_S = 20.0
SLEEP = "import time; time.sleep(600)"


async def until(holds: Callable[[], Any]) -> Any:
    """Wait for a condition."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline_s, f"not within {PATIENCE_S} s"
        await asyncio.sleep(0.01)
    return found


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "WORKER_RESTART", Schedule(1, 2, 5, 2**31 - 1))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the supervisor has said of ends."""
    said: list[dict[str, Any]] = []

    def note(event: str, **fields: Any) -> None:
        if "why" in fields:
            said.append({"event": event, **fields})

    for level in ("warning", "error"):
        monkeypatch.setattr(supervisor.log, level, note, raising=False)
    return said


@asynccontextmanager
async def running(code: str, count: int = 1, stop_s: float = 10.0) -> AsyncIterator[tuple[Supervisor, asyncio.Task[None]]]:
    """Processes of some Python code under a supervisor, which is ended with the block."""
    made = Supervisor([sys.executable, "-c", code], [dict(os.environ) for _ in range(count)], stop_s)
    task = asyncio.create_task(made.run())
    try:
        await asyncio.wait_for(made.started.wait(), PATIENCE_S)
        yield made, task
    finally:
        made.request_stop()
        await asyncio.wait_for(task, PATIENCE_S)


async def test_a_killed_worker_is_started_again_and_the_signal_is_named(told: list[dict[str, Any]]) -> None:
    async with running(SLEEP, count=2) as (made, _):
        first, second = made.pids
        os.kill(first, signal.SIGKILL)
        await until(lambda: told and len(made.pids) == 2)
        assert (told[0]["worker"], told[0]["pid"], told[0]["why"]) == (1, first, "signal SIGKILL")
        assert made.pids[1] == second and made.pids[0] != first
    assert all(process_start(pid) is None for pid in (first, second))


async def test_an_exit_code_and_the_last_line_are_repeated_and_every_line_is_passed_on(
    told: list[dict[str, Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; print('one\\n\\ntwo', file=sys.stderr); print('three', end='', file=sys.stderr); sys.exit(7)"
    async with running(code):
        await until(lambda: told)
    assert (told[0]["why"], told[0]["last_line"]) == ("exit code 7", "three")
    assert capfd.readouterr().err.startswith("one\n\ntwo\nthree\n")


async def test_who_ends_again_and_again_is_started_for_ever_with_an_alarm_and_ever_longer_pauses(told: list[dict[str, Any]]) -> None:
    async with running("raise SystemExit(2)"):
        await until(lambda: len(told) > supervisor.OFTEN)
    assert "again and again" not in told[0]["event"]
    assert "again and again" in told[supervisor.OFTEN - 1]["event"]
    assert told[supervisor.OFTEN - 1]["times_in_a_row"] == supervisor.OFTEN
    assert all(each["again_in_ms"] >= 1 for each in told)


async def test_a_line_longer_than_any_of_ours_ends_nobody(told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LINE_BYTES_MAX", 1000)
    async with running("import sys; sys.stderr.write('x' * 10_000 + '\\nthe end\\n'); sys.exit(1)"):
        await until(lambda: told)
    assert (told[0]["why"], told[0]["last_line"]) == ("exit code 1", "the end")


async def test_what_cannot_be_started_is_said_and_tried_again(told: list[dict[str, Any]]) -> None:
    made = Supervisor(["/nowhere/at/all"], [{}], 10)
    task = asyncio.create_task(made.run())
    await until(lambda: len(told) >= 2)
    assert told[0]["why"].startswith("it could not be started: ")
    assert made.pids == []
    made.request_stop()
    await asyncio.wait_for(task, PATIENCE_S)


async def test_a_worker_that_does_not_stop_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(supervisor.log, "error", lambda event, **_: said.append(event), raising=False)
    stubborn = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print('up', file=sys.stderr, flush=True); time.sleep(600)"
    async with running(stubborn, stop_s=0.3) as (made, _):
        await until(lambda: made._places[0]._last == "up")
        [pid] = made.pids
    assert process_start(pid) is None
    assert said == ["worker did not stop in time; ended by force"]


async def test_a_cancelled_supervisor_leaves_nobody_behind() -> None:
    made = Supervisor([sys.executable, "-c", SLEEP], [dict(os.environ)], 10)
    task = asyncio.create_task(made.run())
    await asyncio.wait_for(made.started.wait(), PATIENCE_S)
    [pid] = made.pids
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until(lambda: process_start(pid) is None)


async def test_a_worker_stops_when_its_supervisor_has_gone(tmp_path: Path) -> None:
    """The worker's half: the pipe's other end is closed, however that came about."""
    code = (
        "import asyncio, signal, sys\n"
        "from tools.supervisor import end_with_supervisor\n"
        "async def main():\n"
        "    end_with_supervisor()\n"
        "    stopped = asyncio.Event()\n"
        "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)\n"
        "    print('up', flush=True)\n"
        "    await stopped.wait()\n"
        "asyncio.run(main())\n"
    )
    theirs, ours = os.pipe()
    environment = {**os.environ, PIPE: str(theirs), "PYTHONPATH": str(Path(supervisor.__file__).resolve().parent.parent)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment, pass_fds=(theirs,), stdout=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    os.close(theirs)
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), PATIENCE_S) == b"up\n"
        os.close(ours)
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def test_each_worker_has_a_metrics_port_of_its_own_and_no_secret_stands_on_its_command_line(tmp_path: Path) -> None:
    settings = load(data=tmp_path, db="postgresql://u:secret@h/d", metrics_port=9100)
    made = of_platform(settings, 3)
    environments = [place._environment for place in made._places]
    assert [each["LENDBUS_METRICS_PORT"] for each in environments] == ["9101", "9102", "9103"]
    assert all(each["LENDBUS_DB"].count("secret") == 1 for each in environments)
    assert not any("secret" in word for place in made._places for word in place._command)
    assert int(environments[0]["LENDBUS_STOP_TIMEOUT_MS"]) < settings.stop_timeout_ms
    for end in (made._pipe, made._ours):
        os.close(end)


@pytest.mark.parametrize(("port", "told_port"), [(None, None), (0, "0")])
def test_metrics_on_free_ports_or_none(tmp_path: Path, port: int | None, told_port: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LENDBUS_METRICS_PORT", raising=False)
    assert supervisor._environment(load(data=tmp_path, metrics_port=port), 1).get("LENDBUS_METRICS_PORT") == told_port


@pytest.mark.parametrize(("code", "words"), [(0, "exit code 0"), (-9, "signal SIGKILL"), (-34, "signal 34"), (-127, "signal 127")])
def test_an_end_is_described(code: int, words: str) -> None:
    assert supervisor._described(code) == words or (code == -34 and "SIGRTMIN" in supervisor._described(code))
