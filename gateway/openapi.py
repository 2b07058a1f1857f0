"""The description of this API for programs: OpenAPI 3.1, made of the operations, the models and the table of problems."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from agents.runtime.http.idempotency import HEADER
from agents.runtime.http.problems import CONTENT_TYPE, ProblemDocument
from gateway.operations import RETRY_AFTER, Good, Operation
from gateway.problems import KINDS
from gateway.table import OPERATIONS

API_VERSION: Final = "1.1.0"
SESSION: Final = "session"  # the name of the security scheme

_PLACES: Final = re.compile(r"\{(\w+)\}")
_REQUEST_ID: Final = {"X-Request-Id": {"description": "names this request in the logs", "schema": {"type": "string", "format": "uuid"}}}
_KEY_SAID: Final = "a new random UUID for a new request; a repeat sends the same one, and gets the same thing"


def as_bytes() -> bytes:
    """The document as it is served."""
    return orjson.dumps(document())


def document() -> dict[str, Any]:
    """The whole description."""
    _, schemas = models_json_schema([(model, "serialization") for model in _models()], ref_template="#/components/schemas/{model}")
    schemas["$defs"]["ProblemDocument"]["properties"]["code"]["enum"] = sorted(KINDS)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.1",
        "info": {"title": "Lendbus", "version": API_VERSION, "description": "P2P lending as actors on a message bus."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas["$defs"], "securitySchemes": {SESSION: {"type": "http", "scheme": "bearer"}}},
    }


def _models() -> Sequence[type[BaseModel]]:
    named = [model for o in OPERATIONS for model in (o.request, *(good.model for good in o.good)) if model is not None]
    return list(dict.fromkeys([*named, ProblemDocument]))


def _operation(o: Operation) -> dict[str, Any]:
    parameters = [_parameter(name, "path", "its id") for name in _PLACES.findall(o.path)]
    if o.keyed:
        parameters.append(_parameter(HEADER, "header", _KEY_SAID))
    parameters += [
        {"name": q.name, "in": "query", "required": q.required, "description": q.description, "schema": dict(q.schema)} for q in o.query
    ]
    return {
        "operationId": o.name,
        "summary": o.summary,
        **({"description": o.description} if o.description else {}),
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": {"required": True, "content": _json(o.request)}} if o.request is not None else {}),
        **({"security": [{SESSION: []}]} if o.permission else {}),
        "responses": {**{str(good.status): _answer(good) for good in o.good}, **_problems(o.problems)},
    }


def _parameter(name: str, place: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": True, "description": description, "schema": {"type": "string", "format": "uuid"}}


def _answer(good: Good) -> dict[str, Any]:
    return {"description": good.description, "headers": {**_REQUEST_ID, **good.headers}, "content": _json(good.model)}


def _json(model: type[BaseModel] | None) -> dict[str, Any]:
    return {"application/json": {"schema": {"type": "object"} if model is None else _ref(model)}}


def _problems(codes: Sequence[str]) -> dict[str, Any]:
    """One response a status; its description lists the codes that it may carry."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(KINDS[code].status, []).append(code)
    return {str(status): _problem(status, found) for status, found in sorted(by_status.items())}


def _problem(status: int, codes: Sequence[str]) -> dict[str, Any]:
    headers: dict[str, Any] = {**_REQUEST_ID, **_HEADERS_OF.get(status, {})}
    description = " ".join(f"`{code}`: {KINDS[code].title}." for code in codes)
    return {"description": description, "headers": headers, "content": {CONTENT_TYPE: {"schema": _ref(ProblemDocument)}}}


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


_HEADERS_OF: Final[Mapping[int, Mapping[str, Any]]] = {
    401: {"WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}},
    405: {"Allow": {"description": "what can be done here", "schema": {"type": "string"}}},
    429: RETRY_AFTER,
    503: RETRY_AFTER,
}
