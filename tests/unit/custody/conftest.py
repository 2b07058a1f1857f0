"""A desk with an order that was just placed."""

import pytest

from tests.unit.custody.desk import Desk, place


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.tell(place())
    return made
