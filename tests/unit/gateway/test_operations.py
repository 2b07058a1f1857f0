"""Operations as data: what the description says of each follows from it, and permissions fit the roles."""

import re
from typing import Any

import pytest

from config.roles import PERMISSIONS
from gateway import openapi
from gateway.operations import EVERYWHERE, OF_BODY, OF_KEY, OF_PEOPLE, Good, Operation, acting, creating, looking
from gateway.problems import KINDS
from gateway.recharges import RechargeDocument, RechargeRequest
from gateway.table import OPERATIONS

DOCUMENT = openapi.document()
NAMES = [operation.name for operation in OPERATIONS]


def described(operation: Operation) -> dict[str, Any]:
    """An operation in the document."""
    found: dict[str, Any] = DOCUMENT["paths"][operation.path][operation.method]
    return found


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_who_must_sign_in_is_told_so_and_nobody_else(operation: Operation) -> None:
    said = described(operation)
    assert ("security" in said) == (operation.permission is not None)
    assert ("401" in said["responses"] and "403" in said["responses"]) or operation.permission is None
    if operation.permission is not None:
        assert said["responses"]["401"]["headers"]["WWW-Authenticate"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_every_place_of_a_path_is_a_parameter(operation: Operation) -> None:
    said = [p["name"] for p in described(operation).get("parameters", ()) if p["in"] == "path"]
    assert said == re.findall(r"\{(\w+)\}", operation.path)


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_a_keyed_operation_needs_its_key_and_a_body_is_required(operation: Operation) -> None:
    said = described(operation)
    keys = [p for p in said.get("parameters", ()) if p["name"] == "Idempotency-Key"]
    assert [p["required"] for p in keys] == [True] * operation.keyed
    assert ("requestBody" in said) == (operation.request is not None)
    assert not operation.keyed or operation.method == "post"


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_every_problem_of_an_operation_is_declared_once(operation: Operation) -> None:
    assert len(set(operation.problems)) == len(operation.problems)
    assert set(operation.problems) <= set(KINDS)


def test_every_permission_that_is_asked_for_is_somebodys_and_every_one_that_is_given_is_asked_for() -> None:
    asked = {operation.permission for operation in OPERATIONS if operation.permission}
    assert asked == {permission for permissions in PERMISSIONS.values() for permission in permissions}


def test_paths_and_methods_are_each_described_once() -> None:
    places = [(operation.path, operation.method) for operation in OPERATIONS]
    assert len(set(places)) == len(places)
    assert all(path.startswith(("/api/v1/", "/openapi.json", "/livez", "/readyz")) for path, _ in places)


def test_creating_waits_and_says_where_to_look() -> None:
    made = creating("recharge", "/r", "Bring money.", "recharge", takes=RechargeRequest, gives=RechargeDocument, codes=("not_found",))
    assert [(good.status, "Location" in good.headers, "Retry-After" in good.headers) for good in made.good] == [
        (201, True, False), (202, True, True),
    ]  # fmt: skip
    assert set(made.problems) == {*EVERYWHERE, *OF_BODY, *OF_KEY, *OF_PEOPLE, "not_found"}


def test_acting_may_be_refused_and_looking_changes_nothing() -> None:
    done = acting("do", "/r/{id}", "Do it.", "recharge", takes=RechargeRequest, gives=RechargeDocument)
    assert [good.status for good in done.good] == [200, 202] and {"refused", "not_found"} <= set(done.problems)
    seen = looking("see", "/r/{id}", "See it.", "recharge", RechargeDocument)
    assert (seen.method, seen.keyed, seen.request) == ("get", False, None) and "not_found" in seen.problems
    assert "not_found" not in looking("see", "/r", "See it.", "recharge", RechargeDocument).problems


def test_an_open_operation_has_only_what_everything_has() -> None:
    plain = Operation("live", "get", "/livez", "Lives.", (Good(200, "It lives.", None),))
    assert plain.problems == EVERYWHERE


def test_nothing_that_is_only_written_is_ever_shown() -> None:
    secret = {
        (name, field)
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, said in schema.get("properties", {}).items()
        if said.get("writeOnly")
    }
    assert {name for name, _ in secret} == {"RegistrationRequest", "OpeningRequest", "LogInRequest"}
    shown = {
        field for name, schema in DOCUMENT["components"]["schemas"].items() if name.endswith("Document") for field in schema["properties"]
    }
    assert not {field for _, field in secret} & shown
