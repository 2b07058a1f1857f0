"""The broker's folder: its settings, whose records it has, and which process is its own; nobody's process dies on a guess."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bus.kafka.local import launch
from bus.kafka.local.errors import BrokerFailed, Unfit
from bus.kafka.local.java import Java
from bus.kafka.local.place import Place, Running, new_cluster_id, properties
from stores.process import process_start, this_process

JAVA = Java(Path("/nowhere/bin/java"), 17)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "data" / "kafka")
    made.make()
    return made


def running(pid: int, started: int) -> Running:
    """The note of a process on this machine."""
    me = this_process()
    return Running(pid, started, me.boot, me.host, 9092, "4.3.1", "CLUSTER", 1_795_568_361_844)


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that stands for a broker; SIGTERM ends it."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def noted(place: Place, process: "subprocess.Popen[bytes]") -> Running:
    """The note of a living process."""
    note = running(process.pid, process_start(process.pid) or 0)
    place.note(note)
    return note


def test_the_folders_are_for_this_user_only(place: Place) -> None:
    assert {path.stat().st_mode & 0o777 for path in (place.folder, place.records)} == {0o700}


def test_the_settings_are_those_of_one_broker_on_loopback(tmp_path: Path) -> None:
    lines = properties(port=1, controller_port=2, records=tmp_path).splitlines()
    said = dict(line.split("=", 1) for line in lines)
    assert said["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert said["controller.quorum.voters"] == "1@127.0.0.1:2"
    assert said["log.dirs"] == str(tmp_path)
    assert said["auto.create.topics.enable"] == "false"
    assert said["offsets.topic.num.partitions"] == said["offsets.topic.replication.factor"] == "1"
    assert said["group.initial.rebalance.delay.ms"] == "0"
    assert said["group.min.session.timeout.ms"] == "1000"


@pytest.mark.parametrize(
    ("folder", "written"),
    [("/a b/c", "/a b/c"), ("/a\\b", "/a\\\\b"), ("/林", "/\\u6797"), ("/🙂", "/\\ud83d\\ude42"), ("/a\nb", "/a\\u000ab")],
)
def test_a_folder_of_any_name_stands_in_the_settings(folder: str, written: str) -> None:
    assert f"log.dirs={written}\n" in properties(port=1, controller_port=2, records=Path(folder))


def test_a_cluster_id_is_as_kafka_makes_them_and_never_the_same() -> None:
    made = {new_cluster_id() for _ in range(500)}
    assert len(made) == 500
    assert all(len(each) == 22 and not each.startswith("-") for each in made)


def test_the_cluster_id_is_made_once(place: Place) -> None:
    assert place.cluster() == place.cluster() == Place(place.folder).cluster()


def test_records_that_are_there_already_keep_their_cluster_id(place: Place) -> None:
    (place.records / "meta.properties").write_text("#\nversion=1\ncluster.id=THEIRS\nnode.id=1\n")
    assert place.cluster() == "THEIRS"


def test_records_of_another_cluster_are_refused(place: Place) -> None:
    place.cluster()
    (place.records / "meta.properties").write_text("cluster.id=THEIRS\n")
    with pytest.raises(BrokerFailed, match="somebody has put another cluster's files there"):
        place.cluster()


def test_a_living_process_is_the_running_one(place: Place, sleeper: "subprocess.Popen[bytes]") -> None:
    note = noted(place, sleeper)
    assert place.running() == place.noted() == note
    assert note.url == "kafka://127.0.0.1:9092"


def test_a_dead_process_is_not(place: Place, sleeper: "subprocess.Popen[bytes]") -> None:
    noted(place, sleeper)
    sleeper.kill()
    sleeper.wait()
    assert place.running() is None
    assert place.noted() is not None


def test_a_pid_that_was_used_again_is_not_the_broker_and_is_not_ended(place: Place, sleeper: "subprocess.Popen[bytes]") -> None:
    other = replace(noted(place, sleeper), started=1)
    place.note(other)
    assert place.running() is None
    launch.end(place, other, pytest.fail)
    assert sleeper.poll() is None


def test_a_note_of_another_boot_is_not_running(place: Place, sleeper: "subprocess.Popen[bytes]") -> None:
    place.note(replace(noted(place, sleeper), boot="another/boot"))
    assert place.running() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_note_that_was_cut_short_is_no_note(place: Place, text: str) -> None:
    (place.folder / "broker.json").write_text(text)
    assert place.noted() is None and place.running() is None


def test_a_process_that_has_the_records_and_is_in_no_note_is_named_and_not_ended(place: Place) -> None:
    assert place.stranger() is None
    (place.records / ".lock").touch()
    assert place.stranger() is None
    holds = "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holds, str(place.records / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert place.stranger() == process.pid
        with pytest.raises(BrokerFailed, match=rf"process {process.pid} has the records of .* end it \(kill {process.pid}\)"):
            place.refuse_stranger()
        assert process.poll() is None
    assert place.stranger() is None


def test_ending_sends_sigterm_and_forgets(place: Place, sleeper: "subprocess.Popen[bytes]") -> None:
    launch.end(place, noted(place, sleeper), pytest.fail)
    assert place.noted() is None
    assert sleeper.poll() is not None or not os.path.exists(f"/proc/{sleeper.pid}/exe")


def test_who_does_not_end_is_killed_and_it_is_said_before(place: Place) -> None:
    deaf = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); sys.stdin.read()"
    said: list[str] = []
    with subprocess.Popen([sys.executable, "-c", deaf], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        launch.end(place, noted(place, process), said.append, within_s=0.1)
    assert len(said) == 1 and "killing it" in said[0] and str(process.pid) in said[0]
    assert place.noted() is None


def test_the_last_words_are_what_went_wrong_and_not_the_stack(place: Place) -> None:
    assert place.last_words() == ""
    place.broker_log.write_text(
        "INFO starting\n[main] ERROR kafka.Kafka$ - fatal\njava.lang.RuntimeException: why\n\tat x.Exception(y)\nbye\n"
    )
    assert place.last_words() == "[main] ERROR kafka.Kafka$ - fatal / java.lang.RuntimeException: why"
    place.broker_log.write_text("only this\n")
    assert place.last_words() == "only this"


def test_each_start_has_a_log_of_its_own(place: Place) -> None:
    place.broker_log.write_text("the last run\n")
    place.put_log_aside()
    assert not place.broker_log.exists()
    assert (place.folder / "broker.log.1").read_text() == "the last run\n"


def test_a_port_in_use_is_refused_before_anything_is_written(place: Place) -> None:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        with pytest.raises(Unfit, match=f"port {port} of 127.0.0.1 is in use: .* say another --port"):
            launch.start(place, JAVA, [], port=port)
    assert sorted(path.name for path in place.folder.iterdir()) == ["log"]


def test_a_note_is_read_as_it_was_written(place: Place) -> None:
    note = running(1, 2)
    place.note(note)
    assert json.loads((place.folder / "broker.json").read_text()) == asdict(note)
    assert place.noted() == note
