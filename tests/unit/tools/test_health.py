import os
import socket
from pathlib import Path

import pytest

from config.settings import Settings, load
from tools import health


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return load(data=tmp_path / "data", port=0)


def results(lines: object) -> list[str]:
    return [line.result for line in lines]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("requirement", "fits"),
    [
        ("pytest>=1", True),
        ("pytest>=999", False),
        ("pytest==0.0.1", False),
        ("sqlalchemy[asyncio]>=2.1", True),
        ("no-such-library>=1", False),
    ],
)
def test_a_library_is_there_and_new_enough_or_the_line_says_what_to_do(requirement: str, fits: bool) -> None:
    line = health.library(requirement)
    assert (line is None) is fits
    assert line is None or (line.result == "fail" and "make setup" in line.todo)


def test_this_machine_runs_the_tests_so_its_python_is_fit() -> None:
    assert results(health.python()) == ["ok", "ok"]


def test_a_folder_that_is_not_made_yet_is_fine(settings: Settings) -> None:
    assert results(health.folder(settings)) == ["ok"]


def test_a_folder_that_others_can_look_into_is_a_warning_with_its_remedy(settings: Settings) -> None:
    settings.data.mkdir(mode=0o755)
    os.chmod(settings.data, 0o755)
    (line,) = health.folder(settings)
    assert line.result == "warn" and line.todo == f"chmod 700 {settings.data}"
    os.chmod(settings.data, 0o700)
    assert results(health.folder(settings)) == ["ok"]


def test_a_key_file_is_wanted_as_soon_as_there_are_stores(settings: Settings) -> None:
    assert results(health.key_file(settings)) == ["ok"]
    settings.data.mkdir()
    (settings.data / "users.db").touch()
    assert results(health.key_file(settings)) == ["fail"]


def test_a_key_file_that_others_can_read_fails(settings: Settings) -> None:
    settings.data.mkdir()
    settings.key_path().write_text("{}")
    os.chmod(settings.key_path(), 0o644)
    (line,) = health.key_file(settings)
    assert line.result == "fail" and "chmod 600" in line.todo


def test_a_wal_that_grew_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "bus.db"
    assert results(health.sizes(path, "bus")) == ["ok"]
    path.touch()
    assert results(health.sizes(path, "bus")) == ["ok"]
    with Path(f"{path}-wal").open("wb") as wal:
        wal.truncate(health.WAL_WARN_BYTES + 1)
    assert results(health.sizes(path, "bus")) == ["warn"]


def test_a_port_that_is_taken_is_a_warning(settings: Settings) -> None:
    assert results(health.port(settings)) == ["ok"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert results(health.port(load(data=settings.data, port=taken.getsockname()[1]))) == ["warn"]


def test_a_clock_behind_the_log_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = 1_795_568_361_844
    monkeypatch.setattr("time.time_ns", lambda: now_ms * 1_000_000)
    assert results(health.clock(None)) == results(health.clock(now_ms)) == ["ok"]
    assert results(health.clock(now_ms + 60_000)) == ["warn"]
    monkeypatch.setattr("time.time_ns", lambda: 0)
    assert results(health.clock(None)) == ["fail"]
