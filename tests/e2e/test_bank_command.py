"""`lendbus bank` as a process: it serves, says where, survives being killed, and its operator's commands work beside it."""

import json
import signal
import stat
import time
from pathlib import Path
from typing import Any

import aiohttp

from agents.runtime.http.signatures import headers_of
from tests.e2e.world import Running, World, until
from tests.postgresql_server import free_port

BANK = {"LENDBUS_BANK_DELAY_MS": "20", "LENDBUS_BANK_DELAY_JITTER_MS": "10", "LENDBUS_BANK_DATE": "2025-01-31"}


async def bank(world: World, port: int = 0) -> tuple[Running, str]:
    """A bank that serves, and where."""
    process = await world.start("bank", "serve", "--port", str(port), cwd=None, data=None, **BANK)
    url = str((await process.where())["url"])
    async with aiohttp.ClientSession() as http:

        async def ready() -> bool:
            async with http.get(f"{url}/readyz") as answer:
                return answer.status == 200

        await until(ready, "the bank is ready")
    return process, url


async def said_by(world: World, *arguments: str, **environment: str) -> tuple[int, list[dict[str, Any]], str]:
    """A command that ends: its exit code, what it printed, what it said."""
    process = await world.start(*arguments, cwd=None, data=None, **{**BANK, **environment})
    assert process.process.stdout is not None
    raw = await process.process.stdout.read()
    code = await process.ended()
    return code, [json.loads(line) for line in raw.decode().splitlines()], process.said()


async def date_of(url: str, credentials: dict[str, str]) -> str:
    """The business date, as the platform asks for it."""
    text = '{"action":"business-date"}'
    signed = headers_of(credentials["api_secret"], "msg_1", int(time.time()), text)
    headers = {"Content-Type": "application/json", "X-Platform": credentials["platform"], **signed}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/api/v1/business-date", data=text, headers=headers) as answer:
        assert answer.status == 200
        return str((await answer.json())["date"])


async def enrolled(world: World, out: Path, url: str = "http://127.0.0.1:9/bank/notices", **environment: str) -> dict[str, str]:
    """The credentials that enrolling writes."""
    code, (shown,), _ = await said_by(
        world, "bank", "enrol", "--platform", "lendbus", "--notify-url", url, "--out", str(out), **environment
    )
    assert code == 0 and stat.S_IMODE(out.stat().st_mode) == 0o600
    credentials: dict[str, str] = json.loads(out.read_text())
    assert shown["url"] == credentials["url"] and not {credentials["api_secret"], credentials["notice_secret"]} & set(
        map(str, shown.values())
    )
    return credentials


async def test_a_platform_is_enrolled_while_the_bank_runs_and_speaks_to_it_at_once(world: World) -> None:
    port = free_port()
    process, url = await bank(world, port)
    credentials = await enrolled(world, world.tmp / "c.json", LENDBUS_BANK_PORT=str(port))
    assert credentials["url"] == url and await date_of(url, credentials) == "2025-01-31"
    again = await enrolled(world, world.tmp / "again.json", LENDBUS_BANK_PORT=str(port))
    assert again == credentials
    process.send(signal.SIGTERM)
    assert await process.ended() == 0 and "Traceback" not in process.said()


async def test_the_day_is_shown_and_closed_from_beside_and_the_books_hold_together(world: World) -> None:
    process, url = await bank(world)
    credentials = await enrolled(world, world.tmp / "c.json", LENDBUS_BANK_URL=url)
    assert await said_by(world, "bank", "day", "show") == (0, [{"date": "2025-01-31"}], "")
    code, (shown,), _ = await said_by(world, "bank", "day", "close", "--days", "29")
    assert (code, shown) == (0, {"date": "2025-03-01"})
    assert await date_of(url, credentials) == "2025-03-01"
    code, found, said = await said_by(world, "bank", "check")
    assert (code, found) == (0, []) and "hold together" in said
    process.send(signal.SIGINT)
    await process.ended()


async def test_a_bank_that_was_killed_stands_where_it_stood(world: World) -> None:
    process, url = await bank(world)
    credentials = await enrolled(world, world.tmp / "c.json", LENDBUS_BANK_URL=url)
    await said_by(world, "bank", "day", "close")
    process.send(signal.SIGKILL)
    await process.ended()
    _, url = await bank(world, int(url.rsplit(":", 1)[1]))
    assert await date_of(url, credentials) == "2025-02-01"


async def test_a_second_bank_on_the_same_folder_says_who_has_it_and_both_keep_to_their_own(world: World) -> None:
    process, _ = await bank(world)
    code, printed, said = await said_by(world, "bank", "--port", "0")
    assert (code, printed) == (2, []) and str(process.pid) in said
    assert {path.relative_to(world.data).parts[0] for path in world.data.rglob("*") if path.is_file()} == {"bank"}
