"""Where this run may not write bytecode beside the modules, all its processes share a folder: the first start compiles, no other."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.world import World


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that say where compiled modules are kept."""
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode"))}


@pytest.fixture
async def world(tmp_path: Path, bytecode: dict[str, str]) -> AsyncIterator[World]:
    """The processes of one test, ended with it."""
    made = World(tmp_path, bytecode)
    try:
        yield made
    finally:
        await made.end_all()
