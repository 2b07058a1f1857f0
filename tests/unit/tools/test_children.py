"""Processes that another command starts beside itself: they say where they serve, are killed and started again, and end with it."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stores.process import FROZEN_STATES, process_state
from tools import children
from tools.children import Child, NotStarted

PATIENCE_S = 20.0
SERVES = 'import time; print(\'{"url": "http://here"}\', flush=True); time.sleep(600)'


async def until(holds: Callable[[], Any]) -> None:
    """Wait for a condition."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {PATIENCE_S} s"
        await asyncio.sleep(0.01)


def child(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str, **more: Any) -> Child:
    monkeypatch.setattr(children, "PROGRAM", (sys.executable, "-c", code))
    return Child("one", (), {"LENDBUS_WHAT": "this"}, folder, **more)


async def test_it_is_started_when_it_says_where_it_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = child(monkeypatch, tmp_path, SERVES)
    await one.start(says_where=True)
    assert one.where == {"url": "http://here"}
    assert one.pid
    await one.stop()
    assert (one.pid, one.endings) == (0, [-signal.SIGTERM])


async def test_one_that_ends_before_it_serves_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = child(monkeypatch, tmp_path, "import sys; sys.exit('no key')", keep=True)
    with pytest.raises(NotStarted, match=r"one has ended with 1: no key"):
        await one.start(says_where=True)
    assert one.starts == 1


async def test_one_that_never_says_that_it_serves_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(children, "START_S_MAX", 0.2)
    one = child(monkeypatch, tmp_path, "import time; time.sleep(600)")
    with pytest.raises(NotStarted, match="did not say within"):
        await one.start(says_where=True)
    assert one.endings == [-signal.SIGKILL]


async def test_a_kept_one_is_started_again_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = child(monkeypatch, tmp_path, SERVES, keep=True)
    await one.start(says_where=True)
    assert one.send(signal.SIGKILL)
    await until(lambda: one.starts == 2 and one.pid)
    await one.stop()
    assert one.endings == [-signal.SIGKILL, -signal.SIGTERM]
    assert not one.send(signal.SIGTERM)


async def test_one_that_is_not_kept_stays_away_and_can_be_started_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = child(monkeypatch, tmp_path, SERVES)
    await one.start(says_where=True)
    one.send(signal.SIGKILL)
    await until(lambda: not one.pid)
    await one.stop()
    await one.start(says_where=True)
    assert one.starts == 2
    await one.stop()


async def test_a_frozen_one_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = child(monkeypatch, tmp_path, SERVES)
    await one.start(says_where=True)
    one.send(signal.SIGSTOP)
    await until(lambda: process_state(one.pid) in FROZEN_STATES)
    await one.stop()
    assert one.endings == [-signal.SIGTERM]


async def test_one_that_does_not_listen_is_ended_by_force(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(children, "END_S_MAX", 0.2)
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVES}"
    one = child(monkeypatch, tmp_path, deaf)
    await one.start(says_where=True)
    await one.stop()
    assert one.endings == [-signal.SIGKILL]


async def test_it_has_its_environment_and_a_pipe_that_ends_with_us(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = (
        "import json, os, sys, time; said = {k: os.environ[k] for k in ('LENDBUS_WHAT', 'LENDBUS_SUPERVISOR_PIPE')};"
        "print(json.dumps(said), flush=True); sys.exit(7 if os.read(int(said['LENDBUS_SUPERVISOR_PIPE']), 1) == b'' else 8)"
    )
    one = child(monkeypatch, tmp_path, code)
    await one.start(says_where=True)
    assert one.where["LENDBUS_WHAT"] == "this"
    assert one._pipe is not None
    os.close(one._pipe[1])  # as the end of our process does
    one._pipe = (one._pipe[0], os.open(os.devnull, os.O_RDONLY))
    await until(lambda: one.endings == [7])
    await one.stop()


async def test_its_words_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = child(monkeypatch, tmp_path, "import sys; [print(n, file=sys.stderr) for n in range(9)]")
    assert one.last_words() == "it said nothing"
    await one.start()
    await until(lambda: one.endings)
    assert one.last_words() == "4 | 5 | 6 | 7 | 8"
    await one.stop()
