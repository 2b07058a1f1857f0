"""The jars: complete or a sentence, from a folder that is given, the cache, or Maven; fetched whole or not at all."""

import zipfile
from pathlib import Path

import pytest

from bus.kafka.local import jars
from bus.kafka.local.errors import Unfit
from bus.kafka.local.java import Java

JAVA = Java(Path("/nowhere/bin/java"), 17)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of our own, and no folder given."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(jars.JARS_VARIABLE, raising=False)
    return jars.cache_folder()


def fill(folder: Path, *, without: str = "") -> Path:
    """A folder with every jar, each a small one."""
    folder.mkdir(parents=True)
    for name in jars.pinned():
        if name != without:
            with zipfile.ZipFile(folder / name, "w") as jar:
                jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
    return folder


def test_kafka_and_what_it_needs_are_pinned_by_their_hashes() -> None:
    assert {f"kafka_2.13-{jars.VERSION}.jar", f"kafka-clients-{jars.VERSION}.jar", jars.LOGGING} <= jars.pinned().keys()
    assert all(len(digest) == 64 for digest in jars.pinned().values())
    assert f"<version>{jars.VERSION}</version>" in (Path(jars.__file__).parent / "pom.xml").read_text()


def test_without_anything_they_have_to_be_fetched(cache: Path) -> None:
    assert jars.found() is None


def test_the_cache_is_used_when_it_is_there(cache: Path) -> None:
    fill(cache)
    assert jars.found() == [cache / name for name in jars.pinned()]


def test_a_folder_given_wins_over_the_variable_and_both_over_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (cache, tmp_path / "said", tmp_path / "given"):
        fill(folder)
    monkeypatch.setenv(jars.JARS_VARIABLE, str(tmp_path / "said"))
    assert (jars.found() or [])[0].parent == tmp_path / "said"
    assert (jars.found(tmp_path / "given") or [])[0].parent == tmp_path / "given"


def test_a_folder_without_the_log_binding_is_complete(tmp_path: Path) -> None:
    found = jars.checked(fill(tmp_path / "jars", without=jars.LOGGING))
    assert len(found) == len(jars.pinned()) - 1


def test_a_missing_jar_is_named(tmp_path: Path) -> None:
    name = f"kafka-server-{jars.VERSION}.jar"
    with pytest.raises(Unfit, match=rf"lacks {name} of Kafka"):
        jars.checked(fill(tmp_path / "jars", without=name))


def test_a_jar_that_was_cut_short_is_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "jars")
    name = f"kafka-clients-{jars.VERSION}.jar"
    (folder / name).write_bytes((folder / name).read_bytes()[:20])
    with pytest.raises(Unfit, match=rf"has damaged {name} of Kafka .*: remove the folder, or fill it again"):
        jars.checked(folder)


def test_an_empty_folder_names_some_and_counts_the_rest(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=r"lacks HdrHistogram\S+.jar, .* and \d+ more"):
        jars.checked(tmp_path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=r"there is no folder .*no/such"):
        jars.found(tmp_path / "no" / "such")


def a_maven(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is found as Maven."""
    folder.mkdir(exist_ok=True)
    path = folder / "mvn"
    path.write_text(f"#!/bin/sh\nfor word; do case $word in -DoutputDirectory=*) into=${{word#*=}};; esac; done\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr("bus.kafka.local.jars.shutil.which", lambda _: str(path))


def test_without_maven_the_sentence_says_both_ways_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.kafka.local.jars.shutil.which", lambda _: None)
    with pytest.raises(Unfit, match=r"there is no Maven .*: install Maven, or give a folder with the jars by --jars or LENDBUS_KAFKA_JARS"):
        jars.fetch(JAVA)
    assert not cache.exists()


def test_what_maven_says_is_passed_on_and_nothing_is_left(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_maven(tmp_path / "bin", 'touch "$into/half.jar"; echo "[ERROR] Unknown host"; exit 1', monkeypatch)
    with pytest.raises(Unfit, match=r"Maven could not fetch Kafka .*Unknown host"):
        jars.fetch(JAVA)
    assert [path.name for path in cache.parent.iterdir()] == [f"{cache.name}.lock"]


def test_a_jar_with_another_hash_is_refused(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fill(tmp_path / "source")
    a_maven(tmp_path / "bin", f'cp {source}/* "$into"', monkeypatch)
    with pytest.raises(Unfit, match=r"Maven's \S+.jar is not the one that is pinned"):
        jars.fetch(JAVA)
    assert not cache.exists()


def test_what_another_process_has_fetched_meanwhile_is_taken(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.kafka.local.jars.shutil.which", lambda _: None)
    fill(cache)
    assert len(jars.fetch(JAVA)) == len(jars.pinned())
