"""The crew: parts start together, stop in reverse, and one that ends by itself is noticed."""

import asyncio

import pytest

from tools.crew import Crew, PartEnded


class Part:
    """A part that waits to be stopped, or ends as it is told to."""

    def __init__(self, name: str, log: list[str], *, ends: Exception | None = None) -> None:
        self.name = name
        self._log = log
        self._ends = ends
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until it is stopped, or at once."""
        self._log.append(f"{self.name} runs")
        if self._ends is not None:
            raise self._ends
        await self._stop.wait()
        self._log.append(f"{self.name} stopped")

    def request_stop(self) -> None:
        """End."""
        self._stop.set()


async def test_parts_stop_in_the_reverse_order_of_their_start() -> None:
    crew, log = Crew(), list[str]()
    for name in ("accounts", "users", "gateway"):
        crew.start(Part(name, log))
    await asyncio.sleep(0)
    assert await crew.stop_all() == []
    assert log == ["accounts runs", "users runs", "gateway runs", "gateway stopped", "users stopped", "accounts stopped"]
    assert not crew.failed.done()


async def test_a_part_that_ends_by_itself_is_named_with_its_reason() -> None:
    crew = Crew()
    crew.start(Part("users", [], ends=OSError("no space left")))
    with pytest.raises(PartEnded, match="users has ended: OSError: no space left"):
        await asyncio.wait_for(crew.failed, 5)


async def test_a_part_that_was_stopped_may_be_started_again() -> None:
    crew, log = Crew(), list[str]()
    crew.start(Part("accounts", log))
    await asyncio.sleep(0)
    await crew.stop("accounts")
    crew.start(Part("accounts", log))
    await asyncio.sleep(0)
    assert crew.names == ("accounts",)
    await crew.stop_all()
    assert log == ["accounts runs", "accounts stopped"] * 2
