"""A throttle: whoever has failed too often waits. In this process only; every count and the number of counts has a limit."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

COUNTS_MAX: Final = 20_000  # the one that began first is forgotten first


class Count(NamedTuple):
    """How often something was tried since a moment, ms."""

    tries: int
    since_ms: int


class Throttle:
    """Tries are counted before they are made, so that a hundred at once are a hundred; `clock` is in milliseconds."""

    def __init__(self, window_ms: int, clock: Callable[[], int]) -> None:
        self._window_ms = window_ms
        self._clock = clock
        self._counts: dict[str, Count] = {}

    def wait_ms(self, limits: Iterable[tuple[str, int]]) -> int:
        """Count a try under every name, unless one has reached its limit: then how long until it may try again; 0: go on."""
        now, limits = self._clock(), list(limits)
        waits = [self._ends_ms(name) - now for name, most in limits if self._tries(name, now) >= most]
        if waits:
            return max(waits)
        for name, _ in limits:
            tries = self._tries(name, now)
            since_ms = self._counts.pop(name).since_ms if tries else now
            self._counts.pop(name, None)
            self._counts[name] = Count(tries + 1, since_ms)
        while len(self._counts) > COUNTS_MAX:
            del self._counts[next(iter(self._counts))]
        return 0

    def give_back(self, names: Iterable[str]) -> None:
        """The try was a good one and does not count."""
        for name in names:
            if (count := self._counts.pop(name, None)) and count.tries > 1:
                self._counts[name] = Count(count.tries - 1, count.since_ms)

    def _tries(self, name: str, now: int) -> int:
        count = self._counts.get(name)
        return count.tries if count and now < self._ends_ms(name) else 0

    def _ends_ms(self, name: str) -> int:
        return self._counts[name].since_ms + self._window_ms
