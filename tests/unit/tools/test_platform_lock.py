"""The platform lock: one holder a real folder, known by pid and start, gone with its holder."""

import os
from pathlib import Path

import pytest

from tools.demo_folder import KEPT, demo_folder
from tools.output import WrongUse
from tools.platform_lock import NAME, is_free, platform_lock


def test_the_second_is_told_who_has_the_folder(tmp_path: Path) -> None:
    with platform_lock(tmp_path), pytest.raises(WrongUse, match=rf"process {os.getpid()}, since 20\d\d-"), platform_lock(tmp_path):
        pass


def test_a_link_and_a_detour_are_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with platform_lock(folder) as real:
        assert real == folder.resolve()
        (tmp_path / "link").symlink_to(folder)
        assert not is_free(tmp_path / "link")
        assert not is_free(folder / ".." / "data")
    assert is_free(folder)


def test_a_note_that_was_left_behind_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"pid": 1, "since_ms": 1}')
    with platform_lock(tmp_path):
        assert not is_free(tmp_path)


def test_what_cannot_be_a_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WrongUse, match="cannot be the data folder"), platform_lock(tmp_path / "file"):
        pass


def test_of_earlier_demos_the_latest_stay_and_a_running_one_too(tmp_path: Path) -> None:
    old = [tmp_path / "demo" / f"2025010{n}-000000" for n in range(1, KEPT + 4)]
    for folder in old:
        folder.mkdir(parents=True)
        (folder / NAME).write_text("")
    with platform_lock(old[0]):
        made = demo_folder(tmp_path)
    assert sorted((tmp_path / "demo").iterdir()) == [old[0], *old[-KEPT:], made]
