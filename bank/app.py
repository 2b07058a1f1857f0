"""The bank's HTTP side as an aiohttp application: the signed API, the members' pages, and whether it lives and can work."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from agents.runtime.http import health
from agents.runtime.http.bodies import BODY_S_MAX
from agents.runtime.http.door import as_json, door
from agents.runtime.http.hashing import Hasher
from agents.runtime.http.replies import Replies
from agents.runtime.messages import GATEWAY_REPLIES
from agents.runtime.sealing import Keyring
from bank.api import Api
from bank.enrolment import Platforms
from bank.pages import Pages
from bank.reader import BankReader
from bank.teller import Teller
from bank.throttle import Throttle
from bus.log import Bus
from config.bank import BODY_BYTES_MAX
from config.settings import Settings

WORK_S_MAX: Final = 20.0  # hashing and appending, when both have queues; the body and the wait have limits of their own


def make_bank(
    settings: Settings,
    bus: Bus,
    keyring: Keyring,
    reader: BankReader,
    platforms: Platforms,
    *,
    url: Callable[[], str],
    clock: Callable[[], int],
) -> web.Application:
    """The application. The bus is open and its topics are declared; `url` says where members find it once it listens.

    Starting it begins to read answers (BusError when the bus is away); shutting it down ends every wait with what is known.
    """
    replies = Replies(bus)
    hasher = Hasher(settings)
    teller = Teller(bus=bus, replies=replies, reader=reader, wait_ms=settings.wait_ms, clock=clock)
    pages = Pages(teller=teller, reader=reader, keyring=keyring, hasher=hasher, throttle=Throttle(clock))
    api = Api(
        platforms=platforms,
        teller=teller,
        reader=reader,
        keyring=keyring,
        page_url=lambda request_no: f"{url()}{pages.path(request_no)}",
        clock=clock,
    )
    app = web.Application(middlewares=[door(BODY_S_MAX + WORK_S_MAX + settings.wait_ms / 1000)], client_max_size=BODY_BYTES_MAX)
    replies.live_in(app)
    app.add_routes([*api.routes(), *pages.routes(), *_health(bus, replies, reader)])

    async def lets_go(_: web.Application) -> None:
        hasher.close()

    app.on_cleanup.append(lets_go)
    return app


def _health(bus: Bus, replies: Replies, reader: BankReader) -> list[web.RouteDef]:
    async def bus_answers() -> None:
        await bus.ends(GATEWAY_REPLIES)

    async def answers_are_read() -> None:
        if not replies.alive:
            raise health.NotReady("answers are not being read")

    async def day_has_begun() -> None:
        if await reader.date() is None:
            raise health.NotReady("the bank's first day has not begun")

    checks = {"bus": bus_answers, "replies": answers_are_read, "books": day_has_begun}

    async def healthz(_: web.Request) -> web.Response:
        return as_json(health.Health())

    async def readyz(_: web.Request) -> web.Response:
        return as_json(await health.readiness(checks))

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]
