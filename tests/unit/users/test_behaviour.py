"""The coordinator of a registration: every transition, every non-transition, and the repeats of the second phase."""

import pytest

from agents.accounts.messages import Cancel, Cancelled, Confirm, Confirmed, Refused, Tried, Try
from agents.runtime.decision import ClearTimer, Decision, Send, SetTimer
from agents.users.behaviour import behave
from agents.users.messages import (
    CancelRegistration,
    Command,
    MemberRegistered,
    RegistrationCancelled,
    RegistrationEnded,
    RetrySecondPhase,
    SecondPhaseDue,
    TryDeadline,
)
from agents.users.model import MemberStatus, Registration, Status
from tests.unit.users.examples import (
    ASKED,
    CANCELLED,
    CANCELLING,
    COMMANDS,
    CONFIRMED,
    CONFIRMING,
    KEY,
    MEMBER,
    POLICY,
    STATES,
    TRYING,
    context,
)

TRANSITIONS = {
    (Tried, Status.TRYING): Status.CONFIRMING,
    (Refused, Status.TRYING): Status.CANCELLING,
    (TryDeadline, Status.TRYING): Status.CANCELLING,
    (CancelRegistration, Status.TRYING): Status.CANCELLING,
    (Confirmed, Status.CONFIRMING): Status.CONFIRMED,
    (Cancelled, Status.CANCELLING): Status.CANCELLED,
    (SecondPhaseDue, Status.CONFIRMING): Status.CONFIRMING,
    (SecondPhaseDue, Status.CANCELLING): Status.CANCELLING,
    (RetrySecondPhase, Status.CONFIRMING): Status.CONFIRMING,
    (RetrySecondPhase, Status.CANCELLING): Status.CANCELLING,
}


def due_ms(round_: int, instant_ms: int = 2_000) -> int:
    return instant_ms + POLICY.second_phase.delay_ms(round_ - 1, KEY)


def second_phase_timer(round_: int, instant_ms: int = 2_000) -> SetTimer:
    return SetTimer("second_phase", due_ms(round_, instant_ms), SecondPhaseDue(id=KEY, round=round_))


def test_a_registration_tries_the_account_and_watches_its_deadline() -> None:
    tried = Try(id=KEY, login_name="lin_xiao", mobile="s1.k1.m", mobile_lookup="ab12", password_hash="s1.k1.h", role="borrower")
    assert behave(None, ASKED, context(1_000), POLICY) == Decision(
        TRYING,
        sends=(Send(KEY, tried),),
        timers=(SetTimer("try_deadline", 11_000, TryDeadline(id=KEY)),),
    )


def test_its_member_cannot_do_anything_before_the_decision() -> None:
    state = behave(None, ASKED, context(1_000), POLICY).state
    assert state is not None and state.member == MEMBER
    assert state.member.status is MemberStatus.UNAVAILABLE


def test_the_password_hash_goes_to_accounts_and_is_not_kept() -> None:
    decision = behave(None, ASKED, context(1_000), POLICY)
    assert ASKED.password_hash not in repr(decision.state)
    assert ASKED.mobile_lookup not in repr(decision.state)


def test_tried_is_the_decision_and_its_own_branch_is_part_of_it() -> None:
    assert behave(TRYING, Tried(id=KEY), context(), POLICY) == Decision(
        CONFIRMING.but(changed_ms=2_000),
        sends=(Send(KEY, Confirm(id=KEY)),),
        timers=(ClearTimer("try_deadline"), second_phase_timer(1)),
    )


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Refused(id=KEY, code="mobile_taken"), "mobile_taken"),
        (Refused(id=KEY, code="login_name_taken"), "login_name_taken"),
        (Refused(id=KEY, code="too_old"), "too_old"),
        (TryDeadline(id=KEY), "deadline"),
        (CancelRegistration(id=KEY, reason="fraud"), "operator: fraud"),
    ],
)
def test_a_registration_that_cannot_be_is_cancelled_with_its_reason(command: Command, reason: str) -> None:
    assert behave(TRYING, command, context(), POLICY) == Decision(
        CANCELLING.but(reason=reason, changed_ms=2_000),
        sends=(Send(KEY, Cancel(id=KEY)),),
        timers=(ClearTimer("try_deadline"), second_phase_timer(1)),
    )


