from pathlib import Path

import pytest

from config import settings
from config.bank import NOTICES
from config.retry import Schedule
from config.settings import Settings, SettingsError, load


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(settings.variable(name), raising=False)


def test_the_defaults_run_on_one_machine_and_listen_on_loopback(tmp_path: Path) -> None:
    here = load()
    assert (here.host, here.port) == ("127.0.0.1", 8080)
    assert here.bus_url() == f"sqlite:///{tmp_path}/data/bus.db"
    assert here.store_url("accounts") == f"sqlite+aiosqlite:///{tmp_path}/data/accounts.db"
    assert here.key_path() == tmp_path / "data" / "keys.json"
    assert here.may_generate_keys
    assert not here.one_time_codes


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("LENDBUS_PORT=1001\nLENDBUS_WAIT_MS=5\nLENDBUS_HOST=file\nSOMETHING_ELSE=x\n")
    monkeypatch.setenv("LENDBUS_PORT", "1002")
    monkeypatch.setenv("LENDBUS_WAIT_MS", "6")
    both = load(port=1003, wait_ms=None)
    assert (both.port, both.wait_ms, both.host) == (1003, 6, "file")


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("kafka", "kafka://127.0.0.1:9092"),
        ("kafka://broker:9092;other:9092", "kafka://broker:9092;other:9092"),
        ("sqlite:////srv/bus.db", "sqlite:////srv/bus.db"),
    ],
)
def test_a_bus_is_a_word_or_a_url(said: str, url: str) -> None:
    assert load(bus=said).bus_url() == url


def test_a_relative_file_is_one_file_wherever_it_is_spoken_of(tmp_path: Path) -> None:
    assert load(bus="sqlite:///x/bus.db").bus_url() == f"sqlite:///{tmp_path}/x/bus.db"
    assert load(db="sqlite:///x").store_url("users") == f"sqlite+aiosqlite:///{tmp_path}/x/users.db"


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("postgresql", "postgresql+asyncpg://127.0.0.1:5432/lendbus_users"),
        ("postgresql://u:p@db/lend?ssl=require", "postgresql+asyncpg://u:p@db/lend_users?ssl=require"),
        ("postgresql+asyncpg://u@db/lend", "postgresql+asyncpg://u@db/lend_users"),
    ],
)
def test_each_service_has_a_database_of_its_own(said: str, url: str) -> None:
    assert load(db=said).store_url("users") == url


def test_keys_are_made_only_where_everything_is_local() -> None:
    assert load(bus="sqlite:///b.db", db="sqlite:///s").may_generate_keys
    assert not load(bus="kafka").may_generate_keys
    assert not load(db="postgresql").may_generate_keys


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"port": "abc"}, r"LENDBUS_PORT: .*integer.*\."),
        ({"port": 70000}, r"LENDBUS_PORT: .*65535"),
        ({"bus": "rabbit"}, r"LENDBUS_BUS: say sqlite, kafka, sqlite:///PATH or kafka://HOST:PORT\."),
        ({"bus": "sqlite://x"}, "LENDBUS_BUS: say"),
        ({"db": "mysql://x"}, "LENDBUS_DB: say sqlite, postgresql"),
        ({"log_level": "loud"}, "LENDBUS_LOG_LEVEL: .*'debug'"),
        ({"batch_max": 501}, "LENDBUS_BATCH_MAX"),
        ({"segment_ms": settings.DAY_MS}, "LENDBUS_SEGMENT_MS is at most a tenth of LENDBUS_RETENTION_MS"),
        ({"inbox_horizon_ms": 8 * settings.DAY_MS}, "LENDBUS_INBOX_HORIZON_MS is at least"),
        ({"second_phase_first_ms": 70_000}, "LENDBUS_SECOND_PHASE_FIRST_MS is at most"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_right(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load(**given)


def test_everything_wrong_is_said_at_once_and_nothing_given_is_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        load(port="x", db="postgres://user:hunter2@db/x")
    assert len(str(caught.value).splitlines()) == 2
    assert "hunter2" not in str(caught.value)


def test_a_password_in_a_url_is_shown_nowhere() -> None:
    ours = load(db="postgresql://user:hunter2@db/x")
    shown = {row.name: row.value for row in ours.rows()}
    assert shown["db"] == "postgresql://user:***@db/x"
    assert "hunter2" not in repr(ours)
    inside = load(db="postgresql://db/x?user=u&password=hunter2&ssl=require")
    assert {row.name: row.value for row in inside.rows()}["db"] == "postgresql://db/x?user=u&password=***&ssl=require"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@h",
        "postgresql://u@h:55432",
        "postgresql://u@h/",
        "postgresql://u@h/x/",
        "postgresql://u:a/b@h",
        "postgresql://u@h?host=/run/pg",
        "postgresql+asyncpg://h/?ssl=require",
        "postgresql:///",
    ],
)
def test_a_server_without_a_database_is_not_enough(url: str) -> None:
    with pytest.raises(SettingsError, match="name the database too"):
        load(db=url)


@pytest.mark.parametrize(
    ("db", "here"),
    [
        ("sqlite", True),
        ("postgresql", True),
        ("postgresql://u@localhost:5433/x", True),
        ("postgresql://u:p@[::1]/x", True),
        ("postgresql:///x?host=127.0.0.1", True),
        ("postgresql://u@192.0.2.1/x", False),
        ("postgresql://u@db.example/x", False),
        ("postgresql:///x?host=db.example", False),
    ],
)
def test_whose_stores_are_of_this_machine(db: str, here: bool) -> None:
    assert load(db=db).stores_are_here() is here


def test_every_setting_has_a_description_and_where_it_is_a_quantity_its_unit() -> None:
    for row in load().rows():
        assert row.description, row.name
        assert row.variable == f"LENDBUS_{row.name.upper()}"
        for suffix, unit in (("_ms", ", ms"), ("_bytes", ", bytes"), ("_kib", ", KiB")):
            assert not row.name.endswith(suffix) or row.description.endswith(unit), row.name


def test_settings_do_not_change_once_loaded() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1  # type: ignore[misc]


def test_the_registration_gets_its_policy() -> None:
    policy = load(
        try_deadline_ms=7, second_phase_first_ms=3, second_phase_cap_ms=9, second_phase_budget=2, one_time_codes=True
    ).registration()
    assert (policy.try_deadline_ms, policy.second_phase, policy.one_time_codes) == (7, Schedule(3, 2, 9, 2), True)


def test_the_notifier_gets_its_schedule() -> None:
    assert load(bank_notice_first_ms=3, bank_notice_cap_ms=9, bank_notice_budget=2).notices() == Schedule(3, 2, 9, 2)
    assert load().notices() == NOTICES
    with pytest.raises(SettingsError, match="LENDBUS_BANK_NOTICE_FIRST_MS is at most"):
        load(bank_notice_first_ms=10, bank_notice_cap_ms=9)
