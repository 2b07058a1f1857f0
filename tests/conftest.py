"""What every test may use: what a bare machine lacks is skipped with its reason, and CI lacks nothing."""

import os
import random

import pytest
from hypothesis import settings

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
SEED = int(os.environ.get("LENDBUS_TEST_SEED") or random.randrange(2**32))

pytest_plugins = ("tests.kafka_server", "tests.postgresql_server")

settings.register_profile("lendbus", print_blob=True, deadline=None, derandomize=False)
settings.load_profile("lendbus")


def required(name: str, available: object, reason: str) -> None:
    """Go on when `available` is true; otherwise skip with the reason, or fail in CI, where everything must be there."""
    if available:
        return
    if IN_CI:
        pytest.fail(f"CI must have {name}: {reason}", pytrace=False)
    pytest.skip(f"needs {name}: {reason}")


def pytest_report_header() -> str:
    """The seed of the tests that draw at random, so that a failing run can be had again."""
    return f"lendbus: LENDBUS_TEST_SEED={SEED}, {'everything is required (CI)' if IN_CI else 'what the machine lacks is skipped'}"


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Randomness of the run's seed and the test's name: the same in any order, on any worker."""
    return random.Random(f"{SEED}:{request.node.nodeid}")
