"""What the demo does to itself while its story is told: a webhook is lost, the bank is away, a service is stopped; all of it heals.

The scene in which something heals takes longer for it; the demo says so and does not count that time as its own.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from tools.story.play import Story
from tools.story.scene import Scene
from tools.webhook_relay import Fate

BANK_AWAY_S: Final = 1.0
SERVICE_AWAY_S: Final = 1.0
SERVICE: Final = "trading"
LOST: Final = "recharge"  # the first webhook about one is lost

# The scene after whose end the fault begins, and what it is; the next scene is the one that it holds up.
LOSES: Final = "opens an account; the bank refuses the name"
BANK_LEAVES: Final = "without the money"
SERVICE_LEAVES: Final = "tries to approve it a second time"


@dataclass
class Hands:
    """What the demo's faults may do to the world around the story."""

    bank_down: Callable[[], Awaitable[None]]
    bank_up: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]


@dataclass
class Faults:
    """The three of them; `held_up` are the scenes that had to wait for one to heal, and why."""

    hands: Hands | None = None  # until the platform runs there is nothing to be stopped
    held_up: dict[str, str] = field(default_factory=dict)
    waited_ms: int = 0
    _armed: bool = False
    _lost: bool = False
    _side: set[asyncio.Task[None]] = field(default_factory=set)
    _why: str | None = None

    def fate(self, body: bytes) -> Fate:
        """What becomes of a webhook: the one that is meant is lost, once."""
        if not self._armed or self._lost:
            return "pass"
        with contextlib.suppress(ValueError, AttributeError):
            self._lost = json.loads(body).get("data", {}).get("kind") == LOST
        return "lose" if self._lost else "pass"

    @property
    def lost(self) -> bool:
        """Whether the webhook was lost."""
        return self._lost

    async def tell(self, story: Story) -> AsyncIterator[Scene]:
        """The story, disturbed. Raises StoryEnded, and what a fault itself has raised."""
        async for scene in story.play():
            self._over(scene)
            yield scene
            self._begin(scene)
        await asyncio.gather(*self._side)

    def _over(self, scene: Scene) -> None:
        if self._why is not None:
            self.held_up[scene.told] = self._why
            self.waited_ms += scene.took_ms
            self._why = None

    def _begin(self, scene: Scene) -> None:
        """The fault that follows on this scene, if one does."""
        assert self.hands is not None, "a story is told on a platform that runs"
        if scene.does.endswith(LOSES):
            self._armed = True
            self._why = "the webhook of it was lost; custody asked the bank by itself"
        elif scene.does.endswith(BANK_LEAVES):
            self._why = f"the bank was down for {BANK_AWAY_S:g} s; custody asked it again"
            self._beside(self._away(self.hands.bank_down, self.hands.bank_up, BANK_AWAY_S))
        elif scene.does.endswith(SERVICE_LEAVES):
            self._why = f"{SERVICE} was stopped for {SERVICE_AWAY_S:g} s; what was said to it waited on the bus"
            self._beside(self._away(self.hands.stop, self.hands.start, SERVICE_AWAY_S))

    def _beside(self, work: Awaitable[None]) -> None:
        self._side.add(asyncio.ensure_future(work))

    async def _away(self, leave: Callable[[], Awaitable[None]], come: Callable[[], Awaitable[None]], length_s: float) -> None:
        await leave()
        gone_s = time.monotonic()
        await asyncio.sleep(max(0.0, length_s - (time.monotonic() - gone_s)))
        await come()
