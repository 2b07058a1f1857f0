"""The open routes, and how every route is put into an application: thin; a request is taken apart, the answer put together."""

from collections.abc import Iterable, Mapping

from aiohttp import web

from agents.runtime.canonical import Unacceptable, uuid_text
from agents.runtime.http.bodies import read_json
from agents.runtime.http.door import TRACE, as_json
from agents.runtime.http.health import Check, Health, readiness
from agents.runtime.http.idempotency import ANONYMOUS, HEADER, anonymous_key, thing_id
from agents.runtime.http.problems import RETRY_AFTER_S, Problem
from config import logs
from gateway import table
from gateway.edge import Route
from gateway.registering import Registering
from gateway.registrations import LOOK, REGISTER, ROUTE, refusal, requested


def defined(routes: Iterable[Route]) -> list[web.RouteDef]:
    """The routes as aiohttp takes them; a GET answers HEAD too."""
    made = []
    for operation, handler in routes:
        add = {"get": web.get, "post": web.post, "delete": web.delete}[operation.method]
        made.append(add(operation.path, handler, expect_handler=_continue_later))
    return made


def open_routes(registering: Registering, ready: Mapping[str, Check], openapi: bytes, *, body_max_bytes: int) -> list[Route]:
    """What is open to everybody."""

    async def register(request: web.Request) -> web.Response:
        key = anonymous_key(request.headers.getall(HEADER, ()))
        asked = requested(await read_json(request, body_max_bytes))
        thing = request[TRACE] = thing_id(ANONYMOUS, ROUTE, key)
        with logs.bind_trace(thing):
            document = await registering.register(thing, asked)
        if document.status == "CANCELLED":
            raise refusal(document)
        headers = {"Location": registering.status_url(thing)}
        if document.status == "CONFIRMED":
            return as_json(document, status=201, headers=headers)
        return as_json(document, status=202, headers={**headers, "Retry-After": str(RETRY_AFTER_S)})

    async def look(request: web.Request) -> web.Response:
        thing = request[TRACE] = _known_id(registering, request.match_info["id"], request.query.getall("token", []))
        with logs.bind_trace(thing):
            return as_json(await registering.look(thing))

    async def live(_: web.Request) -> web.Response:
        return as_json(Health())

    async def is_ready(_: web.Request) -> web.Response:
        return as_json(await readiness(ready))

    async def describe(_: web.Request) -> web.Response:
        return web.Response(body=openapi, content_type="application/json")

    return [
        Route(REGISTER, register),
        Route(LOOK, look),
        Route(table.DESCRIBE, describe),
        Route(table.LIVE, live),
        Route(table.READY, is_ready),
    ]


def _known_id(registering: Registering, text: str, tokens: list[str]) -> str:
    """One answer for an id that is none, one that nobody has, and a token that does not fit: nothing can be found out by trying."""
    try:
        thing = uuid_text(text)
    except Unacceptable:
        raise _not_found() from None
    if len(tokens) != 1 or not registering.may_look(thing, tokens[0]):
        raise _not_found()
    return thing


def _not_found() -> Problem:
    return Problem("not_found", "There is no such thing, or the token does not open it. The Location of its POST has the whole URL.")


async def _continue_later(_: web.Request) -> None:
    """`Expect: 100-continue` is met where the body is read: whoever is refused before that sends none."""
