"""The road of webhooks: what comes is passed on as it came, lost for good, or brought twice; an absent platform is no acknowledgement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tools.webhook_relay import Choose, WebhookRelay

HEADERS = {"webhook-id": "w1", "webhook-timestamp": "5", "webhook-signature": "v1,x", "Content-Type": "application/json"}
BODY = b'{"type": "order.ended", "n":  1}'


class Platform:
    """Notes what comes."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.came: list[tuple[bytes, dict[str, str]]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.came.append((await request.read(), {name.lower(): value for name, value in request.headers.items()}))
        return web.Response(status=self.status)


@asynccontextmanager
async def road(platform: Platform, choose: Choose) -> AsyncIterator[WebhookRelay]:
    app = web.Application()
    app.router.add_post("/notices", platform.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    relay = WebhookRelay(f"http://127.0.0.1:{runner.addresses[0][1]}/notices", choose)
    await relay.open()
    try:
        yield relay
    finally:
        await relay.close()
        await runner.cleanup()


async def delivered(relay: WebhookRelay, body: bytes = BODY) -> int:
    async with aiohttp.ClientSession() as session, session.post(relay.url, data=body, headers=HEADERS) as answer:
        return answer.status


async def test_what_passes_has_its_exact_bytes_and_its_signature() -> None:
    async with road(platform := Platform(), lambda _: "pass") as relay:
        assert await delivered(relay) == 200
    ((body, headers),) = platform.came
    assert body == BODY
    assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
    assert relay.passed == 1


async def test_what_is_lost_is_acknowledged_and_nobody_hears_of_it() -> None:
    async with road(platform := Platform(), lambda body: "lose" if b"ended" in body else "pass") as relay:
        assert await delivered(relay) == 204
        assert await delivered(relay, b"{}") == 200
    assert [body for body, _ in platform.came] == [b"{}"]
    assert relay.lost == [BODY]


async def test_what_is_doubled_comes_twice_and_is_acknowledged_once() -> None:
    async with road(platform := Platform(), lambda _: "double") as relay:
        assert await delivered(relay) == 200
    assert [body for body, _ in platform.came] == [BODY, BODY]
    assert relay.doubled == 1


async def test_the_platforms_refusal_is_the_banks_answer() -> None:
    async with road(platform := Platform(503), lambda _: "double") as relay:
        assert await delivered(relay) == 503
    assert len(platform.came) == 1
    assert (relay.passed, relay.doubled) == (0, 0)


async def test_a_platform_that_is_away_acknowledges_nothing() -> None:
    async with road(Platform(), lambda _: "pass") as relay:
        relay.target = "http://127.0.0.1:1/notices"
        assert await delivered(relay) == 503
    assert relay.passed == 0
