"""The routes of sessions: logging in, which is open to everybody, and logging out."""

from aiohttp import web

from agents.runtime.http.bodies import read_json
from agents.runtime.http.door import as_json
from gateway.edge import Edge, Route
from gateway.logging_in import LOG_IN, LOG_OUT, EndedDocument, LoggingIn, requested
from gateway.sessions import Sessions


def routes(edge: Edge, logging_in: LoggingIn, sessions: Sessions) -> list[Route]:
    """What stands behind the operations of sessions."""

    async def log_in(request: web.Request) -> web.Response:
        asked = requested(await read_json(request, edge.body_max_bytes))
        return as_json(await logging_in.log_in(asked, request.remote or ""), status=201)

    async def log_out(request: web.Request) -> web.Response:
        await edge.who(request, LOG_OUT)
        if session := sessions.of(request):
            sessions.end(session)
        return as_json(EndedDocument())

    return [Route(LOG_IN, log_in), Route(LOG_OUT, log_out)]
