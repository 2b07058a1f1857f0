"""The administration commands on a real broker: topics declared and compared, groups of every kind, lag that is never a made-up number."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from bus.connect import connect
from bus.kafka.address import parse
from bus.log import Bus, TopicSpec
from bus.record import Outgoing
from config.settings import load
from stores.migrate import migrate
from tests.kafka_server import delete_topics
from tools import cli
from topics import TOPICS

NOW_MS = 1_795_568_361_844


class Ran(NamedTuple):
    """What a command line ended with."""

    code: int
    rows: list[dict[str, Any]]
    err: str


class Platform:
    """A namespace on the broker, and a data folder; commands run in this process."""

    def __init__(self, url: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url, self.data, self._capsys = url, data, capsys
        self.address = parse(url)

    def run(self, *arguments: str) -> Ran:
        """A command line, its standard output as JSON."""
        self._capsys.readouterr()
        code = cli.run([*arguments, "--json", "--bus", self.url, "--data", str(self.data)])
        out, err = self._capsys.readouterr()
        return Ran(code, [json.loads(line) for line in out.splitlines()], err)

    def on_bus(self, work: Callable[[Bus], Coroutine[Any, Any, None]]) -> None:
        """Something done to the bus."""

        async def opened() -> None:
            bus = connect(self.url)
            await bus.open()
            try:
                await work(bus)
            finally:
                await bus.close()

        asyncio.run(opened())

    def declare(self, *specs: TopicSpec) -> None:
        """Topics of our own."""
        self.on_bus(lambda bus: bus.declare(specs))

    def append(self, topic: str, counts: Mapping[int, int]) -> None:
        """So many records on each partition."""
        records = [Outgoing(topic, b"k", b"v", (), NOW_MS, partition) for partition, count in counts.items() for _ in range(count)]

        async def appended(bus: Bus) -> None:
            await bus.append(records)

        self.on_bus(appended)

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Offsets of a group that has no members."""
        asyncio.run(self._commit(group, {TopicPartition(self.address.outside(topic), n): at for n, at in offsets.items()}))

    async def _commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=list(self.address.servers), group_id=self.address.outside(group), enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign(list(offsets))
            await consumer.commit(dict(offsets))
        finally:
            await consumer.stop()

    def lag(self, group: str, *options: str) -> dict[tuple[str, int], dict[str, Any]]:
        """The rows of a group by topic and partition; the command must end well."""
        ran = self.run("lag", *options)
        assert ran.code == 0, ran.err
        return {(row["topic"], row["partition"]): row for row in ran.rows if row["group"] == group}


