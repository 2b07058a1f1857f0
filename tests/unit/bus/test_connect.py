"""URLs, versions and settings: what is wrong is said in a sentence."""

import asyncio
from importlib import metadata
from pathlib import Path

import pytest

from bus.app import PINNED, check_versions, make_app
from bus.connect import connect, sqlite_path, writers_of
from bus.errors import BusError
from bus.kafka.address import Address
from bus.kafka.bus import KafkaBus
from bus.sqlite.bus import SqliteBus
from bus.sqlite.inspect import ReadOnlyBus
from bus.sqlite.transport import Transport
from tests.contract.world import Remembered


def test_three_slashes_are_relative_and_four_absolute() -> None:
    assert sqlite_path("sqlite:///data/bus.db") == Path("data/bus.db")
    assert sqlite_path("sqlite:////var/lib/bus.db") == Path("/var/lib/bus.db")
    assert isinstance(connect("sqlite:///data/bus.db"), SqliteBus)
    assert isinstance(connect("sqlite:///data/bus.db", readonly=True), ReadOnlyBus)


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite://", "bus.db", "", "redis://x"])
def test_a_url_that_names_no_bus_is_refused_with_what_is_expected(url: str) -> None:
    with pytest.raises(BusError, match="expected sqlite:///"):
        connect(url)


def test_a_kafka_url_names_a_kafka_bus_which_is_not_opened_yet() -> None:
    bus = connect("kafka://a:1,b/some-bank.1")
    assert isinstance(bus, KafkaBus) and bus.address == Address(("a:1", "b:9092"), "some-bank.1")
    assert not writers_of("kafka://a")(1, 1)


def test_other_versions_of_the_libraries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_versions()
    monkeypatch.setattr(metadata, "version", lambda name: "9.9.9")
    with pytest.raises(BusError, match=r"9\.9\.9 is installed"):
        check_versions()


def test_the_project_pins_what_the_transports_override() -> None:
    required = Path(__file__).resolve().parents[3].joinpath("pyproject.toml").read_text()
    assert all(f'"{name}=={version}"' in required for name, version in PINNED.items())


async def test_an_app_has_the_settings_that_keep_every_record(tmp_path: Path) -> None:
    app = make_app("g", f"sqlite:///{tmp_path}/a folder, with; signs?/bus.db", Remembered())
    settings = app.conf
    assert settings.id == "g"
    assert not settings.web_enabled and not settings.stream_wait_empty and not settings.topic_allow_declare
    assert settings.topic_disable_leader and settings.stream_buffer_maxsize == 8 and settings.broker_commit_interval == 1.0
    assert settings.producer_request_timeout == 10.0 and settings.consumer_auto_offset_reset == "earliest"
    assert isinstance(app.transport, Transport)
    assert str(app.transport.bus().path).endswith("a folder, with; signs?/bus.db")


async def test_users_of_one_file_share_it_whatever_path_leads_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    one, two = SqliteBus(tmp_path / "bus.db"), SqliteBus(tmp_path / "link" / ".." / tmp_path.name / "bus.db")
    await asyncio.gather(one.open(), two.open(), one.open())
    assert one.file is two.file
    await one.close()
    assert await two.incarnation()
    await two.close()
    await two.close()
    with pytest.raises(BusError, match="not open"):
        await two.topics()


async def test_a_file_that_is_no_log_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(b"this is no database, and it is long enough to have a header that SQLite reads and does not know. " * 20)
    with pytest.raises(BusError, match="damaged or is none"):
        await SqliteBus(path).open()
    import sqlite3

    other = sqlite3.connect(tmp_path / "app.db")
    other.execute("CREATE TABLE t(x)")
    other.close()
    with pytest.raises(BusError, match="file of its own"):
        await SqliteBus(tmp_path / "app.db").open()
