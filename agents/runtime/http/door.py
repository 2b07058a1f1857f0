"""The door: what every request and every response has, whatever route it takes (one middleware).

Each response carries its X-Request-Id and the security headers; whatever is raised behind the door becomes a problem;
each request is one line in the log, without its query, which may hold a token.
"""

import asyncio
import time
import uuid
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel

from agents.runtime.http.problems import CONTENT_TYPE, Problem, of_status
from config import logs

PATH_CHARS_MAX: Final = 200  # of the log line
REQUEST_ID: Final = "X-Request-Id"
TRACE: Final = web.RequestKey("trace", str)  # the business id, once a handler knows it
LOGGED_PATH: Final = web.RequestKey("logged_path", str)  # in the place of a path that has a secret in it
SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # a status URL carries its token
    "Server": "lendbus",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_CLOSES: Final = frozenset({408, 413})  # the rest of the body is not waited for

log = logs.get("http.access")


def door(request_s_max: float) -> Middleware:
    """The middleware; a handler that has not answered after `request_s_max` is given up."""

    @web.middleware
    async def pass_through(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id, began_ns = str(uuid.uuid4()), time.monotonic_ns()
        response = await _answer(request, handler, request_id, request_s_max)
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)  # a page may have a policy of its own
        response.headers[REQUEST_ID] = request_id
        log.info(
            "request",
            method=request.method,
            path=request.get(LOGGED_PATH, request.path)[:PATH_CHARS_MAX],
            status=response.status,
            took_ms=(time.monotonic_ns() - began_ns) // 1_000_000,
            request_id=request_id,
            **({"trace": request[TRACE]} if TRACE in request else {}),
        )
        return response

    return pass_through


def as_json(model: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A response whose body is a model's JSON."""
    return web.Response(body=model.model_dump_json().encode(), status=status, headers=headers, content_type="application/json")


def as_problem(problem: Problem, request_id: str) -> web.Response:
    """The response of a problem, complete with the headers of the door."""
    body = problem.document(request_id).model_dump_json(exclude_none=True).encode()
    headers = {**problem.headers, **SECURITY_HEADERS, REQUEST_ID: request_id}
    response = web.Response(body=body, status=problem.status, headers=headers, content_type=CONTENT_TYPE)
    if problem.status in _CLOSES:
        response.force_close()
    return response


async def _answer(request: web.Request, handler: Handler, request_id: str, request_s_max: float) -> web.StreamResponse:
    try:
        async with asyncio.timeout(request_s_max):
            return await handler(request)
    except Problem as problem:
        return as_problem(problem, request_id)
    except web.HTTPException as refused:
        allow = {"Allow": refused.headers["Allow"]} if "Allow" in refused.headers else {}
        return as_problem(of_status(refused.status, allow), request_id)
    except TimeoutError:
        detail = "It is not known how far it came. Send the same request again, with the same Idempotency-Key."
        return as_problem(Problem("timed_out", detail, headers={"Retry-After": "1"}), request_id)
    except ConnectionError:
        raise  # the client has gone; there is nobody to answer
    except Exception as exc:  # the last place where it can become an answer instead of a broken connection
        log.error("a request failed", request_id=request_id, trace=request.get(TRACE), exc_info=exc)
        return as_problem(of_status(500), request_id)
