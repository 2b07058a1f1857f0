"""The lease among members that look, take, renew, leave, freeze and die in any order: one owner, growing epochs, no late write."""

import sqlite3
from contextlib import ExitStack
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bus.errors import LostLease
from bus.log import TopicSpec
from bus.record import Fence, Outgoing
from bus.sqlite import lease, read, schema, write
from bus.sqlite.append import Call, append
from stores.process import Process, this_process

ME = this_process()
MEMBERS = ("a", "b", "c", "d")
PROCESSES = {member: ME._replace(pid=n) for n, member in enumerate(MEMBERS, 100_001)}

members = st.sampled_from(MEMBERS)


class Members(RuleBasedStateMachine):
    """Each member believes what it last saw; only the file decides."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 50_000
        self.dead: set[Process] = set()
        self.clock = ExitStack()
        self.clock.enter_context(mock.patch.object(lease, "monotonic_ms", self.monotonic_ms))
        self.clock.enter_context(mock.patch.object(lease, "is_alive", self.is_alive))
        self.c = sqlite3.connect(":memory:", isolation_level=None)
        schema.create(self.c)
        write.declare(self.c, [TopicSpec("t")], wait_s=0)
        self.seen = dict.fromkeys(MEMBERS, lease.NEVER)
        self.believed: dict[str, Fence] = {}  # what each member holds or thinks it does
        self.owner: str | None = None
        self.epoch = 0
        self.renewed_ms = 0
        self.changed = 0  # grows with every change of the row
        self.seen_at = dict.fromkeys(MEMBERS, 0)
        self.waiting: set[str] = set()
        self.written: list[int] = []

    def teardown(self) -> None:
        self.c.close()
        self.clock.close()

    def monotonic_ms(self) -> int:
        return self.now_ms

    def is_alive(self, process: Process) -> bool:
        return process not in self.dead

    @rule(step_ms=st.integers(0, 1_500))
    def time_passes(self, step_ms: int) -> None:
        self.now_ms += step_ms

    @rule(member=members)
    def a_process_dies(self, member: str) -> None:
        self.dead.add(PROCESSES[member])

    @rule(member=members)
    def a_process_starts_again(self, member: str) -> None:
        self.dead.discard(PROCESSES[member])

    @rule(member=members)
    def a_member_looks(self, member: str) -> None:
        self.seen[member], self.seen_at[member] = lease.look(self.c, "g"), self.changed

    @rule(member=members)
    def a_member_waits(self, member: str) -> None:
        lease.stand_by(self.c, "g", member, PROCESSES[member], wait_s=0)
        self.waiting.add(member)

    @rule(member=members)
    def a_member_takes_what_it_has_seen(self, member: str) -> None:
        fence = lease.acquire(self.c, "g", member, PROCESSES[member], self.seen[member], wait_s=0, stuck=None)
        if self.seen_at[member] != self.changed:
            assert fence is None, "the lease is not as it was seen: somebody was quicker, or the owner lives"
            return
        self.epoch += 1
        assert fence == Fence("g", self.epoch)
        self.owner, self.renewed_ms = member, self.now_ms
        self.changed += 1
        self.believed[member] = fence
        self.waiting.discard(member)

    @rule()
    def all_renew(self) -> None:
        before = lease.look(self.c, "g")
        lost = lease.renew(self.c, self.believed, wait_s=0, stuck=None)
        assert sorted(lost) == sorted(m for m, fence in self.believed.items() if m != self.owner or fence.epoch != self.epoch)
        if self.owner in self.believed:
            self.renewed_ms = self.now_ms
        if lease.look(self.c, "g") != before:
            self.changed += 1
        for member in lost:
            del self.believed[member]

    @rule(member=members)
    def a_member_leaves_maybe_long_after_it_lost_the_lease(self, member: str) -> None:
        fence = self.believed.pop(member, None)
        lease.release(self.c, member, fence, wait_s=0)
        self.waiting.discard(member)
        if fence is not None and self.owner == member and fence.epoch == self.epoch:
            self.owner = None
            self.changed += 1

    @rule(member=members, with_offsets=st.booleans())
    def a_member_writes_under_what_it_believes(self, member: str, with_offsets: bool) -> None:
        fence = self.believed.get(member, Fence("g", 0))
        may = self.owner == member and fence.epoch == self.epoch
        call = Call([Outgoing("t", None, str(fence.epoch).encode(), (), 0)], fence)
        append(self.c, [call], wait_s=0)
        assert (call.refused is None) == may
        if may:
            self.written.append(fence.epoch)
        if with_offsets:
            before = read.offsets(self.c, "g")
            try:
                write.commit_offsets(self.c, fence, {("t", 0): len(self.written)}, wait_s=0)
            except LostLease:
                assert not may and read.offsets(self.c, "g") == before
            else:
                assert may and read.offsets(self.c, "g") == {("t", 0): len(self.written)}

    @invariant()
    def there_is_one_row_and_the_epoch_never_goes_back(self) -> None:
        seen = lease.look(self.c, "g")
        assert (seen.epoch, seen.owner) == (self.epoch, self.owner)
        assert seen.process == (PROCESSES[self.owner] if self.owner else None)
        for member, fence in self.believed.items():
            try:
                lease.still_held(self.c, fence, member)
            except LostLease:
                assert member != self.owner or fence.epoch != self.epoch
            else:
                assert member == self.owner and fence.epoch == self.epoch

    @invariant()
    def what_was_written_stands_in_the_order_of_its_epochs(self) -> None:
        assert self.written == sorted(self.written)
        assert [int(record.value or b"") for record in read.read(self.c, "t", 0, 0, 1000, 10**6)] == self.written

    @invariant()
    def people_see_who_is_alive_and_who_waits(self) -> None:
        for row in lease.groups(self.c):
            assert row.epoch == self.epoch
            living = self.owner is not None and PROCESSES[self.owner] not in self.dead
            assert row.alive == (living and self.now_ms - self.renewed_ms <= lease.LEASE_MS)
            assert row.standby == tuple(PROCESSES[m].pid for m in sorted(self.waiting) if PROCESSES[m] not in self.dead)


TestMembers = Members.TestCase
TestMembers.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
