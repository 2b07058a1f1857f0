"""The bank's balance on `/me`, and the road of the bank's notices: what the gateway does with the bank at its door."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agents.custody.credentials import CredentialsFile
from gateway import balances
from gateway.balances import Balances
from gateway.members import BalanceDocument
from gateway.notices import ROUTE
from tests.integration.gateway.stage import Stage

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


@dataclass
class Teller:
    """A bank that answers balances as the test wants it."""

    status: int = 200
    said: Any = field(default_factory=lambda: {"custody_no": "c1", "available_fen": 5, "held_fen": 7})
    slow: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def balance(self, request: web.Request) -> web.Response:
        """The route."""
        self.asked.append(await request.json())
        if self.slow:
            await asyncio.Event().wait()
        return web.json_response(self.said, status=self.status)


@pytest.fixture
async def teller(tmp_path: Path) -> AsyncIterator[Teller]:
    made = Teller()
    app = web.Application()
    app.router.add_post("/api/v1/balance", made.balance)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    enrolled(tmp_path, f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield made
    await runner.cleanup()


def enrolled(folder: Path, url: str) -> Path:
    """What `lendbus bank enrol` would have written."""
    path = folder / "bank-credentials.json"
    path.write_text(json.dumps({"platform": "lendbus", "url": url, "api_secret": SECRET, "notice_secret": SECRET}))
    path.chmod(0o600)
    return path


@pytest.fixture
async def asking(tmp_path: Path) -> AsyncIterator[Balances]:
    made = Balances(CredentialsFile(tmp_path / "bank-credentials.json"))
    yield made
    await made.close()


async def test_the_bank_is_asked_now_and_its_answer_is_shown(teller: Teller, asking: Balances) -> None:
    assert await asking("c1") == BalanceDocument(available_fen=5, held_fen=7)
    teller.said["available_fen"] = 6
    assert await asking("c1") == BalanceDocument(available_fen=6, held_fen=7)
    assert [asked["custody_no"] for asked in teller.asked] == ["c1", "c1"]


@pytest.mark.parametrize(
    ("status", "said"), [(404, {"code": "not_found"}), (401, {}), (500, {}), (200, {"available_fen": "many"}), (200, [])]
)
async def test_an_answer_that_is_no_balance_is_none(teller: Teller, asking: Balances, status: int, said: Any) -> None:
    teller.status, teller.said = status, said
    assert await asking("c1") is None


async def test_a_bank_that_is_not_enrolled_with_or_away_says_no_balance(asking: Balances, tmp_path: Path) -> None:
    assert await asking("c1") is None
    enrolled(tmp_path, "http://127.0.0.1:9")
    assert await asking("c1") is None


async def test_nobody_waits_long_for_a_bank_that_hangs(teller: Teller, asking: Balances, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balances, "BALANCE_S_MAX", 0.05)
    teller.slow = True
    assert await asking("c1") is None


async def test_me_shows_the_banks_balance_and_does_without_it(stage: Stage, teller: Teller) -> None:
    enrolled_url = json.loads((stage.world.settings.bank_credentials_path()).read_text())["url"]
    assert enrolled_url.startswith("http://127.0.0.1:")
    shown = await stage.plain("look_at_me")
    assert shown.body["balance"] == {"available_fen": 5, "held_fen": 7} and shown.body["custody_no"] == "c1"
    teller.status = 500
    assert (await stage.plain("look_at_me")).body["balance"] is None


async def test_the_banks_notices_come_in_at_their_own_door(stage: Stage, tmp_path: Path) -> None:
    early = await stage.client.send("POST", ROUTE, data=b"{}")
    assert (early.status, early.code) == (503, "unavailable")  # there are no credentials: nothing can be verified
    enrolled(tmp_path, "http://127.0.0.1:9")
    unsigned = await stage.client.send("POST", ROUTE, data=b"{}")
    assert (unsigned.status, unsigned.body["code"]) == (401, "not_signed")
