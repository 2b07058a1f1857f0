"""A stretch of the road between the bank and the platform on which webhooks may be lost or come twice; the rest goes on as it came.

A lost one is acknowledged to the bank and told to nobody: only the platform's own query can repair that.
"""

from collections.abc import Callable
from typing import Final, Literal

import aiohttp
from aiohttp import web

from config import logs

Fate = Literal["pass", "lose", "double"]
Choose = Callable[[bytes], Fate]

PASSED: Final = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type")
FORWARD_S_MAX: Final = 5.0
BODY_BYTES_MAX: Final = 1 << 20

log = logs.get("relay")


class WebhookRelay:
    """Listens on a free port of loopback and passes what comes to `target`; `choose` decides of each body what becomes of it."""

    def __init__(self, target: str, choose: Choose = lambda _: "pass") -> None:
        self.target = target
        self.choose = choose
        self.lost: list[bytes] = []
        self.doubled = 0
        self.passed = 0
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where the bank delivers."""
        assert self._runner is not None, "open() first"
        return f"http://127.0.0.1:{self._port}/"

    async def open(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post("/{any:.*}", self._take)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FORWARD_S_MAX))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Listen no more."""
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        fate = self.choose(body)
        if fate == "lose":
            self.lost.append(body)
            return web.Response(status=204)
        headers = {name: request.headers[name] for name in PASSED if name in request.headers}
        status = await self._forward(body, headers)
        if fate == "double" and status < 300:
            self.doubled += 1
            await self._forward(body, headers)
        self.passed += status < 300
        return web.Response(status=status)

    async def _forward(self, body: bytes, headers: dict[str, str]) -> int:
        assert self._session is not None, "open() first"
        try:
            async with self._session.post(self.target, data=body, headers=headers) as answer:
                return answer.status
        except (TimeoutError, aiohttp.ClientError, OSError) as exc:
            log.info("the platform does not take a webhook", why=str(exc))
            return 503
