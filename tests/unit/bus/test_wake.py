"""FIFOs beside the log: bytes arrive, what is dead is removed, what is missing does no harm."""

import asyncio
import os
from pathlib import Path

from bus.sqlite.wake import Listener, Waker, folder


async def test_a_listener_is_woken_by_every_other_waker(tmp_path: Path) -> None:
    woken = asyncio.Event()
    listener = Listener(tmp_path / "bus.db", woken.set)
    listener.open()
    waker = Waker(tmp_path / "bus.db", "somebody-else")
    for _ in range(3):
        waker.wake()
        await asyncio.wait_for(woken.wait(), 10)
        woken.clear()
    waker.close()
    listener.close()
    assert list(folder(tmp_path / "bus.db").iterdir()) == []


async def test_a_process_does_not_wake_itself_through_its_fifo(tmp_path: Path) -> None:
    woken = asyncio.Event()
    listener = Listener(tmp_path / "bus.db", woken.set)
    listener.open()
    waker = Waker(tmp_path / "bus.db", listener.name)
    waker.wake()
    assert waker._fds == {}
    waker.close()
    listener.close()


async def test_fifos_of_the_dead_are_removed_also_when_they_were_open(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    folder(path).mkdir()
    os.mkfifo(folder(path) / "dead")
    listener = Listener(path, lambda: None)
    listener.open()
    waker = Waker(path, "me")
    waker.wake()
    assert [fifo.name for fifo in folder(path).iterdir()] == [listener.name]
    assert listener._fd is not None
    asyncio.get_running_loop().remove_reader(listener._fd)
    os.close(listener._fd)  # as if its process had died
    listener._fd = None
    waker.wake()
    assert list(folder(path).iterdir()) == []
    waker.close()


async def test_a_full_fifo_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    listener = Listener(path, lambda: None)
    listener.open()
    waker = Waker(path, "me")
    for _ in range(100_000):
        waker.wake()
    waker.close()
    listener.close()


async def test_without_a_folder_nothing_is_woken_and_nothing_fails(tmp_path: Path) -> None:
    waker = Waker(tmp_path / "nowhere" / "bus.db", "me")
    waker.wake()
    waker.close()
    listener = Listener(tmp_path / "nowhere" / "bus.db", lambda: None)
    listener.open()
    listener.close()
