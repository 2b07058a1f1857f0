"""Every bench, with few messages, on a real Kafka and a real PostgreSQL: what is measured has happened, and nothing is left behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import text

from bus.connect import connect
from bus.partitioning import partition_of
from config.settings import Settings, load
from stores.engine import Store
from stores.postgresql_url import connect_arguments, parsed
from tests.integration.bench.form import well_formed
from tools.bench import hop, loop, scale, story, takeover
from tools.bench.bare import Recording
from tools.bench.place import Place, a_place, here
from tools.bench.service import FIRST, METADATA, SECOND, TOPICS

FEW: Final = 60
PARTITIONS: Final = 8

pytestmark = [pytest.mark.timeout(180)]


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, kafka_url: str) -> Settings:
    """Kafka, and either kind of store."""
    return load(bus=kafka_url, db="sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql_url"))


@pytest.fixture
def both(kafka_url: str, postgresql_url: str) -> Settings:
    """Kafka and PostgreSQL."""
    return load(bus=kafka_url, db=postgresql_url)


@pytest.fixture
async def nothing_left(request: pytest.FixtureRequest, kafka_url: str) -> AsyncIterator[None]:
    """After the test the server has no topic and no database of this test's place."""
    yield
    bus = connect(kafka_url)
    await bus.open()
    try:
        async with asyncio.timeout(20):
            while await bus.topics():  # noqa: ASYNC110 - a deletion is not at once
                await asyncio.sleep(0.05)
    finally:
        await bus.close()
    if "postgresql_url" in request.fixturenames:
        assert await databases(request.getfixturevalue("postgresql_url")) == []


async def databases(url: str) -> list[str]:
    """Every database whose name begins as the URL's."""
    c = await asyncpg.connect(**connect_arguments(parsed(url).set(database="postgres"), {}))
    try:
        rows = await c.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", (parsed(url).database or "")[:30])
        return [str(name) for (name,) in rows]
    finally:
        await c.close()


@pytest.fixture
async def place(where: Settings) -> AsyncIterator[Place]:
    """A place with its store and its topics."""
    async with a_place(where) as made:
        await asyncio.to_thread(made.make_store, "first", METADATA)
        yield made


async def contents(place: Place) -> dict[str, list[Any]]:
    """How many rows each table of the store has, and who counted how far."""
    store = await Store.open("first", place.store_url("first"))
    try:
        async with store.reading() as c:
            asked = {
                "counter": "SELECT id, version, handled, last FROM counter ORDER BY id",
                "inbox": "SELECT count(*) FROM inbox",
                "outbox": "SELECT count(*) FROM outbox",
                "position": "SELECT partition, next_offset FROM position ORDER BY partition",
            }
            return {name: [tuple(row) for row in await c.execute(text(sql))] for name, sql in asked.items()}
    finally:
        await store.close()


async def heard(place: Place, topic: str) -> dict[int, list[tuple[bytes | None, bytes | None]]]:
    """Keys and values of each partition of a topic, in order."""
    bus = connect(place.bus_url)
    await bus.open()
    try:
        found = {}
        for number, (start, end) in (await bus.ends(topic)).items():
            records = await bus.read(topic, number, start) if end > start else []
            found[number] = [(record.key, record.value) for record in records]
        return found
    finally:
        await bus.close()


async def test_a_replay_leaves_in_store_and_log_what_the_run_has_left(where: Settings, nothing_left: None) -> None:
    async with a_place(where) as filled:
        await loop._fill(filled, FEW)
        async with loop._copy(filled, "again") as again, loop._copy(filled, "bare") as bare:
            recording = Recording()
            with recording.running():
                await loop._drain(again, FEW, 64)
            said, done = await heard(again, SECOND), await contents(again)
            assert said == await heard(filled, FIRST)
            assert sum(call.taken for call in recording.calls) == sum(len(call.said) for call in recording.calls) == FEW
            await loop._replayed(recording, again, bare)
            assert await contents(bare) == done
            assert done["inbox"] == [(FEW,)]
            assert done["outbox"] == [(0,)]
            twice = await heard(bare, SECOND)
            assert {number: sorted(rows * 2) for number, rows in said.items()} == {n: sorted(rows) for n, rows in twice.items()}


