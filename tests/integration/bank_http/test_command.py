"""The command line of the bank where it needs no process of its own: enrolling, and what is said wrongly."""

import json
from pathlib import Path
from typing import Any

import pytest

from bank.enrolment import Platforms
from tools import cli
from tools.bank import COMMANDS, DEFAULT
from tools.cli import run


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LENDBUS_BANK_PORT", "LENDBUS_BANK_URL", "LENDBUS_DATA"):
        monkeypatch.delenv(name, raising=False)


def enrol(name: str = "lendbus", url: str = "http://127.0.0.1:8080/bank/notices", out: str = "c.json") -> int:
    return run(["bank", "enrol", "--platform", name, "--notify-url", url, "--out", out, "--json"])


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def test_enrolling_writes_credentials_for_the_platform_and_prints_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enrol() == 0
    credentials = json.loads((tmp_path / "c.json").read_text())
    assert set(credentials) == {"platform", "url", "api_secret", "notice_secret"}
    assert shown(capsys) == {
        "platform": "lendbus",
        "notify_url": "http://127.0.0.1:8080/bank/notices",
        "url": "http://127.0.0.1:8081",
        "credentials": "c.json",
    }
    enrolled = Platforms(tmp_path / "data" / "bank").get("lendbus")
    assert enrolled is not None and enrolled.credentials("http://127.0.0.1:8081") == credentials


def test_enrolling_again_is_the_same_again(tmp_path: Path) -> None:
    assert enrol() == 0 and enrol(out="d/e.json", url="http://127.0.0.1:9/x") == 0
    assert json.loads((tmp_path / "c.json").read_text()) == json.loads((tmp_path / "d" / "e.json").read_text())


@pytest.mark.parametrize(
    ("variable", "value", "url"), [("PORT", "9", "http://127.0.0.1:9"), ("URL", "https://bank.example", "https://bank.example")]
)
def test_the_credentials_say_where_the_bank_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, url: str
) -> None:
    monkeypatch.setenv(f"LENDBUS_BANK_{variable}", value)
    assert enrol() == 0 and json.loads((tmp_path / "c.json").read_text())["url"] == url


def test_a_bank_on_a_free_port_cannot_be_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("LENDBUS_BANK_PORT", "0")
    assert enrol() == 2 and "LENDBUS_BANK_URL" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("enrol", "--platform", "X Y", "--notify-url", "http://127.0.0.1:1/", "--out", "c.json"), "no platform's name"),
        (("enrol", "--platform", "x", "--notify-url", "nowhere", "--out", "c.json"), "a notice URL is"),
        (("enrol", "--platform", "x"), "--notify-url"),
        (("day", "open"), "close"),
        (("day", "close", "--days", "0"), "--days"),
        (("day",), "close"),
        (("check",), "bank.db"),
        (("day", "show"), "bank.db"),
        (("day", "close"), "bank.db"),
        (("loan",), "No such command"),
        (("--port", "70000"), "--port"),
    ],
)
def test_what_is_said_wrongly_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], part: str
) -> None:
    assert run(["bank", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and part.lower() in said.err.lower() and "Traceback" not in said.err
    assert not list(tmp_path.iterdir())


def test_the_bank_alone_means_that_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int | None] = []

    def serve(options: Any, port: int | None = None) -> int:
        called.append(port)
        return 0

    serve.__annotations__ = COMMANDS["serve"].__annotations__
    serve.__module__ = COMMANDS["serve"].__module__
    monkeypatch.setitem(COMMANDS, DEFAULT, serve)
    assert [run(["bank", *rest]) for rest in ([], ["--port", "7"], ["serve", "--port", "8"])] == [0, 0, 0]
    assert called == [None, 7, 8]


def test_its_help_names_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bank", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)
    assert "bank" in cli.COMMANDS and "bank" not in cli.LATER
