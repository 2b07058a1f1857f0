"""Keys and stores belong together: a lost or foreign key file is refused before anybody is registered twice (DESIGN 3)."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from config.keys import KeyFileError
from config.settings import Settings, load
from stores.migrate import NotAStore, OtherKeys, check_look_up_key, migrate
from tools import assemble
from tools.output import Failed
from tools.starting import built_worker


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data=tmp_path)


def test_the_first_start_makes_keys_and_every_store_keeps_their_fingerprint(settings: Settings) -> None:
    for service in assemble.SERVICES:
        assemble.worker(settings, service)
    fingerprint = assemble.keyring(settings).fingerprint()
    for service in assemble.SERVICES:
        with closing(sqlite3.connect(settings.data / f"{service}.db")) as c:
            assert c.execute("SELECT value FROM meta WHERE name='look_up_key'").fetchall() == [(fingerprint,)]


def test_a_second_start_with_the_same_keys_is_nothing_to_tell(settings: Settings) -> None:
    for _ in range(2):
        assemble.worker(settings, "users")


def test_a_lost_key_file_is_not_made_anew_beside_stores(settings: Settings) -> None:
    assemble.worker(settings, "users")
    settings.key_path().unlink()
    with pytest.raises(KeyFileError, match="put it back"):
        assemble.worker(settings, "users")
    assert not settings.key_path().exists(), "a new key would hide what is wrong"


@pytest.mark.parametrize("service", assemble.SERVICES)
def test_a_foreign_key_file_is_refused_by_every_store(settings: Settings, tmp_path: Path, service: str) -> None:
    assemble.worker(settings, service)
    foreign = load(data=tmp_path / "other")
    assemble.keyring(foreign)
    settings.key_path().unlink()
    foreign.key_path().rename(settings.key_path())
    with pytest.raises(OtherKeys, match="another key file"):
        assemble.worker(settings, service)


async def test_whoever_starts_a_worker_is_told_in_a_sentence(settings: Settings) -> None:
    assemble.worker(settings, "users")
    settings.key_path().unlink()
    with pytest.raises(Failed, match="no key file"):
        await built_worker(settings, "users")


def test_a_reader_refuses_a_foreign_key_and_is_content_without_a_store(settings: Settings) -> None:
    url = settings.store_url("users")
    check_look_up_key("users", url, "0" * 16)
    migrate("users", url, "0" * 16)
    check_look_up_key("users", url, "0" * 16)
    with pytest.raises(OtherKeys):
        check_look_up_key("users", url, "1" * 16)


def test_a_store_that_was_never_told_a_key_takes_the_first(settings: Settings) -> None:
    url = settings.store_url("users")
    migrate("users", url)
    check_look_up_key("users", url, "1" * 16)
    migrate("users", url, "0" * 16)
    with pytest.raises(OtherKeys):
        migrate("users", url, "1" * 16)


@pytest.mark.parametrize("content", [b"garbage, no database at all" * 50, b"SQLite format 3\0" + b"\xff" * 4096], ids=["text", "damaged"])
async def test_a_file_that_is_no_store_is_a_sentence_and_stays_as_it_is(settings: Settings, content: bytes) -> None:
    path = settings.data / "users.db"
    assemble.keyring(settings)
    path.write_bytes(content)
    with pytest.raises(NotAStore, match=r"users\.db is no database of Lendbus"):
        assemble.worker(settings, "users")
    with pytest.raises(Failed, match="put a backup in its place"):
        await built_worker(settings, "users")
    assert path.read_bytes() == content
