"""Where a demo lives: the latest few stay, a living one is never taken away, and what is not a demo's is not touched."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from tools import demo, demo_folder
from tools.demo_folder import KEPT, port_is_free
from tools.output import WrongUse
from tools.platform_lock import NAME, platform_lock


def an_old_one(data: Path, name: str, *, locked_once: bool = True) -> Path:
    """What an earlier demo has left."""
    folder = data / "demo" / name
    folder.mkdir(parents=True)
    (folder / "bus.db").touch()
    if locked_once:
        (folder / NAME).touch()
    return folder


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a test happens in one second."""
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 1, 2, 3, 4, 5, 4, 2, 0)))


def names(data: Path) -> list[str]:
    return sorted(path.name for path in (data / "demo").iterdir())


def test_its_name_is_when_it_began_and_nobody_else_may_look_into_it(tmp_path: Path) -> None:
    made = demo_folder.demo_folder(tmp_path)
    assert made == tmp_path / "demo" / "20260102-030405"
    assert made.stat().st_mode & 0o777 == 0o700


def test_demos_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    made = [demo_folder.demo_folder(tmp_path).name for _ in range(3)]
    assert made == ["20260102-030405", "20260102-030405-1", "20260102-030405-2"]


@pytest.mark.parametrize("earlier", [0, 1, KEPT - 1, KEPT, KEPT + 1, KEPT + 4])
def test_of_the_earlier_ones_the_latest_few_stay(tmp_path: Path, earlier: int) -> None:
    old = [an_old_one(tmp_path, f"2025010{day}-000000").name for day in range(1, earlier + 1)]
    made = demo_folder.demo_folder(tmp_path).name
    assert names(tmp_path) == [*old[-KEPT:], made]


def test_the_oldest_stays_while_a_demo_runs_in_it(tmp_path: Path) -> None:
    old = [an_old_one(tmp_path, f"2025010{day}-000000") for day in range(1, KEPT + 3)]
    with platform_lock(old[0]):
        demo_folder.demo_folder(tmp_path)
    assert (old[0] / "bus.db").exists()
    assert not old[1].exists()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("mine", id="a word"),
        pytest.param("2025-01-01", id="another way to write a day"),
        pytest.param("20250101", id="a day alone"),
        pytest.param("x20250101-000000", id="something before"),
    ],
)
def test_a_folder_that_no_demo_has_named_is_left_alone(tmp_path: Path, name: str) -> None:
    kept = an_old_one(tmp_path, name)
    for day in range(1, KEPT + 3):
        an_old_one(tmp_path, f"2025010{day}-000000")
    demo_folder.demo_folder(tmp_path)
    assert kept.exists()


def test_a_folder_without_a_platforms_lock_is_no_demo_and_left_alone(tmp_path: Path) -> None:
    kept = an_old_one(tmp_path, "20240101-000000", locked_once=False)
    for day in range(1, KEPT + 3):
        an_old_one(tmp_path, f"2025010{day}-000000")
    demo_folder.demo_folder(tmp_path)
    assert kept.exists()


def test_a_place_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("not a folder")
    with pytest.raises(WrongUse, match="--data"):
        demo_folder.demo_folder(tmp_path)


def test_a_hundred_in_a_second_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_folder, "KEPT", 1_000)
    for _ in range(100):
        demo_folder.demo_folder(tmp_path)
    with pytest.raises(WrongUse, match="hundred demos of this second"):
        demo_folder.demo_folder(tmp_path)


def test_a_port_is_free_until_somebody_listens_there_and_again_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not port_is_free("127.0.0.1", port)
    assert port_is_free("127.0.0.1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_host_of_this_machine_has_some_free_port(host: str) -> None:
    assert port_is_free(host, 0)


def test_a_host_that_is_not_ours_has_none() -> None:
    assert not port_is_free("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("said", "free", "changed"),
    [
        pytest.param({}, True, {"wait_ms": demo.DEMO_WAIT_MS, "log_level": "error"}, id="nobody has said anything"),
        pytest.param({}, False, {"wait_ms": demo.DEMO_WAIT_MS, "log_level": "error", "port": 0}, id="its port is in use"),
        pytest.param({"port": 8123}, False, {"wait_ms": demo.DEMO_WAIT_MS, "log_level": "error"}, id="a port was said"),
        pytest.param({"wait_ms": 700}, True, {"log_level": "error"}, id="a wait was said"),
        pytest.param({"log_level": "debug"}, True, {"wait_ms": demo.DEMO_WAIT_MS}, id="a log level was said"),
    ],
)
def test_the_demo_decides_only_what_nobody_has_said(
    said: dict[str, Any], free: bool, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_folder, "port_is_free", lambda host, port: free)
    monkeypatch.setattr(Settings, "settings_customise_sources", classmethod(lambda cls, _, init_settings, **__: (init_settings,)))
    settings = Settings(**said)
    after = demo._settings(settings)
    assert after.model_dump() == {**settings.model_dump(), **changed}
