"""What a person may say for a place in a log: `earliest`, an offset, or an instant (CASES B18)."""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tools.output import WrongUse, instant

EARLIEST: Final = "earliest"
FORMS: Final = "an instant like 2026-01-31T10:02, 2026-01-31T10:02:00Z or 2026-01-31T18:02+08:00"


class Start(NamedTuple):
    """Where to begin: at an offset of every partition, or with the records of an instant or later (their own time)."""

    offset: int | None = None
    instant_ms: int | None = None
    note: str | None = None


class End(NamedTuple):
    """Where to end: with records before this instant (their own time)."""

    instant_ms: int | None = None
    note: str | None = None


def start(text: str | None) -> Start:
    """Read `--from`. Raises WrongUse."""
    if text is None:
        return Start()
    if text == EARLIEST:
        return Start(offset=0)
    if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
        return Start(offset=int(text))
    at_ms, note = _instant("--from", text, f"{EARLIEST}, an offset, or {FORMS}")
    return Start(instant_ms=at_ms, note=note)


def end(text: str | None) -> End:
    """Read `--until`. Raises WrongUse."""
    return End() if text is None else End(*_instant("--until", text, FORMS))


def _instant(option: str, text: str, forms: str) -> tuple[int, str | None]:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"{option} {text!r} is no place in a log: say {forms}") from None
    without_zone = at.tzinfo is None
    at = at.replace(tzinfo=UTC) if without_zone else at
    whole = at - datetime(1970, 1, 1, tzinfo=UTC)
    at_ms = (whole.days * 86_400 + whole.seconds) * 1000 + whole.microseconds // 1000
    return at_ms, f"{option} has no zone and is taken as UTC: {instant(at_ms) or at.isoformat()}" if without_zone else None
