"""Benches with few messages, in this process: what is measured has really happened, and the report is well-formed. No times."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from agents.runtime.envelope import Undecodable, decode
from bus.connect import connect
from bus.record import pack_headers
from config.settings import load
from tests.integration.bench.form import well_formed
from tools.bench import hop, loop
from tools.bench.bare import Recording, Sqlite, Where
from tools.bench.load import VALUE_BYTES, message
from tools.bench.place import here
from tools.bench.service import FIRST, METADATA, SECOND, TOPICS, Count
from tools.soak.poison import ODDITIES, POISONS

FILES: Final = load(bus="sqlite", db="sqlite")
COUNT: Final = 60
ACTORS: Final = COUNT // 10


def asked(path: Path, question: str) -> list[Any]:
    """What a database answers."""
    with closing(sqlite3.connect(path)) as c:
        return c.execute(question).fetchall()


def contents(path: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    tables = [name for (name,) in asked(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return {name: sorted(asked(path, f'SELECT * FROM "{name}"'), key=repr) for name in tables}


@pytest.fixture
async def round_(tmp_path: Path) -> tuple[Path, Recording]:
    """A filled folder that was worked off under a recording, and the same folder as it was before."""
    ours = tmp_path / "ours"
    ours.mkdir()
    await loop._fill(here(ours), COUNT)
    here(ours).make_store("first", METADATA)
    shutil.copytree(ours, tmp_path / "bare")
    recording = Recording()
    with recording.running():
        await loop._drain(here(ours), COUNT, 64)
    return tmp_path, recording


async def test_the_replay_leaves_the_rows_of_the_run_in_every_table_of_bus_and_store(round_: tuple[Path, Recording]) -> None:
    folder, recording = round_
    ours, bare = folder / "ours", folder / "bare"
    files: dict[Where, Sqlite] = {ours / name: Sqlite(bare / name) for name in ("bus.db", "first.db")}
    await recording.replay(files)
    for file in files.values():
        await file.close()
    for name in ("bus.db", "first.db"):
        after, again = contents(ours / name), contents(bare / name)
        assert set(after) == set(again)
        assert {table for table in after if after[table] != again[table]} == set(), name
        assert any(after.values())


async def test_a_run_has_handled_every_message_once_and_said_each_on(round_: tuple[Path, Recording]) -> None:
    folder = round_[0] / "ours"
    store = folder / "first.db"
    assert asked(store, "SELECT count(*), sum(handled), min(last), max(last) FROM counter") == [(ACTORS, COUNT, 9, 9)]
    assert asked(store, "SELECT count(*) FROM inbox") == [(COUNT,)]
    assert asked(store, "SELECT (SELECT count(*) FROM dead_letter), (SELECT count(*) FROM suspended)") == [(0, 0)]
    bus = connect(here(folder).bus_url)
    await bus.open()
    try:
        assert (await bus.ends(SECOND))[0] == (0, COUNT)
        said = await bus.read(SECOND, 0, 0)
        heard = await bus.read(FIRST, 0, 0)
    finally:
        await bus.close()
    assert [(r.key, r.value) for r in said] == [(r.key, r.value) for r in heard], "in the order of the log"
    assert {len(r.value or b"") for r in said} == {VALUE_BYTES}


async def test_both_files_commits_are_recorded_and_every_transaction_that_began_has_ended(
    round_: tuple[Path, Recording],
) -> None:
    folder, recording = round_
    commits = dict.fromkeys(("bus.db", "first.db"), 0)
    for call in recording.calls:
        assert call.where is not None and call.where.parent == folder / "ours"
        commits[call.where.name] += sum(sql == "COMMIT" for sql, _, _ in call.steps)
    assert all(commits.values()), commits
    begun = sum(sql.startswith("BEGIN") for call in recording.calls for sql, _, _ in call.steps)
    ended = sum(sql in ("COMMIT", "ROLLBACK") for call in recording.calls for sql, _, _ in call.steps)
    assert begun == ended
    assert sum(call.taken for call in recording.calls) == sum(len(call.said) for call in recording.calls) == COUNT


async def test_a_small_loop_bench_has_both_sides_at_both_batches_and_leaves_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(loop, "WARM_UP", 10)
    monkeypatch.setattr("os.sync", lambda: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = well_formed(await loop.run(FILES, 30, 1), "loop")
    assert (told["conditions"]["messages"], told["conditions"]["rounds"], told["conditions"]["actors"]) == (30, 1, 3)
    for batch in (64, 500):
        assert {f"loop at {batch}, msg/s", f"bare sqlite3 at {batch}, msg/s"} <= set(told["figures"])
        assert told["bars"][f"loop / bare at {batch}"]["bar"] == 0.60
    assert len(told["bars"]) == 3
    assert list(tmp_path.iterdir()) == []


async def test_a_small_hop_bench_has_its_percentiles_its_floor_and_leaves_no_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hop, "WARM_UP", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = well_formed(await hop.run(FILES, 6), "hop")
    assert told["conditions"]["messages"] == 6
    assert list(told["bars"]) == ["one hop, p50, ms", "one hop, p95, ms"]
    assert told["bars"]["one hop, p50, ms"]["value"] <= told["bars"]["one hop, p95, ms"]["value"]
    assert [name for name in told["figures"] if name.startswith("floor")]
    assert list(tmp_path.iterdir()) == []


async def test_poison_and_oddities_come_back_from_the_log_as_they_were_and_mean_the_same(tmp_path: Path) -> None:
    spoilt = [poison.spoil(message("actor", 1, 7)) for poison in POISONS]
    odd = [change(message("actor", n, 7)) for n, change in enumerate(ODDITIES)]
    bus = connect(here(tmp_path).bus_url)
    await bus.open()
    try:
        await bus.declare(TOPICS)
        await bus.append([*spoilt, *odd])
        records = await bus.read(FIRST, 0, 0)
    finally:
        await bus.close()
    assert [(r.key, r.value, r.headers) for r in records] == [(r.key, r.value, r.headers) for r in (*spoilt, *odd)]
    assert [pack_headers(r.headers) for r in records] == [pack_headers(r.headers) for r in (*spoilt, *odd)]
    reasons = []
    for record in records[: len(POISONS)]:
        with pytest.raises(Undecodable) as refused:
            decode(record, {Count.type: Count})
        reasons.append(refused.value.reason)
    assert reasons == [poison.reason for poison in POISONS]
    read = [decode(record, {Count.type: Count}).message for record in records[len(POISONS) :]]
    assert [each.seq for each in read if isinstance(each, Count)] == list(range(len(ODDITIES)))
