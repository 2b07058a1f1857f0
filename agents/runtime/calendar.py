"""The calendar actor of a service: one business date after the other, each scanned to its end before the next begins (FLOWS 5).

(nothing) ──DateRolled──► scanning d ──last step──► standing on d ──DateRolled(d+1)──► …

Pure, and the same in every service: the service says with which message an actor hears that something of it is due. A step is a
message to itself; the store puts the keys that are due beside the state (`Need` of kind `DUE`), at most `STEP` of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from agents.runtime.decision import Decision, Message, Need, Send

KEY = "calendar:1"  # the one calendar of a service
DUE = "due"
STEP = 500


@dataclass(frozen=True, slots=True)
class Calendar:
    """The date that was begun last, how far its scan has come (None: it is done), the dates that wait, and what a step has found."""

    key: str
    day: date
    after: str | None
    waiting: tuple[date, ...] = ()
    due: tuple[str, ...] = ()


def need_of(day: str, after: str) -> Need:
    """What a step wants to see: the next keys with something due on that day or before."""
    return Need(DUE, day, after, STEP)


def rolled(calendar: Calendar | None, day: date, scan: Callable[[date, str], Message]) -> Decision[Calendar]:
    """A new business date; days that were not heard of are scanned too, a day that is known changes nothing.

    `scan(day, after)` makes the message of a step, which the calendar sends to itself.
    """
    if calendar is None:
        return _begin(Calendar(KEY, day, None), day, scan)
    last = calendar.waiting[-1] if calendar.waiting else calendar.day
    new = tuple(last + timedelta(days=n) for n in range(1, (day - last).days + 1))
    if not new:
        return Decision.stay(calendar)
    waiting = (*calendar.waiting, *new)
    if calendar.after is not None:
        return Decision(replace(calendar, waiting=waiting))  # what a step of the same batch has found stays for it
    return _begin(replace(calendar, waiting=waiting[1:]), waiting[0], scan)


def stepped(
    calendar: Calendar | None, day: date, after: str, scan: Callable[[date, str], Message], tell: Callable[[str], Message]
) -> Decision[Calendar]:
    """One step: `tell(key)` to everything that it found, then the next step, or the next day that waits."""
    if calendar is None or calendar.day != day or calendar.after != after:  # a step that was taken already
        return Decision.stay(calendar)
    told = tuple(Send(key, tell(key)) for key in calendar.due)
    done = replace(calendar, due=())
    if len(calendar.due) == STEP:
        last = calendar.due[-1]
        return Decision(replace(done, after=last), sends=(*told, Send(KEY, scan(day, last))))
    if not done.waiting:
        return Decision(replace(done, after=None), sends=told)
    begun = _begin(replace(done, waiting=done.waiting[1:]), done.waiting[0], scan)
    return begun._replace(sends=(*told, *begun.sends))


def _begin(calendar: Calendar, day: date, scan: Callable[[date, str], Message]) -> Decision[Calendar]:
    return Decision(replace(calendar, day=day, after="", due=()), sends=(Send(KEY, scan(day, "")),), business_date=day)
