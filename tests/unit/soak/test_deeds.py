"""The plan's hand on a troupe that only notes what it is sent: who is struck, when a fall is timed, what is undone at the end."""

import asyncio
import math
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import pytest

from bus.errors import BusAway
from bus.log import GroupRow
from tools.bench.place import here
from tools.soak import books
from tools.soak import deeds as module
from tools.soak.deeds import Deeds
from tools.soak.patience import until
from tools.soak.plan import Deed
from tools.soak.roles import AllShare, OneWorks
from tools.soak.troupe import Actor, Ending
from tools.soak.watch import Change, Watch

KILL, TERM, STOP, CONT = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGCONT
OWNER, STANDBY, OTHER = 11, 12, 21


@dataclass
class Place:
    """A place whose process is a number."""

    pid: int
    stage: int = 1
    fault: str = ""
    next_fault: str = "armed"
    frozen: bool = False
    frozen_by_us: bool = False
    starts: int = 1
    got: list[int] = field(default_factory=list)

    def send(self, number: int) -> bool:
        if self.pid:
            self.got.append(number)
        return bool(self.pid)

    def is_frozen(self) -> bool:
        return self.frozen


@dataclass
class Places:
    """A troupe of them."""

    actors: list[Place]
    restarted: int = 0

    def of(self, stage: int) -> list[Place]:
        return [each for each in self.actors if each.stage == stage]

    def by_pid(self, pid: int | None) -> Place | None:
        return next((each for each in self.actors if pid and each.pid == pid), None)

    async def restart_all(self) -> None:
        self.restarted += 1


@dataclass
class Groups:
    """A bus that knows who waits."""

    standby: tuple[int, ...] = (STANDBY,)
    away: bool = False

    async def groups(self) -> list[GroupRow]:
        if self.away:
            raise BusAway("planted")
        return [GroupRow("first", 1, OWNER, "here", 0, True, self.standby), GroupRow("second", 1, OTHER, "here", 0, True)]


@dataclass
class World:
    """A hand, and what it works on."""

    hand: Deeds
    troupe: Places
    bus: Groups
    folder: Path

    @property
    def owner(self) -> Place:
        return self.troupe.actors[0]

    @property
    def standby(self) -> Place:
        return self.troupe.actors[1]

    async def do(self, **said: Any) -> None:
        await self.hand._do(Deed(**{"at_s": 0.0, "kind": "kill", "stage": 1, "owner": True, "length_s": 0.0, **said}))


@pytest.fixture
def world(tmp_path: Path) -> World:
    for name in ("raises", "bugs"):
        (tmp_path / name).mkdir()
    troupe, bus = Places([Place(OWNER), Place(STANDBY), Place(OTHER, stage=2)]), Groups()
    watch = a_watch(tmp_path)
    watch.note(1, Change(0.0, 7, OWNER))
    watch.note(2, Change(0.0, 3, OTHER))
    roles = OneWorks(cast(Any, bus), cast(Any, troupe), watch)
    return World(Deeds(here(tmp_path), cast(Any, troupe), watch, roles, ["a", "b", "c", "d"]), troupe, bus, tmp_path)


def a_watch(folder: Path) -> Watch:
    """One that is told what it would see."""
    return Watch(place := here(folder), cast(Any, None), books.of(place))


@pytest.fixture
def sharing(tmp_path: Path) -> World:
    """The same on Kafka: both processes of the first stage own partitions, the second stage has one process."""
    troupe, watch = Places([Place(OWNER), Place(STANDBY), Place(OTHER, stage=2)]), a_watch(tmp_path)
    for partition, pid in enumerate((OWNER, STANDBY, OWNER)):
        watch.note(1, Change(0.0, 7 + partition, pid, partition))
    watch.note(2, Change(0.0, 3, OTHER))
    return World(Deeds(here(tmp_path), cast(Any, troupe), watch, AllShare(cast(Any, troupe), watch), ["a"]), troupe, Groups(), tmp_path)


