"""Who may speak to the bank: platforms by name, each with where it wants its notices and a secret for each direction.

One JSON file of mode 0600 in the bank's folder, replaced whole; a bank that runs looks at it again when it has changed. The
credentials file that a platform gets has the same secrets and the bank's address.
"""

import contextlib
import ipaddress
import json
import os
import re
import secrets
import stat
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

FILE: Final = "platforms.json"
SECRET_BYTES: Final = 32
PLATFORMS_MAX: Final = 100
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_URL = re.compile(r"[!-~]{1,500}", re.ASCII)


class EnrolmentError(Exception):
    """Nobody can be enrolled like this, or the file cannot be used; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Platform:
    """An enrolled platform. `loopback`: its notices go to this machine, which is allowed only because it was enrolled so."""

    name: str
    notify_url: str
    loopback: bool
    api_secret: str = field(repr=False)
    notice_secret: str = field(repr=False)

    def credentials(self, bank_url: str) -> dict[str, str]:
        """What the platform is given."""
        return {"platform": self.name, "url": bank_url, "api_secret": self.api_secret, "notice_secret": self.notice_secret}


class Platforms:
    """The enrolled ones, read again whenever the file has changed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._seen: tuple[int, int, int] | None = None
        self._known: dict[str, Platform] = {}

    def get(self, name: str) -> Platform | None:
        """The platform of this name. Raises EnrolmentError for a file that cannot be used."""
        return self.all().get(name)

    def all(self) -> Mapping[str, Platform]:
        """Every platform by name; none while there is no file."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise EnrolmentError(f"{self._path} cannot be read ({exc.strerror}): give it to the user that runs the bank") from exc
        seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        if seen != self._seen:
            self._known = _read(self._path)
            self._seen = seen
        return self._known

    def enrol(self, name: str, notify_url: str) -> Platform:
        """A platform with its secrets; one that is enrolled keeps them, and its notices go to the new URL. Raises EnrolmentError."""
        if not NAME.fullmatch(name):
            raise EnrolmentError(f"{name[:80]!r} is no platform's name: 1 to 63 of a-z, 0-9 and hyphen")
        loopback = is_loopback(notify_url)
        known = dict(self.all())
        if name not in known and len(known) >= PLATFORMS_MAX:
            raise EnrolmentError(f"the bank serves {PLATFORMS_MAX} platforms at most")
        before = known.get(name) or Platform(name, notify_url, loopback, _secret(), _secret())
        known[name] = replace(before, notify_url=notify_url, loopback=loopback)
        write_private(self._path, {"platforms": [asdict(each) for each in known.values()]})
        return known[name]


def is_loopback(url: str) -> bool:
    """Whether a notice URL is one of this machine, by its text. Raises EnrolmentError for one that is no URL, or needs a log-in."""
    parts = urlsplit(url)
    if not _URL.fullmatch(url) or parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise EnrolmentError("a notice URL is http(s)://HOST[:PORT]/PATH, without user and password")
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Put a JSON file of mode 0600 in the place of what is there, whole or not at all. Raises EnrolmentError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(draft, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise EnrolmentError(f"{path} cannot be written ({exc.strerror}): make its folder writable, or name another place") from exc


def _secret() -> str:
    return f"whsec_{b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def _read(path: Path) -> dict[str, Platform]:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise EnrolmentError(f"{path} can be read by others: run `chmod 600 {path}`")
        listed = json.loads(path.read_bytes())["platforms"]
        return {each["name"]: Platform(**each) for each in listed}
    except OSError as exc:
        raise EnrolmentError(f"{path} cannot be read ({exc.strerror}): give it to the user that runs the bank") from exc
    except (ValueError, KeyError, TypeError):
        raise EnrolmentError(f"{path} is no list of platforms: put it back, or enrol every platform anew") from None
