"""What befalls whom in a disturbed story: drawn from a seed, so that a story's faults can be had again.

A fault is put into a process before a scene of the story and strikes when that process comes to the point for the n-th time.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SERVICES: Final = ("accounts", "users", "trading", "repayments", "custody")
BANK: Final = "bank"
GATEWAY: Final = "gateway"
FAULTS_A_STORY: Final = (5, 8)
HITS_A_STORY_MIN: Final = 3  # a story that less has befallen is played again
TRIES_MAX: Final = 5
FROZEN_S: Final = (0.3, 4.0)  # shorter than a lease, and longer
LOST_SHARE, DOUBLED_SHARE = 0.15, 0.15  # of all webhooks
MESSAGES_DOUBLED_SHARE: Final = 0.05

_LOOP: Final = {"loop.commit": 3, "loop.ack": 3, "relay.append": 3, "relay.commit": 1, "bus.append": 3}  # point → it strikes by this pass

# Where a process passes in a story often enough for a fault to be met, and by which pass it strikes.
POINTS: Final[Mapping[str, Mapping[str, int]]] = {
    "accounts": _LOOP,
    "users": _LOOP,
    "trading": {**_LOOP, "timers.commit": 1},
    "repayments": _LOOP,
    "custody": {**_LOOP, "attempts.call": 3, "attempts.commit": 3, "timers.commit": 1},
    GATEWAY: {"gateway.send": 2, "bus.append": 2},
    BANK: {**_LOOP, "attempts.call": 2, "attempts.commit": 2, "timers.commit": 2},
}
# In which part of the story each of them has work; a fault that nobody meets is none.
BUSY: Final[Mapping[str, tuple[float, float]]] = {
    "accounts": (0.0, 0.1),
    "users": (0.0, 0.5),
    "trading": (0.45, 1.0),
    "repayments": (0.7, 1.0),
    "custody": (0.2, 1.0),
    GATEWAY: (0.0, 0.85),
    BANK: (0.2, 1.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Before scene number `scene` (from 0) this is put into the process of `target`; a frozen one is woken after `frozen_s`."""

    scene: int
    target: str
    text: str
    frozen_s: float

    @property
    def is_kill(self) -> bool:
        """Killed, or frozen."""
        return ":kill:" in self.text


def plan(seed: int, story: int, attempt: int, scenes: int) -> list[Fault]:
    """The faults of a story of so many scenes, in order; the same for the same numbers. No two of one target in one scene."""
    chance = random.Random(f"{seed}:{story}:{attempt}:faults")
    drawn = [_fault(chance, scenes) for _ in range(chance.randint(*FAULTS_A_STORY))]
    first = {(fault.scene, fault.target): fault for fault in reversed(drawn)}
    return sorted(first.values(), key=lambda fault: (fault.scene, fault.target))


def _fault(chance: random.Random, scenes: int) -> Fault:
    target = chance.choice(tuple(POINTS))
    first, last = (share * (scenes - 1) for share in BUSY[target])
    operation = chance.choice(tuple(POINTS[target]))
    side, action = chance.choice(("before", "after")), chance.choice(("kill", "kill", "freeze"))
    text = f"{operation}.{side}:{action}:{chance.randint(1, POINTS[target][operation])}"
    return Fault(chance.randint(round(first), round(last)), target, text, round(chance.uniform(*FROZEN_S), 2))