@pytest.mark.parametrize(("share", "place", "epochs"), [(0.1, 0, {0: 7, 2: 9}), (0.9, 1, {1: 8})])
async def test_on_kafka_the_share_picks_one_of_the_workers_and_all_its_partitions_fall(
    sharing: World, share: float, place: int, epochs: dict[int, int]
) -> None:
    await sharing.do(kind="kill", share=share)
    assert [each.got for each in sharing.troupe.actors] == [[KILL] if n == place else [] for n in range(3)]
    assert sharing.hand.done == {"kill worker": 1}
    assert [(fall.kind, fall.epochs) for fall in sharing.hand.falls] == [("kill", epochs)]


async def test_on_kafka_a_fault_is_met_by_the_next_process_of_a_place_and_nobody_else_gives_way(sharing: World) -> None:
    fault = asyncio.ensure_future(sharing.do(kind="fault", fault="loop.ack.after:kill:2", share=0.9))
    assert await until(lambda: sharing.standby.got == [KILL], 5)
    sharing.standby.starts += 1
    await asyncio.wait_for(fault, 5)
    assert (sharing.standby.next_fault, sharing.owner.got, sharing.hand.done) == ("loop.ack.after:kill:2", [], {"armed": 1})


@pytest.mark.parametrize("why", ["gone", "frozen", "will fail", "owns nothing"])
async def test_on_kafka_a_fall_is_not_timed_while_no_other_worker_is_in_the_group(sharing: World, why: str) -> None:
    other = sharing.standby
    other.pid = {"gone": 0, "owns nothing": 99}.get(why, other.pid)
    other.frozen = why == "frozen"
    other.fault = "takeover.commit.before:kill:1" if why == "will fail" else ""
    await sharing.do(kind="kill", share=0.1)
    assert (sharing.owner.got, sharing.hand.falls) == ([KILL], [])


@pytest.mark.parametrize(
    ("kind", "owner", "signals", "noted"),
    [
        pytest.param("kill", True, ([KILL], []), "kill owner", id="kill the owner"),
        pytest.param("kill", False, ([], [KILL]), "kill standby", id="kill the standby"),
        pytest.param("term", True, ([TERM], []), "term owner", id="ask the owner"),
        pytest.param("term", False, ([], [TERM]), "term standby", id="ask the standby"),
        pytest.param("freeze", True, ([STOP, CONT], []), "freeze owner", id="freeze and wake the owner"),
        pytest.param("freeze", False, ([], [STOP, CONT]), "freeze standby", id="freeze and wake the standby"),
    ],
)
async def test_a_deed_meets_whom_it_is_meant_for_and_is_noted(
    world: World, kind: str, owner: bool, signals: tuple[list[int], list[int]], noted: str
) -> None:
    await world.do(kind=kind, owner=owner)
    assert (world.owner.got, world.standby.got) == signals
    assert world.hand.done == {noted: 1}
    assert world.troupe.actors[2].got == [], "the other stage is left alone"


@pytest.mark.parametrize("kind", ["kill", "term", "freeze"])
async def test_where_nobody_owns_the_stage_just_now_nothing_is_done(world: World, kind: str) -> None:
    world.owner.pid = 0
    await world.do(kind=kind)
    assert not world.hand.done
    assert world.standby.got == []


async def test_who_is_frozen_by_us_already_is_not_frozen_again(world: World) -> None:
    world.owner.frozen_by_us = True
    await world.do(kind="freeze")
    assert world.owner.got == []


async def test_who_was_replaced_while_it_was_frozen_is_not_woken_in_its_place(world: World) -> None:
    freezing = asyncio.ensure_future(world.do(kind="freeze", length_s=0.05))
    assert await until(lambda: bool(world.owner.got), 5)
    world.owner.pid = 99
    await freezing
    assert world.owner.got == [STOP]


def _nobody_waits(w: World) -> None:
    w.bus.standby = ()


def _bus_is_away(w: World) -> None:
    w.bus.away = True


def _standby_is_frozen(w: World) -> None:
    w.standby.frozen = True


def _standby_is_gone(w: World) -> None:
    w.standby.pid = 0


def _standby_will_fail(w: World) -> None:
    w.standby.fault = "takeover.commit.before:kill:1"


def _standby_will_meet_the_bus(w: World) -> None:
    w.standby.fault = "bus.acquire.after:freeze:1"


def _owner_stands_still(w: World) -> None:
    w.owner.frozen = True


