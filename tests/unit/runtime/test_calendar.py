"""The calendar of a service: every day once, in order, none skipped, whatever comes twice, late or in another order (FLOWS 5.3)."""

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.calendar import KEY, STEP, Calendar, need_of, rolled, stepped
from agents.runtime.decision import Decision, Message, Send

FIRST = date(2025, 1, 31)
SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)


class Scan(Message):
    """A step."""

    type = "test.Scan"
    topic = "test.commands"
    day: str
    after: str


class Due(Message):
    """Something is due."""

    type = "test.Due"
    topic = "test.commands"
    day: str


def scan(day: date, after: str) -> Scan:
    return Scan(day=day.isoformat(), after=after)


def roll(calendar: Calendar | None, day: date) -> Decision[Calendar]:
    return rolled(calendar, day, scan)


def step(calendar: Calendar | None, day: date, after: str = "") -> Decision[Calendar]:
    return stepped(calendar, day, after, scan, lambda _: Due(day=day.isoformat()))


SCANNING = Calendar(KEY, FIRST, "")
STANDING = Calendar(KEY, FIRST, None)


def test_the_first_date_that_is_heard_of_is_begun() -> None:
    assert roll(None, FIRST) == Decision(SCANNING, sends=(Send(KEY, scan(FIRST, "")),), business_date=FIRST)


def test_the_next_date_is_begun_when_the_scan_of_the_last_is_done() -> None:
    assert roll(STANDING, SECOND) == Decision(Calendar(KEY, SECOND, ""), sends=(Send(KEY, scan(SECOND, "")),), business_date=SECOND)


def test_a_date_waits_while_the_one_before_is_scanned() -> None:
    assert roll(SCANNING, SECOND) == Decision(replace(SCANNING, waiting=(SECOND,)))


def test_dates_that_were_not_heard_of_are_not_skipped() -> None:
    assert roll(SCANNING, THIRD).state == replace(SCANNING, waiting=(SECOND, THIRD))
    begun = roll(STANDING, THIRD)
    assert (begun.state, begun.business_date) == (Calendar(KEY, SECOND, "", (THIRD,)), SECOND)


def test_a_date_that_is_known_changes_nothing() -> None:
    for calendar in (SCANNING, STANDING, replace(SCANNING, waiting=(SECOND,))):
        assert roll(calendar, FIRST) == Decision.stay(calendar)
        assert roll(calendar, FIRST - timedelta(days=40)) == Decision.stay(calendar)
    assert roll(replace(SCANNING, waiting=(SECOND,)), SECOND).state == replace(SCANNING, waiting=(SECOND,))


def test_a_step_tells_everything_that_it_found_and_the_last_one_ends_the_day() -> None:
    told = tuple(Send(key, Due(day=FIRST.isoformat())) for key in ("a", "b"))
    assert step(replace(SCANNING, due=("a", "b")), FIRST) == Decision(STANDING, sends=told)


def test_a_full_step_goes_on_after_its_last_key() -> None:
    keys = tuple(f"{n:04}" for n in range(STEP))
    decision = step(replace(SCANNING, due=keys), FIRST)
    assert decision.state == replace(SCANNING, after="0499")
    assert (len(decision.sends), decision.sends[-1]) == (STEP + 1, Send(KEY, scan(FIRST, "0499")))


def test_the_day_that_waits_begins_with_the_end_of_the_one_before() -> None:
    decision = step(Calendar(KEY, FIRST, "x", (SECOND, THIRD), ("y",)), FIRST, "x")
    assert (decision.state, decision.business_date) == (Calendar(KEY, SECOND, "", (THIRD,)), SECOND)
    assert decision.sends == (Send("y", Due(day=FIRST.isoformat())), Send(KEY, scan(SECOND, "")))


def test_a_step_that_was_taken_already_changes_nothing() -> None:
    for calendar in (None, STANDING, replace(SCANNING, after="k"), Calendar(KEY, SECOND, "")):
        assert step(calendar, FIRST) == Decision.stay(calendar)


def test_a_date_that_comes_in_the_batch_of_a_step_takes_nothing_away_from_it() -> None:
    found = replace(SCANNING, due=("a",))
    waiting = roll(found, SECOND).state
    assert step(waiting, FIRST).sends[0] == Send("a", Due(day=FIRST.isoformat()))


def test_a_step_asks_for_the_next_keys_of_its_day() -> None:
    assert need_of("2025-01-31", "k") == ("due", "2025-01-31", "k", STEP)


class Life:
    """A calendar whose mailbox may bring anything it was ever sent, in any order, any number of times."""

    def __init__(self, keys: int) -> None:
        self.keys = [f"{n:04}" for n in range(keys)]
        self.calendar: Calendar | None = None
        self.under_way: list[Message] = []
        self.ever: list[Message] = []
        self.told: list[tuple[str, str]] = []
        self.dates: list[date] = []

    def take(self, message: Message | date) -> None:
        """One message; a step finds what the store has put beside the state."""
        if isinstance(message, date):
            self.follow(roll(self.calendar, message))
            return
        assert isinstance(message, Scan)
        if self.calendar is not None and (self.calendar.day.isoformat(), self.calendar.after) == (message.day, message.after):
            due = tuple(key for key in self.keys if key > message.after)[:STEP]
            self.calendar = replace(self.calendar, due=due)
        self.follow(step(self.calendar, date.fromisoformat(message.day), message.after))

    def follow(self, decision: Decision[Calendar]) -> None:
        self.calendar = decision.state
        if decision.business_date is not None:
            self.dates.append(decision.business_date)
        for send in decision.sends:
            if isinstance(send.message, Due):
                self.told.append((send.message.day, send.key))
            else:
                self.under_way.append(send.message)
                self.ever.append(send.message)


@given(
    keys=st.sampled_from([0, 1, STEP - 1, STEP, STEP + 1, 2 * STEP]),
    days=st.lists(st.integers(0, 6), min_size=1, max_size=12),
    choices=st.lists(st.tuples(st.sampled_from(["roll", "step", "again"]), st.integers(0, 10**6)), max_size=40),
)
def test_every_day_is_scanned_once_in_order_whatever_comes_twice_late_or_early(
    keys: int, days: list[int], choices: list[tuple[str, int]]
) -> None:
    life = Life(keys)
    life.take(FIRST)
    rolls = [FIRST + timedelta(days=n) for n in days]
    for what, at in choices:
        if what == "roll":
            life.take(rolls[at % len(rolls)])
        elif what == "step" and life.under_way:
            life.take(life.under_way.pop(at % len(life.under_way)))
        elif what == "again":
            life.take(life.ever[at % len(life.ever)])
    life.take(max(rolls))
    while life.under_way:
        life.take(life.under_way.pop(0))
    expected = [FIRST + timedelta(days=n) for n in range((max(rolls) - FIRST).days + 1)]
    assert life.dates == expected
    assert life.told == [(day.isoformat(), key) for day in expected for key in life.keys]
    assert life.calendar == Calendar(KEY, expected[-1], None)
