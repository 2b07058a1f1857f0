"""Wrong deposit passwords: after so many for one account nobody is heard for a while, whatever he types. In memory, bounded."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from config.bank import WRONG_PASSWORDS_MAX, WRONG_PASSWORDS_MS

ACCOUNTS_MAX: Final = 10_000  # whose wrong passwords are remembered; the longest silent one is forgotten first


class Throttle:
    """Counts wrong passwords by account; `clock` is milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, int]] = OrderedDict()  # account → how many, since when

    def wait_ms(self, account: str) -> int:
        """How long this account is still not heard; 0: it is."""
        count, since_ms = self._wrong.get(account, (0, 0))
        left_ms = since_ms + WRONG_PASSWORDS_MS - self._clock()
        if left_ms <= 0:
            self._wrong.pop(account, None)
            return 0
        return left_ms if count >= WRONG_PASSWORDS_MAX else 0

    def try_(self, account: str) -> None:
        """A password is about to be checked: it counts as wrong until `right` is said, so that tries at once do not slip through."""
        count, since_ms = self._wrong.pop(account, (0, self._clock()))
        self._wrong[account] = count + 1, since_ms
        while len(self._wrong) > ACCOUNTS_MAX:
            self._wrong.popitem(last=False)

    def right(self, account: str) -> None:
        """The password was right: nothing is counted any more."""
        self._wrong.pop(account, None)
