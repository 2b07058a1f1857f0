"""The gateway as an aiohttp application; what it stands on (bus, users store, keys) belongs to whoever calls."""

from collections.abc import AsyncIterator, Callable
from typing import Final

from aiohttp import web

from agents.runtime.http.bodies import BODY_S_MAX
from agents.runtime.http.door import door
from agents.runtime.http.hashing import Hasher
from agents.runtime.http.replies import REPLIES, Replies
from agents.runtime.http.server import HttpServer
from agents.runtime.sealing import Keyring
from bus.log import Bus
from config.settings import Settings
from gateway import openapi
from gateway.health import checks
from gateway.registering import Registering
from gateway.routes import routes
from gateway.users_reader import Users

WORK_S_MAX: Final = 20.0  # hashing and appending, when both have queues; the body and the wait have limits of their own


def make_gateway(settings: Settings, bus: Bus, keyring: Keyring, users: Users, *, clock: Callable[[], int]) -> web.Application:
    """The application. The bus is open and its topics are declared; `clock` is milliseconds UTC.

    Starting it begins to read answers (BusError when the bus is away); shutting it down ends every wait with what is known.
    """
    replies = Replies(bus)
    hasher = Hasher(settings)
    registering = Registering(bus=bus, replies=replies, users=users, keyring=keyring, hasher=hasher, wait_ms=settings.wait_ms, clock=clock)
    request_s_max = BODY_S_MAX + WORK_S_MAX + settings.wait_ms / 1000
    app = web.Application(middlewares=[door(request_s_max)], client_max_size=settings.body_max_bytes)
    app[REPLIES] = replies
    parts = checks(bus, replies, users, lambda: registering.appends)
    app.add_routes(routes(registering, parts, openapi.as_bytes(), body_max_bytes=settings.body_max_bytes))

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        await replies.start()
        yield
        await replies.stop()
        hasher.close()

    async def end_waiting(_: web.Application) -> None:
        replies.end_waiting()

    app.cleanup_ctx.append(lifetime)
    app.on_shutdown.append(end_waiting)
    return app


def serve(settings: Settings, app: web.Application) -> HttpServer:
    """The server of the application, at the place of the settings; not started."""
    return HttpServer(app, host=settings.host, port=settings.port, stop_timeout_ms=settings.stop_timeout_ms)
