"""An operation of the API as data: the route and the description for programs are both made of it, so that they cannot differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

EVERYWHERE: Final = ("bad_request", "method_not_allowed", "headers_too_large", "internal_error", "timed_out")
OF_BODY: Final = (
    *("malformed_body", "body_timeout", "body_too_large", "unsupported_media_type", "unsupported_content_encoding"),
    *("expectation_failed", "invalid_body"),
)
OF_KEY: Final = ("missing_idempotency_key", "bad_idempotency_key", "idempotency_key_reused", "busy", "unavailable")
OF_PEOPLE: Final = ("not_signed_in", "not_allowed")

Headers = Mapping[str, Mapping[str, Any]]
RETRY_AFTER: Final[Headers] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
LOCATION: Final[Headers] = {
    "Location": {"description": "the status URL, with the token that opens it", "schema": {"type": "string", "format": "uri-reference"}}
}
NO_HEADERS: Final[Headers] = MappingProxyType({})


class Good(NamedTuple):
    """An answer that is no problem; `model` None: any JSON object."""

    status: int
    description: str
    model: type[BaseModel] | None
    headers: Headers = NO_HEADERS


class Query(NamedTuple):
    """A parameter of the query."""

    name: str
    description: str
    schema: Mapping[str, Any] = MappingProxyType({"type": "string"})
    required: bool = False


TOKEN: Final = Query("token", "as Location had it: then a thing that has not begun yet shows PENDING, not 404")
AFTER: Final = Query("after", "the `next` of the page before")


@dataclass(frozen=True)
class Operation:
    """One method of one path; `permission` None: it is open to everybody; `keyed`: with an Idempotency-Key, as every command has it."""

    name: str
    method: str
    path: str
    summary: str
    good: tuple[Good, ...]
    codes: tuple[str, ...] = ()
    description: str = ""
    request: type[BaseModel] | None = None
    permission: str | None = None
    query: tuple[Query, ...] = ()
    keyed: bool = False

    @property
    def problems(self) -> tuple[str, ...]:
        """Every code of a problem that it may answer."""
        of_body = OF_BODY if self.request else ()
        of_key = OF_KEY if self.keyed else ()
        of_people = OF_PEOPLE if self.permission else ()
        return tuple(dict.fromkeys((*EVERYWHERE, *of_body, *of_key, *of_people, *self.codes)))


def creating(
    name: str, path: str, summary: str, permission: str, *, takes: type[BaseModel], gives: type[BaseModel], codes: tuple[str, ...] = ()
) -> Operation:
    """A POST that makes a thing, waits a short time for what becomes of it, and answers with the thing either way."""
    good = (
        Good(201, "As it has ended; a refused one too, with its reason.", gives, LOCATION),
        Good(202, "Not ended: on its way, or waiting for the bank's page. Look at Location.", gives, {**LOCATION, **RETRY_AFTER}),
    )
    said = "Waits a short time. A repeat with the same key and content is safe at any time and shows the thing as it stands."
    return Operation(name, "post", path, summary, good, codes, said, takes, permission, keyed=True)


def acting(name: str, path: str, summary: str, permission: str, *, takes: type[BaseModel], gives: type[BaseModel]) -> Operation:
    """A POST that does something to a thing that is there, or is refused by it."""
    good = (
        Good(200, "Done: the thing as it stands.", gives),
        Good(202, "Accepted, and not known to be done yet: send it again, or look at it.", gives, RETRY_AFTER),
    )
    return Operation(name, "post", path, summary, good, ("not_found", "refused"), "", takes, permission, keyed=True)


def looking(name: str, path: str, summary: str, permission: str, document: type[BaseModel], *query: Query) -> Operation:
    """A GET of something that is there for whoever may see it; what somebody else has is not found."""
    codes = ("unavailable", "not_found") if "{" in path else ("unavailable",)
    return Operation(name, "get", path, summary, (Good(200, "As it stands.", document),), codes, "", None, permission, query)
