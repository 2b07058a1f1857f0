"""The bank's HTTP side as a part of a process, and the start of the whole bank in one: ledger, notifier, API and pages."""

import asyncio

from agents.runtime.http.server import HttpServer
from agents.runtime.sealing import Keyring
from agents.runtime.worker import utc_now_ms
from bank.app import make_bank
from bank.enrolment import EnrolmentError
from bank.reader import BankReader
from bus.connect import connect
from bus.errors import BusAway, BusError
from config.keys import KeyFileError
from config.settings import Settings
from stores.engine import StoreAway
from tools import bank_place
from tools.crew import Crew
from tools.output import Failed
from tools.starting import built_worker, explained, guard_files, patiently


class ServingBank:
    """`open`, then `run` until `request_stop`; `close` lets go of whatever is open."""

    name = "bank http"

    def __init__(self, own: Settings, keyring: Keyring) -> None:
        self._own = own
        self._keyring = keyring
        self._stop = asyncio.Event()
        self._bus = connect(own.bus_url())
        self._reader = BankReader(own.store_url("bank"))
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where platforms and members reach it, once it is open."""
        assert self._server is not None, "open() first"
        return self._own.bank_url or self._server.url

    async def open(self) -> None:
        """Listen. Raises OSError for an address that cannot be had, BusError."""
        await self._bus.open()
        await self._bus.declare(bank_place.specs(self._own))
        own, platforms = self._own, bank_place.platforms_of(self._own)
        app = make_bank(own, self._bus, self._keyring, self._reader, platforms, url=lambda: self.url, clock=utc_now_ms)
        server = HttpServer(app, host=own.host, port=own.port, stop_timeout_ms=own.stop_timeout_ms)
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
        """Stop serving, then let go of books and bus."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        await self._reader.close()
        await self._bus.close()


async def start_bank(crew: Crew, own: Settings) -> str:
    """The whole bank in this process; its URL. Raises WrongUse or Failed; nothing runs then."""
    try:
        ring = await asyncio.to_thread(bank_place.keyring, own)
        bank_place.platforms_of(own).all()
    except (KeyFileError, EnrolmentError) as exc:
        raise Failed(str(exc)) from None
    workers = [await built_worker(own, service, ring, bank_place.worker) for service in bank_place.SERVICES]
    http = await opened(own, ring)
    for worker in workers:
        crew.start(worker)
    crew.start(http)
    guard_files(crew, own, bank_place.SERVICES)
    return http.url


async def opened(own: Settings, ring: Keyring) -> ServingBank:
    """The HTTP side, listening. Raises WrongUse for an address that cannot be had, Failed for a bus that cannot be used."""
    away = (BusAway, StoreAway) if own.bus_kind == "kafka" else (StoreAway,)
    try:
        return await patiently(lambda: _opened(own, ring), *away, what="the bank's bus")
    except (OSError, BusError) as exc:
        raise explained(exc, own) from None


async def _opened(own: Settings, ring: Keyring) -> ServingBank:
    http = ServingBank(own, ring)
    try:
        await http.open()
    except BaseException:
        await http.close()
        raise
    return http
