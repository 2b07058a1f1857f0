"""The credentials file: read when it has changed, refused when it is open to others or is none, and never quoted."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents.custody.credentials import Credentials, CredentialsFile, NoCredentials

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GOOD = {"platform": "lendbus", "url": "https://bank.example:8081", "api_secret": SECRET, "notice_secret": SECRET[:-1] + "x"}


def written(path: Path, content: Any = None, mode: int = 0o600, **changes: Any) -> CredentialsFile:
    text = content if isinstance(content, bytes) else json.dumps({**GOOD, **changes}).encode()
    draft = path.with_suffix(".new")
    draft.write_bytes(text)
    draft.chmod(mode)
    draft.replace(path)
    return CredentialsFile(path)


def test_what_enrol_has_written_is_read(tmp_path: Path) -> None:
    assert written(tmp_path / "c.json").read() == Credentials(**GOOD)


def test_what_is_written_later_is_read_then(tmp_path: Path) -> None:
    file = CredentialsFile(tmp_path / "c.json")
    with pytest.raises(NoCredentials, match="bank enrol"):
        file.read()
    written(tmp_path / "c.json")
    assert file.read().platform == "lendbus"
    written(tmp_path / "c.json", platform="another")
    assert file.read().platform == "another"


def test_a_file_that_has_not_changed_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "c.json")
    file.read()
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("opened again"))
    assert file.read().platform == "lendbus"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(NoCredentials, match="chmod 600"):
        written(tmp_path / "c.json", mode=mode).read()


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "c.json").mkdir(mode=0o700)
    with pytest.raises(NoCredentials, match="cannot be read"):
        CredentialsFile(tmp_path / "c.json").read()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"null", b"{", b"\xff", b"x" * 20_000, b"{}",
        json.dumps({**GOOD, "api_secret": 7}).encode(),
        json.dumps({**GOOD, "api_secret": "short"}).encode(),
        json.dumps({**GOOD, "notice_secret": None}).encode(),
        json.dumps({**GOOD, "platform": ""}).encode(),
        *(json.dumps({**GOOD, "url": url}).encode() for url in ("", "ftp://bank", "https://bank/", "https://b a", 7, "file:///etc/x")),
    ],
)  # fmt: skip
def test_what_is_no_credentials_file_is_refused_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(NoCredentials, match="is no credentials file") as refused:
        written(tmp_path / "c.json", content).read()
    assert SECRET not in str(refused.value) and refused.value.__cause__ is None


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    assert SECRET[6:] not in repr(written(tmp_path / "c.json").read())
