"""The rules between the stores, against a list of the states that may be, over every state that there is."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.consistency import Account, Finding, Picture, Registration, broken, in_flight, same

STATUSES = ("TRYING", "CONFIRMING", "CONFIRMED", "CANCELLING", "CANCELLED")
STANDINGS = (None, "UNAVAILABLE", "AVAILABLE")
# status → (what its member, what its account may be); an account may be AVAILABLE only beside an AVAILABLE member.
RIGHT = {
    "TRYING": ((None, "UNAVAILABLE"), (None, "UNAVAILABLE")),
    "CONFIRMING": ((None, "UNAVAILABLE", "AVAILABLE"), (None, "UNAVAILABLE", "AVAILABLE")),
    "CONFIRMED": (("AVAILABLE",), ("AVAILABLE",)),
    "CANCELLING": ((None, "UNAVAILABLE"), (None, "UNAVAILABLE")),
    "CANCELLED": ((None,), (None,)),
}
STATES = list(itertools.product(STATUSES, STANDINGS, STANDINGS))


def may_be(status: str, member: str | None, account: str | None) -> bool:
    """Whether a registration may be seen like this, the user centre having been read first."""
    members, accounts = RIGHT[status]
    return member in members and account in accounts and not (account == "AVAILABLE" and member != "AVAILABLE")


def claims_of(which: str) -> frozenset[str]:
    """What the account of a registration must own."""
    return frozenset({f"login_name:{which}", f"mobile:{which}"})


def add(picture: Picture, which: str, status: str, member: str | None, account: str | None) -> Picture:
    """Put a registration into the picture, with the claims of its account."""
    picture.registrations[which] = Registration(status, member)
    if account is not None:
        picture.accounts[which] = Account(account, claims_of(which))
        picture.claims |= dict.fromkeys(claims_of(which), which)
    return picture


@pytest.mark.parametrize(("status", "member", "account"), STATES, ids=lambda standing: standing or "none")
def test_a_state_is_blamed_exactly_when_it_may_not_be(status: str, member: str | None, account: str | None) -> None:
    found = broken(add(Picture(), "r", status, member, account))
    assert (found == []) is may_be(status, member, account)
    assert all(status in f.detail and str(member or "none") in f.detail for f in found)


MANY = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(STATES), max_size=6)
WRONGS = st.dictionaries(
    st.sampled_from([f"{kind}:{who}" for kind in ("login_name", "mobile") for who in "abcdef"]), st.sampled_from("abx-")
)


def pictured(states: dict[str, tuple[str, str | None, str | None]], wrongs: dict[str, str]) -> Picture:
    """Registrations, and claims that were lost (`-`) or belong to another."""
    picture = Picture()
    for which, state in states.items():
        add(picture, which, *state)
    for value, owner in wrongs.items():
        picture.claims[value] = owner
        if owner == "-":
            del picture.claims[value]
    return picture


@given(MANY)
def test_each_registration_is_judged_by_itself(states: dict[str, tuple[str, str | None, str | None]]) -> None:
    alone = [finding for which, state in states.items() for finding in broken(add(Picture(), which, *state))]
    assert broken(pictured(states, {})) == sorted(alone)
    assert {f.id for f in alone} == {which for which, state in states.items() if not may_be(*state)}


@given(MANY, WRONGS)
def test_claims_are_right_when_each_account_owns_its_own_and_nobody_else_owns_any(
    states: dict[str, tuple[str, str | None, str | None]], wrongs: dict[str, str]
) -> None:
    picture = pictured(states, wrongs)
    found = broken(picture)
    lost = {which for which in picture.accounts for value in claims_of(which) if picture.claims.get(value) != which}
    assert {f.id for f in found if f.rule == "account_without_its_claim"} == lost
    assert {f.id for f in found if f.rule == "claim_without_account"} == set(picture.claims.values()) - set(picture.accounts)


@given(MANY, WRONGS)
def test_no_finding_shows_what_a_claim_claims(states: dict[str, tuple[str, str | None, str | None]], wrongs: dict[str, str]) -> None:
    said = [f.detail for f in broken(pictured(states, wrongs)) if "claim" in f.rule and f.rule != "account_without_registration"]
    assert not any(f":{who}" in detail for detail in said for who in "abcdef")


@given(MANY, WRONGS, st.sets(st.sampled_from("abcdef")))
def test_the_picture_of_some_has_what_is_theirs_and_nothing_else(
    states: dict[str, tuple[str, str | None, str | None]], wrongs: dict[str, str], ids: set[str]
) -> None:
    whole = pictured(states, wrongs)
    part = whole.only(sorted(ids))
    assert part.registrations.keys() == whole.registrations.keys() & ids
    assert part.accounts.keys() == whole.accounts.keys() & ids
    assert part.claims == {value: owner for value, owner in whole.claims.items() if owner in ids}
    assert whole.only(sorted(whole.registrations.keys() | set(whole.claims.values()))) == whole


@given(MANY)
def test_what_is_in_flight_is_sorted_and_has_every_state_that_is_not_final(
    states: dict[str, tuple[str, str | None, str | None]],
) -> None:
    found = in_flight(pictured(states, {}).registrations)
    assert list(found) == sorted(which for which, (status, *_) in states.items() if status in ("TRYING", "CONFIRMING", "CANCELLING"))


FINDINGS = st.lists(st.builds(Finding, st.sampled_from("rs"), st.sampled_from("ab"), st.sampled_from(["then", "now"])), unique=True)


@given(FINDINGS, FINDINGS)
def test_what_stands_is_what_both_looks_blame_in_the_words_of_the_first(first: list[Finding], second: list[Finding]) -> None:
    stands = same(first, second)
    assert stands == [f for f in first if any((f.rule, f.id) == (other.rule, other.id) for other in second)]
    assert same(first, first) == first and same(first, []) == same([], first) == []


def test_an_account_alone_is_blamed_once_and_its_claims_are_its_own() -> None:
    picture = Picture({}, {"a": Account("AVAILABLE", claims_of("a"))}, dict.fromkeys(claims_of("a"), "a"))
    assert broken(picture) == [Finding("account_without_registration", "a", "account AVAILABLE, no registration")]


def test_nothing_disagrees_with_nothing() -> None:
    assert broken(Picture()) == []
