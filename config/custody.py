"""How custody asks the bank: how often, how long it waits, when it gives an order up."""

from dataclasses import dataclass
from typing import Final

from config.retry import WITHOUT_END, Schedule

RESULT: Final = Schedule(first_ms=2_000, factor=2, cap_ms=60_000, budget=WITHOUT_END)  # questions for a result that has not come
NOTICE_ALONE_MS: Final = 60_000  # so long after a notice its query may stay unanswered; then the notice decides
AWAITING_MS_MAX: Final = 30 * 60_000  # so long a member may take on the bank's page; then the order is closed there
DATE_EVERY_MS: Final = 60_000
ASK_AGAIN_MS: Final = 26 * 3_600_000  # a question that has been out for longer than its attempt is repeated is put anew


@dataclass(frozen=True, slots=True)
class Policy:
    """What custody's behaviours are told beside their messages."""

    result: Schedule = RESULT
    notice_alone_ms: int = NOTICE_ALONE_MS
    awaiting_ms_max: int = AWAITING_MS_MAX
    date_every_ms: int = DATE_EVERY_MS
