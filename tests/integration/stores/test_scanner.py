"""The scanner by a clock that stands until the test moves it: timers fire once, actors heal, attempts are asked until answered."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agents.runtime.decision import Message, derived_id
from agents.runtime.ownership import LostEpoch
from agents.runtime.partition import Partition, Terms, take_over
from agents.runtime.scanner import Scanner
from bus.record import Fence
from config import faults
from config.limits import ATTEMPTS_AT_ONCE
from config.retry import ATTEMPTS, HEALING
from stores.runtime import attempt, outbox, parked, suspended, timer
from tests.integration.stores.world import HORIZON_MS, NOW_MS, Box, Do, FakeBus, World, header, message_id, until


class Bank:
    """The outside world: answers, or raises what it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = 0
        self.most_at_once = 0

    async def call(self, number: str, content: Mapping[str, Any]) -> Message:
        self.asked.append((number, content))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            if self.failures:
                raise self.failures.pop(0)
            return Do(word=f"answer-{number}")
        finally:
            self.at_once -= 1


@dataclasses.dataclass
class Scanning:
    """A partition with its scanner and its relay."""

    world: World
    bus: FakeBus
    bank: Bank
    partition: Partition
    task: asyncio.Task[None]

    async def at(self, now_ms: int) -> None:
        """The clock moves, and the scanner looks; what it finds may still be under way."""
        self.world.now_ms = now_ms
        self.partition.wake.set()
        await until(lambda: not self.partition.wake.is_set())

    async def looked_at(self, now_ms: int) -> None:
        """The clock moves, and a look at that instant is over."""
        await self.at(now_ms)
        await self.at(now_ms)

    def fired(self) -> list[str]:
        return [message_id(r) for r in self.bus.records]


@asynccontextmanager
async def scanning(world: World, bank: Bank | None = None) -> AsyncIterator[Scanning]:
    bus, bank = FakeBus(), bank or Bank()
    world.service = dataclasses.replace(world.service, callers={"bank": bank.call})
    terms = Terms(HORIZON_MS, 500, lambda: world.now_ms)
    partition, _ = await take_over(world.service, world.store, bus, Fence("boxes", 1), 0, terms)  # type: ignore[arg-type]
    world.tenure = partition.tenure
    partition.wake.set()
    tasks = [asyncio.create_task(partition.relay.run()), asyncio.create_task(Scanner(partition).run())]
    try:
        await until(lambda: not partition.wake.is_set() or tasks[1].done())
        yield Scanning(world, bus, bank, partition, tasks[1])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_timer_fires_at_its_instant_once_under_the_id_of_its_firing(world: World) -> None:
    async with scanning(world) as s:
        await world.tell("a", what="timer", number=NOW_MS + 500, word="bell")
        (identity,) = await world.column(timer.c.id)
        await s.looked_at(NOW_MS + 499)
        assert s.bus.records == []
        await s.at(NOW_MS + 500)
        await until(lambda: s.bus.records)
        await s.looked_at(NOW_MS + 20_000)
        assert s.fired() == [derived_id(identity, "firing")]
        assert await world.rows(timer) == []


async def test_a_firing_is_the_timers_message_to_its_actor_from_the_timer(world: World) -> None:
    async with scanning(world) as s:
        cause = world.record("a", Do(what="timer", number=NOW_MS, word="bell"), trace="t-1")
        await world.run(cause)
        await s.at(NOW_MS)
        await until(lambda: s.bus.records)
        (fired,) = s.bus.records
        assert fired.key == b"a" and Do.model_validate_json(fired.value or b"") == Do(number=1, word="rang")
        assert [header(fired.headers, n) for n in ("trace-id", "principal", "causation-id")] == ["t-1", "timer", message_id(cause)]


async def test_a_scanner_that_dies_with_a_firing_fires_it_once(world: World) -> None:
    await world.tell("a", what="timer", number=NOW_MS, word="bell")
    (identity,) = await world.column(timer.c.id)
    for point in ("timers.commit.before", "timers.commit.after"):
        with faults.installed(_dies_at(point)):
            async with scanning(world) as s:
                with pytest.raises(faults.InjectedFault):
                    await s.task
    async with scanning(world) as s:
        await s.at(NOW_MS + 1)
        assert s.fired() == [derived_id(identity, "firing")]


def _dies_at(point: str) -> faults.Hook:
    def hook(reached: str) -> None:
        if reached == point:
            raise faults.InjectedFault(point)

    return hook


