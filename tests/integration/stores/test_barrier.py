"""The barrier over its real rows: any interleaving and repetition of Try, Confirm and Cancel has one effect (CASES D5, D9)."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.accounts.agent import service
from agents.accounts.messages import SAYS, Cancel, Confirm, Try
from agents.runtime.batch import Done
from agents.runtime.decision import Message
from stores import accounts
from stores.runtime import barrier, claim, suspended
from tests.integration.stores.memory import Memory, memory
from tests.integration.stores.world import DAY_MS, NOW_MS, header, ids

SERVICE = service(barrier_memory_ms=DAY_MS)
KEY, OTHER = ids(2, "account")
ANSWERS = {message.type: message for message in SAYS}
STATUS = list(accounts.account.columns).index(accounts.account.c.status)


def a_try(key: str = KEY, *, mobile: str = "m1", name: str = "lin_xiao") -> Try:
    return Try(id=key, login_name=name, mobile="s1.k1.x", mobile_lookup=mobile, password_hash="s1.k1.h")


CONFIRM, CANCEL = Confirm(id=KEY), Cancel(id=KEY)
PHASES: dict[str, Message] = {"try": a_try(), "confirm": CONFIRM, "cancel": CANCEL}


@pytest.fixture
def store() -> Iterator[Memory]:
    with memory(SERVICE, accounts.METADATA) as opened:
        yield opened


def said(done: Done) -> list[str]:
    """What was answered, in order: a refusal by its code."""
    found = [ANSWERS[header(p.record.headers, "type") or ""].model_validate_json(p.record.value or b"") for p in done.leaving]
    return [getattr(answer, "code", type(answer).__name__) for answer in found]


def tell(store: Memory, *messages: Message, key: str = KEY) -> list[str]:
    """Handle these in one batch."""
    return said(store.run([store.record(key, message) for message in messages]))


def standing(store: Memory) -> dict[str, str]:
    return {row[0]: row[STATUS] for row in store.rows(accounts.account)}


def test_a_registration_that_goes_well(store: Memory) -> None:
    assert tell(store, a_try()) == ["Tried"] and standing(store) == {KEY: "UNAVAILABLE"}
    assert tell(store, CONFIRM) == ["Confirmed"] and standing(store) == {KEY: "AVAILABLE"}
    assert [row[:2] for row in store.rows(barrier)] == [(KEY, "confirm"), (KEY, "try")]


def test_every_repeat_is_answered_and_changes_nothing(store: Memory) -> None:
    assert tell(store, *[a_try()] * 3) == ["Tried"] * 3
    assert tell(store, *[CONFIRM] * 2, a_try(), CONFIRM) == ["Confirmed", "Confirmed", "Tried", "Confirmed"]
    assert standing(store) == {KEY: "AVAILABLE"}
    assert [row[1] for row in store.rows(accounts.account)] == [2], "tried and confirmed: two versions"


def test_eight_cancels_before_any_try_are_answered_leave_one_row_and_the_try_is_refused(store: Memory) -> None:
    assert tell(store, *[CANCEL] * 4) + tell(store, *[CANCEL] * 4) == ["Cancelled"] * 8
    assert [row[:2] for row in store.rows(barrier)] == [(KEY, "cancel")]
    assert tell(store, a_try()) == ["cancelled"]
    assert tell(store, CANCEL) == ["Cancelled"]
    assert standing(store) == {} and store.rows(claim) == [] and store.rows(suspended) == []


def test_a_cancel_gives_every_name_back_at_once(store: Memory) -> None:
    tell(store, a_try())
    assert tell(store, a_try(OTHER), key=OTHER) == ["mobile_taken"]
    tell(store, CANCEL)
    assert store.rows(claim) == []
    third = ids(3, "account")[2]
    assert tell(store, a_try(third), key=third) == ["Tried"]


@pytest.mark.parametrize(
    ("mobile", "name", "code"),
    [("m1", "free", "mobile_taken"), ("free", "lin_xiao", "login_name_taken"), ("m1", "lin_xiao", "mobile_taken")],
)
def test_a_refused_try_keeps_neither_name_and_is_refused_again_alike(store: Memory, mobile: str, name: str, code: str) -> None:
    tell(store, a_try())
    refused = a_try(OTHER, mobile=mobile, name=name)
    assert tell(store, refused, refused, key=OTHER) == [code, code]
    assert standing(store) == {KEY: "UNAVAILABLE"} and {row[1] for row in store.rows(claim)} == {KEY}
    tell(store, CANCEL)
    assert tell(store, refused, key=OTHER) == [code], "the first answer stands, also when the name has become free"


def test_a_name_that_a_refused_one_wanted_goes_to_the_next_in_the_same_batch(store: Memory) -> None:
    """CASES D9: R2 is refused for its mobile; R3 gets the login name that R2 wanted."""
    tell(store, a_try())
    second, third = ids(4, "account")[2:]
    done = store.run(
        [
            store.record(second, a_try(second, mobile="m1", name="qiu_b")),
            store.record(third, a_try(third, mobile="m2", name="qiu_b")),
        ]
    )
    assert said(done) == ["mobile_taken", "Tried"]


def test_a_try_older_than_the_memory_is_refused_and_stays_so(store: Memory) -> None:
    old = store.record(KEY, a_try(), sent_ms=NOW_MS - DAY_MS - 1)
    assert said(store.run([old])) == ["too_old"]
    assert tell(store, a_try()) == ["too_old"], "asked again in time, it is answered as before"
    assert tell(store, CANCEL) == ["Cancelled"]


@pytest.mark.parametrize("before", [(), (CANCEL,), (a_try(), CANCEL)], ids=["nothing", "cancelled", "tried and cancelled"])
def test_a_confirm_that_may_not_be_is_parked_for_a_person_to_see(store: Memory, before: Sequence[Message]) -> None:
    for message in before:
        tell(store, message)
    assert tell(store, CONFIRM) == []
    ((actor, _, reason, error, *_),) = store.rows(suspended)
    assert (actor, reason) == (KEY, "behaviour_raised") and error.startswith("BarrierBroken: confirm")
    assert standing(store) == {}


def test_a_cancel_after_its_confirm_does_not_undo_it(store: Memory) -> None:
    tell(store, a_try(), CONFIRM)
    assert tell(store, CANCEL) == []
    assert standing(store) == {KEY: "AVAILABLE"} and len(store.rows(claim)) == 2


@given(order=st.lists(st.sampled_from(sorted(PHASES)), min_size=1, max_size=9), cuts=st.sets(st.integers(1, 8)), same_id=st.booleans())
def test_any_interleaving_and_repetition_has_one_effect(order: list[str], cuts: set[int], same_id: bool) -> None:
    """Repeats under new ids (a coordinator that repeats) and under old ones (a bus that repeats)."""
    with memory(SERVICE, accounts.METADATA) as opened:
        by_phase = dict(zip(PHASES, ids(3, "phase"), strict=True))
        records = [opened.record(KEY, PHASES[p], message_id=by_phase[p] if same_id else None) for p in order]
        opened.run_cut(records, cuts)
        expected = effective(order)
        assert standing(opened) == ({} if expected == "none" else {KEY: expected})
        assert {row[1] for row in opened.rows(claim)} == (set() if expected == "none" else {KEY})
        assert len(opened.rows(claim)) == (0 if expected == "none" else 2)
        phases = [row[1] for row in opened.rows(barrier)]
        assert len(phases) == len(set(phases)) and not {"confirm", "cancel"} <= set(phases)


def effective(order: Sequence[str]) -> str:
    """The model: one branch told its phases one by one; a contradiction stops it where it stands."""
    status, done = "none", set[str]()
    for phase in order:
        if phase in done:
            continue
        if phase == "try":
            if "cancel" not in done:
                status = "UNAVAILABLE"
                done.add("try")
        elif phase == "confirm":
            if "try" not in done or "cancel" in done:
                return status
            status = "AVAILABLE"
            done.add("confirm")
        else:
            if "confirm" in done:
                return status
            status = "none"
            done.add("cancel")
    return status
