"""The key file: what fields are sealed with, looked up by, and what the edge signs with. One JSON file, mode 0600, beside the data.

It is generated only where everything else is local as well (bus and stores both SQLite): a second machine that made keys
of its own could open nothing. `agents/runtime/sealing.py` uses what is loaded here.
"""

import contextlib
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

KEY_BYTES: Final = 32
FORMAT: Final = 1
FIRST_KEY_ID: Final = "k1"
FILE_BYTES_MAX: Final = 64 * 1024

_KEY_ID = re.compile(r"[a-z0-9]{1,16}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PURPOSES: Final = ("lookup", "mac", "token")


class KeyFileError(Exception):
    """The keys cannot be had; the sentence says which file and what to do."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Key material, 32 bytes each. `seal` holds every key that may open, by id; `writes` is the id of the one that seals.

    Raises ValueError unless all keys are different, of the right length, and the one that writes is among them.
    """

    writes: str
    seal: Mapping[str, bytes] = field(repr=False)
    lookup: bytes = field(repr=False)
    mac: bytes = field(repr=False)
    token: bytes = field(repr=False)

    def __post_init__(self) -> None:
        every = [*self.seal.values(), self.lookup, self.mac, self.token]
        if self.writes not in self.seal or not all(_KEY_ID.fullmatch(name) for name in self.seal):
            raise ValueError("the key that writes is not among the sealing keys, or a key's id is not 1 to 16 of a-z0-9")
        if len(set(every)) != len(every) or any(len(key) != KEY_BYTES for key in every):
            raise ValueError(f"every key is {KEY_BYTES} bytes and no two are the same")


def generate() -> Keys:
    """New keys from the system's randomness."""
    return Keys(FIRST_KEY_ID, {FIRST_KEY_ID: secrets.token_bytes(KEY_BYTES)}, *(secrets.token_bytes(KEY_BYTES) for _ in _PURPOSES))


def load_or_create(path: Path, *, may_generate: bool) -> Keys:
    """The keys of `path`; where there is no file yet and `may_generate`, new ones, durable before this returns.

    Two processes that start together end with the same keys. Raises KeyFileError.
    """
    try:
        return load(path)
    except FileNotFoundError:
        if not may_generate:
            raise KeyFileError(
                f"There is no key file {path}, and none is made where the bus or the stores are shared: "
                "copy the platform's key file there (mode 0600), or name it with LENDBUS_KEY_FILE; "
                "a platform that never ran gets its first one from `lendbus keys make`."
            ) from None
    _create(path, generate())
    return load(path)


def load(path: Path) -> Keys:
    """The keys of an existing file. Raises FileNotFoundError, or KeyFileError when it is unreadable, open to others, or no key file."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyFileError(f"The key file {path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`.")
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise KeyFileError(f"The key file {path} cannot be read ({exc.strerror}): give it to the user that runs Lendbus.") from exc
    try:
        return _parse(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # No cause: its message could quote the file.
        raise KeyFileError(f"{path} is not a key file of format {FORMAT}: put the platform's key file back from its backup.") from None


def _parse(content: Any) -> Keys:
    if content["format"] != FORMAT:
        raise ValueError
    return Keys(content["writes"], {name: _key(text) for name, text in content["seal"].items()}, *(_key(content[p]) for p in _PURPOSES))


def _key(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise ValueError
    return bytes.fromhex(text)


def _written(keys: Keys) -> bytes:
    seal = {name: key.hex() for name, key in keys.seal.items()}
    content = {"format": FORMAT, "writes": keys.writes, "seal": seal, **{p: getattr(keys, p).hex() for p in _PURPOSES}}
    return json.dumps(content, indent=2).encode() + b"\n"


def _create(path: Path, keys: Keys) -> None:
    """Write the file whole or not at all; who comes second keeps the first one's. A hard link never replaces what is there."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(draft, "xb", opener=_private) as file:
            file.write(_written(keys))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
        _sync_folder(path.parent)
    except OSError as exc:
        draft.unlink(missing_ok=True)
        raise KeyFileError(
            f"The key file {path} cannot be made ({exc.strerror}): make its folder writable, or set LENDBUS_KEY_FILE."
        ) from exc


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
