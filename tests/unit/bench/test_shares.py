"""Who uses the processor: this process and its children are seen, a listener is found by its port, what is elsewhere is left out."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import required
from tools.bench import shares
from tools.bench.shares import Shares, family, listener, used

LISTEN = """
import os, socket, sys
server = socket.create_server(('127.0.0.1', 0))
if 'fork' in sys.argv and os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _proc() -> None:
    required("/proc", shares.PROC.exists(), "processes are looked at there")


def work(seconds: float) -> None:
    """Use the processor of this process for so long, by its own clock."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1_000))


def test_what_this_process_uses_is_counted_as_its_own_and_as_the_machines() -> None:
    counted = Shares({"us": [os.getpid()]})
    counted.begin()
    began = time.monotonic()
    work(0.2)
    seen = counted.end()
    seconds = time.monotonic() - began
    assert set(seen) == {"us", "machine"}
    assert 0.15 <= seen["us"] * seconds <= 3
    assert seen["machine"] >= seen["us"] * 0.5


def test_who_is_not_there_is_left_out() -> None:
    counted = Shares({"gone": [2**22 + 1], "nobody": []})
    counted.begin()
    assert set(counted.end()) == {"machine"}


@pytest.fixture(params=[[], ["fork"]], ids=["alone", "with a child that has its socket"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """(pid, port) of a process that listens."""
    command = [sys.executable, "-c", LISTEN, *request.param]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


def test_a_server_of_this_machine_is_found_by_its_port_and_its_children_belong_to_it(server: tuple[int, int]) -> None:
    pid, port = server
    assert listener("127.0.0.1", port) == pid
    assert listener("localhost", port) == pid
    assert pid in family([pid])
    assert used([pid]).keys() == {pid}
    assert pid in family([os.getpid()]), "it is our child"


def test_a_server_elsewhere_or_nowhere_is_not_found() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as ours:
        port = ours.getsockname()[1]
        assert listener("db.example.org", port) is None
        assert listener("127.0.0.1", port) == os.getpid()
    assert listener("127.0.0.1", port) is None


def test_without_proc_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shares, "PROC", tmp_path / "none")
    counted = Shares({"us": [os.getpid()]})
    counted.begin()
    assert counted.end() == {}
    assert listener("127.0.0.1", 1) is None
