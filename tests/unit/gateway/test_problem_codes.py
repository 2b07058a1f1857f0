"""Every code that the gateway can say, found by reading its source: declared, described, and said by somebody."""

import ast
from pathlib import Path
from typing import Final

import pytest

from agents.runtime import canonical, canonical_json
from agents.runtime.canonical import Unacceptable
from agents.runtime.http import problems as common
from agents.runtime.http.problems import Problem, of_body, of_status
from gateway import openapi, problems
from gateway.problems import KINDS, Refusal
from gateway.registrations import RegistrationDocument, refusal

SOURCES: Final = sorted(path for module in (common, problems) for path in Path(str(module.__file__)).parent.glob("*.py"))
TREES: Final = {str(path): ast.parse(path.read_text()) for path in SOURCES}
BY_REASON: Final = [refusal(RegistrationDocument(id="", status="CANCELLED", reason=r)).code for r in ("login_name_taken", "mobile_taken")]


def literals(name: str, place: int = 0) -> dict[str, list[str]]:
    """File to the texts that calls of `name` have at that place; both arms of a conditional count."""
    found: dict[str, list[str]] = {}
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name and len(node.args) > place:
                argument = node.args[place]
                texts = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
                found.setdefault(file, []).extend(t.value for t in texts if isinstance(t, ast.Constant) and isinstance(t.value, str))
    return found


SAID: Final = {
    code for name in ("Problem", "Refusal", "_unsupported", "_wrong") for codes in literals(name).values() for code in codes
} | set(BY_REASON)


def raised_by(module: object) -> set[str]:
    """The codes of Unacceptable and its stand-in in a module."""
    tree = ast.parse(Path(str(module.__file__)).read_text())  # type: ignore[attr-defined]
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Unacceptable", "_Refused") and node.args
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }


REFUSALS_OF_JSON: Final = sorted(raised_by(canonical_json))
REFUSALS_OF_VALUES: Final = sorted(raised_by(canonical))


def test_every_code_that_is_said_is_declared_and_every_declared_one_is_said() -> None:
    assert set(KINDS) == SAID


def test_every_code_is_promised_by_an_operation() -> None:
    responses = [r for path in openapi.document()["paths"].values() for op in path.values() for r in op["responses"].values()]
    described = " ".join(response["description"] for response in responses)
    assert [code for code in KINDS if f"`{code}`: {KINDS[code].title}." not in described] == []


def test_a_code_of_the_gateways_own_is_no_code_of_every_server() -> None:
    assert Refusal("mobile_taken", "Another member has this mobile.").document("").status == 409
    with pytest.raises(AssertionError, match="mobile_taken"):
        Problem("mobile_taken", "Another member has this mobile.")


def test_no_two_kinds_have_one_title() -> None:
    assert len({kind.title for kind in KINDS.values()}) == len(KINDS)


def test_a_problem_is_made_with_a_literal_code_or_of_one() -> None:
    """A code that is computed could be one that nobody has declared."""
    computed = [
        f"{file}:{node.lineno}"
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Problem", "Refusal")
        if not isinstance(node.args[0], ast.Constant | ast.IfExp | ast.Name)
    ]
    assert computed == []


@pytest.mark.parametrize("code", REFUSALS_OF_JSON)
def test_every_refusal_of_json_has_a_status_of_its_kind(code: str) -> None:
    value = {"lone_surrogate", "not_an_integer", "integer_too_large", "not_a_number"}
    problem = of_body(Unacceptable(code, "a sentence", "/a"))
    assert problem.status == (413 if code == "too_large" else 422 if code in value else 400)


def test_whatever_status_the_library_has_the_answer_is_a_declared_one() -> None:
    ours = {kind.status for kind in KINDS.values()} - {401, 403, 408, 409, 415, 422, 429, 503}  # those are said by ourselves only
    for status in range(400, 600):
        problem = of_status(status)
        assert problem.detail.endswith(".") and problem.status // 100 == status // 100
        assert status not in ours or problem.status == status


def test_stable_codes_are_words_for_programs() -> None:
    codes = {*KINDS, *REFUSALS_OF_JSON, *REFUSALS_OF_VALUES}
    assert all(code == code.lower() and code.replace("_", "").isalnum() and code.isascii() for code in codes)
    assert len(REFUSALS_OF_JSON) >= 10 and len(REFUSALS_OF_VALUES) >= 15
