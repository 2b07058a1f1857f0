"""A fault can be put into a process that runs: by a file, which is read again whenever it is another one."""

import os
from pathlib import Path

import pytest

from config import faults
from config.faults import InjectedFault, from_file, installed, reach


def put(path: Path, text: str) -> None:
    """As whoever arms a process does it."""
    other = path.with_suffix(".new")
    other.write_text(text)
    os.replace(other, path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "worker.fault"


def test_no_file_and_an_empty_one_are_no_fault(file: Path) -> None:
    with installed(from_file(file)):
        reach("loop.commit.before")
        put(file, "")
        reach("loop.commit.before")
        put(file, "loop.commit.before:explode")
        reach("loop.commit.before")


def test_a_fault_that_is_put_while_it_runs_acts_and_says_so(file: Path) -> None:
    with installed(from_file(file)):
        reach("loop.commit.before")
        put(file, "loop.commit.before:raise:2\n")
        reach("loop.commit.before")
        reach("loop.commit.after")
        assert not file.with_suffix(".fault.hit").exists()
        with pytest.raises(InjectedFault, match=r"loop\.commit\.before"):
            reach("loop.commit.before")
        reach("loop.commit.before")  # it has acted
    assert file.with_suffix(".fault.hit").read_text() == f"loop.commit.before {os.getpid()}\n"


def test_another_file_in_its_place_is_another_fault_counted_anew(file: Path) -> None:
    put(file, "loop.ack.after:raise:2")
    with installed(from_file(file)):
        reach("loop.ack.after")
        put(file, "loop.ack.after:raise:2")
        reach("loop.ack.after")
        with pytest.raises(InjectedFault):
            reach("loop.ack.after")


def test_a_file_that_is_taken_away_takes_its_fault_along(file: Path) -> None:
    put(file, "loop.ack.after:raise")
    with installed(from_file(file)):
        file.unlink()
        reach("loop.ack.after")


def test_the_environment_may_name_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENDBUS_FAULT", f"@{file}")
    with installed(lambda _: None):
        faults.install_from_environment()
        put(file, "bus.append.before:raise")
        with pytest.raises(InjectedFault):
            reach("bus.append.before")