@pytest.fixture
def platform(kafka_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Nothing declared yet, no store."""
    monkeypatch.chdir(tmp_path)
    return Platform(kafka_url, tmp_path / "data", capsys)


def test_declare_makes_the_contract_and_says_what_was_there(platform: Platform) -> None:
    assert {row["state"] for row in platform.run("topics", "describe").rows} == {"missing"}
    made = platform.run("topics", "declare")
    assert (made.code, {row["done"] for row in made.rows}) == (0, {"made"})
    assert {row["done"] for row in platform.run("topics", "declare").rows} == {"was there"}
    described = platform.run("topics", "describe")
    assert described.code == 0, described.err
    assert {row["topic"]: (row["state"], row["partitions"]) for row in described.rows} == {
        t.name: ("as declared", t.partitions) for t in TOPICS
    }


def test_describe_names_every_difference_and_declare_mends_what_can_be_mended(platform: Platform) -> None:
    platform.run("topics", "declare")
    platform.declare(TopicSpec("users.events", 8, 5_000_000, 2_000), TopicSpec("stray", 3))
    described = platform.run("topics", "describe")
    rows = {row["topic"]: row for row in described.rows}
    assert described.code == 1 and "stray" not in described.err and "other settings: users.events;" in described.err
    assert rows["stray"]["state"] == "not in the contract"
    assert any(said.startswith("retention.ms 5000000, declared ") for said in rows["users.events"]["differences"])
    assert any(said.startswith("max.message.bytes ") for said in rows["users.events"]["differences"])
    assert rows["accounts.commands"]["state"] == "as declared"

    declared = {row["topic"]: row["done"] for row in platform.run("topics", "declare").rows}
    assert (declared["users.events"], declared["accounts.commands"]) == ("renewed", "was there")
    assert {r["topic"]: r["state"] for r in platform.run("topics", "describe").rows}["users.events"] == "as declared"


def test_another_number_of_partitions_is_shown_and_cannot_be_declared_away(platform: Platform) -> None:
    platform.declare(TopicSpec("users.events", 3))
    rows = {row["topic"]: row for row in platform.run("topics", "describe").rows}
    assert "partitions 3, declared 8: fixed for life" in rows["users.events"]["differences"]
    declared = platform.run("topics", "declare")
    assert (declared.code, declared.rows) == (1, [])
    assert "users.events" in declared.err and "fixed for life" in declared.err


def test_the_acl_names_what_the_broker_knows(platform: Platform) -> None:
    ran = platform.run("topics", "acl", "--commands")
    namespace = platform.address.namespace
    assert ran.code == 0
    lines = [row["command"] for row in ran.rows]
    assert all(f" --bootstrap-server {platform.address.servers[0]} " in line for line in lines)
    assert any(line.endswith(f"--topic {namespace}.users.commands") for line in lines)
    assert any(line.endswith(f"--group {namespace}.users") for line in lines)


def test_what_nobody_knows_is_null_and_every_other_row_is_there(platform: Platform) -> None:
    """CASES B22: commits on 5 of 8 partitions, on a deleted topic, beyond the end; an empty topic; nobody in any group."""
    platform.declare(TopicSpec("full", 8), TopicSpec("gone", 1), TopicSpec("empty", 2))
    platform.append("full", dict.fromkeys(range(8), 10) | {7: 3})
    platform.append("gone", {0: 4})
    platform.commit("some", "full", {0: 0, 1: 4, 2: 10, 3: 9, 4: 25})
    platform.commit("some", "empty", {0: 0})
    platform.commit("lost", "gone", {0: 2})
    asyncio.run(delete_topics(platform.address.servers[0], platform.address.outside("gone")))

    rows = platform.lag("some")
    assert {place: row["lag"] for place, row in rows.items()} == {
        ("full", 0): 10,
        ("full", 1): 6,
        ("full", 2): 0,
        ("full", 3): 1,
        ("full", 4): None,
        ("empty", 0): 0,
    }
    assert rows["full", 4]["note"].startswith("15 beyond the end")
    assert rows["full", 1]["lag_counts"] == "offsets"
    assert 0 <= rows["full", 1]["behind_ms"] < 600_000
    assert {place[1] for place, row in platform.lag("some", "--only-with-lag").items()} == {0, 1, 3, 4}

    lost = platform.lag("lost")  # the broker may have forgotten offsets on a topic that is gone
    assert all((row["lag"], row["log_end"], row["note"]) == (None, None, "not on the bus") for row in lost.values())

    groups = {row["group"]: row for row in platform.run("groups").rows}
    assert (groups["some"]["state"], groups["some"]["members"], groups["some"]["lag"], groups["some"]["unknown"]) == (
        "has nobody",
        [],
        17,
        1,
    )


def test_a_service_is_where_its_store_says_and_another_offset_of_its_group_is_shown(platform: Platform) -> None:
    platform.run("topics", "declare")
    platform.append("users.commands", {0: 5, 1: 5, 2: 5})
    platform.commit("users", "users.commands", {0: 3, 1: 5})
    settings = load(data=platform.data, bus=platform.url)
    migrate("users", settings.store_url("users"))
    incarnations: list[str] = []

    async def asked(bus: Bus) -> None:
        incarnations.append(await bus.incarnation())

    platform.on_bus(asked)
    with sqlite3.connect(platform.data / "users.db") as store:
        for partition, position, log in ((0, 4, incarnations[0]), (1, 5, incarnations[0]), (2, 2, "another")):
            store.execute(
                "INSERT INTO position VALUES (?, ?, ?, ?, ?, NULL, ?)", (partition, position, position, position - 1, NOW_MS, log)
            )
        store.execute("INSERT INTO owner VALUES (0, 7, 4242, 1, ?)", (NOW_MS,))
    store.close()

    rows = platform.lag("users")
    assert [rows["users.commands", n]["lag"] for n in range(8)] == [1, 0, None, 0, 0, 0, 0, 0]
    assert rows["users.commands", 0]["note"] == "the group's offset is 3"
    assert (rows["users.commands", 0]["epoch"], rows["users.commands", 0]["owner_pid"]) == (7, 4242)
    assert rows["users.commands", 1]["note"] is None
    assert "another log" in rows["users.commands", 2]["note"]
    accounts = platform.lag("accounts")
    assert len(accounts) == 8 and all("nothing here yet" in row["note"] and row["lag"] is None for row in accounts.values())


def test_no_broker_is_a_sentence(platform: Platform) -> None:
    for command in (["lag"], ["groups"], ["topics", "describe"]):
        assert cli.run([*command, "--bus", "kafka://127.0.0.1:1"]) == 2
    assert cli.run(["topics", "declare", "--bus", "kafka://127.0.0.1:1"]) == 1
