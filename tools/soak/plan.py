"""What is done to the processes and when: drawn from a seed before anything starts, so that a run's schedule can be had again."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STAGES: Final = (1, 2)
GAP_S: Final = (0.6, 3.0)  # between two deeds
FREEZE_S: Final = (0.2, 4.5)  # up to several leases
SHARED_FREEZE_S: Final = (0.2, 9.0)  # on Kafka: shorter than a session, and longer
FROST_GAP_S: Final = (8.0, 20.0)  # between two freezes of a server
FROST_S: Final = (0.5, 7.0)
TROUBLE_S: Final = (0.5, 4.0)

# Where the two stages pass often enough for a fault to be met, and within how many passes it strikes.
POINTS: Final = {
    "loop.commit": 20,
    "loop.ack": 20,
    "takeover.commit": 1,
    "takeover.resend": 1,
    "relay.append": 20,
    "relay.commit": 5,
    "timers.commit": 4,
    "heal.commit": 2,
    "bus.append": 25,
    "bus.offsets": 3,
    "bus.acquire": 1,
    "bus.renew": 6,
    "bus.declare": 2,
}
EMBEDDED_ONLY: Final = frozenset({"bus.acquire", "bus.renew", "bus.declare"})
SHARED_POINTS: Final = {name: passes for name, passes in POINTS.items() if name not in EMBEDDED_ONLY}
KINDS: Final = {"kill": 4, "freeze": 3, "term": 2, "fault": 6, "raise": 2, "bug": 1, "redrive": 1}


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that is done, `at_s` seconds after the start; `share` picks an actor."""

    at_s: float
    kind: str
    stage: int
    owner: bool  # the active process, or the one that waits
    length_s: float
    fault: str = ""
    share: float = 0.0


def plan(seed: int, seconds: int, *, shared: bool = False) -> list[Deed]:
    """Every deed of a run, in order; the same for the same seed and length. `shared`: the stages' processes share partitions."""
    chance = random.Random(f"{seed}:faults")
    deeds: list[Deed] = []
    at_s = chance.uniform(*GAP_S)
    while at_s < seconds:
        deeds.append(_deed(chance, at_s, shared))
        at_s += chance.uniform(*GAP_S)
    return deeds


def _deed(chance: random.Random, at_s: float, shared: bool) -> Deed:
    (kind,) = chance.choices(tuple(KINDS), tuple(KINDS.values()))
    stage, owner = chance.choice(STAGES), chance.random() < 0.75
    freeze_s = SHARED_FREEZE_S if shared else FREEZE_S
    length_s = chance.uniform(*(freeze_s if kind in ("freeze", "fault") else TROUBLE_S))
    return Deed(
        round(at_s, 3), kind, stage, owner, round(length_s, 3), _fault(chance, SHARED_POINTS if shared else POINTS), chance.random()
    )


def _fault(chance: random.Random, points: Mapping[str, int]) -> str:
    operation = chance.choice(tuple(points))
    side = chance.choice(("before", "after"))
    (action,) = chance.choices(("kill", "freeze", "raise"), (3, 3, 1))
    return f"{operation}.{side}:{action}:{chance.randint(1, points[operation])}"


@dataclass(frozen=True, slots=True)
class Frost:
    """A server is frozen `at_s` seconds after the start."""

    at_s: float
    which: int
    length_s: float


def frosts(seed: int, seconds: int, servers: int) -> list[Frost]:
    """Every freeze of a server in order, one at a time; the same for the same seed and length."""
    chance = random.Random(f"{seed}:servers")
    found: list[Frost] = []
    at_s = chance.uniform(*FROST_GAP_S)
    while servers and at_s < seconds:
        found.append(Frost(round(at_s, 3), chance.randrange(servers), round(chance.uniform(*FROST_S), 3)))
        at_s += found[-1].length_s + chance.uniform(*FROST_GAP_S)
    return found
