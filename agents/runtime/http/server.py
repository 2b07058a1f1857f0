"""An application on a port: start, say where, stop within a bounded time."""

import asyncio
import logging
import uuid
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from agents.runtime.http.door import as_problem
from agents.runtime.http.problems import of_status
from agents.runtime.http.replies import REPLIES
from config import logs

LINGER_S: Final = 1.0  # for the rest of a body that was refused, so that the sender can read why
KEEPALIVE_S: Final = 30.0
BACKLOG: Final = 512

log = logs.get("http")


class _Connection(web.RequestHandler):
    """One connection; what is not HTTP is answered with a problem as well, and is no traceback in the log."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what could not be read as a request, or broke where no middleware was."""
        if isinstance(exc, LineTooLong):  # the library says 400 for it
            status = 431
        log.info("not a request", status=status, why=type(exc).__name__)
        response = as_problem(of_status(status), str(uuid.uuid4()))
        response.force_close()
        return response


class HttpServer:
    """Serves an application, with or without a reader of answers in it; port 0 takes a free one, `url` says which."""

    def __init__(self, app: web.Application, *, host: str, port: int, stop_timeout_ms: int) -> None:
        self._host, self._port = host, port
        self._app = app
        # The rest of `stop_timeout_ms` is for closing; a handler that is not done by then is cancelled.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=stop_timeout_ms / 1000 * 0.9)
        self._listener: asyncio.Server | None = None
        self._stopped = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens. Only after `start`."""
        assert self._listener is not None, "start() first"
        host, port = self._listener.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def waiting(self) -> int:
        """How many requests wait for their end."""
        return self._app[REPLIES].waiting if REPLIES in self._app else 0

    async def start(self) -> None:
        """Begin to read answers, then to listen. Raises BusError, or OSError when the port is not free."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(self._connection, self._host, self._port, backlog=BACKLOG)
        except BaseException:
            await self._runner.cleanup()
            raise

    async def watch(self) -> None:
        """Return when it was stopped; raises why answers are not read any more: end the process then, it is deaf."""
        await (self._app[REPLIES].watch() if REPLIES in self._app else self._stopped.wait())

    async def serve_until(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set; raises, as `watch` does, why answers are not read any more."""
        ends: list[asyncio.Task[Any]] = [asyncio.create_task(self.watch()), asyncio.create_task(stop.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if ends[0].done():
                ends[0].result()
        finally:
            for end in ends:
                end.cancel()

    async def stop(self) -> None:
        """Accept nothing more, answer what is in work (nobody waits for an end any longer), close; bounded."""
        if self._listener is not None:
            self._listener.close()
        await self._runner.cleanup()
        self._stopped.set()

    def _connection(self) -> web.RequestHandler:
        server = self._runner.server
        assert server is not None, "the runner is set up before the port is opened"
        return _Connection(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # the door writes the line
            logger=logging.getLogger("lendbus.http"),
            lingering_time=LINGER_S,
            keepalive_timeout=KEEPALIVE_S,
            auto_decompress=False,
        )
