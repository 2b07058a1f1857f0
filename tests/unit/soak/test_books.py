"""The stores as the soak asks them: an answer, or silence, never an error of a driver's."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from config.settings import load
from tools.bench.place import Place, here
from tools.soak import books
from tools.soak.books import FileBooks, ServerBooks, Silent, told
from tools.soak.stage import prepare


async def test_a_file_that_is_being_made_is_silent_and_answers_as_soon_as_it_is_there(tmp_path: Path) -> None:
    place = here(tmp_path)
    asked = books.of(place)
    assert isinstance(asked, FileBooks)
    with pytest.raises(Silent):
        await asked.ask("first", "SELECT count(*) FROM owner")
    await asyncio.to_thread(prepare, place)
    assert await told(asked, "first", "SELECT count(*) FROM owner") == [(0,)]
    await asked.close()


async def test_a_server_that_is_not_there_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "TOLD_S_MAX", 0.0)
    asked = books.of(Place(load(data=tmp_path, db="postgresql://nobody@127.0.0.1:1/none"), tmp_path))
    assert isinstance(asked, ServerBooks)
    with pytest.raises(Silent):
        await told(asked, "first", "SELECT 1")
    await asked.close()


async def test_who_is_silent_for_a_while_is_asked_until_there_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        silent = 3

        async def ask(self, *_: str) -> list[Any]:
            if self.silent:
                self.silent -= 1
                raise Silent("frozen")
            return [(7,)]

        async def close(self) -> None:
            raise AssertionError("nobody closes it here")

    monkeypatch.setattr(books, "AGAIN_S", 0.0)
    assert await told(Slow(), "first", "SELECT 7") == [(7,)]
