"""The description of this API for programs: OpenAPI 3.1, made of the models and the table of problems."""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from agents.runtime.http.health import Health
from agents.runtime.http.idempotency import HEADER
from agents.runtime.http.problems import CONTENT_TYPE, ProblemDocument
from gateway.problems import KINDS
from gateway.registrations import ROUTE, RegistrationDocument, RegistrationRequest

API_VERSION: Final = "1.0.0"

_MODELS: Final[Sequence[type[BaseModel]]] = (RegistrationRequest, RegistrationDocument, ProblemDocument, Health)
_EVERYWHERE: Final = ("bad_request", "method_not_allowed", "headers_too_large", "internal_error", "timed_out")
_OF_POST: Final = (
    *("malformed_body", "missing_idempotency_key", "bad_idempotency_key", "body_timeout", "body_too_large"),
    *("unsupported_media_type", "unsupported_content_encoding", "expectation_failed", "invalid_body", "idempotency_key_reused"),
    *("login_name_taken", "mobile_taken", "registration_timed_out", "registration_cancelled", "busy", "unavailable"),
)
_RETRY_AFTER: Final = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
_REQUEST_ID: Final = {"X-Request-Id": {"description": "names this request in the logs", "schema": {"type": "string", "format": "uuid"}}}
_LOCATION: Final = {
    "Location": {"description": "the status URL, with the token that opens it", "schema": {"type": "string", "format": "uri-reference"}}
}


def as_bytes() -> bytes:
    """The document as it is served."""
    return orjson.dumps(document())


def document() -> dict[str, Any]:
    """The whole description."""
    _, schemas = models_json_schema([(model, "serialization") for model in _MODELS], ref_template="#/components/schemas/{model}")
    schemas["$defs"]["ProblemDocument"]["properties"]["code"]["enum"] = sorted(KINDS)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Lendbus", "version": API_VERSION, "description": "P2P lending as actors on a message bus."},
        "servers": [{"url": "/"}],
        "paths": {
            ROUTE: {"post": _register()},
            f"{ROUTE}/{{id}}": {"get": _look()},
            "/openapi.json": {"get": _plain("describe", "This document.", {"type": "object"})},
            "/livez": {"get": _plain("live", "Whether the process lives.", _ref(Health))},
            "/readyz": {"get": _plain("ready", "Whether bus, answers and users store can be used.", _ref(Health), "not_ready")},
        },
        "components": {"schemas": schemas["$defs"]},
    }


def _register() -> dict[str, Any]:
    key = _parameter(HEADER, "header", "a new random UUID for a new request; a repeat sends the same one, and gets the same thing")
    return {
        "operationId": "register",
        "summary": "Register a member.",
        "description": "Waits a short time for the end. A repeat with the same key and content is safe at any time.",
        "parameters": [key],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(RegistrationRequest)}}},
        "responses": {
            "201": _answer("Registered.", _ref(RegistrationDocument), _LOCATION),
            "202": _answer(
                "Accepted and not ended yet, or waiting for an operator (SUSPENDED): look at Location.",
                _ref(RegistrationDocument),
                {**_LOCATION, **_RETRY_AFTER},
            ),
            **_problems(*_EVERYWHERE, *_OF_POST),
        },
    }


def _look() -> dict[str, Any]:
    return {
        "operationId": "look",
        "summary": "A registration as it stands.",
        "description": "A URL that the gateway gave and whose registration has not begun yet shows PENDING, not 404.",
        "parameters": [
            _parameter("id", "path", "the registration's id"),
            {"name": "token", "in": "query", "required": True, "description": "as Location had it", "schema": {"type": "string"}},
        ],
        "responses": {
            "200": _answer("The registration.", _ref(RegistrationDocument)),
            **_problems(*_EVERYWHERE, "not_found", "unavailable"),
        },
    }


def _plain(operation: str, summary: str, schema: dict[str, Any], *codes: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": _answer(summary, schema), **_problems(*_EVERYWHERE, *codes)},
    }


def _parameter(name: str, place: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": True, "description": description, "schema": {"type": "string", "format": "uuid"}}


def _answer(description: str, schema: dict[str, Any], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"description": description, "headers": {**_REQUEST_ID, **(headers or {})}, "content": content}


def _problems(*codes: str) -> dict[str, Any]:
    """One response a status; its description lists the codes that it may carry."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(KINDS[code].status, []).append(code)
    return {str(status): _problem(status, found) for status, found in sorted(by_status.items())}


def _problem(status: int, codes: Sequence[str]) -> dict[str, Any]:
    headers: dict[str, Any] = dict(_REQUEST_ID)
    if status == 503:
        headers |= _RETRY_AFTER
    if status == 405:
        headers["Allow"] = {"description": "what can be done here", "schema": {"type": "string"}}
    description = " ".join(f"`{code}`: {KINDS[code].title}." for code in codes)
    return {"description": description, "headers": headers, "content": {CONTENT_TYPE: {"schema": _ref(ProblemDocument)}}}


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
