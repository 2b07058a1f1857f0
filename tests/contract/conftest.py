"""The transports that the contract is held against."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.connect import connect
from bus.log import Bus

TRANSPORTS = ["sqlite", "kafka"]


@pytest.fixture(params=TRANSPORTS)
def bus_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A bus of its own for this test, empty."""
    if request.param == "kafka":
        return str(request.getfixturevalue("kafka_url"))
    return f"sqlite:///{tmp_path}/bus.db"


@pytest.fixture
async def bus(bus_url: str) -> AsyncIterator[Bus]:
    """The bus of `bus_url`, open."""
    opened = connect(bus_url)
    await opened.open()
    yield opened
    await opened.close()
