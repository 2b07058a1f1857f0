"""A bank, a gateway and a bus for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.custody.world import Sides, sides


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Sides]:
    """The bank serves, the gateway receives; custody is started by the test."""
    async with sides(tmp_path) as made:
        yield made
