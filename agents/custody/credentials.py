"""What the platform is known by at the bank: the file that `lendbus bank enrol` writes, mode 0600, read again when it has changed.

So nobody restarts anything when a platform is enrolled, or gets new secrets.
"""

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agents.runtime.canonical import Unacceptable
from agents.runtime.canonical_json import parse_json

FILE_BYTES_MAX: Final = 16 * 1024
_FIELDS: Final = ("platform", "url", "api_secret", "notice_secret")
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{16,200}={0,2}", re.ASCII)
_URL = re.compile(r"https?://[!-~]{1,400}[^/]", re.ASCII)


class NoCredentials(Exception):
    """The bank cannot be spoken to yet; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are at the bank, where it is, and a secret for each direction."""

    platform: str
    url: str
    api_secret: str = field(repr=False)
    notice_secret: str = field(repr=False)


class CredentialsFile:
    """The credentials as they stand; cheap to ask each time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._read: Credentials | None = None

    def read(self) -> Credentials:
        """What is in the file. Raises NoCredentials."""
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_size, found.st_mtime_ns)
            if self._read is None or seen != self._seen:
                self._read = self._load()
                self._seen = seen
        except FileNotFoundError:
            raise NoCredentials(f"there is no {self._path}: `lendbus bank enrol` writes it") from None
        except OSError as exc:
            raise NoCredentials(f"{self._path} cannot be read ({exc.strerror}): give it to the user that runs Lendbus") from None
        return self._read

    def _load(self) -> Credentials:
        with self._path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise NoCredentials(f"{self._path} can be read by others: run `chmod 600 {self._path}`")
            content = file.read(FILE_BYTES_MAX + 1)
        if (made := _parsed(content)) is None:  # no cause: its message could quote the file
            raise NoCredentials(f"{self._path} is no credentials file: put it back, or run `lendbus bank enrol` again")
        return made


def _parsed(content: bytes) -> Credentials | None:
    try:
        said = parse_json(content, max_bytes=FILE_BYTES_MAX)
        made = Credentials(*(said[name] for name in _FIELDS))
        fits = made.platform and _URL.fullmatch(made.url) and all(_SECRET.fullmatch(s) for s in (made.api_secret, made.notice_secret))
    except (Unacceptable, KeyError, TypeError):
        return None
    return made if fits else None
