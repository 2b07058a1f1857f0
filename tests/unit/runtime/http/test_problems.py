"""Problems: every one has its kind, and what was refused says where."""

import pytest

from agents.runtime.canonical import Unacceptable
from agents.runtime.http.problems import FAULTS_MAX, KINDS, Fault, Problem, away, busy, of_body, of_status


@pytest.mark.parametrize("code", KINDS)
def test_a_problem_is_the_document_of_its_kind(code: str) -> None:
    document = Problem(code, "What happened.").document("the request")
    assert (document.type, document.status, document.title) == (f"urn:lendbus:problem:{code}", KINDS[code].status, KINDS[code].title)
    assert (document.code, document.detail, document.instance) == (code, "What happened.", "urn:uuid:the request")


@pytest.mark.parametrize("code", KINDS)
def test_a_kind_is_an_error_of_http_with_a_sentence(code: str) -> None:
    kind = KINDS[code]
    assert 400 <= kind.status < 600 and kind.title[0].isupper() and not kind.title.endswith(".")


def test_an_undeclared_code_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="teapot"):
        Problem("teapot", "short and stout")


def test_a_document_lists_no_more_places_than_the_limit() -> None:
    many = [Fault(code="c", detail="d", pointer=f"/{n}") for n in range(FAULTS_MAX + 5)]
    assert [f.pointer for f in Problem("invalid_body", "", many).document("").errors] == [f"/{n}" for n in range(FAULTS_MAX)]


@pytest.mark.parametrize(("refused", "code"), [
    ("too_large", "body_too_large"),
    ("not_json", "malformed_body"),
    ("not_utf8", "malformed_body"),
    ("byte_order_mark", "malformed_body"),
    ("too_deep", "malformed_body"),
    ("duplicate_key", "malformed_body"),
    ("lone_surrogate", "invalid_body"),
    ("not_an_integer", "invalid_body"),
    ("integer_too_large", "invalid_body"),
    ("not_a_number", "invalid_body"),
])  # fmt: skip
def test_a_body_is_refused_by_size_grammar_or_value(refused: str, code: str) -> None:
    problem = of_body(Unacceptable(refused, "a sentence", "/a/0"))
    assert problem.code == code and problem.detail == "a sentence"
    assert [(e.code, e.pointer) for e in problem.errors] == ([] if code == "body_too_large" else [(refused, "/a/0")])


@pytest.mark.parametrize("problem", [away("no bus"), busy("no room")])
def test_what_passes_says_when_to_come_again(problem: Problem) -> None:
    assert problem.status == 503 and problem.headers["Retry-After"].isdigit()


@pytest.mark.parametrize("status", [400, 404, 405, 411, 413, 414, 417, 426, 431, 500, 501, 503])
def test_whatever_the_library_refuses_becomes_a_declared_problem(status: int) -> None:
    problem = of_status(status, {"Allow": "GET"})
    assert problem.status // 100 == status // 100
    assert ("Allow" in problem.headers) == (status == 405)
