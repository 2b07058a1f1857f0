"""Which assignments stand in this process: the broker cannot be asked whether a generation is over (DESIGN 1).

Several members of one process may have the same group in the same generation, so they are counted.
"""

from collections import Counter

from bus.errors import LostLease
from bus.record import Fence

_standing: Counter[tuple[str, Fence]] = Counter()


def stand(bus: str, fence: Fence) -> None:
    """A member of this process has partitions in this generation."""
    _standing[bus, fence] += 1


def fall(bus: str, fence: Fence) -> None:
    """It has none any more."""
    _standing[bus, fence] -= 1
    if _standing[bus, fence] <= 0:
        del _standing[bus, fence]


def check(bus: str, fence: Fence | None) -> None:
    """Raise LostLease when no assignment of this generation stands in this process."""
    if fence is not None and (bus, fence) not in _standing:
        raise LostLease(f"group {fence.group!r}: its assignment of generation {fence.epoch} is over in this process")
