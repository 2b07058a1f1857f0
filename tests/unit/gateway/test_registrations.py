"""What may be asked for, what is compared, and how a registration is shown."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.http.problems import Problem
from agents.runtime.messages import Known, Suspended
from agents.runtime.sealing import Keyring, is_sealed
from agents.users.messages import RegistrationEnded
from agents.users.model import Member, MemberStatus, Registration, Status
from config.keys import generate
from gateway import fields, registrations
from gateway.registrations import RegistrationDocument, RegistrationRequest, Standing

ID = "04484baa-3aaa-5913-a335-04d36d3dfc06"
BODY = {"login_name": "lin_xiao", "mobile": "13800000000", "password": "correct horse", "role": "investor"}
KEYRING = Keyring.from_keys(generate())

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


def refused(body: Any) -> Problem:
    """The problem that a body makes."""
    with pytest.raises(Problem) as found:
        registrations.requested(body)
    assert found.value.code == "invalid_body"
    return found.value


def places(problem: Problem) -> list[tuple[str | None, str]]:
    """Where, and what."""
    return [(e.pointer, e.code) for e in problem.errors]


def a_standing(status: Status = Status.CONFIRMED, *, suspended: bool = False, **changes: Any) -> Standing:
    """A registration in the store."""
    member = Member(ID, "borrower", "sealed", MemberStatus.AVAILABLE, 0)
    return Standing(replace(Registration(ID, "lin_xiao", status, None, 1, False, 0, 1_500, member), **changes), suspended)


def shown(standing: Standing) -> RegistrationDocument:
    """As the gateway shows it."""
    return registrations.shown(ID, standing, lambda _: "13800000000")


def test_a_request_is_brought_to_its_one_spelling() -> None:
    asked = registrations.requested({**BODY, "login_name": " Ｌｉｎ_Xiao ", "mobile": "+86 138-0000 0000"})
    assert asked == RegistrationRequest(**BODY)


def test_every_wrong_field_is_named_in_the_order_of_the_fields() -> None:
    problem = refused({"role": "administrator", "mobile": 13800000000, "password": None, "a/b~c": 1})
    assert places(problem) == [
        ("/login_name", "missing"), ("/mobile", "not_text"), ("/password", "not_text"), ("/role", "unknown_role"),
        ("/a~1b~0c", "unknown_field"),
    ]  # fmt: skip


@pytest.mark.parametrize("body", [None, True, 7, "text", [], [BODY]])
def test_what_is_no_object_is_refused_as_a_whole(body: Any) -> None:
    assert places(refused(body)) == [("", "not_an_object")]


@pytest.mark.parametrize("role", ["Investor", "investor ", "admin", "", None, 1, ["investor"], {"investor": 1}])
def test_nobody_registers_himself_as_anything_else(role: Any) -> None:
    assert places(refused({**BODY, "role": role})) == [("/role", "unknown_role")]


def test_an_unknown_field_with_a_long_name_is_cut() -> None:
    ((pointer, _),) = places(refused({**BODY, "x" * 10_000: 1}))
    assert pointer == "/" + "x" * fields.POINTER_CHARS_MAX


@given(json_values)
def test_any_json_is_a_request_or_a_problem_that_repeats_no_value(body: Any) -> None:
    with pytest.raises(Problem):
        registrations.requested(body)


@given(json_values, st.sampled_from(sorted(BODY)))
def test_any_value_of_a_field_is_taken_or_refused_at_its_place(value: Any, field: str) -> None:
    wrong: list[tuple[str | None, str]] = []
    try:
        asked = registrations.requested({**BODY, field: value})
    except Problem as problem:
        wrong = places(problem)
    else:
        assert registrations.requested(asked.model_dump()) == asked
    assert {pointer for pointer, _ in wrong} <= {f"/{field}"}


def test_the_mac_compares_what_is_meant_and_the_password_too() -> None:
    def mac(**fields: str) -> str:
        return registrations.content_mac(registrations.requested({**BODY, **fields}), KEYRING)

    assert mac() == mac(login_name="LIN_XIAO", mobile="+8613800000000")
    assert len({mac(), mac(login_name="lin"), mac(mobile="13800000001"), mac(password="correct horsf"), mac(role="borrower")}) == 5


def test_a_command_carries_nothing_personal_or_secret_in_the_open() -> None:
    asked = registrations.requested(BODY)
    said = registrations.command(ID, asked, "$argon2id$…", KEYRING)
    assert is_sealed(said.mobile) and is_sealed(said.password_hash)
    assert said.mobile_lookup == KEYRING.lookup("13800000000", field="mobile")
    assert not [secret for secret in ("13800000000", "correct horse", "$argon2id") if secret in said.model_dump_json()]
    assert (said.id, said.login_name, said.role) == (ID, "lin_xiao", "investor")


def test_a_password_does_not_show_in_a_representation() -> None:
    assert "correct horse" not in repr(registrations.requested(BODY))


@pytest.mark.parametrize("status", Status)
def test_a_registration_is_shown_in_its_status(status: Status) -> None:
    document = shown(a_standing(status))
    assert document == RegistrationDocument(
        id=ID, status=status.value, login_name="lin_xiao", mobile="138****0000", role="borrower",
        created_at="1970-01-01T00:00:00.000Z", changed_at="1970-01-01T00:00:01.500Z",
    )  # fmt: skip
    assert document.is_final == status.is_final


@pytest.mark.parametrize("status", [Status.TRYING, Status.CONFIRMING, Status.CANCELLING])
def test_what_waits_for_an_operator_is_suspended(status: Status) -> None:
    assert shown(a_standing(status, suspended=True)).status == "SUSPENDED"
    assert shown(a_standing(status, stuck=True)).status == "SUSPENDED"


def test_what_has_ended_waits_for_nobody() -> None:
    assert shown(a_standing(suspended=True, stuck=True)).status == "CONFIRMED"


def test_what_the_store_has_never_seen_is_pending_or_suspended_at_its_first_message() -> None:
    assert shown(Standing()) == RegistrationDocument(id=ID, status="PENDING")
    assert shown(Standing(suspended=True)) == RegistrationDocument(id=ID, status="SUSPENDED")


def test_a_number_that_does_not_open_is_not_shown() -> None:
    assert registrations.shown(ID, a_standing(), lambda _: None).mobile is None


def test_a_cancelled_registration_has_no_member_any_more() -> None:
    document = shown(a_standing(Status.CANCELLED, member=None, reason="mobile_taken"))
    assert (document.mobile, document.role, document.reason) == (None, None, "mobile_taken")


@pytest.mark.parametrize(("reason", "public"), [
    (None, None), ("login_name_taken", "login_name_taken"), ("mobile_taken", "mobile_taken"), ("deadline", "timed_out"),
    ("operator: he is my cousin", "operator"), ("too_late", "other"), ("<script>", "other"),
])  # fmt: skip
def test_a_reason_is_shown_as_a_stable_code(reason: str | None, public: str | None) -> None:
    assert registrations.public_reason(reason) == public


@pytest.mark.parametrize(("reason", "code", "pointers"), [
    ("login_name_taken", "login_name_taken", ["/login_name"]),
    ("mobile_taken", "mobile_taken", ["/mobile"]),
    ("timed_out", "registration_timed_out", []),
    ("operator", "registration_cancelled", []),
    ("other", "registration_cancelled", []),
    (None, "registration_cancelled", []),
])  # fmt: skip
def test_a_refusal_is_a_conflict_that_says_what_to_do(reason: Any, code: str, pointers: list[str]) -> None:
    problem = registrations.refusal(RegistrationDocument(id=ID, status="CANCELLED", reason=reason))
    assert (problem.code, problem.status, [e.pointer for e in problem.errors]) == (code, 409, pointers)
    assert "new Idempotency-Key" in problem.detail


def test_an_answer_changes_only_what_it_says() -> None:
    before = registrations.pending(ID, registrations.requested(BODY))
    assert (before.status, before.mobile) == ("PENDING", "138****0000")
    assert before.told(Known(id=ID)) == before
    assert before.told(Suspended(id=ID)) == before.model_copy(update={"status": "SUSPENDED"})
    assert before.told(RegistrationEnded(id=ID, status="CONFIRMED")) == before.model_copy(update={"status": "CONFIRMED"})
    refused_ = before.told(RegistrationEnded(id=ID, status="CANCELLED", reason="deadline"))
    assert (refused_.status, refused_.reason, refused_.mobile) == ("CANCELLED", "timed_out", None)


def test_a_status_url_has_its_token() -> None:
    assert registrations.status_url(ID, "t") == f"/api/v1/registrations/{ID}?token=t"
