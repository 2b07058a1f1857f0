"""Where things are: an actor's partition, a demo's own place, and the key file that is made by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.accounts.messages import TOPIC as ACCOUNTS
from bus.kafka.address import NAMESPACE, parse
from bus.partitioning import partition_of
from config.settings import Settings, load
from tools import cli, demo_place, starting
from tools.assemble import specs
from tools.demo_place import apart, is_on_this_machine
from tools.file_guard import FileGuard
from tools.places import home_of, partitions
from topics import TOPICS


@given(actor=st.text(min_size=1, max_size=40))
def test_an_actor_lives_where_its_messages_go(actor: str) -> None:
    kafka, embedded = load(bus="kafka://h:1/x"), load(bus="sqlite")
    assert home_of(kafka, "accounts", actor) == partition_of(actor.encode(), partitions(kafka, ACCOUNTS))
    assert home_of(embedded, "accounts", actor) == 0


def test_topics_have_the_contracts_partitions_on_kafka_and_one_on_the_embedded_bus() -> None:
    assert [spec.partitions for spec in specs(load(bus="kafka"))] == [topic.partitions for topic in TOPICS]
    assert {spec.partitions for spec in specs(load(bus="sqlite"))} == {1}


def test_a_demo_has_a_namespace_and_databases_of_its_folder(tmp_path: Path) -> None:
    settings = load(bus="kafka://127.0.0.1:9092/team", db="postgresql://me:secret@localhost:5432/lendbus?ssl=disable")
    first, again, other = [apart(settings, _folder(tmp_path / name)) for name in ("20260101-000000", "20260101-000000", "b c")]
    assert (first.bus, first.db) == (again.bus, again.db) and (first.bus, first.db) != (other.bus, other.db)
    namespace = parse(first.bus).namespace
    assert namespace.startswith("team-demo-20260101-000000-") and NAMESPACE.fullmatch(namespace)
    assert ":secret@localhost" in first.store_url("users") and "/lendbus_demo_20260101_000000_" in first.store_url("users")
    assert "_users?" in first.store_url("users")
    assert NAMESPACE.fullmatch(parse(other.bus).namespace)
    note = tmp_path / "b c" / demo_place.NOTE
    assert note.stat().st_mode & 0o777 == 0o600 and json.loads(note.read_text()) == {"bus": other.bus, "db": other.db}
    assert first.key_path().exists(), "both servers are on loopback"


@pytest.mark.parametrize(
    ("bus", "db", "local"),
    [
        ("kafka", "postgresql", True),
        ("kafka://localhost:1,[::1]:2/x", "sqlite", True),
        ("kafka://127.0.0.1:1,broker:2", "sqlite", False),
        ("sqlite", "postgresql://10.0.0.1/d", False),
        ("sqlite", "postgresql:///d", True),
        ("sqlite", "postgresql://u@localhost.evil/d", False),
        ("sqlite", "sqlite", True),
    ],
)
def test_keys_are_made_for_a_demo_on_loopback_only(tmp_path: Path, bus: str, db: str, local: bool) -> None:
    settings = load(bus=bus, db=db)
    assert is_on_this_machine(settings) is local
    made = apart(settings, _folder(tmp_path / "demo"))
    assert made.key_path().exists() is (local and not settings.may_generate_keys)


def test_a_demo_in_files_is_left_as_it_is(tmp_path: Path) -> None:
    made = apart(load(), _folder(tmp_path / "demo"))
    assert (made.bus, made.db, made.data) == ("sqlite", "sqlite", tmp_path / "demo")
    assert list((tmp_path / "demo").iterdir()) == []


def test_what_an_earlier_demo_left_on_a_server_that_is_away_stays_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apart(load(bus="kafka://127.0.0.1:1/x"), _folder(tmp_path / "old"))
    demo_place.remove(tmp_path / "old")
    assert "stays there" in capsys.readouterr().err
    demo_place.remove(tmp_path)  # no demo on servers: nothing to do, nothing to say


@pytest.mark.parametrize(
    ("bus", "db", "names"),
    [
        ("sqlite", "sqlite", ["bus.db", "users.db"]),
        ("kafka", "sqlite", ["users.db"]),
        ("sqlite", "postgresql", ["bus.db"]),
        ("kafka", "postgresql", []),
    ],
)
async def test_only_files_are_guarded(tmp_path: Path, bus: str, db: str, names: list[str]) -> None:
    settings = load(data=tmp_path, bus=bus, db=db)
    assert [path.name for path in starting.files(settings, ["users"])] == names
    started: list[Any] = []
    crew: Any = type("Crew", (), {"start": staticmethod(started.append)})
    starting.guard_files(crew, settings, ["users"])
    assert [type(part) for part in started] == [FileGuard] * bool(names)


def test_a_key_file_is_made_once_shown_without_its_keys_and_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data", str(tmp_path), "--bus", "kafka"]
    assert cli.run(["keys", "show", *where]) == 1
    assert "lendbus keys make" in capsys.readouterr().err
    assert cli.run(["keys", "make", *where]) == 0
    made = json.loads(capsys.readouterr().out)
    content = _settings(tmp_path).key_path().read_bytes()
    assert cli.run(["keys", "make", *where]) == 2
    assert "nothing was changed" in capsys.readouterr().err
    assert _settings(tmp_path).key_path().read_bytes() == content
    assert cli.run(["keys", "show", *where]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown) == made
    assert not any(key in shown for key in json.loads(content)["seal"].values())


def test_beside_stores_that_were_written_no_key_file_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "users.db").touch()
    assert cli.run(["keys", "make", "--data", str(tmp_path)]) == 2
    assert "put their key file back" in capsys.readouterr().err
    assert not _settings(tmp_path).key_path().exists()


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


def _settings(data: Path) -> Settings:
    return load(data=data)