def _other_stage_is_frozen(w: World) -> None:
    w.troupe.actors[2].frozen = True


def _standby_has_a_late_fault(w: World) -> None:
    w.standby.fault = "loop.commit.before:kill:9"


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        pytest.param(lambda _: None, "kill", id="a standby waits"),
        pytest.param(_standby_has_a_late_fault, "kill", id="its fault comes after it has taken over"),
        pytest.param(_other_stage_is_frozen, "kill beside a frozen process", id="somebody frozen may hold the bus"),
        pytest.param(_nobody_waits, None, id="nobody waits"),
        pytest.param(_bus_is_away, None, id="the bus does not tell"),
        pytest.param(_standby_is_frozen, None, id="the standby is frozen"),
        pytest.param(_standby_is_gone, None, id="the standby is between two processes"),
        pytest.param(_standby_will_fail, None, id="the standby will fail in its take-over"),
        pytest.param(_standby_will_meet_the_bus, None, id="the standby will stand still in the bus"),
        pytest.param(_owner_stands_still, None, id="the owner stood still before"),
    ],
)
async def test_a_fall_is_timed_only_where_another_is_ready_to_take_over(world: World, before: Any, kind: str | None) -> None:
    before(world)
    await world.do(kind="kill")
    assert [(fall.kind, fall.stage, fall.epochs, fall.within_s) for fall in world.hand.falls] == (
        [(kind, 1, {0: 7}, math.inf)] if kind else []
    )
    assert world.owner.got == [KILL], "it is struck in any case"


async def test_the_standbys_end_is_no_fall(world: World) -> None:
    await world.do(kind="kill", owner=False)
    assert world.hand.falls == []


async def test_a_freeze_is_timed_until_its_end_only(world: World) -> None:
    await world.do(kind="freeze", length_s=0.01)
    assert [(fall.kind, fall.within_s) for fall in world.hand.falls] == [("freeze", 0.01)]


@pytest.mark.parametrize(("share", "actor"), [(0.0, "a"), (0.24, "a"), (0.25, "b"), (0.5, "c"), (0.999, "d")])
@pytest.mark.parametrize(("kind", "flags"), [("raise", "raises"), ("bug", "bugs")])
async def test_trouble_has_a_flag_for_its_length_for_the_actor_that_the_share_picks(
    world: World, kind: str, flags: str, share: float, actor: str
) -> None:
    trouble = asyncio.ensure_future(world.do(kind=kind, share=share, length_s=0.02))
    flag = world.folder / flags / actor
    assert await until(flag.exists, 5, look_s=0.001)
    assert sum(1 for name in ("raises", "bugs") for _ in (world.folder / name).iterdir()) == 1
    await trouble
    assert not flag.exists()
    assert world.owner.got == ([KILL, TERM] if kind == "bug" else []), "a bug comes and goes with a new version"


