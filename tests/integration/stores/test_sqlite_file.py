"""A connection on its thread: what a cancelled caller leaves behind."""

import asyncio
import gc
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from stores.sqlite import SqliteFile

PATIENCE_S = 10.0


async def test_a_cancelled_caller_waits_for_its_work_and_what_that_raises_is_not_complained_of(tmp_path: Path) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    began, go_on = threading.Event(), threading.Event()

    def work(_: sqlite3.Connection) -> None:
        began.set()
        go_on.wait(PATIENCE_S)
        raise LookupError("late")

    file = await SqliteFile.open(tmp_path / "x.db")
    try:
        caller = asyncio.create_task(file.run(work))
        await asyncio.to_thread(began.wait, PATIENCE_S)
        caller.cancel()
        done, _ = await asyncio.wait([caller], timeout=0)
        assert not done, "it waits until the SQL has ended"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
    finally:
        await file.close()
    del caller
    gc.collect()
    assert complaints == []
