"""Due dates and days between dates (MONEY 1.5): months are counted from the start date, never from the due date before."""

from calendar import monthrange
from datetime import date

from agents.repayments.money import MONTHS_A_YEAR


def due_date(start: date, months: int) -> date:
    """So many months after the start: the same day, or the month's last where it has no such day. 31 Jan, 29 Feb, 31 Mar."""
    assert months >= 0, "a due date is not before the start"
    year, month = divmod(start.year * MONTHS_A_YEAR + start.month - 1 + months, MONTHS_A_YEAR)
    if start.day <= 28:  # every month has it
        return date(year, month + 1, start.day)
    return date(year, month + 1, min(start.day, monthrange(year, month + 1)[1]))


def due_dates(start: date, months: int) -> list[date]:
    """The due dates of months 1 to `months`; holidays shift nothing."""
    return [due_date(start, k) for k in range(1, months + 1)]


def days_between(earlier: date, later: date) -> int:
    """Days from the one to the other: the later one counts, the earlier one does not (MONEY 1)."""
    assert earlier <= later, f"{later} is before {earlier}"
    return (later - earlier).days


def days_late(due: date, paid: date) -> int:
    """How late a payment is, in days: none on the due date or before (MONEY 3)."""
    return max((paid - due).days, 0)
