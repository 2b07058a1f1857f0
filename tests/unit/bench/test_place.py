"""A bench has a bus and stores that nobody else has, of the kinds that it was told, and a process that is told of them finds them."""

from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url

from bus.log import TopicSpec
from config.settings import load
from tools.bench.place import NAME_CHARS_MAX, Place, here, new, there

KAFKA: Final = "kafka://broker:9092"
POSTGRESQL: Final = "postgresql://me:s%40cret@db:5433/lend?ssl=require"
PLACES: Final = [("sqlite", "sqlite"), (KAFKA, "sqlite"), (KAFKA, POSTGRESQL), ("kafka", "postgresql")]


def placed(folder: Path, bus: str, db: str) -> Place:
    return new(load(bus=bus, db=db), folder)


def test_files_are_in_the_folder_whatever_files_the_settings_name(tmp_path: Path) -> None:
    place = placed(tmp_path, "sqlite:///elsewhere/bus.db", "sqlite:///elsewhere")
    assert place.bus_url == f"sqlite:///{tmp_path}/bus.db"
    assert place.store_path("first") == tmp_path / "first.db"
    assert (here(tmp_path).bus_url, here(tmp_path).store_url("first")) == (place.bus_url, place.store_url("first"))


@pytest.mark.parametrize(
    ("bus", "before", "after"),
    [
        pytest.param("kafka", "kafka://127.0.0.1:9092/bench-", "", id="the local broker"),
        pytest.param(KAFKA, f"{KAFKA}/bench-", "", id="a broker"),
        pytest.param(f"{KAFKA},other:9093/bank", f"{KAFKA},other:9093/bank-bench-", "", id="a namespace of two brokers"),
        pytest.param(f"{KAFKA}?security=ssl", f"{KAFKA}/bench-", "?security=ssl", id="with its options"),
    ],
)
def test_on_kafka_a_bench_has_a_namespace_of_its_own_on_the_same_broker(tmp_path: Path, bus: str, before: str, after: str) -> None:
    urls = {placed(tmp_path, bus, "sqlite").bus_url for _ in range(20)}
    assert len(urls) == 20
    for url in urls:
        assert url.startswith(before) and url.endswith(after)
        assert url.removeprefix(before).removesuffix(after).isalnum()


@pytest.mark.parametrize("name", ["lend", "l" * 63])
def test_on_postgresql_a_bench_has_databases_of_its_own_on_the_same_server(tmp_path: Path, name: str) -> None:
    place = placed(tmp_path, "sqlite", POSTGRESQL.replace("lend", name))
    urls = [make_url(place.store_url(service)) for service in ("first", "second")]
    for url, service in zip(urls, ("first", "second"), strict=True):
        assert (url.drivername, url.username, url.password, url.host, url.port) == ("postgresql+asyncpg", "me", "s@cret", "db", 5433)
        assert url.query == {"ssl": "require"}
        first, bench, _, last = (url.database or "").split("_")
        assert (first, bench, last) == (name[:NAME_CHARS_MAX], "bench", service)
        assert len(url.database or "") <= 63
    assert placed(tmp_path, "sqlite", POSTGRESQL).store_url("first") != placed(tmp_path, "sqlite", POSTGRESQL).store_url("first")


@pytest.mark.parametrize(("bus", "db"), PLACES)
def test_a_process_that_is_told_by_its_environment_finds_the_place(
    tmp_path: Path, bus: str, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = placed(tmp_path, bus, db)
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    found = there(tmp_path)
    assert (found.bus_url, found.store_url("second")) == (place.bus_url, place.store_url("second"))
    assert found.settings.data == tmp_path


@pytest.mark.parametrize(("bus", "db"), PLACES)
def test_topics_have_the_partitions_of_the_bus_and_stay_what_else_they_are(tmp_path: Path, bus: str, db: str) -> None:
    place = placed(tmp_path, bus, db)
    (spec,) = place.topics([TopicSpec("a", 3, 7, 1_000)])
    assert spec == TopicSpec("a", 1 if bus == "sqlite" else 8, 7, 1_000)


def test_the_password_is_in_no_text_of_a_place(tmp_path: Path) -> None:
    assert "s%40cret" not in repr(placed(tmp_path, KAFKA, POSTGRESQL))
