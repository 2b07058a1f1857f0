"""A registration over both real stores: whatever is delivered twice, late or in which batches, both sides end alike (CASES D3, D6, D9)."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

import stores.accounts
import stores.users
from agents.accounts.agent import service as accounts_service
from agents.runtime import timers
from agents.runtime.decision import Message
from agents.runtime.envelope import TYPE, Origin, encode
from agents.users.agent import service as users_service
from agents.users.messages import EVENTS, CancelRegistration, MemberRegistered, Register, RegistrationCancelled
from bus.record import Outgoing, Record
from config.registration import Policy
from config.retry import Schedule
from stores.runtime import claim, suspended, timer
from tests.integration.stores.memory import Memory, memory
from tests.integration.stores.world import DAY_MS, NOW_MS, ids

POLICY = Policy(try_deadline_ms=1_000, second_phase=Schedule(first_ms=500, factor=2, cap_ms=4_000, budget=50))
PEOPLE = ids(3, "person")
NAMES = {PEOPLE[0]: ("m1", "qiu_a"), PEOPLE[1]: ("m1", "qiu_b"), PEOPLE[2]: ("m2", "qiu_b")}  # the second wants both others' names
ROUNDS_MAX = 200
ANNOUNCED = {"CONFIRMED": MemberRegistered.type, "CANCELLED": RegistrationCancelled.type}


@dataclass
class Platform:
    """Two services with a log each; the clock moves only when the test says so."""

    stores: dict[str, Memory]
    now_ms: int = NOW_MS
    logs: dict[str, deque[Outgoing]] = field(default_factory=lambda: {"users": deque(), "accounts": deque()})
    elsewhere: list[Outgoing] = field(default_factory=list)

    def send(self, record: Outgoing) -> None:
        """To the log of the service, or out of the platform."""
        name = record.topic.partition(".")[0]
        if record.topic.endswith(".commands"):
            self.logs[name].append(record)
        else:
            self.elsewhere.append(record)

    def say(self, key: str, message: Message, message_id: str) -> None:
        """A person's or an operator's command."""
        origin = Origin(message_id, key, "p")
        self.send(encode(message, key=key, message_id=message_id, origin=origin, now_ms=self.now_ms, reply_to="gw-1/1"))

    def deliver(self, name: str, count: int, *, twice: bool) -> None:
        """The next records of a log as one batch, perhaps read twice; what is said leaves after its COMMIT."""
        log, store = self.logs[name], self.stores[name]
        store.now_ms = self.now_ms
        sent = [log.popleft() for _ in range(min(count, len(log)))]
        if not sent:
            return
        batch = [Record(o.topic, 0, store.next_offset(), o.timestamp_ms, self.now_ms, o.key, o.value, o.headers) for o in sent]
        for _ in range(1 + twice):
            for pending in store.run(batch).leaving:
                self.send(pending.record)

    def fire(self) -> None:
        """Every timer that is due."""
        store = self.stores["users"]
        due = timers.due(store.tx, 0, now_ms=self.now_ms, limit=100)
        timers.fired(store.tx, [t.id for t in due])
        for t in due:
            message = store.service.registry[t.type].model_validate_json(t.body)
            origin = Origin(t.causation, t.trace, "timer")
            self.send(encode(message, key=t.actor, message_id=t.firing_id, origin=origin, now_ms=self.now_ms))

    def settle(self) -> None:
        """Everything that is under way arrives, and time goes on until no timer is left."""
        for _ in range(ROUNDS_MAX):
            for name in self.stores:
                self.deliver(name, 100, twice=False)
            if not any(self.logs.values()):
                next_ms = timers.next_due_ms(self.stores["users"].tx, 0)
                if next_ms is None:
                    return
                self.now_ms = max(self.now_ms, next_ms)
                self.fire()
        raise AssertionError("it does not end")

    def registrations(self) -> dict[str, str]:
        return column(self.stores["users"], stores.users.registration.c.status)

    def members(self) -> dict[str, str]:
        return column(self.stores["users"], stores.users.member.c.status)

    def facts(self) -> list[tuple[str, str]]:
        """What was announced to anyone: who, and which end; every time that it was said."""
        said = [(o.key or b"", dict(o.headers)[TYPE] or b"") for o in self.elsewhere if o.topic == EVENTS]
        return sorted((key.decode(), of_type.decode()) for key, of_type in said)

    def accounts(self) -> dict[str, str]:
        return column(self.stores["accounts"], stores.accounts.account.c.status)


def column(store: Memory, wanted: object) -> dict[str, str]:
    table = wanted.table  # type: ignore[attr-defined]
    at = list(table.columns).index(wanted)
    return {row[0]: row[at] for row in store.rows(table)}


@contextmanager
def platform() -> Iterator[Platform]:
    with ExitStack() as stack:
        users = stack.enter_context(memory(users_service(POLICY), stores.users.METADATA))
        accounts = stack.enter_context(memory(accounts_service(DAY_MS), stores.accounts.METADATA))
        yield Platform({"users": users, "accounts": accounts})


def registers(p: Platform, person: str) -> None:
    mobile, name = NAMES[person]
    command = Register(id=person, login_name=name, mobile="s1.k1.m", mobile_lookup=mobile, password_hash="s1.k1.h", role="borrower")
    p.say(person, command, ids(1, f"register{person}")[0])


def check(p: Platform) -> None:
    """Both sides or neither, each end announced once, no name held by who has no account, nothing left that would fire."""
    ended, accounts = p.registrations(), p.accounts()
    assert set(ended.values()) <= {"CONFIRMED", "CANCELLED"}
    confirmed = {person for person, status in ended.items() if status == "CONFIRMED"}
    assert p.facts() == sorted((person, ANNOUNCED[status]) for person, status in ended.items())
    assert accounts == dict.fromkeys(confirmed, "AVAILABLE")
    assert p.members() == dict.fromkeys(confirmed, "AVAILABLE")
    held = {row[1] for row in p.stores["accounts"].rows(claim)}
    assert held == confirmed
    for store in p.stores.values():
        assert store.rows(timer) == [] and store.rows(suspended) == []


def test_three_people_of_whom_one_wants_the_names_of_the_others() -> None:
    with platform() as p:
        for person in PEOPLE:
            registers(p, person)
        p.settle()
        check(p)
        assert p.registrations() == dict(zip(PEOPLE, ("CONFIRMED", "CANCELLED", "CONFIRMED"), strict=True))


def test_the_tried_that_comes_with_the_deadline_decides_once_whichever_is_first() -> None:
    for deadline_first in (True, False):
        with platform() as p:
            registers(p, PEOPLE[0])
            p.deliver("users", 1, twice=False)
            p.now_ms += POLICY.try_deadline_ms
            if deadline_first:
                p.fire()
            p.deliver("accounts", 1, twice=False)
            if not deadline_first:
                p.fire()
            p.settle()
            check(p)
            assert p.registrations() == {PEOPLE[0]: "CANCELLED" if deadline_first else "CONFIRMED"}


def test_a_coordinator_that_was_away_longer_than_every_deadline_ends_it_by_itself() -> None:
    with platform() as p:
        registers(p, PEOPLE[0])
        p.deliver("users", 1, twice=False)
        p.deliver("accounts", 1, twice=False)
        p.now_ms += DAY_MS
        p.fire()
        p.settle()
        check(p)


def test_what_has_ended_gets_not_one_row_more() -> None:
    with platform() as p:
        registers(p, PEOPLE[0])
        p.settle()
        before = p.stores["users"].rows(stores.users.registration)
        p.now_ms += DAY_MS
        p.fire()
        p.settle()
        assert p.stores["users"].rows(stores.users.registration) == before
        assert not any(p.logs.values())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.sampled_from(["users", "accounts"]), st.integers(1, 4), st.booleans()),
        st.tuples(st.just("time"), st.sampled_from([1, 400, 1_000, 5_000])),
        st.tuples(st.just("register"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("cancel"), st.sampled_from(PEOPLE), st.integers(0, 9)),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(STEPS)
def test_whatever_comes_when_and_how_often_both_sides_end_alike(steps: list[tuple[object, ...]]) -> None:
    with platform() as p:
        for step in steps:
            match step:
                case ("deliver", str(name), int(count), bool(twice)):
                    p.deliver(name, count, twice=twice)
                case ("time", int(ms)):
                    p.now_ms += ms
                    p.fire()
                case ("register", str(person)):
                    registers(p, person)
                case ("cancel", str(person), int(n)):
                    p.say(person, CancelRegistration(id=person, reason="x"), ids(1, f"cancel{person}{n}")[0])
        p.settle()
        check(p)
