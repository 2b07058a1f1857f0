"""The description says what the routes do."""

from typing import Any

from gateway import openapi
from gateway.problems import KINDS
from gateway.registrations import _FIELDS, ROUTE, RegistrationRequest
from gateway.table import OPERATIONS

POST = openapi.document()["paths"][ROUTE]["post"]


def schema(name: str) -> dict[str, Any]:
    """A model as the description has it."""
    found: dict[str, Any] = openapi.document()["components"]["schemas"][name]
    return found


def test_what_is_described_is_what_is_read() -> None:
    assert list(schema("RegistrationRequest")["properties"]) == list(_FIELDS) == list(RegistrationRequest.model_fields)
    assert set(schema("RegistrationRequest")["required"]) == set(_FIELDS)


def test_a_post_says_every_status_that_it_may_answer() -> None:
    assert {"201", "202", "400", "405", "408", "409", "413", "415", "417", "422", "431", "500", "503"} == set(POST["responses"])
    assert "Location" in POST["responses"]["201"]["headers"] and "Retry-After" in POST["responses"]["202"]["headers"]


def test_the_key_is_a_required_header() -> None:
    assert [(p["name"], p["in"], p["required"]) for p in POST["parameters"]] == [("Idempotency-Key", "header", True)]


def test_every_operation_has_a_name_of_its_own_and_its_request_id() -> None:
    operations = [operation for path in openapi.document()["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == len(OPERATIONS)
    assert all("X-Request-Id" in response["headers"] for operation in operations for response in operation["responses"].values())


def test_the_codes_of_problems_are_an_enumeration() -> None:
    assert schema("ProblemDocument")["properties"]["code"]["enum"] == sorted(KINDS)


def test_a_password_is_only_ever_written() -> None:
    assert schema("RegistrationRequest")["properties"]["password"]["writeOnly"] is True
    assert "password" not in schema("RegistrationDocument")["properties"]