async def test_a_cleared_timer_does_not_fire(world: World) -> None:
    async with scanning(world) as s:
        await world.tell("a", what="timer", number=NOW_MS + 1, word="bell")
        await world.tell("a", what="clear", word="bell")
        await s.looked_at(NOW_MS + 10)
        assert s.bus.records == []


async def test_a_new_timer_wakes_the_scanner_by_itself(world: World) -> None:
    async with scanning(world) as s:
        await s.partition.apply([world.record("a", Do(what="timer", number=NOW_MS, word="bell"))])
        await until(lambda: s.bus.records)


async def test_a_suspended_actor_heals_at_its_time_and_not_before(world: World) -> None:
    world.weather.broken = {"boom"}
    async with scanning(world) as s:
        await world.run(world.record("a", Do(word="boom", number=1)), world.record("a", Do(number=2)))
        (due_ms,) = await world.column(suspended.c.next_ms)
        world.weather.broken.clear()
        await s.looked_at(due_ms - 1)
        assert await world.box("a") is None
        await s.at(due_ms)
        await until(lambda: _is_free(world, "a"))
        assert await world.box("a") == Box("a", 3, "boom x ")


async def _is_free(world: World, actor: str) -> bool:
    return actor not in await world.column(suspended.c.actor)


async def test_a_start_tries_every_suspended_actor_at_once(world: World) -> None:
    world.weather.broken = {"boom"}
    await world.run(*(world.record(actor, Do(word="boom", number=1)) for actor in "ab"))
    world.weather.broken.clear()
    async with scanning(world):
        await until(lambda: _nobody_waits(world))
    assert await world.box("a") == Box("a", 1, "boom ") and await world.box("b") == Box("b", 1, "boom ")


async def _nobody_waits(world: World) -> bool:
    return await world.rows(suspended) == []


async def test_what_cannot_heal_is_tried_as_often_as_its_budget_says_and_is_stuck_then(world: World) -> None:
    world.weather.broken = {"boom"}
    async with scanning(world) as s:
        await world.tell("a", word="boom")
        for _ in range(HEALING.budget):
            (due_ms,) = await world.column(suspended.c.next_ms)
            await s.at(max(due_ms, world.now_ms))
            await _until_moved_on(world, due_ms)
        assert await world.column(suspended.c.next_ms) == [None]
        assert await world.column(suspended.c.tries) == [HEALING.budget]
        world.weather.broken.clear()
        await s.looked_at(world.now_ms + 10**9)
        assert await world.box("a") is None, "stuck: it waits for a person"


async def _until_moved_on(world: World, due_ms: int) -> None:
    async def moved_on() -> bool:
        return await world.column(suspended.c.next_ms) != [due_ms]

    await until(moved_on)


async def test_a_head_that_the_database_rejects_counts_as_a_failed_healing_and_the_ones_before_it_go(world: World) -> None:
    world.weather.broken = {"boom"}
    await world.run(*(world.record("a", do) for do in (Do(word="boom", number=1), Do(what="big"), Do(word="behind"))))
    world.weather.broken.clear()
    async with scanning(world):
        await until(lambda: _reason_is(world, "row_rejected"))
    assert await world.box("a") == Box("a", 1, "boom ")
    assert await world.column(parked.c.offset) == [1, 2]


async def _reason_is(world: World, reason: str) -> bool:
    return await world.column(suspended.c.reason) == [reason]


async def test_an_attempt_is_asked_with_its_number_and_its_answer_comes_to_the_actor(world: World) -> None:
    async with scanning(world) as s:
        cause = world.record("a", Do(what="attempt", number=7, word="N1"), trace="t-1")
        await s.partition.apply([cause])
        await until(lambda: s.bus.records)
        assert s.bank.asked == [("N1", {"number": 7})]
        (answer,) = s.bus.records
        assert answer.key == b"a" and Do.model_validate_json(answer.value or b"").word == "answer-N1"
        assert [header(answer.headers, n) for n in ("trace-id", "principal", "causation-id")] == ["t-1", "attempt", message_id(cause)]
        assert await world.rows(attempt) == []


async def test_an_attempt_that_is_not_answered_is_asked_again_under_the_same_number_later(world: World) -> None:
    bank = Bank()
    bank.failures = [TimeoutError(), ConnectionError("refused s1.k1.c2VjcmV0")]
    async with scanning(world, bank) as s:
        await s.partition.apply([world.record("a", Do(what="attempt", word="N1"))])
        for tries in (1, 2):
            await _until_tried(world, tries)
            (next_ms,) = await world.column(attempt.c.next_ms)
            assert next_ms == world.now_ms + ATTEMPTS.delay_ms(tries - 1, "N1")
            await s.at(next_ms - 1)
            assert len(bank.asked) == tries
            await s.at(next_ms)
        await until(lambda: s.bus.records)
    assert [number for number, _ in bank.asked] == ["N1"] * 3


