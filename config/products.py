"""What loans there may be, and how a loan is funded: limits and times by name (MONEY 4, FLOWS 4)."""

from typing import Final

from config.retry import WITHOUT_END, Schedule

AMOUNT_FEN_MIN: Final = 10_000
AMOUNT_FEN_MAX: Final = 20_000_000  # what one person may owe on the platform
MONTHS: Final = range(1, 37)
RAISING_DAYS: Final = range(1, 31)
BID_FEN_MIN: Final = 10_000
BID_STEP_FEN: Final = 100
BIDS_STEP: Final = 500  # as many bids of a loan one message deals with
BID_PAGE_MS: Final = 10 * 60_000  # a bid whose hold has not ended by then is given up at the bank
PLAN_CHECK: Final = Schedule(first_ms=5_000, factor=2, cap_ms=300_000, budget=WITHOUT_END)
