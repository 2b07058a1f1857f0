"""Decisions are values, and ids are derived, never made."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.accounts.messages import Refused, Try
from agents.runtime.decision import Claim, Context, Decision, derived_id

ID = "7d444840-9dc0-51d1-b245-5ffdce74fad2"


@given(st.uuids(), st.one_of(st.integers(0, 10_000), st.text(max_size=60)))
def test_a_derived_id_is_the_uuid5_of_the_message_and_the_ordinal(message_id: uuid.UUID, ordinal: int | str) -> None:
    assert derived_id(str(message_id), ordinal) == str(uuid.uuid5(message_id, str(ordinal)))


def test_what_follows_from_a_message_has_the_same_ids_each_time_and_different_ones_for_different_things() -> None:
    ids = [derived_id(ID, n) for n in range(100)]
    assert ids == [derived_id(ID, n) for n in range(100)]
    assert len(set(ids)) == 100
    assert derived_id(ids[0], 0) not in ids


def test_a_refusal_keeps_the_state_and_says_that_it_is_one() -> None:
    refusal = Decision.refuse(Refused(id=ID, code="x"), state="before")
    assert refusal == Decision("before", answer=Refused(id=ID, code="x"), refused=True)


def test_to_forget_is_to_have_no_state() -> None:
    assert Decision.forget(answer=Refused(id=ID, code="x")).state is None
    assert not Decision.forget().refused


def test_to_stay_says_nothing() -> None:
    state = object()
    assert Decision.stay(state) == Decision(state)
    assert Decision(state) == Decision(state, None, (), (), (), None, (), False)


def test_who_asks_is_nobody_in_particular_unless_it_is_said() -> None:
    assert Context(ID, ID, 0).principal == "anonymous"
    assert Context(ID, ID, 0).claims_lost == ()


@pytest.mark.parametrize("change", [{"login_name": 7}, {"login_name": None}, {"surprise": "x"}, {"id": b"x"}])
def test_a_message_takes_nothing_for_what_it_is_not(change: dict[str, object]) -> None:
    right: dict[str, object] = {"id": ID, "login_name": "a", "mobile": "s", "mobile_lookup": "l", "password_hash": "s"}
    Try.model_validate(right)
    with pytest.raises(ValidationError):
        Try.model_validate({**right, **change})


def test_a_message_does_not_change() -> None:
    message = Refused(id=ID, code="x")
    with pytest.raises(ValidationError):
        message.__setattr__("code", "y")


def test_two_claims_of_one_value_are_the_same_only_under_one_name() -> None:
    assert Claim("mobile", "1") != Claim("login_name", "1")
