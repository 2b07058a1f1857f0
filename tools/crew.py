"""The parts of one process (workers, the gateway): started together, stopped in reverse, and one that ends by itself ends all."""

import asyncio
from typing import Any, Protocol

from config import logs


class Part(Protocol):
    """What runs in this process until it is asked to stop."""

    name: str

    async def run(self) -> None:
        """Work until `request_stop`; raises what ended it otherwise."""

    def request_stop(self) -> None:
        """End `run` gracefully; may be called at any time."""


class PartEnded(Exception):
    """A part has ended that nobody has asked to: the text says which and why."""


class Crew:
    """Starts and stops parts by name; `failed` is done when one of them has ended by itself."""

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._running: dict[str, tuple[Part, asyncio.Task[None]]] = {}
        self._asked: set[str] = set()

    def start(self, part: Part) -> None:
        """Let a part run; its name must be free."""
        assert part.name not in self._running, f"{part.name} runs already"
        task = asyncio.create_task(part.run(), name=part.name)
        self._running[part.name] = part, task
        self._asked.discard(part.name)
        task.add_done_callback(lambda done: self._ended(part.name, done))

    async def stop(self, name: str) -> None:
        """Stop one part and wait for its end. Raises what its end raised."""
        part, task = self._running.pop(name)
        self._asked.add(name)
        part.request_stop()
        await task

    async def stop_all(self) -> list[PartEnded]:
        """Stop every part, the last one started first; what failed on the way. A cancelled call cancels what is left."""
        failures: list[PartEnded] = []
        for name in reversed(list(self._running)):
            try:
                await self.stop(name)
            except Exception as exc:  # noqa: BLE001 - the others are stopped all the same, and the caller says what this was
                failures.append(_reason(name, exc))
        return failures

    def cancel(self) -> None:
        """Wait for nobody."""
        for name, (_, task) in self._running.items():
            self._asked.add(name)
            task.cancel()

    def _ended(self, name: str, task: asyncio.Task[Any]) -> None:
        if name in self._asked or task.cancelled() or self.failed.done():
            return
        self._running.pop(name, None)
        self.failed.set_exception(_reason(name, task.exception() or RuntimeError("it returned by itself")))
        self.failed.exception()  # whoever watches says it; asyncio need not add that nobody did

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that run, in the order of their start."""
        return tuple(part for part, _ in self._running.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The parts that run, in the order of their start."""
        return tuple(self._running)


def _reason(name: str, exc: BaseException) -> PartEnded:
    logs.get("crew").debug("part ended", part=name, exc_info=exc)
    return PartEnded(f"{name} has ended: {type(exc).__name__}: {exc}" if str(exc) else f"{name} has ended: {type(exc).__name__}")