def test_confirmed_ends_it_tells_everybody_and_leaves_no_timer() -> None:
    assert behave(CONFIRMING, Confirmed(id=KEY), context(), POLICY) == Decision(
        CONFIRMED.but(changed_ms=2_000),
        sends=(Send(KEY, MemberRegistered(id=KEY, role="borrower")),),
        timers=(ClearTimer("second_phase"),),
        reply=RegistrationEnded(id=KEY, status="CONFIRMED"),
    )


def test_cancelled_ends_it_without_its_member_and_says_why_to_everybody() -> None:
    assert behave(CANCELLING, Cancelled(id=KEY), context(), POLICY) == Decision(
        CANCELLED.but(changed_ms=2_000),
        sends=(Send(KEY, RegistrationCancelled(id=KEY, reason="deadline")),),
        timers=(ClearTimer("second_phase"),),
        reply=RegistrationEnded(id=KEY, status="CANCELLED", reason="deadline"),
    )


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.type)
def test_only_the_transitions_of_the_table_exist(command: Command, status: Status) -> None:
    before = STATES[status]
    decision = behave(before, command, context(), POLICY)
    assert decision.state is not None
    expected = TRANSITIONS.get((type(command), status))
    if expected is None:
        assert decision == Decision.stay(before)
    else:
        assert decision.state.status is expected
        assert decision != Decision.stay(before)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.type)
def test_nothing_that_is_said_about_an_unknown_registration_makes_one(command: Command) -> None:
    assert behave(None, command, context(), POLICY) == Decision.stay(None)


@pytest.mark.parametrize("before", [TRYING, CONFIRMING, CANCELLING], ids=lambda r: r.status)
def test_a_second_register_changes_nothing_while_it_runs(before: Registration) -> None:
    assert behave(before, ASKED.model_copy(update={"login_name": "other"}), context(), POLICY) == Decision.stay(before)


@pytest.mark.parametrize("before", [CONFIRMED, CANCELLED], ids=lambda r: r.status)
def test_a_second_register_of_what_has_ended_is_answered_with_the_end(before: Registration) -> None:
    reply = RegistrationEnded(id=KEY, status=before.status.value, reason=before.reason)
    assert behave(before, ASKED, context(), POLICY) == Decision(before, reply=reply)


@pytest.mark.parametrize(("before", "said"), [(CONFIRMING, Confirm(id=KEY)), (CANCELLING, Cancel(id=KEY))])
def test_an_unanswered_decision_is_said_again_later_and_later(before: Registration, said: Confirm | Cancel) -> None:
    state, waits = before, []
    for round_ in (1, 2):
        decision = behave(state, SecondPhaseDue(id=KEY, round=round_), context(5_000), POLICY)
        assert decision.sends == (Send(KEY, said),)
        assert decision.timers[1] == second_phase_timer(round_ + 1, 5_000)
        assert decision.state is not None and decision.state == before.but(round=round_ + 1, changed_ms=5_000)
        state = decision.state
        waits.append(due_ms(round_ + 1) - 2_000)
    assert waits[0] < waits[1]


@pytest.mark.parametrize("before", [CONFIRMING, CANCELLING], ids=lambda r: r.status)
def test_a_spent_budget_makes_it_stuck_and_silent(before: Registration) -> None:
    decision = behave(before.but(round=3), SecondPhaseDue(id=KEY, round=3), context(), POLICY)
    assert decision == Decision(before.but(round=3, stuck=True, changed_ms=2_000), timers=(ClearTimer("second_phase"),))


