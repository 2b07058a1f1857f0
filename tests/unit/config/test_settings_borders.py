"""Each setting at its borders: the last value that is right is taken, the first that is wrong is named in a sentence."""

from pathlib import Path

import pytest

from config import settings
from config.settings import DAY_MS, MINUTE_MS, Settings, SettingsError, load, variable

CENTURY_MS = 3650 * DAY_MS
# name, values that are taken, values that are refused
BORDERS = [
    ("port", [0, 65535], [-1, 65536]),
    ("metrics_port", [0, 65535], [-1, 65536]),
    ("wait_ms", [0, MINUTE_MS], [-1, MINUTE_MS + 1]),
    ("body_max_bytes", [1024, 512 * 1024], [1023, 512 * 1024 + 1]),
    ("argon2_time_cost", [1, 20], [0, 21]),
    ("argon2_memory_kib", [8 * 1024, 1024 * 1024], [8 * 1024 - 1, 1024 * 1024 + 1]),
    ("argon2_parallelism", [1, 16], [0, 17]),
    ("bank_port", [0, 65535], [-1, 65536]),
    ("bank_delay_ms", [1, MINUTE_MS], [0, MINUTE_MS + 1]),
    ("bank_delay_jitter_ms", [0, MINUTE_MS], [-1, MINUTE_MS + 1]),
    ("bank_notice_first_ms", [1, 3_600_000], [0, 3_600_001, CENTURY_MS + 1]),
    ("bank_notice_cap_ms", [1_000, CENTURY_MS], [0, 999, CENTURY_MS + 1]),
    ("bank_notice_budget", [1, 1000], [0, 1001]),
    ("bank_asked_every_ms", [1, CENTURY_MS], [0, CENTURY_MS + 1]),
    ("try_deadline_ms", [1, CENTURY_MS], [0, CENTURY_MS + 1]),
    ("second_phase_first_ms", [1, 60_000], [0, 60_001, CENTURY_MS + 1]),
    ("second_phase_cap_ms", [500, CENTURY_MS], [0, 499, CENTURY_MS + 1]),
    ("second_phase_budget", [1, 1000], [0, 1001]),
    ("batch_max", [1, 500], [0, 501]),
    ("stop_timeout_ms", [100, MINUTE_MS], [99, MINUTE_MS + 1]),
    ("lease_ms", [200, MINUTE_MS], [199, MINUTE_MS + 1]),
    ("retention_ms", [5 * DAY_MS, 7 * DAY_MS + DAY_MS // 2], [0, 5 * DAY_MS - 1, 7 * DAY_MS + DAY_MS // 2 + 1, CENTURY_MS + 1]),
    ("segment_ms", [1, 7 * DAY_MS // 10], [0, 7 * DAY_MS // 10 + 1]),
    ("inbox_horizon_ms", [8 * DAY_MS + DAY_MS // 2, CENTURY_MS], [0, 8 * DAY_MS + DAY_MS // 2 - 1, CENTURY_MS + 1]),
    ("dead_letter_keep_ms", [1, CENTURY_MS], [0, CENTURY_MS + 1]),
]
NUMBERS = [name for name, _, _ in BORDERS]
RIGHT = [pytest.param(name, value, id=f"{name}={value}") for name, right, _ in BORDERS for value in right]
WRONG = [pytest.param(name, value, id=f"{name}={value}") for name, _, wrong in BORDERS for value in wrong]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_every_number_has_its_borders_here() -> None:
    numbers = {name for name, field in Settings.model_fields.items() if field.annotation in (int, int | None)}
    assert numbers == set(NUMBERS)


@pytest.mark.parametrize(("name", "value"), RIGHT)
def test_the_last_value_that_is_right_is_taken_from_wherever_it_is_said(name: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert getattr(load(**{name: value}), name) == value
    monkeypatch.setenv(variable(name), str(value))
    assert getattr(load(), name) == value


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_the_first_value_that_is_wrong_is_named_in_one_sentence(name: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable(name), str(value))
    with pytest.raises(SettingsError) as caught:
        load()
    (sentence,) = str(caught.value).splitlines()
    assert variable(name) in sentence and sentence.endswith(".") and not sentence.endswith("..")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["1.5", "1e3x", "ten", "0x10", "１０个", "--1", "NaN", "1;2"])
def test_what_is_no_whole_number_is_refused_for_every_number(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable(name), text)
    with pytest.raises(SettingsError, match=rf"^{variable(name)}: .*integer.*\.$") as caught:
        load()
    assert text not in str(caught.value)


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_a_variable_that_is_set_to_nothing_is_not_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable(name), "")
    assert load() == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("bus", "SQLITE", id="a bus in capitals"),
        pytest.param("bus", "sqlite:///", id="a bus file without a name"),
        pytest.param("bus", "sqlite:///a b.db", id="a blank in a bus URL"),
        pytest.param("bus", "sqlite:///a.db\nx", id="a line end in a bus URL"),
        pytest.param("bus", "kafka://", id="kafka without a broker"),
        pytest.param("bus", "kafka:broker", id="half a URL"),
        pytest.param("bus", "sqlite+aiosqlite:///x", id="a store's URL for the bus"),
        pytest.param("bus", "postgresql://db/x", id="a database for the bus"),
        pytest.param("db", "kafka://b", id="a broker for the stores"),
        pytest.param("db", "postgres", id="a database's nickname"),
        pytest.param("db", "postgresql://", id="a database without a host"),
        pytest.param("db", "postgresql+psycopg://db/x", id="another driver"),
        pytest.param("db", "sqlite://x", id="two slashes"),
        pytest.param("host", "", id="no host"),
        pytest.param("log_level", "INFO", id="a level in capitals"),
        pytest.param("log_level", "trace", id="a level that is none"),
        pytest.param("log_format", "xml", id="another format"),
        pytest.param("one_time_codes", "perhaps", id="neither yes nor no"),
    ],
)
def test_a_wrong_word_is_named_in_one_sentence(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**{name: value})
    (sentence,) = str(caught.value).splitlines()
    assert sentence.startswith(f"{variable(name)}: ") and sentence.endswith(".")
    assert sentence[len(variable(name)) + 2].islower()


@pytest.mark.parametrize(
    ("text", "on"), [("1", True), ("true", True), ("yes", True), ("on", True), ("0", False), ("False", False), ("off", False)]
)
def test_yes_and_no_are_said_in_the_usual_ways(text: str, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENDBUS_ONE_TIME_CODES", text)
    assert load().one_time_codes is on


@pytest.mark.parametrize("service", ["", "Users", "users2", "users.db", "../x", "a" * 33, "用户", "a b"])
def test_what_is_no_services_name_gets_no_database(service: str) -> None:
    with pytest.raises(AssertionError, match="no service's name"):
        load().store_url(service)


@pytest.mark.parametrize(
    ("bus", "db", "kinds", "may_generate"),
    [
        ("sqlite", "sqlite", ("sqlite", "sqlite"), True),
        ("sqlite:///x.db", "sqlite+aiosqlite:///s", ("sqlite", "sqlite"), True),
        ("kafka", "sqlite", ("kafka", "sqlite"), False),
        ("sqlite", "postgresql", ("sqlite", "postgresql"), False),
        ("kafka://b:1", "postgresql+asyncpg://db/x", ("kafka", "postgresql"), False),
    ],
)
def test_words_and_urls_say_the_kind_and_keys_are_made_only_beside_files(
    bus: str, db: str, kinds: tuple[str, str], may_generate: bool
) -> None:
    said = load(bus=bus, db=db)
    assert (said.bus_kind, said.db_kind) == kinds
    assert said.may_generate_keys is may_generate


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hunter2@db/x", "postgresql://u:***@db/x"),
        ("postgresql+asyncpg://u:hunter2@db:5/x?a=b", "postgresql+asyncpg://u:***@db:5/x?a=b"),
        ("postgresql://:hunter2@db/x", "postgresql://:***@db/x"),
        ("postgresql://u:hun/ter2@db/x", "postgresql://u:***@db/x"),
        ("postgresql://u@db/x", "postgresql://u@db/x"),
    ],
)
def test_a_row_shows_a_url_without_its_password(url: str, shown: str) -> None:
    (row,) = (row for row in load(db=url).rows() if row.name == "db")
    assert row.value == shown and row.default == "sqlite"


def test_all_that_is_wrong_is_one_sentence_a_line_in_the_order_of_the_table() -> None:
    wrong: dict[str, object] = dict.fromkeys(NUMBERS, -1)
    with pytest.raises(SettingsError) as caught:
        load(**wrong)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        variable(name) for name in Settings.model_fields if name in wrong
    ]


def test_the_home_folder_is_understood_in_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "house"))
    said = load(data="~/lend", key_file="~/keys.json", bus="sqlite", db="sqlite:///~/stores")
    assert said.bus_url() == f"sqlite:///{tmp_path}/house/lend/bus.db"
    assert said.key_path() == tmp_path / "house" / "keys.json"
    assert said.store_url("users") == f"sqlite+aiosqlite:///{tmp_path}/house/stores/users.db"
    assert settings.load(data="~/lend").key_path() == tmp_path / "house" / "lend" / "keys.json"
