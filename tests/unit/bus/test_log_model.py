"""The log against a model of lists and dictionaries: whatever is done to it in whatever order, both say the same."""

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bus.errors import BusError, LostLease, RecordRefused
from bus.log import TopicSpec
from bus.partitioning import partition_of
from bus.record import Fence, Outgoing, pack_headers
from bus.sqlite import append as append_module
from bus.sqlite import lease, read, schema, write
from bus.sqlite.append import Call, append
from stores.process import this_process

ME = this_process()
TOPICS, GROUPS = ("a", "b", "c"), ("g", "h")
WAIT_S = 0.0

topics = st.sampled_from((*TOPICS, "unknown"))
groups = st.sampled_from(GROUPS)
retentions = st.sampled_from([None, 1, 1_000, 60_000])
blobs = st.none() | st.binary(max_size=12)
header_lists = st.lists(st.tuples(st.sampled_from(["id", "id", "", "名"]), blobs), max_size=3).map(tuple)
timestamps = st.sampled_from([-1, 0, 1_700_000_000_000, 10**17])
numbers = st.sampled_from([None, 0, 0, 1, 2, -1])
records = st.builds(Outgoing, topics, blobs, blobs, header_lists, timestamps, numbers, st.none())


@dataclass
class Partition:
    """A partition as a list from `start` on."""

    start: int = 0
    kept: list[tuple[int, Outgoing]] = field(default_factory=list)  # when appended, what

    @property
    def end(self) -> int:
        return self.start + len(self.kept)


@dataclass
class Model:
    """What the log should be."""

    now_ms: int = 1_000_000_000
    specs: dict[str, TopicSpec] = field(default_factory=dict)
    partitions: dict[tuple[str, int], Partition] = field(default_factory=dict)  # in the order in which they were made
    newest_ms: dict[tuple[str, int], int] = field(default_factory=dict)
    consumes: dict[str, set[str]] = field(default_factory=dict)
    committed: dict[str, dict[tuple[str, int], int]] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)

    def is_current(self, fence: Fence | None) -> bool:
        return fence is None or (fence.group in self.owned and self.epochs.get(fence.group) == fence.epoch)

    def place(self, record: Outgoing) -> int | None:
        """The partition that takes it, or None."""
        spec = self.specs.get(record.topic)
        if spec is None or size_of(record) > spec.max_bytes:
            return None
        if record.partition is None:
            return partition_of(record.key, spec.partitions)
        return record.partition if 0 <= record.partition < spec.partitions else None

    def append(self, wanted: Sequence[Outgoing], fence: Fence | None) -> list[tuple[int, int]] | type[BusError]:
        """Where everything went, or what is raised."""
        if not self.is_current(fence):
            return LostLease
        placed: list[tuple[int, int]] = []
        numbers = [self.place(record) for record in wanted]
        for record, number in zip(wanted, numbers, strict=True):
            if number is None or None in numbers:
                return RecordRefused
            key = record.topic, number
            self.newest_ms[key] = max(self.now_ms, self.newest_ms.get(key, 0))
            placed.append((number, self.partitions[key].end))
            self.partitions[key].kept.append((self.newest_ms[key], record))
        return placed

    def prune(self, now_ms: int, limit: int) -> int:
        """How many records went."""
        gone = 0
        for (topic, number), partition in self.partitions.items():
            retention_ms = self.specs[topic].retention_ms
            if retention_ms is None:
                continue
            readers = [group for group, names in self.consumes.items() if topic in names]
            stop = min([self.committed.get(group, {}).get((topic, number), 0) for group in readers], default=partition.end)
            while partition.kept and gone < limit and partition.start < stop and partition.kept[0][0] < now_ms - retention_ms:
                del partition.kept[0]
                partition.start += 1
                gone += 1
        return gone


def size_of(record: Outgoing) -> int:
    return len(record.key or b"") + len(record.value or b"") + len(pack_headers(record.headers))


