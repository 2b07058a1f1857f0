"""A process ends when the files that it has open are removed or replaced (a platform that answers from nowhere loses everything)."""

import asyncio
from pathlib import Path

import pytest

from tools.file_guard import FileGuard, FileReplaced


def test_what_stands_where_it_stood_is_nothing_to_tell(tmp_path: Path) -> None:
    (tmp_path / "bus.db").write_text("a")
    guard = FileGuard([tmp_path / "bus.db"])
    for text in ("b", "c"):
        guard.look()
        (tmp_path / "bus.db").write_text(text)
    guard.look()


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    guard = FileGuard([tmp_path / "bus.db"])
    guard.look()
    (tmp_path / "bus.db").write_text("a")
    guard.look()


def test_a_removed_file_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "users.db").write_text("a")
    guard = FileGuard([tmp_path / "users.db"])
    guard.look()
    (tmp_path / "users.db").unlink()
    with pytest.raises(FileReplaced, match=r"users\.db was removed"):
        guard.look()


def test_another_file_under_the_same_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "users.db").write_text("a")
    guard = FileGuard([tmp_path / "users.db"])
    guard.look()
    (tmp_path / "copy").write_text("a")
    (tmp_path / "copy").rename(tmp_path / "users.db")
    with pytest.raises(FileReplaced, match=r"users\.db was replaced"):
        guard.look()


async def test_the_part_ends_its_process_within_a_look(tmp_path: Path) -> None:
    (tmp_path / "bus.db").write_text("a")
    guard = FileGuard([tmp_path / "bus.db"], every_s=0.01)
    running = asyncio.create_task(guard.run())
    await asyncio.sleep(0)
    (tmp_path / "bus.db").unlink()
    with pytest.raises(FileReplaced):
        await asyncio.wait_for(running, 5)


async def test_a_requested_stop_is_no_failure(tmp_path: Path) -> None:
    guard = FileGuard([tmp_path / "bus.db"], every_s=60)
    running = asyncio.create_task(guard.run())
    await asyncio.sleep(0)
    guard.request_stop()
    await asyncio.wait_for(running, 5)
