"""How the simulated bank behaves: its delay, its limits, whom it refuses."""

import hashlib
from dataclasses import dataclass
from typing import Final

from config.retry import Schedule

DELAY_MS: Final = 200
JITTER_MS: Final = 100
COLLECT_FEN_MIN: Final = 10_000  # of a collection by authorization: this, or all that is due
CARD_FEN_MAX: Final = 500_000_000  # what a card lets through at once
HOLDS_MAX: Final = 2_000  # of one project
FEN_MAX: Final = 10**15  # of one amount
BODY_BYTES_MAX: Final = 256 * 1024  # of a signed request: room for a repayment to two thousand investors
WRONG_PASSWORDS_MAX: Final = 5  # deposit passwords of one account; then nobody is heard for it
WRONG_PASSWORDS_MS: Final = 15 * 60_000  # so long after the first of them
NAMES_REFUSED: Final = frozenset({"拒绝开户"})  # a person of this name gets no account: how a story has one that the bank refuses
NOTICES: Final = Schedule(first_ms=1_000, factor=2, cap_ms=3_600_000, budget=20)  # tries to tell a platform, about half a day
NOTICE_CALL_MS_MAX: Final = 5_000  # so long a platform may take to acknowledge
NOTICE_ERROR_CHARS_MAX: Final = 300  # of what is kept of why a try has failed


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms the bank works."""

    delay_ms: int = DELAY_MS
    jitter_ms: int = JITTER_MS

    def delay_of(self, request_no: str) -> int:
        """How long the execution of a request takes: the same for the same number, never nothing."""
        share = int.from_bytes(hashlib.blake2b(request_no.encode(), digest_size=4).digest()) / 2**32
        return max(1, round(self.delay_ms + (2 * share - 1) * self.jitter_ms))
