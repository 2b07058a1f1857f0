"""The soak itself: a short one through the command line, its schedule from a seed, and that it would notice what it looks for."""

import asyncio
import itertools
import json
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.runtime.envelope import MESSAGE_ID, Undecodable, decode
from bus.record import Headers, Outgoing, Record
from config import faults
from tests.faults.support import bytecode
from tools.bench.load import message
from tools.bench.place import Place, here
from tools.bench.service import Count
from tools.soak import books
from tools.soak.books import Books
from tools.soak.plan import KINDS, POINTS, SHARED_POINTS, STAGES, Deed, plan
from tools.soak.poison import ODDITIES, POISONS, Poison
from tools.soak.roles import Fall
from tools.soak.stage import prepare
from tools.soak.troupe import Ending
from tools.soak.verdict import MUST_BE_NONE, FarEnd, counted_twice, judged, left, takeovers, unlike
from tools.soak.watch import Change

__all__ = ["bytecode"]

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "from tools.cli import main; main()"
ENDS_S_MAX = 150.0


async def lendbus(bytecode: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run the command line; exit code, data, words."""
    cache = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(bytecode)} if sys.dont_write_bytecode else {}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMMAND, *arguments,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **cache, **environment},
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(), ENDS_S_MAX)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_short_soak_loses_doubles_and_reorders_nothing_and_prints_one_object(tmp_path: Path, bytecode: Path) -> None:
    code, out, err = await lendbus(bytecode, "soak", "--seconds", "5", "--seed", "11", "--rate", "200", "--json", TMPDIR=str(tmp_path))
    assert code == 0, f"{out}\n{err}"
    (line,) = out.splitlines()
    findings = json.loads(line)
    assert findings["ok"] and findings["seed"] == 11
    assert findings["sent"] == findings["applied"] > 0
    assert (findings["lost"], findings["doubled"], findings["out_of_order"]) == (0, 0, 0)
    assert findings["parked"] == findings["poison"]
    assert "--seed 11" in err
    assert not list(tmp_path.iterdir()), "what went well leaves nothing behind"


@pytest.mark.campaign
@pytest.mark.timeout(180)
async def test_a_short_soak_on_kafka_and_postgresql_ends_with_offsets_that_are_positions(
    tmp_path: Path, bytecode: Path, kafka_server: str, postgresql_address: str
) -> None:
    servers = ("--bus", f"kafka://{kafka_server}/t", "--db", postgresql_address)
    code, out, err = await lendbus(
        bytecode, "soak", "--seconds", "6", "--seed", "11", "--rate", "150", "--json", *servers, TMPDIR=str(tmp_path)
    )
    assert code == 0, f"{out}\n{err}"
    findings = json.loads(out)
    assert (findings["soak"], findings["stores"], findings["partitions"]) == ("kafka", "postgresql", 8)
    assert findings["sent"] == findings["applied"] > 0
    assert {name: findings[name] for name in MUST_BE_NONE} == dict.fromkeys(MUST_BE_NONE, 0)
    assert "ended by a waiter" not in findings["endings"], "nobody waits there"


def test_a_seed_replays_its_schedule_and_another_one_has_another() -> None:
    assert plan(5, 60) == plan(5, 60)
    assert plan(5, 60) != plan(6, 60)
    assert plan(5, 60) == [deed for deed in plan(5, 600) if deed.at_s < 60]


def test_a_schedule_has_every_kind_of_deed_on_both_stages_every_few_seconds() -> None:
    deeds = plan(1, 600)
    assert {deed.kind for deed in deeds} == set(KINDS)
    assert {deed.stage for deed in deeds} == set(STAGES)
    times = [deed.at_s for deed in deeds]
    assert times == sorted(times)
    assert all(0 < later - earlier <= 3.01 for earlier, later in itertools.pairwise(times))


def test_every_fault_of_a_schedule_is_one_that_a_process_understands() -> None:
    for deed in plan(1, 2_000):
        faults.parse(deed.fault)
    assert {deed.fault.split(":")[0] for deed in plan(1, 20_000)} == {f"{name}.{side}" for name in POINTS for side in ("before", "after")}


def test_a_deed_is_told_from_another_by_all_that_it_is() -> None:
    assert Deed(1.0, "kill", 1, True, 0.5) != Deed(1.0, "kill", 2, True, 0.5)


def record(outgoing: Outgoing, offset: int = 0) -> Record:
    """As the log would have it."""
    return Record(outgoing.topic, 0, offset, outgoing.timestamp_ms, outgoing.timestamp_ms, outgoing.key, outgoing.value, outgoing.headers)


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.name)
def test_a_poison_has_the_reason_that_it_says(poison: Poison) -> None:
    with pytest.raises(Undecodable) as refused:
        decode(record(poison.spoil(message("actor", 1, 0))), {Count.type: Count})
    assert refused.value.reason == poison.reason


@pytest.mark.parametrize("change", ODDITIES)
def test_headers_that_only_look_odd_spoil_nothing(change: Any) -> None:
    good = message("actor", 1, 0)
    assert decode(record(change(good)), {Count.type: Count})[1:] == decode(record(good), {Count.type: Count})[1:]


def at_the_end(*said: tuple[str, str, int]) -> FarEnd:
    """A far end that has got (message id, actor, number) in this order."""
    far = FarEnd()
    far.take(_arrival(offset, *each) for offset, each in enumerate(said))
    return far


def _arrival(offset: int, identity: str, actor: str, number: int) -> Record:
    headers: Headers = ((MESSAGE_ID, identity.encode()),)
    return Record("bench.end", 0, offset, 0, 0, actor.encode(), b'{"seq":%d}' % number, headers)


def test_what_has_arrived_in_order_is_applied() -> None:
    far = at_the_end(("m0", "a", 0), ("n0", "b", 0), ("m1", "a", 1))
    assert (far.applied, far.lost({"a": 2, "b": 1}), far.doubled, far.out_of_order, far.offsets) == (3, 0, 0, 0, {0: 3})


def test_a_gap_and_a_missing_end_and_a_missing_actor_are_lost() -> None:
    far = at_the_end(("m0", "a", 0), ("m2", "a", 2))
    assert far.lost({"a": 4, "b": 1}) == 3


def test_the_same_message_again_is_a_repeat_and_neither_doubled_nor_out_of_order() -> None:
    far = at_the_end(("m0", "a", 0), ("m1", "a", 1), ("m0", "a", 0))
    assert (far.applied, far.repeats, far.doubled, far.out_of_order) == (2, 1, 0, 0)


def test_the_same_number_under_another_id_took_effect_twice() -> None:
    far = at_the_end(("m0", "a", 0), ("x0", "a", 0))
    assert far.doubled == 1
    assert "a number 0" in far.examples[0]


def test_a_number_behind_a_higher_one_of_its_actor_is_out_of_order() -> None:
    assert at_the_end(("m1", "a", 1), ("m0", "a", 0), ("n0", "b", 0)).out_of_order == 1


@asynccontextmanager
async def asking(place: Place) -> AsyncIterator[Books]:
    """The stores of a place, to be asked."""
    asked = books.of(place)
    yield asked
    await asked.close()


@contextmanager
def counter(folder: Path) -> Iterator[sqlite3.Connection]:
    """The first stage's store."""
    with closing(sqlite3.connect(folder / "first.db", isolation_level=None)) as c:
        yield c


async def test_a_counter_that_is_ahead_of_what_was_sent_has_counted_twice(tmp_path: Path) -> None:
    prepare(place := here(tmp_path))
    with counter(tmp_path) as c:
        c.execute("INSERT INTO counter(id, version, handled, last) VALUES('right', 1, 3, 2), ('twice', 1, 4, 2), ('beyond', 1, 3, 3)")
    async with asking(place) as asked:
        wrong = await counted_twice(asked, {"right": 3, "twice": 3, "beyond": 3, "lost": 3})
    assert [line.split()[-1] for line in wrong["first"]] == ["twice", "beyond"]
    assert wrong["second"] == []


async def test_rows_that_are_left_are_counted_over_both_stores(tmp_path: Path) -> None:
    prepare(place := here(tmp_path))
    async with asking(place) as asked:
        assert await left(asked, "suspended") == 0
        with counter(tmp_path) as c:
            c.execute("INSERT INTO suspended(actor, partition, reason, error, tries, since_ms) VALUES('a', 0, 'r', 'e', 0, 0)")
        assert await left(asked, "suspended") == 1


@pytest.mark.parametrize("name", MUST_BE_NONE)
def test_one_finding_of_these_is_enough_to_fail(name: str) -> None:
    clean: dict[str, Any] = dict.fromkeys(MUST_BE_NONE, 0)
    assert judged(clean)["ok"]
    assert judged({**clean, name: 1})["wrong"] == [name]


def test_a_take_over_is_timed_from_the_fall_to_the_next_epoch() -> None:
    owners = {1: [Change(0.0, 1, 10), Change(5.5, 2, 11)]}
    times = takeovers([Fall("kill", 1, 5.0, {0: 1}), Fall("kill", 1, 9.0, {0: 2})], owners)
    assert times == {"kill": {"count": 1, "p50_s": 0.5, "p95_s": 0.5, "max_s": 0.5}}


def test_a_take_over_of_several_partitions_has_ended_with_the_last_of_them() -> None:
    owners = {1: [Change(0.0, 1, 10), Change(0.0, 4, 10, 1), Change(5.2, 5, 11, 1), Change(5.9, 2, 12), Change(7.0, 6, 12, 1)]}
    assert takeovers([Fall("kill", 1, 5.0, {0: 1, 1: 4})], owners)["kill"]["max_s"] == 0.9
    assert takeovers([Fall("kill", 1, 5.0, {0: 1, 1: 6})], owners) == {}, "nobody has followed in the second one"


def test_a_group_that_is_elsewhere_than_the_store_is_named_with_its_partition() -> None:
    offsets = {("bench.first", 0): 5, ("bench.first", 2): 9, ("bench.first", 3): 0, ("bench.end", 0): 7}
    assert unlike(offsets, {0: 5, 2: 8, 4: 0}, "bench.first") == ["bench.first/2: the group is at 9, the store at 8"]
    assert unlike({}, {1: 4}, "bench.first") == ["bench.first/1: the group is at None, the store at 4"]


def test_on_kafka_a_schedule_has_only_points_that_its_transport_has_and_longer_freezes() -> None:
    deeds = plan(1, 20_000, shared=True)
    assert {deed.fault.split(":")[0].rpartition(".")[0] for deed in deeds} == set(SHARED_POINTS)
    assert max(deed.length_s for deed in deeds if deed.kind == "freeze") > 6
    assert plan(1, 60, shared=True) == [deed for deed in deeds if deed.at_s < 60]


def test_a_freeze_that_ended_before_anybody_took_over_has_no_take_over() -> None:
    owners = {1: [Change(0.0, 1, 10), Change(9.0, 2, 11)]}
    assert takeovers([Fall("freeze", 1, 5.0, {0: 1}, within_s=0.5)], owners) == {}


@pytest.mark.parametrize(
    ("asked", "was_frozen", "fault", "by_waiter", "at_fault"),
    [
        (None, True, "", True, False),
        (None, False, "loop.commit.before:kill:3", False, True),
        (9, True, "", False, False),
        (9, False, "loop.commit.before:kill:3", False, False),
    ],
)
def test_who_ended_a_process_is_told_by_what_it_was_asked(
    asked: int | None, was_frozen: bool, fault: str, by_waiter: bool, at_fault: bool
) -> None:
    ending = Ending(1, 100, -9, asked, fault, was_frozen)
    assert (ending.by_waiter, ending.at_fault) == (by_waiter, at_fault)
