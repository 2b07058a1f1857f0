import dataclasses
import json
import multiprocessing
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from config import keys
from config.keys import KeyFileError, Keys, load_or_create


def test_a_first_start_makes_a_file_for_nobody_else_and_a_second_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "keys.json"
    made = load_or_create(path, may_generate=True)
    assert load_or_create(path, may_generate=False) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_where_something_is_shared_no_keys_are_made(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="copy the platform's key file"):
        load_or_create(tmp_path / "data" / "keys.json", may_generate=False)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666])
def test_a_file_open_to_others_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    load_or_create(path, may_generate=True)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_or_create(path, may_generate=True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"{",
        b'{"format": 2}',
        b'{"format": 1, "writes": "k1", "seal": []}',
        b'{"format": 1, "writes": 1, "seal": {}}',
    ],
)
def test_what_is_no_key_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="not a key file"):
        load_or_create(path, may_generate=True)
    assert path.read_bytes() == content


@pytest.mark.parametrize("change", [{"mac": "00"}, {"mac": "Z" * 64}, {"mac": 5}, {"writes": "k9"}, {"seal": {"K!": "0" * 64}}])
def test_a_damaged_key_file_is_refused_without_quoting_it(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "keys.json"
    load_or_create(path, may_generate=True)
    content = json.loads(path.read_bytes()) | change
    path.write_text(json.dumps(content))
    with pytest.raises(KeyFileError) as caught:
        load_or_create(path, may_generate=True)
    assert content["lookup"] not in str(caught.value)
    assert caught.value.__suppress_context__


def test_two_purposes_never_share_a_key() -> None:
    some = keys.generate()
    with pytest.raises(ValueError, match="no two are the same"):
        dataclasses.replace(some, mac=some.lookup)
    with pytest.raises(ValueError, match="32 bytes"):
        dataclasses.replace(some, mac=b"short")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(KeyFileError, match=r"keys\.json cannot be"):
        load_or_create(tmp_path / "data" / "keys.json", may_generate=True)


def test_who_comes_second_keeps_the_first_ones_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = load_or_create(path, may_generate=True)
    keys._create(path, keys.generate())
    assert keys.load(path) == first
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_start_together_end_with_one_file(tmp_path: Path) -> None:
    path = tmp_path / "data" / "keys.json"
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        made: list[Keys] = list(pool.map(_start, [path] * 16))
    assert all(each == made[0] for each in made)
    assert list(path.parent.iterdir()) == [path]


def _start(path: Path) -> Keys:
    return load_or_create(path, may_generate=True)
