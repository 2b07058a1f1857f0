"""The people of a story have papers that the platform and the bank accept, and nobody else has them."""

import random
from datetime import date

from agents.runtime import canonical
from tools.story.people import card_number, cast, id_number

TODAY = date(2026, 7, 1)


def test_a_seed_has_its_people_and_another_seed_has_others() -> None:
    assert cast("7:1") == cast("7:1")
    one, two = cast("7:1"), cast("7:2")
    for field in ("login_name", "mobile", "id_number", "card_number"):
        assert len({getattr(person, field) for person in (*one.everybody, *two.everybody)}) == 10


def test_everybodys_papers_are_in_their_one_spelling() -> None:
    for number in range(50):
        for person in cast(str(number)).everybody:
            assert canonical.login_name(person.login_name) == person.login_name
            assert canonical.mobile(person.mobile) == person.mobile
            assert canonical.password(person.password) == person.password
            assert canonical.id_number(person.id_number, today=TODAY) == person.id_number
            assert canonical.bank_card(person.card_number) == person.card_number
            canonical.refuse_minor(person.id_number, today=TODAY)


def test_every_check_character_and_digit_comes_up() -> None:
    chance = random.Random(3)
    assert {id_number(chance)[-1] for _ in range(500)} == set("0123456789X")
    assert {card_number(chance)[-1] for _ in range(500)} == set("0123456789")


def test_who_is_refused_opens_no_account_and_is_no_customer() -> None:
    people = cast("x")
    assert people.refused not in people.customers
    assert set(people.customers) | {people.refused} == set(people.everybody)
    assert {person.role for person in people.investors} == {"investor"}
    assert people.borrower.role == "borrower"