@pytest.mark.parametrize(("share", "number", "noted"), [(0.49, KILL, "kill owner"), (0.5, TERM, "term owner")])
async def test_a_fault_is_armed_in_the_standbys_place_and_the_owner_gives_way(
    world: World, share: float, number: int, noted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FROZEN_LOOK_S", 0.001)
    fault = asyncio.ensure_future(world.do(kind="fault", fault="loop.ack.after:kill:2", share=share))
    assert await until(lambda: world.standby.got == [KILL], 5)
    world.standby.starts += 1  # its next process
    await asyncio.wait_for(fault, 5)
    assert world.standby.next_fault == "loop.ack.after:kill:2"
    assert world.owner.got == [number]
    assert world.hand.done == {"armed": 1, noted: 1}


async def test_a_fault_that_strikes_in_the_standbys_start_leaves_the_owner_where_it_is(world: World) -> None:
    fault = asyncio.ensure_future(world.do(kind="fault", fault="takeover.commit.before:freeze:1", share=0.1))
    assert await until(lambda: world.standby.got == [KILL], 5)
    world.standby.frozen = True
    world.standby.starts += 1
    await asyncio.wait_for(fault, 5)
    assert world.owner.got == []


async def test_settling_takes_every_flag_and_every_armed_fault_away_and_starts_a_new_version(world: World) -> None:
    for name in ("raises/a", "raises/b", "bugs/c"):
        (world.folder / name).touch()
    await world.hand.settle()
    assert [path.name for path in world.folder.rglob("*") if path.is_file()] == []
    assert {place.next_fault for place in world.troupe.actors} == {""}
    assert world.troupe.restarted == 1


async def test_settling_ends_what_still_goes_on_beside(world: World) -> None:
    await world.hand.run([Deed(0.0, "raise", 1, True, 600.0), Deed(0.0, "freeze", 1, True, 600.0)])
    assert await until(lambda: world.hand.done == {"raise": 1, "freeze owner": 1}, 5)
    await asyncio.wait_for(world.hand.settle(), 5)
    assert not world.hand._side
    assert not list((world.folder / "raises").iterdir())


async def test_a_deed_that_takes_long_holds_up_no_other(world: World) -> None:
    await asyncio.wait_for(world.hand.run([Deed(0.0, "raise", 1, True, 600.0), Deed(0.001, "kill", 1, True, 0.0)]), 5)
    assert await until(lambda: world.owner.got == [KILL], 5)
    await world.hand.settle()


async def test_who_stands_still_at_a_point_is_noted_once_and_woken_after_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FROZEN_LOOK_S", 0.001)
    monkeypatch.setattr(module, "LEFT_FROZEN_S", 0.01)
    world.owner.frozen, world.owner.fault = True, "relay.commit.after:freeze:2"
    world.standby.frozen = world.standby.frozen_by_us = True
    waking = asyncio.ensure_future(world.hand.wake_frozen())
    assert await until(lambda: world.owner.got == [CONT], 5, look_s=0.0005)
    waking.cancel()
    await asyncio.gather(waking, return_exceptions=True)
    assert world.hand.points["relay.commit.after:freeze"] >= 1
    assert world.standby.got == [], "whom the soak froze itself it wakes in its own time"


NEVER_STARTED: Final = Actor(1, 0, Path(), {})


@pytest.mark.parametrize("number", [KILL, TERM, STOP, CONT])
def test_a_place_without_a_process_takes_no_signal(number: int) -> None:
    assert NEVER_STARTED.send(number) is False
    assert (NEVER_STARTED.pid, NEVER_STARTED.asked, NEVER_STARTED.frozen_by_us) == (0, None, False)


class Process:
    """A process that notes its signals."""

    pid, returncode = 2**22 + 7, None

    def __init__(self) -> None:
        self.got: list[int] = []

    def send_signal(self, number: int) -> None:
        self.got.append(number)


@pytest.mark.parametrize(
    ("numbers", "asked", "frozen_by_us"),
    [
        pytest.param([], None, False, id="left alone"),
        pytest.param([STOP], None, True, id="frozen"),
        pytest.param([STOP, CONT], None, False, id="frozen and woken"),
        pytest.param([STOP, TERM], TERM, True, id="asked while it is frozen"),
        pytest.param([STOP, KILL], KILL, True, id="killed while it is frozen"),
        pytest.param([TERM, CONT], TERM, False, id="asked and woken"),
        pytest.param([TERM, KILL], KILL, False, id="asked, then killed"),
    ],
)
def test_a_place_remembers_what_its_process_was_sent(numbers: list[int], asked: int | None, frozen_by_us: bool) -> None:
    place = Actor(1, 0, Path(), {}, cast(Any, process := Process()))
    assert all(place.send(number) for number in numbers)
    assert (place.asked, place.frozen_by_us, process.got) == (asked, frozen_by_us, numbers)


@pytest.mark.parametrize(
    ("code", "fault", "at_fault"),
    [
        pytest.param(-9, "bus.renew.before:kill:1", True, id="killed at its point"),
        pytest.param(-9, "bus.renew.before:freeze:1", False, id="a freeze kills nobody"),
        pytest.param(-9, "", False, id="no fault armed: somebody else did it"),
        pytest.param(1, "bus.renew.before:kill:1", False, id="ended by an error"),
        pytest.param(0, "bus.renew.before:kill:1", False, id="ended well before it came there"),
    ],
)
def test_only_a_kill_that_was_armed_and_not_ours_is_the_fault_points(code: int, fault: str, at_fault: bool) -> None:
    assert Ending(1, 5, code, None, fault, False).at_fault is at_fault
