"""A worker process of the soak: one stage of the bench service on the product's runtime, ended as a serving process ends.

`python -m tools.soak.stage FOLDER STAGE`. Its behaviour can be made to raise: for an actor that `FOLDER/raises/ACTOR` names now
(it passes), or that `FOLDER/bugs/ACTOR` named when the process started (a new version mends it). It ends with whoever started it.
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
from config.settings import load
from stores.migrate import create
from tools import processes
from tools.bench import service
from tools.bench.load import bus_url
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


def store_url(folder: Path, stage: int) -> str:
    """The store of a stage."""
    return f"sqlite:///{folder / NAMES[stage]}.db"


def prepare(folder: Path) -> None:
    """Make the stores and the folders of a run."""
    for stage in NAMES:
        create(store_url(folder, stage), service.METADATA)
    for name in ("raises", "bugs"):
        (folder / name).mkdir()


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


def worker(folder: Path, stage: int) -> Worker:
    """The stage's worker; its store was prepared."""
    around = Surroundings(bus_url(folder), store_url(folder, stage), TOPICS, KEEP)
    return Worker(service.house(stage, troubled(folder, stage)), around)


async def _work(crew: "Crew", folder: Path, stage: int) -> int:
    asyncio.get_running_loop().add_reader(STDIN, _end_with_parent)
    crew.start(worker(folder, stage))
    return await processes.serve_until_stopped()


def _end_with_parent() -> None:
    """Nobody writes to the pipe that is our standard input: it becomes readable when the other side has gone."""
    asyncio.get_running_loop().remove_reader(STDIN)
    os.kill(os.getpid(), signal.SIGTERM)


def main(folder: str, stage: str) -> int:
    """Run one stage until a signal ends it; the exit code."""
    return processes.run(load(data=folder), lambda crew: _work(crew, Path(folder), int(stage)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
