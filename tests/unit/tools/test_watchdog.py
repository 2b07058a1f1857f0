"""The watchdog: a deaf loop ends its process and shows where it hung; a process that was only stopped goes on."""

import asyncio
import signal
import sys
from pathlib import Path

from tools.watchdog import Pulse

ROOT = Path(__file__).resolve().parents[3]
DEAF_S = 0.4
BLOCKED = """
import asyncio, time
from tools.watchdog import Watchdog

def hang():
    time.sleep(60)

async def main():
    Watchdog(deaf_s=DEAF_S).start()
    print("up", flush=True)
    await asyncio.sleep(0.01)
    hang()

asyncio.run(main())
""".replace("DEAF_S", str(DEAF_S))
LIVING = """
import asyncio, sys
from tools.watchdog import Watchdog

async def main():
    Watchdog(deaf_s=DEAF_S).start()
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    loop.add_reader(0, asked.set)
    print("up", flush=True)
    await asked.wait()

asyncio.run(main())
""".replace("DEAF_S", str(DEAF_S))


async def _started(code: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    return process


def test_one_silent_check_is_not_deaf_two_in_a_row_are() -> None:
    pulse = Pulse()
    pulse.beat()
    assert [pulse.is_deaf() for _ in range(3)] == [False, False, True]


def test_a_beat_between_silent_checks_begins_anew() -> None:
    pulse = Pulse()
    pulse.beat()
    assert [pulse.is_deaf(), pulse.is_deaf()] == [False, False]
    pulse.beat()
    assert [pulse.is_deaf(), pulse.is_deaf(), pulse.is_deaf()] == [False, False, True]


def test_a_late_check_means_that_the_process_did_not_run_and_begins_anew() -> None:
    pulse = Pulse()
    pulse.beat()
    assert [pulse.is_deaf(), pulse.is_deaf(), pulse.is_deaf(late=True), pulse.is_deaf()] == [False, False, False, False]


async def test_a_loop_that_hangs_ends_its_process_and_shows_where() -> None:
    process = await _started(BLOCKED)
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert b"the event loop has not turned for 0.4 s" in said
    assert b"in hang\n" in said


async def test_a_process_that_was_stopped_for_longer_goes_on() -> None:
    process = await _started(LIVING)
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(3 * DEAF_S)  # the time itself is what is tested
    process.send_signal(signal.SIGCONT)
    await asyncio.sleep(2 * DEAF_S)  # four checks
    _, said = await asyncio.wait_for(process.communicate(b"end\n"), 20)
    assert (process.returncode, said) == (0, b"")