@pytest.mark.campaign
async def test_a_small_loop_bench_has_both_sides_at_both_batches(
    where: Settings, nothing_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "WARM_UP", 10)
    monkeypatch.setattr("os.sync", lambda: None)
    told = well_formed(await loop.run(where, FEW, 1), "loop")
    bare = "aiokafka + sqlite3" if where.db_kind == "sqlite" else "aiokafka + asyncpg"
    for batch in (64, 500):
        names = (
            f"loop at {batch}, msg/s",
            f"bare {bare} at {batch}, msg/s",
            f"loop CPU at {batch}, µs/msg",
            f"bare CPU at {batch}, µs/msg",
        )
        assert all(told["figures"][name] > 0 for name in names)
    assert {name: bar["bar"] for name, bar in told["bars"].items()} == {"loop / bare at 64": 0.60, "loop / bare at 500": 0.60}


async def test_a_small_hop_bench_has_its_percentiles_and_its_floor(
    where: Settings, nothing_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hop, "WARM_UP", 1)
    told = well_formed(await hop.run(where, 6), "hop")
    assert {name: bar["bar"] for name, bar in told["bars"].items()} == {"one hop, p50, ms": 10.0, "one hop, p95, ms": 25.0}
    assert [name.partition(":")[0] for name in told["figures"]] == ["floor", "floor"]


@pytest.mark.campaign
async def test_a_take_over_is_measured_over_every_partition_of_the_dead(both: Settings, nothing_left: None) -> None:
    told = well_formed(await takeover.run(both, 1), "takeover")
    assert told["bars"]["take-over after kill -9, worst, s"]["bar"] == 4.0


@pytest.mark.campaign
async def test_workers_share_a_load_and_who_uses_the_processor_is_told(
    both: Settings, nothing_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "LEFT_MIN", 0)  # nearly all of so few may be through before both are there
    told = well_formed(await scale.run(both, 15_000, (1, 2)), "scale")
    values = {**told["figures"], **told["bars"]}
    for workers in ("1 worker", "2 workers"):
        assert {f"{workers}, msg/s", f"{workers}: processor of the workers, cores"} <= set(values)
    assert any(name.startswith("2 workers / 1 worker") for name in values)


@pytest.mark.parametrize("number", range(PARTITIONS))
def test_a_key_for_a_partition_is_a_new_one_that_goes_there(number: int) -> None:
    keys = {takeover.key_of(number, PARTITIONS) for _ in range(3)}
    assert len(keys) == 3
    assert {partition_of(key.encode(), PARTITIONS) for key in keys} == {number}


async def test_a_place_beside_another_has_its_bus_and_stores_of_its_own(place: Place) -> None:
    beside = place.beside("other")
    assert beside.bus_url == place.bus_url
    assert beside.store_url("first") != place.store_url("first")
    await asyncio.to_thread(beside.make_store, "first", METADATA)
    assert (await contents(beside))["inbox"] == [(0,)]
    await beside.remove_stores()
    assert (await contents(place))["inbox"] == [(0,)], "it is still there"


def test_files_beside_others_are_all_their_own(tmp_path: Path) -> None:
    one, other = here(tmp_path), here(tmp_path).beside("other")
    assert one.bus_url != other.bus_url
    assert other.folder == tmp_path / "other"
    assert other.topics(TOPICS) == TOPICS


async def test_a_place_is_gone_also_when_the_bench_has_failed(where: Settings, nothing_left: None) -> None:
    async def failing() -> None:
        async with a_place(where) as made:
            bus = connect(made.bus_url)
            await bus.open()
            await bus.declare(made.topics(TOPICS))
            await bus.close()
            await asyncio.to_thread(made.make_store, "first", METADATA)
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        await failing()


@pytest.mark.campaign
async def test_a_small_story_bench_tells_its_lives_and_leaves_neither_topic_nor_database(both: Settings, nothing_left: None) -> None:
    told = well_formed(await story.run(both, 1), "story")
    assert told["conditions"]["lives_at_once"] == 1
    assert told["figures"]["messages a life"] > 0 and told["bars"] == {}
