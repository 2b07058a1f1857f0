"""How the simulated bank behaves: its delay, its limits, whom it refuses."""

import hashlib
from dataclasses import dataclass
from typing import Final

DELAY_MS: Final = 200
JITTER_MS: Final = 100
COLLECT_FEN_MIN: Final = 10_000  # of a collection by authorization: this, or all that is due
HOLDS_MAX: Final = 2_000  # of one project
NAMES_REFUSED: Final = frozenset({"拒绝开户"})  # a person of this name gets no account: how a story has one that the bank refuses


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms the bank works."""

    delay_ms: int = DELAY_MS
    jitter_ms: int = JITTER_MS

    def delay_of(self, request_no: str) -> int:
        """How long the execution of a request takes: the same for the same number, never nothing."""
        share = int.from_bytes(hashlib.blake2b(request_no.encode(), digest_size=4).digest()) / 2**32
        return max(1, round(self.delay_ms + (2 * share - 1) * self.jitter_ms))
