"""What the tests of the gateway's edges stand on: no services, and a users store that says what the test wants."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.gateway.planted import make_templates
from tests.integration.gateway.stage import Stage, staged
from tests.integration.gateway.world import PATIENCE_S, Client, ScriptedUsers, World

IMPATIENT_S = 0.2


@pytest.fixture
async def lone(tmp_path: Path) -> AsyncIterator[World]:
    """A bus and nobody who works."""
    async with World(tmp_path, wait_ms=30) as made:
        yield made


@pytest.fixture
def users() -> ScriptedUsers:
    """The store behind `client`."""
    return ScriptedUsers()


@pytest.fixture
async def client(lone: World, users: ScriptedUsers) -> Client:
    """A gateway on that bus, over that store."""
    return await lone.gateway(users)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty stores, migrated once."""
    return make_templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, templates: Path, users: ScriptedUsers, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """A gateway over stores with a story in them; it is impatient where a test wants to see that."""
    work_s_max = IMPATIENT_S if "timed_out" in request.node.name else PATIENCE_S
    async with staged(tmp_path, templates, users, monkeypatch, work_s_max=work_s_max) as made:
        yield made
