"""The gateway as a part of a process: what it stands on is opened before it and closed after it."""

import asyncio

from agents.runtime.http.server import HttpServer
from agents.runtime.sealing import Keyring
from agents.runtime.worker import utc_now_ms
from bus.connect import connect
from config.settings import Settings
from gateway.app import make_gateway, serve
from gateway.users_reader import UsersReader
from stores.migrate import check_look_up_key
from tools import assemble


class ServingGateway:
    """`open`, then `run` until `request_stop`; `close` lets go of whatever is open."""

    name = "gateway"

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._settings = settings
        self._keyring = keyring
        self._stop = asyncio.Event()
        self._bus = connect(settings.bus_url())
        self._users = UsersReader(settings.store_url("users"))
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where it listens, once it is open."""
        assert self._server is not None, "open() first"
        return self._server.url

    async def open(self) -> None:
        """Listen. Raises OSError for an address that cannot be had, BusError, OtherKeys; StoreAway, StoreRefused."""
        keyring = self._keyring
        await asyncio.to_thread(check_look_up_key, "users", self._settings.store_url("users"), keyring.fingerprint())
        await self._bus.open()
        await self._bus.declare(assemble.specs(self._settings))
        server = serve(self._settings, make_gateway(self._settings, self._bus, keyring, self._users, clock=utc_now_ms))
        await server.start()
        self._server = server

    async def run(self) -> None:
        """Serve until `request_stop`. Raises why answers are not read any longer."""
        assert self._server is not None, "open() first"
        try:
            await self._server.serve_until(self._stop)
        finally:
            await self.close()

    def request_stop(self) -> None:
        """End `run`, gracefully: what is in work is answered."""
        self._stop.set()

    async def close(self) -> None:
        """Stop serving, then let go of store and bus."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        await self._users.close()
        await self._bus.close()