@pytest.mark.parametrize("before", [CONFIRMING, CANCELLING], ids=lambda r: r.status)
@pytest.mark.parametrize("round_", [0, 1, 3])
def test_a_firing_that_a_later_one_has_overtaken_does_nothing(before: Registration, round_: int) -> None:
    now = before.but(round=2)
    assert behave(now, SecondPhaseDue(id=KEY, round=round_), context(), POLICY) == Decision.stay(now)


def test_a_stuck_registration_does_not_wake_by_a_late_firing() -> None:
    stuck = CONFIRMING.but(round=3, stuck=True)
    assert behave(stuck, SecondPhaseDue(id=KEY, round=3), context(), POLICY) == Decision.stay(stuck)


@pytest.mark.parametrize(("before", "said"), [(CONFIRMING, Confirm(id=KEY)), (CANCELLING, Cancel(id=KEY))])
def test_an_operators_retry_says_the_same_decision_with_a_fresh_budget(before: Registration, said: Confirm | Cancel) -> None:
    decision = behave(before.but(round=3, stuck=True), RetrySecondPhase(id=KEY), context(), POLICY)
    assert decision == Decision(
        before.but(round=1, stuck=False, changed_ms=2_000),
        sends=(Send(KEY, said),),
        timers=(ClearTimer("try_deadline"), second_phase_timer(1)),
    )


@pytest.mark.parametrize("before", [None, TRYING, CONFIRMING, CONFIRMED, CANCELLED], ids=lambda r: r.status if r else "none")
def test_a_cancellation_is_announced_once_and_only_when_it_was_decided(before: Registration | None) -> None:
    assert behave(before, Cancelled(id=KEY), context(), POLICY) == Decision.stay(before)


@pytest.mark.parametrize(("before", "answer"), [(CONFIRMING, Confirmed(id=KEY)), (CANCELLING, Cancelled(id=KEY))])
def test_a_stuck_registration_ends_when_the_answer_comes_after_all(before: Registration, answer: Command) -> None:
    decision = behave(before.but(round=3, stuck=True), answer, context(), POLICY)
    assert decision.state is not None
    assert decision.state.status.is_final and not decision.state.stuck
    assert decision.reply is not None


def test_tried_after_the_deadline_does_not_flip_the_decision() -> None:
    cancelling = behave(TRYING, TryDeadline(id=KEY), context(), POLICY).state
    assert behave(cancelling, Tried(id=KEY), context(), POLICY) == Decision.stay(cancelling)


def test_the_deadline_after_tried_does_not_flip_the_decision() -> None:
    confirming = behave(TRYING, Tried(id=KEY), context(), POLICY).state
    assert behave(confirming, TryDeadline(id=KEY), context(), POLICY) == Decision.stay(confirming)


@pytest.mark.parametrize("command", [CancelRegistration(id=KEY, reason="late"), Refused(id=KEY, code="cancelled")])
def test_neither_an_operator_nor_a_late_refusal_undoes_a_confirmation(command: Command) -> None:
    assert behave(CONFIRMING, command, context(), POLICY) == Decision.stay(CONFIRMING)


def test_the_first_reason_of_a_cancellation_stands() -> None:
    for command in (Refused(id=KEY, code="cancelled"), CancelRegistration(id=KEY, reason="me too"), TryDeadline(id=KEY)):
        assert behave(CANCELLING, command, context(), POLICY) == Decision.stay(CANCELLING)


def test_the_same_message_decided_twice_makes_the_same_decision() -> None:
    for before in (None, *STATES.values()):
        for command in (ASKED, *COMMANDS):
            assert behave(before, command, context(), POLICY) == behave(before, command, context(), POLICY)


def test_final_states_are_final() -> None:
    assert {status for status in Status if status.is_final} == {Status.CONFIRMED, Status.CANCELLED}
