"""The gateway stops while clients hold it: idle connections are closed, a request that is still being sent is answered (CASES B37)."""

import asyncio
import json
import signal
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from yarl import URL

from tests.e2e.world import ROUTE, World, base

IDLE = 5
STOP_S_MAX = 10.0
BODY = {"login_name": "slow_writer", "mobile": "13912345678", "password": "a long pass phrase", "role": "investor"}

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path, {})
    yield made
    await made.end_all()


async def connected(url: URL) -> Streams:
    return await asyncio.open_connection(url.host, url.port)


async def idle(url: URL) -> Streams:
    """A connection that has been answered once and is kept."""
    reader, writer = await connected(url)
    writer.write(f"GET /nothing HTTP/1.1\r\nHost: {url.authority}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return reader, writer


async def test_a_stop_closes_who_is_idle_and_answers_who_is_still_sending(world: World) -> None:
    process = await world.start("up", "--port", "0")
    url = URL(base(await process.where()))
    kept = [await idle(url) for _ in range(IDLE)]
    reader, writer = await connected(url)
    body = json.dumps(BODY).encode()
    head = f"POST {ROUTE} HTTP/1.1\r\nHost: {url.authority}\r\nContent-Type: application/json\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:20])
    await writer.drain()

    process.send(signal.SIGTERM)
    asked_s = time.monotonic()
    await process.says("stopping")
    writer.write(body[20:])
    async with asyncio.timeout(STOP_S_MAX):
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.split()[1] in (b"201", b"202", b"408", b"503"), (
            answer
        )  # 408: aiohttp reads no more once it closes; the key repeats it
        for each, _ in kept:
            assert await each.read() == b"", "an idle connection is closed without a word"
        assert await process.ended() == 0, process.said()
    print(f"stopped after {time.monotonic() - asked_s:.3f} s")
    for _, ending in [*kept, (reader, writer)]:
        ending.close()
