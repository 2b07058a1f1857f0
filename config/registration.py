"""How a registration is run: what the coordinator's behaviour is told beside its messages (FLOWS 2)."""

from dataclasses import dataclass
from typing import Final

from config.retry import SECOND_PHASE, Schedule

TRY_DEADLINE_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a Try may take, how its second phase is repeated, and whether a one-time code to the mobile is asked for."""

    try_deadline_ms: int = TRY_DEADLINE_MS
    second_phase: Schedule = SECOND_PHASE
    one_time_codes: bool = False
