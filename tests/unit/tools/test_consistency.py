import pytest

from tools.consistency import Account, Finding, Picture, Registration, broken, in_flight, same

ID = "e7f1c507-19f3-4c3c-a6f2-5b2676992491"
OTHER = "099ee4a7-b2dc-4df8-a33d-7fdcc8d69dd6"
CLAIMS = frozenset({"login_name:lin", "mobile:h"})


def a_picture(status: str = "CONFIRMED", member: str | None = "AVAILABLE", account: str | None = "AVAILABLE") -> Picture:
    accounts = {ID: Account(account, CLAIMS)} if account else {}
    return Picture({ID: Registration(status, member)}, accounts, dict.fromkeys(CLAIMS, ID) if account else {})


@pytest.mark.parametrize(
    ("status", "member", "account"),
    [
        ("TRYING", "UNAVAILABLE", None),
        ("TRYING", "UNAVAILABLE", "UNAVAILABLE"),
        ("CONFIRMING", "AVAILABLE", "UNAVAILABLE"),
        ("CONFIRMING", "AVAILABLE", "AVAILABLE"),
        ("CONFIRMED", "AVAILABLE", "AVAILABLE"),
        ("CANCELLING", "UNAVAILABLE", "UNAVAILABLE"),
        ("CANCELLING", "UNAVAILABLE", None),
        ("CANCELLED", None, None),
    ],
)
def test_every_state_that_a_registration_passes_through_is_right(status: str, member: str | None, account: str | None) -> None:
    assert broken(a_picture(status, member, account)) == []


@pytest.mark.parametrize(
    ("status", "member", "account", "rules"),
    [
        ("CONFIRMED", None, "AVAILABLE", {"available_account_without_available_member", "confirmed_without_available_member"}),
        ("CONFIRMED", "UNAVAILABLE", "AVAILABLE", {"available_account_without_available_member", "confirmed_without_available_member"}),
        ("CONFIRMED", "AVAILABLE", "UNAVAILABLE", {"confirmed_without_available_account"}),
        ("CONFIRMED", "AVAILABLE", None, {"confirmed_without_available_account"}),
        ("TRYING", "UNAVAILABLE", "AVAILABLE", {"available_account_without_available_member"}),
        ("TRYING", "AVAILABLE", "UNAVAILABLE", {"available_member_of_undecided_registration"}),
        ("CANCELLED", "UNAVAILABLE", None, {"cancelled_with_member"}),
        ("CANCELLED", None, "UNAVAILABLE", {"cancelled_with_account"}),
        ("CANCELLED", None, "AVAILABLE", {"cancelled_with_account", "available_account_without_available_member"}),
    ],
)
def test_each_break_is_found_by_its_rules_with_its_id(status: str, member: str | None, account: str | None, rules: set[str]) -> None:
    found = broken(a_picture(status, member, account))
    assert {finding.rule for finding in found} == rules
    assert {finding.id for finding in found} == {ID}


def test_an_account_that_nobody_registered_is_found() -> None:
    picture = a_picture()
    picture.registrations.clear()
    assert [finding.rule for finding in broken(picture)] == ["account_without_registration"]


def test_a_claim_of_an_account_that_does_not_exist_is_found() -> None:
    picture = a_picture()
    picture.claims["mobile:other"] = OTHER
    assert broken(picture) == [Finding("claim_without_account", OTHER, "the claim mobile is owned by an account that does not exist")]


@pytest.mark.parametrize(("owner", "said"), [(None, "nobody's"), (OTHER, f"owned by {OTHER}")])
def test_an_account_without_its_own_claim_is_found(owner: str | None, said: str) -> None:
    picture = a_picture()
    picture.accounts[OTHER] = Account("AVAILABLE", frozenset())
    picture.registrations[OTHER] = Registration("CONFIRMED", "AVAILABLE")
    del picture.claims["mobile:h"]
    if owner:
        picture.claims["mobile:h"] = owner
    assert broken(picture) == [Finding("account_without_its_claim", ID, f"the claim mobile is {said}")]


def test_what_is_not_final_is_in_flight() -> None:
    states = ("TRYING", "CONFIRMING", "CONFIRMED", "CANCELLING", "CANCELLED")
    registrations = {status: Registration(status, None) for status in states}
    assert list(in_flight(registrations)) == ["CANCELLING", "CONFIRMING", "TRYING"]


def test_only_what_was_found_twice_counts() -> None:
    passing, standing = Finding("a", ID, "then"), Finding("b", ID, "then")
    assert same([passing, standing], [Finding("b", ID, "now")]) == [standing]


def test_who_works_here_has_an_account_without_registration_and_owns_his_name() -> None:
    staff = Account("AVAILABLE", frozenset({"login_name:lin"}), staff=True)
    assert broken(Picture({}, {ID: staff}, {"login_name:lin": ID})) == []
    assert [f.rule for f in broken(Picture({}, {ID: staff}, {}))] == ["account_without_its_claim"]
