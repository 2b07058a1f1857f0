"""Ids are made at the edge: the same request makes the same ones, another makes others."""

import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime.http.idempotency import HEADER, anonymous_key, command_id, thing_id
from agents.runtime.http.problems import Problem

KEY = "0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa"
ROUTE = "/api/v1/registrations"


@pytest.mark.parametrize("spelling", [KEY, KEY.upper(), f'"{KEY}"', f" {KEY} ", f'"{KEY.upper()}"'])
def test_a_key_has_one_form_however_it_is_spelt(spelling: str) -> None:
    assert anonymous_key([spelling]) == KEY


@pytest.mark.parametrize(("values", "code", "fault"), [
    ([], "missing_idempotency_key", "missing"),
    ([KEY, KEY], "bad_idempotency_key", "repeated"),
    ([""], "bad_idempotency_key", "not_a_uuid"),
    (["order-1"], "bad_idempotency_key", "not_a_uuid"),
    ([KEY.replace("-", "")], "bad_idempotency_key", "not_a_uuid"),
    ([f"{{{KEY}}}"], "bad_idempotency_key", "not_a_uuid"),
    ([f'"{KEY}'], "bad_idempotency_key", "not_a_uuid"),
    ([KEY + "\n" + KEY], "bad_idempotency_key", "not_a_uuid"),
    ([KEY.translate({ord("0"): "٠"})], "bad_idempotency_key", "not_a_uuid"),
])  # fmt: skip
def test_what_is_no_uuid_said_once_is_refused_with_the_header(values: list[str], code: str, fault: str) -> None:
    with pytest.raises(Problem) as refused:
        anonymous_key(values)
    assert refused.value.code == code and refused.value.status == 400
    assert [(e.code, e.header) for e in refused.value.errors] == [(fault, HEADER)]


@given(st.text())
def test_any_text_is_a_key_or_a_problem(text: str) -> None:
    with contextlib.suppress(Problem):
        assert str(uuid.UUID(anonymous_key([text]))) in text.lower()


def test_an_id_is_fixed_by_who_asks_where_and_under_which_key() -> None:
    ids = {thing_id(who, where, key) for who in ("anonymous", "m1") for where in (ROUTE, "/other") for key in (KEY, str(uuid.uuid4()))}
    assert len(ids) == 8
    assert thing_id("anonymous", ROUTE, KEY) == thing_id("anonymous", ROUTE, KEY)


def test_ids_never_change_between_versions() -> None:
    assert thing_id("anonymous", ROUTE, KEY) == "04484baa-3aaa-5913-a335-04d36d3dfc06"
    assert command_id("04484baa-3aaa-5913-a335-04d36d3dfc06") == command_id(thing_id("anonymous", ROUTE, KEY))


def test_a_command_has_an_id_of_its_own() -> None:
    thing = thing_id("anonymous", ROUTE, KEY)
    assert command_id(thing) != thing and uuid.UUID(command_id(thing)).version == 5
