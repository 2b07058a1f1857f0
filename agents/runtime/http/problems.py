"""What a server says when it says no: problem documents (RFC 9457), each with a stable code and the places that are meant.

Every code stands in a table of kinds: `KINDS` has what every server of ours may say, and a server with codes of its own has
a class of its own, whose `kinds` are these and its own (gateway/problems.py). No problem repeats a value that somebody sent.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

from pydantic import BaseModel, Field

from agents.runtime.canonical import Unacceptable

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:lendbus:problem:"
FAULTS_MAX: Final = 20  # places that one problem lists
RETRY_AFTER_S: Final = 1

# What JSON text itself may be; everything else that `parse_json` refuses is a value in it.
_GRAMMAR: Final = frozenset({"not_json", "not_utf8", "byte_order_mark", "too_deep", "duplicate_key"})


class Kind(NamedTuple):
    """A kind of problem: its HTTP status and its title, the same each time."""

    status: int
    title: str


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "bad_request": Kind(400, "This is not a request that can be read"),
        "malformed_body": Kind(400, "The body cannot be read as JSON"),
        "missing_idempotency_key": Kind(400, "The request needs an Idempotency-Key"),
        "bad_idempotency_key": Kind(400, "The Idempotency-Key is not a UUID"),
        "not_found": Kind(404, "There is nothing here"),
        "method_not_allowed": Kind(405, "This cannot be done here"),
        "body_timeout": Kind(408, "The body did not come in time"),
        "body_too_large": Kind(413, "The body is too large"),
        "unsupported_media_type": Kind(415, "The body must be application/json in UTF-8"),
        "unsupported_content_encoding": Kind(415, "The body must not be compressed"),
        "expectation_failed": Kind(417, "This expectation cannot be met"),
        "invalid_body": Kind(422, "The body has values that are not acceptable"),
        "idempotency_key_reused": Kind(422, "The Idempotency-Key belongs to another request"),
        "headers_too_large": Kind(431, "The headers are too large"),
        "internal_error": Kind(500, "Something went wrong here"),
        "busy": Kind(503, "Too many requests are waiting"),
        "unavailable": Kind(503, "A part of the platform cannot be reached"),
        "timed_out": Kind(503, "The request took too long"),
        "not_ready": Kind(503, "A part of the platform is not ready"),
    }
)


class Fault(BaseModel):
    """One place that is wrong: a JSON Pointer into the body (RFC 6901; empty: the whole of it), a header, or a part of the platform."""

    code: str = Field(description="stable, for programs")
    detail: str = Field(description="a sentence, for people")
    pointer: str | None = Field(None, description="JSON Pointer into the body; the empty text is the whole body")
    header: str | None = Field(None, description="name of the header that is meant")
    part: str | None = Field(None, description="part of the platform that is meant")


class ProblemDocument(BaseModel):
    """A problem as RFC 9457 writes it."""

    type: str = Field(description=f"{TYPE_PREFIX}<code>")
    title: str
    status: int = Field(ge=400, le=599)
    code: str = Field(description="the end of `type`, for programs")
    detail: str
    instance: str = Field(description="urn:uuid:<X-Request-Id of the response>")
    errors: list[Fault] = Field(default=[], description=f"the places that are meant, at most {FAULTS_MAX}")


class Problem(Exception):
    """Raise it anywhere behind the door; the answer is its document. `headers` go with it."""

    kinds: ClassVar[Mapping[str, Kind]] = KINDS

    def __init__(self, code: str, detail: str, errors: Sequence[Fault] = (), headers: Mapping[str, str] = MappingProxyType({})) -> None:
        assert code in self.kinds, f"undeclared problem {code!r}"
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = headers

    @property
    def status(self) -> int:
        """The HTTP status of its kind."""
        return self.kinds[self.code].status

    def document(self, request_id: str) -> ProblemDocument:
        """What the client reads."""
        kind = self.kinds[self.code]
        return ProblemDocument(
            type=f"{TYPE_PREFIX}{self.code}",
            title=kind.title,
            status=kind.status,
            code=self.code,
            detail=self.detail,
            instance=f"urn:uuid:{request_id}",
            errors=list(self.errors[:FAULTS_MAX]),
        )


def away(detail: str) -> Problem:
    """The bus or a store cannot be reached just now: nothing was done, and the same request may be sent again."""
    return Problem("unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def busy(detail: str) -> Problem:
    """A queue of this server is full: nothing was done, and the same request may be sent again."""
    return Problem("busy", detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def of_body(refused: Unacceptable) -> Problem:
    """Why a body was not accepted as JSON: 413 for its size, 400 for its grammar, 422 for a value in it."""
    if refused.code == "too_large":
        return Problem("body_too_large", refused.message)
    fault = Fault(code=refused.code, detail=refused.message, pointer=refused.pointer)
    return Problem("malformed_body" if refused.code in _GRAMMAR else "invalid_body", refused.message, (fault,))


def of_status(status: int, headers: Mapping[str, str] = MappingProxyType({})) -> Problem:
    """What the HTTP library itself refuses, by its status."""
    match status:
        case 404:
            return Problem("not_found", "Look into /openapi.json for what there is.")
        case 405:
            return Problem("method_not_allowed", "The header Allow names what can be done here.", headers=headers)
        case 413:
            return Problem("body_too_large", "The body is longer than this server takes.")
        case 431:
            return Problem("headers_too_large", "The first line or a header is longer than this server takes.")
        case 417:
            return Problem("expectation_failed", "Expect takes 100-continue only.")
        case _ if 400 <= status < 500:
            return Problem("bad_request", "The request is not well-formed HTTP.")
        case _:
            return Problem("internal_error", "The request was not finished. Send it again with the same Idempotency-Key.")
