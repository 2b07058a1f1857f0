"""The bank beside a platform: a bus, stores, keys and a port of its own, whatever the platform's are."""

from pathlib import Path

import pytest

from config.settings import SettingsError, load


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("bus", "own"),
    [
        ("sqlite", "sqlite:///{here}/data/bank/bus.db"),
        ("sqlite:////srv/x/bus.db", "sqlite:////srv/x/bank/bus.db"),
        ("sqlite:///y/bus.db", "sqlite:///{here}/y/bank/bus.db"),
        ("kafka", "kafka://127.0.0.1:9092/bank"),
        ("kafka://b:1,c:2/pfx", "kafka://b:1,c:2/pfx-bank"),
        ("kafka://u:p@b:1/?security=sasl_ssl", "kafka://u:p@b:1/bank?security=sasl_ssl"),
    ],
)
def test_its_bus_is_another_one_beside_the_platforms(bus: str, own: str, tmp_path: Path) -> None:
    platform = load(bus=bus)
    assert platform.of_bank().bus_url() == own.format(here=tmp_path) != platform.bus_url()


@pytest.mark.parametrize(
    ("db", "own"),
    [
        ("sqlite", "sqlite+aiosqlite:///{here}/data/bank/bank.db"),
        ("sqlite:////srv/stores", "sqlite+aiosqlite:////srv/stores/bank/bank.db"),
        ("postgresql://u@h/lend?sslmode=require", "postgresql+asyncpg://u@h/lend_bank?sslmode=require"),
    ],
)
def test_its_stores_are_its_own(db: str, own: str, tmp_path: Path) -> None:
    assert load(db=db).of_bank().store_url("bank") == own.format(here=tmp_path)


def test_its_keys_and_its_port_are_its_own_and_the_platforms_stay(tmp_path: Path) -> None:
    platform = load(key_file=tmp_path / "platform-keys.json", port=1, bank_port=2)
    own = platform.of_bank()
    assert (own.key_path(), own.port) == (tmp_path / "data" / "bank" / "keys.json", 2)
    assert (platform.key_path(), platform.port) == (tmp_path / "platform-keys.json", 1)


def test_the_platforms_credentials_lie_beside_its_other_files(tmp_path: Path) -> None:
    assert load().bank_credentials_path() == tmp_path / "data" / "bank-credentials.json"
    assert load(bank_credentials=Path("c.json")).bank_credentials_path() == tmp_path / "c.json"


@pytest.mark.parametrize("url", ["ftp://bank", "http://", "http://bank/", "bank:8081", "http://ba nk"])
def test_an_address_of_the_bank_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="LENDBUS_BANK_URL"):
        load(bank_url=url)
