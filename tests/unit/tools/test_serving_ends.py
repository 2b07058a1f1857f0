"""How a serving process ends, and what the doctor says: the crew's failures, start errors as sentences, holders, findings."""

import asyncio
import errno
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import BusError
from bus.log import GroupRow
from config.keys import KeyFileError
from config.settings import load
from tools import doctor, health, processes, starting
from tools.crew import Crew, PartEnded
from tools.output import Failed, WrongUse
from tools.platform_lock import NAME, platform_lock
from tools.port import with_port
from tools.watchdog import SILENT_CHECKS, Pulse

NOW_MS = 1_795_568_361_844


class Part:
    """A part that ends when it is asked, how it is told to: well, with an error, or never."""

    def __init__(self, name: str, end: Exception | str = "well") -> None:
        self.name = name
        self.end = end
        self.cancelled = False
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Until it is asked."""
        try:
            await self._asked.wait()
            if self.end == "never":
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(self.end, Exception):
            raise self.end

    def request_stop(self) -> None:
        """End."""
        self._asked.set()


async def crew_of(*parts: Part) -> Crew:
    """A crew whose parts run."""
    crew = Crew()
    for part in parts:
        crew.start(part)
    await asyncio.sleep(0)
    return crew


async def test_a_part_that_fails_while_stopping_keeps_no_other_from_it() -> None:
    crew = await crew_of(Part("accounts"), Part("users", ValueError("torn")), Part("gateway", KeyError()))
    assert [str(failure) for failure in await crew.stop_all()] == ["gateway has ended: KeyError", "users has ended: ValueError: torn"]
    assert crew.names == ()
    assert not crew.failed.done()


async def test_what_does_not_stop_in_its_time_is_cancelled_and_that_is_no_failure() -> None:
    slow, quick = Part("slow", "never"), Part("quick")
    crew = await crew_of(quick, slow)
    working = asyncio.ensure_future(asyncio.Event().wait())
    assert await processes._stopped(working, crew, 0.01) == []  # type: ignore[arg-type]  # what it waits for is not looked at
    await asyncio.sleep(0)
    assert (working.cancelled(), slow.cancelled, crew.failed.done()) == (True, True, False)


async def test_of_two_parts_that_end_the_first_is_the_reason() -> None:
    crew = await crew_of(first := Part("first", OSError("a")), second := Part("second", OSError("b")))
    first.request_stop()
    with pytest.raises(PartEnded, match="first has ended: OSError: a"):
        await asyncio.wait_for(asyncio.shield(crew.failed), 5)
    second.request_stop()
    await asyncio.wait([crew._running["second"][1]])
    assert str(crew.failed.exception()) == "first has ended: OSError: a"


async def test_a_part_that_returns_unasked_has_ended_too() -> None:
    crew = await crew_of(part := Part("users"))
    part.request_stop()
    with pytest.raises(PartEnded, match="users has ended: RuntimeError: it returned by itself"):
        await asyncio.wait_for(crew.failed, 5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_the_first_signal_is_told_as_what_it_was(number: signal.Signals) -> None:
    loop = asyncio.get_running_loop()
    try:
        with processes._signals() as signalled:
            signal.raise_signal(number)
            with pytest.raises(processes.Stopped, match=number.name) as stopped:
                await processes._first(asyncio.ensure_future(processes.serve_until_stopped()), signalled)
    finally:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(each)
    assert stopped.value.number == number


async def test_main_work_that_is_done_is_the_exit_code() -> None:
    async def done() -> int:
        return 7

    assert await processes._first(asyncio.ensure_future(done()), asyncio.get_running_loop().create_future()) == 7


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        pytest.param(OSError(errno.EADDRINUSE, "in use"), WrongUse, "port 8081 of h is in use: stop who listens there", id="port in use"),
        pytest.param(OSError(errno.EACCES, "Permission denied"), WrongUse, "port 8081: Permission denied; say another", id="no right"),
        pytest.param(OSError(errno.EADDRNOTAVAIL, "No such address"), WrongUse, "LENDBUS_HOST", id="not our address"),
        pytest.param(BusError("the bus is of another version"), Failed, "the bus is of another version", id="bus"),
        pytest.param(KeyFileError("keys.json can be read by others"), Failed, "keys.json can be read by others", id="keys"),
    ],
)
def test_what_keeps_a_gateway_from_opening_is_a_sentence(raised: Exception, kind: type[Exception], says: str) -> None:
    told = starting.explained(raised, load(host="h", port=8081))
    assert type(told) is kind
    assert says in str(told)


@pytest.mark.parametrize(("said", "port"), [(None, 8080), (0, 0), (1, 1), (65535, 65535)])
def test_the_port_of_the_command_line_wins_also_when_it_is_0(said: int | None, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LENDBUS_PORT", raising=False)
    assert with_port(load(), said).port == port


@pytest.mark.parametrize(
    ("note", "says"),
    [
        pytest.param(json.dumps({"pid": 7, "since_ms": NOW_MS}), "process 7, since 2026-11-25T00:59:21.844Z", id="who and since when"),
        pytest.param("", "a process that is just starting", id="no note yet"),
        pytest.param("{", "a process that is just starting", id="half a note"),
        pytest.param("[]", "a process that is just starting", id="a list"),
        pytest.param('{"pid": null, "since_ms": 1}', "a process that is just starting", id="no pid"),
        pytest.param('{"pid": "x\\u001b[2J", "since_ms": 1}', "a process that is just starting", id="hostile"),
        pytest.param("x" * 100_000, "a process that is just starting", id="long"),
        pytest.param(None, "a process that is just starting", id="a note that somebody has removed"),
        pytest.param(json.dumps({"pid": 7, "since_ms": -1}), "process 7, since None", id="an odd time"),
    ],
)
def test_whoever_holds_a_folder_is_named_as_well_as_its_note_allows(tmp_path: Path, note: str | None, says: str) -> None:
    with platform_lock(tmp_path):
        (tmp_path / NAME).unlink() if note is None else (tmp_path / NAME).write_text(note)
        with pytest.raises(WrongUse, match=r"has its platform already: .*--data") as refused, platform_lock(tmp_path):
            pass
    assert says in str(refused.value)


def test_the_lock_is_free_again_after_an_error_and_its_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), platform_lock(folder):
            raise ZeroDivisionError
    assert os.stat(folder).st_mode & 0o777 == 0o700


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_a_loop_is_deaf_after_so_many_silent_checks_in_a_row_and_none_late(checks: list[tuple[bool, bool]]) -> None:
    pulse, silent = Pulse(), 0
    pulse.beat()
    pulse.is_deaf()
    for beats, late in checks:
        if beats:
            pulse.beat()
        silent = 0 if beats or late else silent + 1
        assert pulse.is_deaf(late=late) is (silent >= SILENT_CHECKS)


def a_group(**changes: Any) -> GroupRow:
    """A group that is owned and lives."""
    return replace(GroupRow("users", epoch=3, pid=7, host="h", since_ms=NOW_MS, alive=True), **changes)


@pytest.mark.parametrize(
    ("row", "result", "found"),
    [
        pytest.param(a_group(), "ok", "pid 7 on h since 2026-11-25T00:59:21.844Z, epoch 3", id="owned"),
        pytest.param(a_group(standby=(8, 9)), "ok", "epoch 3, standby 8, 9", id="others wait"),
        pytest.param(a_group(alive=False), "warn", "epoch 3: dead or silent", id="silent"),
        pytest.param(a_group(alive=False, standby=(8,)), "warn", "standby 8: dead or silent", id="silent, and one waits"),
        pytest.param(a_group(pid=None, host=None, since_ms=None, alive=False), "ok", "nobody's, epoch 3", id="nobody's"),
    ],
)
def test_the_owner_of_a_group_is_a_line_and_only_a_silent_one_a_warning(row: GroupRow, result: str, found: str) -> None:
    line = doctor.owner(row)
    assert (line.result, line.subject) == (result, "group users")
    assert found in line.found
    assert bool(line.todo) is (result == "warn")


@pytest.mark.parametrize(
    ("now_ms", "last_ms", "result"),
    [
        pytest.param(health.CLOCK_LEAST_MS - 1, None, "fail", id="never set"),
        pytest.param(health.CLOCK_LEAST_MS, None, "ok", id="the first moment that can be"),
        pytest.param(NOW_MS, NOW_MS + health.CLOCK_BEHIND_MS, "ok", id="behind by what is borne"),
        pytest.param(NOW_MS, NOW_MS + health.CLOCK_BEHIND_MS + 1, "warn", id="behind by more"),
        pytest.param(NOW_MS, 0, "ok", id="an old log says nothing"),
    ],
)
def test_the_clock_is_judged_to_the_millisecond(now_ms: int, last_ms: int | None, result: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: now_ms * 1_000_000)
    (line,) = health.clock(last_ms)
    assert (line.result, bool(line.todo)) == (result, result != "ok")


@pytest.mark.parametrize(
    ("requirement", "found", "fits"),
    [
        ("x==1.2.3", "1.2.3", True),
        ("x==1.2.3", "1.2.30", False),
        ("x==1.2", "1.2.0", False),
        ("x>=1.9", "1.10", True),
        ("x>=1.10", "1.9", False),
        ("x>=2", "2.0.0rc1", True),
        ("x[extra]>=2.1", "2.0.9", False),
        ("x", "0", True),
        ("x>=1 ; python_version > '3'", "1.0", True),
    ],
)
def test_versions_are_compared_as_numbers_and_pins_exactly(
    requirement: str, found: str, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: found)
    line = health.library(requirement)
    assert (line is None) is fits
    assert line is None or (line.result, line.subject, line.found) == ("fail", "x", found)
