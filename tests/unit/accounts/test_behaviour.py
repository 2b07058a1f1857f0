"""A login account is reserved, then opened or forgotten; nothing else can become of it."""

import pytest

from agents.accounts.behaviour import behave
from agents.accounts.messages import Cancel, Cancelled, Confirm, Confirmed, CreateStaff, Refused, StaffCreated, Tried, Try
from agents.accounts.model import Account, Status
from agents.runtime.decision import Claim, Context, Decision

KEY = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
ASKED = Try(id=KEY, login_name="lin_xiao", mobile="s1.k1.mobile", mobile_lookup="ab12", password_hash="s1.k1.hash", role="borrower")
RESERVED = Account(KEY, "lin_xiao", "s1.k1.mobile", "ab12", "s1.k1.hash", Status.UNAVAILABLE, 1_000, "borrower")
OPEN = Account(KEY, "lin_xiao", "s1.k1.mobile", "ab12", "s1.k1.hash", Status.AVAILABLE, 1_000, "borrower")


def context(*, claims_lost: tuple[str, ...] = (), instant_ms: int = 1_000) -> Context:
    return Context(KEY, "00000000-0000-0000-0000-000000000001", instant_ms, claims_lost=claims_lost)


def test_a_try_reserves_an_account_that_cannot_be_used_yet() -> None:
    assert behave(None, ASKED, context()) == Decision(RESERVED, answer=Tried(id=KEY))


@pytest.mark.parametrize(
    ("lost", "code"),
    [
        (("mobile",), "mobile_taken"),
        (("login_name",), "login_name_taken"),
        (("mobile", "login_name"), "mobile_taken"),
    ],
)
def test_a_taken_name_is_refused_and_nothing_is_kept(lost: tuple[str, ...], code: str) -> None:
    assert behave(None, ASKED, context(claims_lost=lost)) == Decision.refuse(Refused(id=KEY, code=code))


def test_a_refusal_takes_no_claims_and_leaves_no_state() -> None:
    decision = behave(None, ASKED, context(claims_lost=("login_name",)))
    assert decision.refused and decision.state is None
    assert not (decision.sends or decision.timers or decision.attempts)


def test_a_confirm_opens_the_reserved_account_and_changes_nothing_else() -> None:
    assert behave(RESERVED, Confirm(id=KEY), context(instant_ms=9_000)) == Decision(OPEN, answer=Confirmed(id=KEY))


def test_a_confirm_without_its_account_is_a_broken_promise_of_the_barrier() -> None:
    with pytest.raises(AssertionError, match="barrier"):
        behave(None, Confirm(id=KEY), context())


@pytest.mark.parametrize("account", [None, RESERVED], ids=["never tried", "reserved"])
def test_a_cancel_forgets_the_account_and_is_answered_also_when_there_is_none(account: Account | None) -> None:
    assert behave(account, Cancel(id=KEY), context()) == Decision.forget(answer=Cancelled(id=KEY))


def test_mobile_and_login_name_are_claimed_and_the_mobile_by_its_keyed_hash_only() -> None:
    assert ASKED.claims() == (Claim("mobile", "ab12"), Claim("login_name", "lin_xiao"))
    assert ASKED.mobile not in {claim.value for claim in ASKED.claims()}


@pytest.mark.parametrize("command", [Confirm(id=KEY), Cancel(id=KEY)])
def test_the_second_phase_claims_nothing(command: Confirm | Cancel) -> None:
    assert command.claims() == ()


def test_whoever_answers_names_the_actor_and_not_what_the_message_says() -> None:
    other = ASKED.model_copy(update={"id": "another"})
    decision = behave(None, other, context())
    assert decision.state is not None and decision.state.id == KEY
    assert decision.answer == Tried(id=KEY)


def test_an_account_keeps_everything_but_its_status_when_that_changes() -> None:
    assert RESERVED.with_status(Status.AVAILABLE) == OPEN
    assert RESERVED.status is Status.UNAVAILABLE


HIRED = CreateStaff(id=KEY, login_name="auditor_one", password_hash="s1.k1.hash", role="auditor")
STAFF = Account(KEY, "auditor_one", "", "", "s1.k1.hash", Status.AVAILABLE, 1_000, "auditor")


def test_who_works_here_has_a_log_in_at_once_without_a_mobile() -> None:
    assert behave(None, HIRED, context()) == Decision(STAFF, reply=StaffCreated(id=KEY, status="CREATED"))


def test_a_log_in_that_is_there_is_not_made_again_and_keeps_its_role_and_password() -> None:
    again = CreateStaff(id=KEY, login_name="auditor_one", password_hash="s1.k1.other", role="administrator")
    assert behave(STAFF, again, context(instant_ms=9_000)) == Decision(STAFF, reply=StaffCreated(id=KEY, status="CREATED"))


def test_a_members_login_name_is_not_given_to_who_works_here() -> None:
    decision = behave(None, HIRED, context(claims_lost=("login_name",)))
    assert decision.refused and decision.state is None
    assert decision.reply == StaffCreated(id=KEY, status="REFUSED", reason="login_name_taken")


def test_a_log_in_of_staff_claims_its_name_and_no_mobile() -> None:
    assert HIRED.claims() == (Claim("login_name", "auditor_one"),)
    assert CreateStaff.sealed == frozenset({"password_hash"})
