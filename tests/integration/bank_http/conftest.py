"""A bank for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.bank_http.world import BankWorld


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[BankWorld]:
    """A whole bank that serves."""
    async with BankWorld(tmp_path) as made:
        yield made
