"""Fields of a body: one spelling for each, and every wrong one is named with its place."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.canonical import AMOUNT_FEN_MAX, Unacceptable
from agents.runtime.http.problems import FAULTS_MAX, Problem
from gateway import fields

FIELDS: fields.Fields = {"amount_fen": fields.amount, "note": fields.text(10)}


def refused(body: Any, optional: frozenset[str] = frozenset()) -> Problem:
    """The problem that a body makes."""
    with pytest.raises(Problem) as found:
        fields.read(body, FIELDS, optional=optional)
    assert found.value.code == "invalid_body"
    return found.value


def code_of(read: Any, value: object) -> str:
    """Why a field does not take a value."""
    with pytest.raises(Unacceptable) as found:
        read(value)
    return found.value.code


def test_what_is_right_comes_out_in_its_one_spelling() -> None:
    assert fields.read({"note": " a\u00a0b ", "amount_fen": 5}, FIELDS) == {"amount_fen": 5, "note": "a b"}


def test_an_optional_field_may_be_left_out_and_is_read_when_it_is_there() -> None:
    note = frozenset({"note"})
    assert fields.read({"amount_fen": 5}, FIELDS, optional=note) == {"amount_fen": 5}
    assert [e.pointer for e in refused({"amount_fen": 5, "note": 7}, note).errors] == ["/note"]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    places = [(e.pointer, e.code) for e in refused({"note": None, "a/b": 1, "~": 2}).errors]
    assert places == [("/amount_fen", "missing"), ("/note", "not_text"), ("/a~1b", "unknown_field"), ("/~0", "unknown_field")]


@pytest.mark.parametrize("body", [None, [], "x", 1, True])
def test_only_an_object_has_fields(body: Any) -> None:
    assert [(e.pointer, e.code) for e in refused(body).errors] == [("", "not_an_object")]


def test_a_problem_lists_as_many_places_as_a_problem_may() -> None:
    problem = refused({str(n): n for n in range(FAULTS_MAX * 2)})
    assert len(problem.document("").errors) == FAULTS_MAX


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1]])
def test_an_amount_is_a_whole_number_and_nothing_that_looks_like_one(value: object) -> None:
    assert code_of(fields.amount, value) == "not_an_integer"


@pytest.mark.parametrize("value", [0, -1, AMOUNT_FEN_MAX + 1])
def test_an_amount_is_within_what_anything_here_computes_with(value: int) -> None:
    assert code_of(fields.amount, value) == "out_of_range"


def test_the_ends_of_a_range_are_in_it() -> None:
    months = fields.whole("months", 1, 36)
    assert (months(1), months(36), fields.amount(AMOUNT_FEN_MAX)) == (1, 36, AMOUNT_FEN_MAX)
    assert code_of(months, 0) == code_of(months, 37) == "out_of_range"


@pytest.mark.parametrize(("typed", "spelled"), [
    ("0.12", "0.12"), ("0.120", "0.12"), ("00.1", "0.1"), ("0.0", "0"), ("1", "1"), ("10", "10"), ("1.000", "1"), ("0", "0"),
    ("0.000000000000000000000000001", "0.000000000000000000000000001"),
])  # fmt: skip
def test_a_rate_has_one_spelling(typed: str, spelled: str) -> None:
    assert fields.rate(typed) == spelled


@given(st.decimals(0, 10, allow_nan=False, allow_infinity=False, places=8))
def test_the_spelling_of_a_rate_is_its_value_and_is_its_own_spelling(value: Decimal) -> None:
    spelled = fields.rate(f"{value:f}")
    assert Decimal(spelled) == value and fields.rate(spelled) == spelled


@pytest.mark.parametrize("value", ["12%", "-0.1", "1e-2", ".1", "0,1", "11", 0.12, None])
def test_what_is_no_rate_is_refused(value: object) -> None:
    assert code_of(fields.rate, value) in ("not_a_rate", "rate_too_large", "not_text")


def test_a_day_is_a_day_of_the_calendar() -> None:
    assert fields.day("2028-02-29") == "2028-02-29"
    assert code_of(fields.day, "2027-02-29") == code_of(fields.day, "20270228") == "not_a_date"


def test_a_choice_is_one_of_the_words() -> None:
    way = fields.one_of("unknown_way", "a way", ("page", "direct"))
    assert way("page") == "page"
    assert {code_of(way, value) for value in ("PAGE", "", None, 1, ["page"])} == {"unknown_way"}
