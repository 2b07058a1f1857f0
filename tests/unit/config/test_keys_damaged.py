"""A key file is whole or refused: each field missing, of another kind, or one key for two purposes; and keys that only open."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config import keys
from config.keys import FILE_BYTES_MAX, KeyFileError, Keys, load, load_or_create

A, B, C, D, E = (letter * 64 for letter in "abcde")
WHOLE: dict[str, Any] = {"format": 1, "writes": "k1", "seal": {"k1": A}, "lookup": B, "mac": C, "token": D}

NOTHINGS: list[Any] = [None, 0, [], {}, "", -1]


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)
    return path


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in WHOLE.items() if key != name}


def test_a_file_that_is_whole_is_read(tmp_path: Path) -> None:
    read = load(written(tmp_path / "keys.json", WHOLE))
    assert read == Keys("k1", {"k1": bytes.fromhex(A)}, *(bytes.fromhex(text) for text in (B, C, D)))


def test_a_file_of_a_later_hand_may_say_more(tmp_path: Path) -> None:
    assert load(written(tmp_path / "keys.json", WHOLE | {"comment": "rotated"})).writes == "k1"


def test_old_keys_open_and_the_one_that_writes_is_among_them(tmp_path: Path) -> None:
    read = load(written(tmp_path / "keys.json", WHOLE | {"writes": "k2", "seal": {"k1": A, "k2": E}}))
    assert (read.writes, sorted(read.seal)) == ("k2", ["k1", "k2"])


@pytest.mark.parametrize(
    "content",
    [
        *(pytest.param(without(name), id=f"without {name}") for name in WHOLE),
        *(pytest.param(WHOLE | {name: value}, id=f"{name} is {value!r}") for name in WHOLE for value in NOTHINGS),
        pytest.param(WHOLE | {"format": "1"}, id="the format as a text"),
        pytest.param(WHOLE | {"format": 2}, id="a later format"),
        pytest.param(WHOLE | {"mac": B}, id="one key to look up and to sign"),
        pytest.param(WHOLE | {"token": A}, id="one key to seal and for tokens"),
        pytest.param(WHOLE | {"seal": {"k1": A, "k2": A}}, id="one key under two names"),
        pytest.param(WHOLE | {"seal": {"k1": A, "k2": B}}, id="an old key that looks up"),
        pytest.param(WHOLE | {"writes": "k2"}, id="what writes is not there"),
        pytest.param(WHOLE | {"writes": "K1", "seal": {"K1": A}}, id="a name in capitals"),
        pytest.param(WHOLE | {"writes": "k.1", "seal": {"k.1": A}}, id="a name with a point"),
        pytest.param(WHOLE | {"writes": "k" * 17, "seal": {"k" * 17: A}}, id="a name too long"),
        pytest.param(WHOLE | {"writes": "k1\n", "seal": {"k1\n": A}}, id="a name with a line end"),
        pytest.param(WHOLE | {"writes": "k１", "seal": {"k１": A}}, id="a digit of another script"),
        pytest.param(WHOLE | {"mac": C[:-1]}, id="a digit short"),
        pytest.param(WHOLE | {"mac": C + "c"}, id="a digit more"),
        pytest.param(WHOLE | {"mac": C.upper()}, id="capitals"),
        pytest.param(WHOLE | {"mac": C + "\n"}, id="a line end"),
        pytest.param(WHOLE | {"mac": " " + C[1:]}, id="a blank"),
        pytest.param(WHOLE | {"mac": "ｃ" * 64}, id="letters of another width"),
        pytest.param(json.dumps(WHOLE)[:-1], id="cut"),
        pytest.param(json.dumps(WHOLE) + "}", id="more than a file"),
        pytest.param(json.dumps([WHOLE]), id="a list"),
        pytest.param("[" * 40_000, id="brackets without end"),
        pytest.param(json.dumps(WHOLE | {"comment": "x" * FILE_BYTES_MAX}), id="too long"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused_with_what_to_do_and_stays(tmp_path: Path, content: object) -> None:
    path = written(tmp_path / "keys.json", content)
    before = path.read_bytes()
    with pytest.raises(KeyFileError) as caught:
        load_or_create(path, may_generate=True)
    assert "keys.json is not a key file of format 1" in str(caught.value) and "backup" in str(caught.value)
    assert not any(key in str(caught.value) for key in (A, B, C, D))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def a_folder(path: Path) -> None:
    path.mkdir()


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [a_folder, a_loop])
def test_what_cannot_be_read_is_named_and_nothing_is_made(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "keys.json")
    with pytest.raises(KeyFileError, match=r"keys\.json cannot be read"):
        load_or_create(tmp_path / "keys.json", may_generate=True)
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("mode", [0o400, 0o500, 0o600, 0o700], ids=oct)
def test_a_file_for_its_owner_alone_is_read_whatever_the_owner_may(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "keys.json", WHOLE)
    path.chmod(mode)
    assert load(path).writes == "k1"


@pytest.mark.parametrize("bit", [0o001, 0o002, 0o004, 0o010, 0o020, 0o040], ids=oct)
def test_any_right_of_others_is_refused(tmp_path: Path, bit: int) -> None:
    path = written(tmp_path / "keys.json", WHOLE)
    path.chmod(0o600 | bit)
    with pytest.raises(KeyFileError, match=f"mode {0o600 | bit:04o}.*chmod 600"):
        load(path)


def test_keys_are_never_printed() -> None:
    some = keys.generate()
    every = [*some.seal.values(), some.lookup, some.mac, some.token]
    assert not any(repr(key) in repr(some) or key.hex() in repr(some) for key in every)


def test_every_generated_key_is_new() -> None:
    many = [keys.generate() for _ in range(20)]
    every = [key for some in many for key in (*some.seal.values(), some.lookup, some.mac, some.token)]
    assert len(set(every)) == len(every) == 80
