"""A broker or a database of the soak's owner stands still for a while, with everything that it has started."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from stores.process import FROZEN_STATES, process_state
from tools.bench.place import here
from tools.soak import deeds as module
from tools.soak.deeds import Deeds
from tools.soak.patience import until
from tools.soak.plan import Frost
from tools.soak.troupe import children, signal_all

STOP, CONT = signal.SIGSTOP, signal.SIGCONT


async def test_a_frozen_server_is_woken_with_its_children_also_when_the_soak_ends_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Deeds(here(tmp_path), cast(Any, None), cast(Any, None), cast(Any, None), [])
    sent: list[tuple[list[int], int]] = []
    monkeypatch.setattr(module, "children", lambda pid: [pid + 1])
    monkeypatch.setattr(module, "signal_all", lambda pids, number: sent.append((pids, number)))
    await hand.freeze_servers([Frost(0.0, 1, 0.01)], (100, 200))
    freezing = asyncio.ensure_future(hand.freeze_servers([Frost(0.0, 0, 600.0)], (100, 200)))
    assert await until(lambda: len(sent) == 3, 5)
    freezing.cancel()
    await asyncio.gather(freezing, return_exceptions=True)
    assert sent == [([200, 201], STOP), ([200, 201], CONT), ([100, 101], STOP), ([100, 101], CONT)]
    assert hand.done == {"freeze server": 2}


async def test_children_of_a_process_are_stopped_and_woken_with_it() -> None:
    child = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        assert child.pid in children(os.getpid())
        signal_all([child.pid], STOP)
        assert await until(lambda: process_state(child.pid) in FROZEN_STATES, 5)
        signal_all([child.pid], CONT)
        assert await until(lambda: process_state(child.pid) not in FROZEN_STATES, 5)
    finally:
        child.kill()
        await child.wait()
    signal_all([child.pid], STOP)  # who has ended needs none
    assert children(child.pid) == []