async def _until_tried(world: World, tries: int) -> None:
    async def tried() -> bool:
        return await world.column(attempt.c.tries) == [tries]

    await until(tried)


async def test_the_last_error_of_an_attempt_is_kept_without_what_was_sealed(world: World) -> None:
    bank = Bank()
    bank.failures = [ConnectionError("refused s1.k1.c2VjcmV0")]
    async with scanning(world, bank) as s:
        await s.partition.apply([world.record("a", Do(what="attempt", word="N1"))])
        await _until_tried(world, 1)
    assert await world.column(attempt.c.last_error) == ["ConnectionError: refused s1.…"]


async def test_an_attempt_whose_budget_is_spent_waits_for_a_person(world: World) -> None:
    bank = Bank()
    bank.failures = [ConnectionError()] * ATTEMPTS.budget
    async with scanning(world, bank) as s:
        await s.partition.apply([world.record("a", Do(what="attempt", word="N1"))])
        for tries in range(1, ATTEMPTS.budget + 1):
            await _until_tried(world, tries)
            (next_ms,) = await world.column(attempt.c.next_ms)
            assert (next_ms is None) == (tries == ATTEMPTS.budget)
            await s.looked_at(next_ms or world.now_ms + 10**9)
    assert len(bank.asked) == ATTEMPTS.budget


async def test_an_attempt_with_a_target_that_nobody_declares_is_not_lost(world: World) -> None:
    async with scanning(world) as s:
        s.partition.service = dataclasses.replace(world.service, callers={"other": s.bank.call})
        await world.tell("a", what="attempt", word="N1")
        s.task.cancel()
        again = asyncio.create_task(Scanner(s.partition).run())
        await _until_tried(world, 1)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)
    assert await world.column(attempt.c.last_error) == ["KeyError: 'bank'"]


async def test_only_so_many_are_asked_at_once_and_all_are_asked_in_the_end(world: World) -> None:
    bank = Bank()
    bank.gate.clear()
    count = ATTEMPTS_AT_ONCE * 2 + 1
    async with scanning(world, bank) as s:
        await s.partition.apply([world.record(f"a{n}", Do(what="attempt", word=f"N{n}")) for n in range(count)])
        await until(lambda: len(bank.asked) == ATTEMPTS_AT_ONCE)
        await s.at(NOW_MS + 1)
        assert len(bank.asked) == ATTEMPTS_AT_ONCE
        bank.gate.set()
        await until(lambda: len(s.bus.records) == count)
    assert bank.most_at_once == ATTEMPTS_AT_ONCE
    assert {number for number, _ in bank.asked} == {f"N{n}" for n in range(count)}


async def test_a_slow_attempt_is_not_asked_twice_while_it_is_under_way(world: World) -> None:
    bank = Bank()
    bank.gate.clear()
    async with scanning(world, bank) as s:
        await s.partition.apply([world.record("a", Do(what="attempt", word="N1"))])
        await until(lambda: bank.asked)
        for step in range(5):
            await s.at(NOW_MS + step)
        assert len(bank.asked) == 1
        bank.gate.set()
        await until(lambda: s.bus.records)


async def test_a_scanner_that_has_lost_the_partition_ends(world: World) -> None:
    async with scanning(world) as s:
        await world.tell("a", what="timer", number=NOW_MS, word="bell")
        await world.take_over()
        s.partition.wake.set()
        with pytest.raises(LostEpoch):
            await s.task
    assert len(await world.rows(timer)) == 1 and await world.rows(outbox) == []


async def test_a_scanner_that_is_cancelled_in_the_moment_in_which_it_is_woken_ends(world: World) -> None:
    async with scanning(world) as s:
        await s.looked_at(NOW_MS)
        s.partition.wake.set()
        s.task.cancel()
        done, _ = await asyncio.wait([s.task], timeout=5)
        assert done and s.task.cancelled()


async def test_ending_the_scanner_ends_what_it_asks(world: World) -> None:
    bank = Bank()
    bank.gate.clear()
    async with scanning(world, bank) as s:
        await s.partition.apply([world.record("a", Do(what="attempt", word="N1"))])
        await until(lambda: bank.asked)
    assert bank.at_once == 0 and await world.column(attempt.c.tries) == [0]
