"""The gateway as an aiohttp application; what it stands on (bus, users store, keys) belongs to whoever calls."""

from collections.abc import AsyncIterator, Callable
from typing import Final

from aiohttp import web

from agents.custody.credentials import CredentialsFile
from agents.runtime.http.bodies import BODY_S_MAX
from agents.runtime.http.door import door
from agents.runtime.http.hashing import Hasher
from agents.runtime.http.replies import Replies
from agents.runtime.http.server import HttpServer
from agents.runtime.sealing import Keyring
from bus.log import Bus
from config.settings import Settings
from gateway import member_routes, notices, openapi, repayment_routes, session_routes
from gateway.asking import Asking
from gateway.balances import Balances
from gateway.edge import Edge, Stores, today_of
from gateway.health import checks
from gateway.loan_routes import bid_routes, decision_routes, loan_routes
from gateway.logging_in import LoggingIn
from gateway.member_accounts import account_of
from gateway.principals import Doorkeeper
from gateway.registering import Registering
from gateway.routes import defined, open_routes
from gateway.sessions import Sessions
from gateway.users_reader import Users

WORK_S_MAX: Final = 20.0  # hashing and appending, when both have queues; the body and the wait have limits of their own


def make_gateway(
    settings: Settings,
    bus: Bus,
    keyring: Keyring,
    users: Users,
    *,
    clock: Callable[[], int],
    doorkeeper: Doorkeeper | None = None,
) -> web.Application:
    """The application. The bus is open and its topics are declared; `clock` is milliseconds UTC.

    The doorkeeper knows who asks: its own sessions, unless somebody brings another.

    Starting it begins to read answers (BusError when the bus is away); shutting it down ends every wait with what is known.
    """
    replies = Replies(bus)
    hasher = Hasher(settings)
    asking = Asking(bus=bus, replies=replies, wait_ms=settings.wait_ms, clock=clock)
    registering = Registering(asking=asking, users=users, keyring=keyring, hasher=hasher)
    request_s_max = BODY_S_MAX + WORK_S_MAX + settings.wait_ms / 1000
    app = web.Application(middlewares=[door(request_s_max)], client_max_size=settings.body_max_bytes)
    replies.live_in(app)
    parts = checks(bus, replies, users, lambda: asking.appends)
    stores = Stores.of(settings)
    sessions = Sessions(keyring, clock)
    logging_in = LoggingIn(store=stores.accounts, keyring=keyring, hasher=hasher, sessions=sessions, clock=clock)
    edge = Edge(asking, stores, keyring, doorkeeper or sessions, account_of(stores.users), today_of(clock), settings.body_max_bytes)
    opened = open_routes(registering, parts, openapi.as_bytes(), body_max_bytes=settings.body_max_bytes)
    credentials = CredentialsFile(settings.bank_credentials_path())
    balance = Balances(credentials)
    app.add_routes([web.post(notices.ROUTE, notices.Receiver(bus, credentials, clock=clock).receive)])
    app.add_routes(
        defined(
            [
                *opened,
                *session_routes.routes(edge, logging_in, sessions),
                *member_routes.routes(edge, balance),
                *loan_routes(edge),
                *decision_routes(edge),
                *bid_routes(edge),
                *repayment_routes.routes(edge),
            ]
        )
    )

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        await logging_in.start()
        yield
        await stores.close()
        await balance.close()
        hasher.close()

    app.cleanup_ctx.append(lifetime)
    return app


def serve(settings: Settings, app: web.Application) -> HttpServer:
    """The server of the application, at the place of the settings; not started."""
    return HttpServer(app, host=settings.host, port=settings.port, stop_timeout_ms=settings.stop_timeout_ms)
