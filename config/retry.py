"""How often, and how far apart: every schedule of repeats, by name. Pure: the jitter comes from a seed, not from chance.

A repeat that is decided twice (a batch run again after a crash) gets the same delay, and a thousand that began together
do not come back together.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

JITTER: Final = 0.2  # a delay lies within ±20 % of its place on the curve
WITHOUT_END: Final = 2**31 - 1
DOUBLINGS_MAX: Final = 64  # beyond this every curve has long met its cap


@dataclass(frozen=True, slots=True)
class Schedule:
    """Exponential delays from `first_ms` up to `cap_ms`, at most `budget` repeats. Raises ValueError when it makes no sense."""

    first_ms: int
    factor: float
    cap_ms: int
    budget: int

    def __post_init__(self) -> None:
        if not (0 < self.first_ms <= self.cap_ms and self.budget >= 1):
            raise ValueError("a schedule has 0 < first_ms <= cap_ms and a budget of at least one repeat")
        if self.factor < (1 + JITTER) / (1 - JITTER):
            raise ValueError(f"a factor under {(1 + JITTER) / (1 - JITTER)} lets the jitter turn the order of delays around")

    def delay_ms(self, n: int, seed: str) -> int:
        """How long to wait before the repeat after `n` (from 0). The same for the same `n` and seed; never over the cap."""
        assert n >= 0, "repeats are counted from 0"
        share = _share(n, seed)
        curve = self.first_ms * self.factor ** min(n, DOUBLINGS_MAX)
        # At the cap the jitter only shortens: a cap is a promise.
        return max(1, int(min(curve * (1 - JITTER + 2 * JITTER * share), self.cap_ms * (1 - JITTER * share))))

    def is_spent(self, n: int) -> bool:
        """Whether `n` repeats are all there are."""
        return n >= self.budget


def _share(n: int, seed: str) -> float:
    """A number in [0, 1) that looks like chance and is none."""
    digest = hashlib.blake2b(f"{n}:{seed}".encode(), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


SECOND_PHASE: Final = Schedule(first_ms=500, factor=2, cap_ms=60_000, budget=50)  # confirm and cancel of a TCC; then STUCK
HEALING: Final = Schedule(first_ms=1_000, factor=2, cap_ms=300_000, budget=10)  # a suspended actor; then stuck
ATTEMPTS: Final = Schedule(first_ms=1_000, factor=2, cap_ms=300_000, budget=30)  # a call to the outside world, about two hours
ASKING_BANK: Final = Schedule(first_ms=500, factor=2, cap_ms=30_000, budget=3_200)  # a question to the bank, about a day
STORE_AWAY: Final = Schedule(first_ms=50, factor=2, cap_ms=2_000, budget=WITHOUT_END)  # a database or bus that is away
WORKER_RESTART: Final = Schedule(first_ms=200, factor=2, cap_ms=30_000, budget=WITHOUT_END)  # a worker process that ended
