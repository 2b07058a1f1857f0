"""How a process of the soak ended is told also where nobody looked in between."""

from pathlib import Path

import pytest

from tests.unit.soak.test_deeds import CONT, KILL, STOP, Process
from tools.soak.troupe import Actor


@pytest.mark.parametrize("numbers", [[STOP], [STOP, CONT], []])
async def test_whom_the_soak_stopped_and_somebody_ended_was_ended_by_a_waiter_also_when_nobody_looked(
    numbers: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(Process):
        async def wait(self) -> int:
            assert all(place.send(number) for number in numbers)
            place.closing = True
            return -KILL

    async def start(*_: object) -> Ended:
        return Ended()

    place = Actor(1, 0, tmp_path, {})
    monkeypatch.setattr(Actor, "_start", start)
    await place.live()
    assert [ending.by_waiter for ending in place.endings] == [numbers == [STOP]]
