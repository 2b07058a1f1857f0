"""A worker process of the soak: one stage of the bench service on the product's runtime, ended as a serving process ends.

`python -m tools.soak.stage FOLDER STAGE`, bus and stores in the environment (`Place.environment`). Its behaviour can be made to
raise: for an actor that `FOLDER/raises/ACTOR` names now (it passes), or that `FOLDER/bugs/ACTOR` named when the process
started (a new version mends it). It ends with whoever started it.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agents.runtime.decision import Context, Decision
from agents.runtime.messages import DEAD_LETTERS
from agents.runtime.pruning import DAY_MS, Keep
from agents.runtime.worker import Surroundings, Worker
from bus.log import TopicSpec
from tools import processes
from tools.bench import service
from tools.bench.place import Place, there
from tools.bench.service import Counter

if TYPE_CHECKING:
    from tools.crew import Crew

NAMES: Final = {1: "first", 2: "second"}
TOPICS: Final = (*service.TOPICS, TopicSpec(DEAD_LETTERS))
PRUNE_EVERY_S: Final = 2.0
KEEP: Final = Keep(9 * DAY_MS, 90 * DAY_MS, 9 * DAY_MS, 30 * DAY_MS, DAY_MS, 7 * DAY_MS, DAY_MS // 2, PRUNE_EVERY_S)
REJECTED: Final = "reject"  # a filler that begins so makes a state that no database takes
TOO_BIG: Final = 2**64
STDIN: Final = 0


def prepare(place: Place) -> None:
    """Make the stores and the folders of a run."""
    for name in NAMES.values():
        place.make_store(name, service.METADATA)
    for name in ("raises", "bugs"):
        (place.folder / name).mkdir()


def troubled(folder: Path, stage: int) -> Callable[..., Decision[Counter]]:
    """The stage's behaviour, which raises for the actors that the folder names."""
    usual: Callable[..., Decision[Counter]] = (service.first, service.second)[stage - 1]
    bugs = frozenset(os.listdir(folder / "bugs"))
    raises = folder / "raises"

    def behave(state: Counter | None, message: Any, context: Context) -> Decision[Counter]:
        if context.actor in bugs or os.path.exists(raises / context.actor):
            raise RuntimeError(f"stage {stage} cannot handle {context.actor} just now")
        decision = usual(state, message, context)
        if message.filler.startswith(REJECTED) and decision.state is not None and not os.path.exists(folder / "mended"):
            return Decision(Counter(TOO_BIG, decision.state.last), sends=decision.sends)
        return decision

    return behave


def worker(place: Place, stage: int) -> Worker:
    """The stage's worker; its store was made. A folder without flags has no trouble (`bench scale`)."""
    around = Surroundings(place.bus_url, place.store_url(NAMES[stage]), place.topics(TOPICS), KEEP)
    return Worker(service.house(stage, troubled(place.folder, stage) if (place.folder / "bugs").exists() else None), around)


async def _work(crew: "Crew", place: Place, stage: int) -> int:
    asyncio.get_running_loop().add_reader(STDIN, _end_with_parent)
    crew.start(worker(place, stage))
    return await processes.serve_until_stopped()


def _end_with_parent() -> None:
    """Nobody writes to the pipe that is our standard input: it becomes readable when the other side has gone."""
    asyncio.get_running_loop().remove_reader(STDIN)
    os.kill(os.getpid(), signal.SIGTERM)


def main(folder: str, stage: str) -> int:
    """Run one stage until a signal ends it; the exit code."""
    place = there(Path(folder))
    return processes.run(place.settings, lambda crew: _work(crew, place, int(stage)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
