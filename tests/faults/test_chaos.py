"""Whole stories with real kills: a seeded sample of each bus ends like the undisturbed one and prints one object."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults import test_soak
from tests.faults.support import bytecode
from tests.faults.test_soak import lendbus

__all__ = ["bytecode"]

CHAOS_S_MAX = 900.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_soak, "ENDS_S_MAX", CHAOS_S_MAX)


async def played(bytecode: Path, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """Its findings; what went well leaves nothing behind."""
    code, out, err = await lendbus(bytecode, "chaos", *arguments, TMPDIR=str(tmp_path))
    assert code == 0, f"{out}\n{err}"
    findings: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert findings["differences"] == 0
    assert findings["kills"] + findings["freezes"] == findings["hits"] >= 3 * findings["stories"]
    assert findings["lost_webhooks"] > 0
    assert f"--seed {findings['seed']}" in err
    assert err.count("in hand: ") == findings["hits"]
    assert not list(tmp_path.iterdir())
    return findings


@pytest.mark.campaign
@pytest.mark.timeout(CHAOS_S_MAX + 60)
async def test_disturbed_stories_end_like_the_undisturbed_one(tmp_path: Path, bytecode: Path) -> None:
    findings = await played(bytecode, tmp_path, "--stories", "1", "--seed", "11")
    assert (findings["chaos"], findings["stores_on"], findings["stories"]) == ("sqlite", "sqlite", 1)


@pytest.mark.campaign
@pytest.mark.timeout(CHAOS_S_MAX + 60)
async def test_disturbed_stories_end_alike_on_kafka_and_postgresql(
    tmp_path: Path, bytecode: Path, kafka_server: str, postgresql_address: str
) -> None:
    servers = ("--bus", f"kafka://{kafka_server}/t", "--db", postgresql_address)
    findings = await played(bytecode, tmp_path, "--stories", "1", "--seed", "12", *servers)
    assert (findings["chaos"], findings["stores_on"], findings["stories"]) == ("kafka", "postgresql", 1)


@pytest.mark.timeout(120)
async def test_without_its_servers_it_ends_with_a_sentence(tmp_path: Path, bytecode: Path) -> None:
    code, out, err = await lendbus(bytecode, "chaos", "--stories", "1", "--bus", "kafka://127.0.0.1:1/t", TMPDIR=str(tmp_path))
    assert (code, out) == (1, ""), err
    assert "Traceback" not in err
    assert "this needs the servers that --bus and --db name" in err
    assert not list(tmp_path.iterdir())
