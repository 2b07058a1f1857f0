"""Who may speak to the bank: enrolled once, with secrets that stay, in a file that only the bank reads."""

import base64
import json
import stat
from pathlib import Path

import pytest

from bank.enrolment import FILE, PLATFORMS_MAX, EnrolmentError, Platforms, is_loopback, write_private
from bank.messenger import may_be_called

URL = "https://lend.example/bank/notices"


def test_a_platform_gets_two_secrets_and_keeps_them(tmp_path: Path) -> None:
    platforms = Platforms(tmp_path)
    first = platforms.enrol("lendbus", URL)
    again = platforms.enrol("lendbus", "https://lend.example/elsewhere")
    assert (again.api_secret, again.notice_secret) == (first.api_secret, first.notice_secret)
    assert again.notify_url == "https://lend.example/elsewhere"
    for secret in (first.api_secret, first.notice_secret):
        assert secret.startswith("whsec_") and len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert first.api_secret != first.notice_secret


def test_two_platforms_have_nothing_in_common(tmp_path: Path) -> None:
    platforms = Platforms(tmp_path)
    one, two = platforms.enrol("one", URL), platforms.enrol("two", URL)
    assert len({one.api_secret, one.notice_secret, two.api_secret, two.notice_secret}) == 4
    assert set(platforms.all()) == {"one", "two"} and platforms.get("three") is None


def test_what_is_enrolled_elsewhere_is_seen_at_once(tmp_path: Path) -> None:
    running = Platforms(tmp_path)
    assert running.all() == {}
    enrolled = Platforms(tmp_path).enrol("lendbus", URL)
    assert running.get("lendbus") == enrolled
    Platforms(tmp_path).enrol("lendbus", f"{URL}2")
    seen = running.get("lendbus")
    assert seen is not None and seen.notify_url == f"{URL}2"


def test_the_files_are_private_and_whole(tmp_path: Path) -> None:
    enrolled = Platforms(tmp_path / "bank").enrol("lendbus", URL)
    out = tmp_path / "out" / "credentials.json"
    write_private(out, enrolled.credentials("http://bank:8081"))
    for path in (tmp_path / "bank" / FILE, out):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(out.read_text()) == {
        "platform": "lendbus",
        "url": "http://bank:8081",
        "api_secret": enrolled.api_secret,
        "notice_secret": enrolled.notice_secret,
    }
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["credentials.json", FILE]


def test_a_file_that_was_open_to_others_becomes_private_again(tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    out.write_text("old")
    out.chmod(0o644)
    write_private(out, {"new": 1})
    assert stat.S_IMODE(out.stat().st_mode) == 0o600 and json.loads(out.read_text()) == {"new": 1}


def test_no_secret_is_in_what_is_printed(tmp_path: Path) -> None:
    enrolled = Platforms(tmp_path).enrol("lendbus", URL)
    assert enrolled.api_secret not in repr(enrolled) and enrolled.notice_secret not in repr(enrolled)


@pytest.mark.parametrize("name", ["", "Lendbus", "-x", "a b", "a/b", "..", "x" * 64, "é", "a\n"])
def test_a_name_is_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(EnrolmentError, match="no platform's name"):
        Platforms(tmp_path).enrol(name, URL)
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "url", ["", "lend.example", "ftp://x/", "file:///etc/passwd", "http:///x", "http://u:p@x/", "http://x/ y", "http://é/"]
)
def test_a_notice_url_is_one_of_http_without_a_log_in(tmp_path: Path, url: str) -> None:
    with pytest.raises(EnrolmentError, match="a notice URL is"):
        Platforms(tmp_path).enrol("lendbus", url)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8080/bank/notices", True),
        ("http://localhost/x", True),
        ("http://[::1]:1/x", True),
        ("http://127.9.9.9/x", True),
        ("https://lend.example/x", False),
        ("http://10.0.0.1/x", False),
        ("http://localhost.example/x", False),
    ],
)
def test_whether_a_url_is_of_this_machine_is_said_by_its_text(tmp_path: Path, url: str, here: bool) -> None:
    assert is_loopback(url) is here
    assert Platforms(tmp_path).enrol("lendbus", url).loopback is here


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("::1", False), ("10.1.2.3", False), ("192.168.0.1", False),
        ("172.16.0.1", False), ("169.254.169.254", False), ("0.0.0.0", False), ("::", False), ("fe80::1%eth0", False), ("fd00::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False), ("::ffff:8.8.8.8", True), ("224.0.0.1", False), ("255.255.255.255", False),
        ("100.64.0.1", False), ("ff0e::1", False),
    ],
)  # fmt: skip
def test_only_the_open_internet_is_called(address: str, allowed: bool) -> None:
    assert may_be_called(address, loopback=False) is allowed


@pytest.mark.parametrize(
    ("address", "allowed"), [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("8.8.8.8", False), ("10.0.0.1", False)]
)
def test_who_is_enrolled_on_this_machine_is_called_there_only(address: str, allowed: bool) -> None:
    assert may_be_called(address, loopback=True) is allowed


def test_a_file_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    platforms = Platforms(tmp_path)
    platforms.enrol("lendbus", URL)
    (tmp_path / FILE).chmod(0o640)
    with pytest.raises(EnrolmentError, match="chmod 600"):
        Platforms(tmp_path).all()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"platforms":[{}]}', '{"platforms":[{"name":"x"}]}', "\x00", '{"platforms":7}'])
def test_a_file_that_is_none_is_a_sentence_and_quotes_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / FILE
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(EnrolmentError, match="no list of platforms"):
        Platforms(tmp_path).all()


def test_there_is_an_end_to_how_many_are_enrolled(tmp_path: Path) -> None:
    platforms = Platforms(tmp_path)
    for n in range(PLATFORMS_MAX):
        platforms.enrol(f"p{n}", URL)
    with pytest.raises(EnrolmentError, match="at most"):
        platforms.enrol("one-more", URL)
    assert platforms.enrol("p0", f"{URL}2").notify_url == f"{URL}2"


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnrolmentError, match="cannot be written"):
        write_private(tmp_path / "file" / "c.json", {})
    with pytest.raises(EnrolmentError, match="cannot be read"):
        Platforms(tmp_path / "file").enrol("lendbus", URL)