class LogAndModel(RuleBasedStateMachine):
    """Every rule does a thing to both; the invariants compare them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model()
        self.fences: list[Fence] = [Fence("g", 0), Fence("nobody", 1)]
        self.clock = ExitStack()
        ticking = SimpleNamespace(time_ns=lambda: self.model.now_ms * 1_000_000)
        self.clock.enter_context(mock.patch.object(append_module, "time", ticking))
        self.c = self.connect()

    def connect(self) -> sqlite3.Connection:
        c = sqlite3.connect(self.folder / "bus.db", isolation_level=None, timeout=0)
        c.execute("PRAGMA foreign_keys=ON")
        c.execute("PRAGMA synchronous=OFF")  # what a power cut leaves is not asked here
        self.incarnation = schema.create(c)
        return c

    def teardown(self) -> None:
        self.c.close()
        self.clock.close()
        shutil.rmtree(self.folder)

    @initialize()
    def there_are_topics_and_an_owner(self) -> None:
        self.a_topic_is_declared("a", 2, 1_000, 1_000)
        self.a_topic_is_declared("b", 1, 1, 30)
        self.a_member_takes_the_group("g")

    @rule(step_ms=st.sampled_from([-5_000, -1, 1, 999, 70_000]))
    def the_clock_goes_on_or_is_set_back(self, step_ms: int) -> None:
        self.model.now_ms += step_ms

    @rule(
        name=st.sampled_from(TOPICS), partitions=st.integers(0, 3), retention_ms=retentions, max_bytes=st.sampled_from([0, 10, 30, 1_000])
    )
    def a_topic_is_declared(self, name: str, partitions: int, retention_ms: int | None, max_bytes: int) -> None:
        spec, before = TopicSpec(name, partitions, retention_ms, max_bytes), self.model.specs.get(name)
        if min(partitions, max_bytes) < 1 or (before and before.partitions != partitions):
            with pytest.raises(BusError):
                write.declare(self.c, [spec], wait_s=WAIT_S)
            return
        write.declare(self.c, [spec], wait_s=WAIT_S)
        self.model.specs[name] = spec
        for number in range(partitions):
            self.model.partitions.setdefault((name, number), Partition())

    @rule(group=groups, names=st.sets(st.sampled_from(TOPICS)))
    def a_group_says_what_it_consumes(self, group: str, names: set[str]) -> None:
        write.declare_group(self.c, group, sorted(names), wait_s=WAIT_S)
        self.model.consumes[group] = names

    @rule(group=groups)
    def a_member_takes_the_group(self, group: str) -> None:
        fence = lease.acquire(self.c, group, "m", ME, lease.look(self.c, group), wait_s=WAIT_S, stuck=None)
        self.model.epochs[group] = self.model.epochs.get(group, 0) + 1
        assert fence == Fence(group, self.model.epochs[group])
        self.model.owned.add(group)
        self.fences.append(fence)

    @rule(data=st.data())
    def a_member_gives_its_lease_back(self, data: st.DataObject) -> None:
        fence = data.draw(st.sampled_from(self.fences))
        lease.release(self.c, "m", fence, wait_s=WAIT_S)
        if self.model.is_current(fence):
            self.model.owned.remove(fence.group)

    @rule(data=st.data(), wanted=st.lists(st.lists(records, min_size=1, max_size=5), min_size=1, max_size=4))
    def callers_append_together(self, data: st.DataObject, wanted: list[list[Outgoing]]) -> None:
        calls = [Call(call, data.draw(st.none() | st.sampled_from(self.fences))) for call in wanted]
        right = [self.model.append(call.records, call.fence) for call in calls]
        grown = append(self.c, calls, wait_s=WAIT_S)
        assert [type(call.refused) if call.refused else call.placed for call in calls] == right
        assert grown.items() <= read.all_ends(self.c).items()

    @precondition(lambda self: self.model.partitions)
    @rule(data=st.data(), values=st.lists(st.binary(max_size=4), min_size=1, max_size=6))
    def a_caller_appends_what_fits(self, data: st.DataObject, values: list[bytes]) -> None:
        places = data.draw(st.lists(st.sampled_from(list(self.model.partitions)), min_size=len(values), max_size=len(values)))
        wanted = [Outgoing(topic, None, value, (), 5, number) for value, (topic, number) in zip(values, places, strict=True)]
        call = Call(wanted, None)
        assert append(self.c, [call], wait_s=WAIT_S).keys() <= read.all_ends(self.c).keys()
        assert call.placed == self.model.append(wanted, None)

    @rule(
        data=st.data(),
        topic=st.sampled_from(["a", "a", "b", "unknown"]),
        number=st.sampled_from([0, 0, 1]),
        offset=st.integers(0, 20),
        exactly=st.booleans(),
    )
    def offsets_are_committed(self, data: st.DataObject, topic: str, number: int, offset: int, exactly: bool) -> None:
        fence, key = data.draw(st.sampled_from(self.fences[-2:])), (topic, number)
        if not self.model.is_current(fence) or key not in self.model.partitions:
            with pytest.raises(BusError):
                write.commit_offsets(self.c, fence, {key: offset}, exactly=exactly, wait_s=WAIT_S)
            return
        write.commit_offsets(self.c, fence, {key: offset}, exactly=exactly, wait_s=WAIT_S)
        done = self.model.committed.setdefault(fence.group, {})
        done[key] = offset if exactly else max(offset, done.get(key, 0))

    @rule(limit=st.integers(1, 6), later_ms=st.sampled_from([1_000, 1_001, 200_000]))
    def what_is_past_its_time_goes(self, limit: int, later_ms: int) -> None:
        now_ms = self.model.now_ms + later_ms
        assert write.prune(self.c, now_ms, limit, wait_s=WAIT_S) == self.model.prune(now_ms, limit)

    @precondition(lambda self: self.model.partitions)
    @rule(data=st.data(), offset=st.integers(-2, 15), limit=st.integers(1, 5), max_bytes=st.integers(0, 80))
    def a_run_is_read(self, data: st.DataObject, offset: int, limit: int, max_bytes: int) -> None:
        topic, number = data.draw(st.sampled_from(list(self.model.partitions)))
        partition = self.model.partitions[topic, number]
        left = partition.kept[max(offset - partition.start, 0) :]
        fits = [n for n in range(1, len(left) + 1) if n == 1 or sum(size_of(record) for _, record in left[:n]) <= max_bytes]
        run = read.read(self.c, topic, number, offset, limit, max_bytes)
        assert len(run) == min(max(fits, default=0), limit)
        assert [found.value for found in run] == [record.value for _, record in left[: len(run)]]
        assert not self.c.in_transaction

    @precondition(lambda self: self.model.partitions)
    @rule(data=st.data(), around_ms=st.integers(-1, 1))
    def an_instant_is_looked_for(self, data: st.DataObject, around_ms: int) -> None:
        topic, number = data.draw(st.sampled_from(list(self.model.partitions)))
        partition = self.model.partitions[topic, number]
        instant_ms = around_ms + data.draw(st.sampled_from([self.model.now_ms, *(at for at, _ in partition.kept)]))
        later = (partition.start + n for n, (at, _) in enumerate(partition.kept) if at >= instant_ms)
        assert read.offset_at(self.c, topic, number, instant_ms) == next(later, None)

    @rule()
    def the_file_is_closed_and_opened_again(self) -> None:
        before = self.incarnation
        self.c.close()
        self.c = self.connect()
        assert self.incarnation == before

    @invariant()
    def every_record_is_where_it_was_put(self) -> None:
        found = {
            (topic, number): [
                (record.offset, record.appended_ms, *record[5:], record.timestamp_ms)
                for record in read.read(self.c, topic, number, 0, 10_000, 10**9)
            ]
            for topic, number in self.model.partitions
        }
        assert found == {
            key: [(p.start + n, at, r.key, r.value, r.headers, r.timestamp_ms) for n, (at, r) in enumerate(p.kept)]
            for key, p in self.model.partitions.items()
        }

    @invariant()
    def ends_topics_offsets_and_lag_are_the_models(self) -> None:
        assert read.topics(self.c) == [self.model.specs[name] for name in sorted(self.model.specs)]
        for name in TOPICS:
            own = {number: (p.start, p.end) for (topic, number), p in self.model.partitions.items() if topic == name}
            assert (read.ends(self.c, name) if own else {}) == own
        for group in GROUPS:
            done = self.model.committed.get(group, {})
            assert read.offsets(self.c, group) == done
            lag = {key: p.end - min(p.end, max(p.start, done.get(key, 0))) for key, p in self.model.partitions.items()}
            assert read.lag(self.c, group, sorted(self.model.specs)) == lag


TestLogAndModel = LogAndModel.TestCase
TestLogAndModel.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize(
    ("max_bytes", "count"), [(0, 1), (9, 1), (10, 1), (19, 1), (20, 2), (21, 2), (29, 2), (30, 3), (1_000, 3)], ids=lambda n: f"{n}"
)
def test_a_run_holds_exactly_the_bytes_that_it_may(max_bytes: int, count: int) -> None:
    c = sqlite3.connect(":memory:", isolation_level=None)
    schema.create(c)
    write.declare(c, [TopicSpec("t")], wait_s=WAIT_S)
    append(c, [Call([Outgoing("t", b"key", b"value67", (), 0)] * 3, None)], wait_s=WAIT_S)
    assert len(read.read(c, "t", 0, 0, 500, max_bytes)) == count
    c.close()
