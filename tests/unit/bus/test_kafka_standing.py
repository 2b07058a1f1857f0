"""A member that neither works nor fails is found out; one that only rejoins is left alone."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bus.errors import BusAway
from bus.kafka.standing import UNSETTLED_S_MAX, Standing


class Client:
    """aiokafka's parts as `Standing` sees them, each of which a test may put out of order."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.heart, self.coordination, self.sync = loop.create_future(), loop.create_future(), loop.create_future()
        self.rejoin = False
        self.subscribed = True
        self.coordinator = SimpleNamespace(
            coordinator_id=1,
            check_errors=lambda: None,
            need_rejoin=lambda _: self.rejoin,
            _heartbeat_task=self.heart,
            _coordination_task=self.coordination,
        )
        self.now_s = 100.0

    def standing(self) -> Standing:
        """What watches it."""
        cluster = SimpleNamespace(partitions_for_topic=lambda _: {0})
        consumer = SimpleNamespace(
            _coordinator=self.coordinator,
            _client=SimpleNamespace(_sync_task=self.sync, cluster=cluster),
            _subscription=SimpleNamespace(subscription="t" if self.subscribed else None),
            subscription=lambda: {"t"},
        )
        return Standing(cast(Any, consumer), "users", lambda: self.now_s)


def _looks_for_its_coordinator(client: Client) -> None:
    client.coordinator.coordinator_id = None


def _has_to_join_again(client: Client) -> None:
    client.rejoin = True


def _has_no_heartbeat(client: Client) -> None:
    client.coordinator._heartbeat_task = None


def _has_a_dead_heartbeat(client: Client) -> None:
    client.heart.set_result(None)


UNSETTLED = pytest.mark.parametrize(
    "hurt", [_looks_for_its_coordinator, _has_to_join_again, _has_no_heartbeat, _has_a_dead_heartbeat], ids=lambda f: f.__name__.strip("_")
)


@UNSETTLED
async def test_a_member_that_cannot_settle_is_given_time_and_then_up(hurt: Any) -> None:
    client = Client()
    standing = client.standing()
    hurt(client)
    client.now_s += UNSETTLED_S_MAX
    assert standing.trouble() is None
    client.now_s += 0.1
    found = standing.trouble()
    assert isinstance(found, BusAway) and "users" in str(found)


async def test_every_moment_in_order_gives_it_the_whole_time_again() -> None:
    client = Client()
    standing = client.standing()
    for _ in range(5):
        client.rejoin = True
        client.now_s += UNSETTLED_S_MAX - 1
        assert standing.trouble() is None
        client.rejoin = False
        assert standing.trouble() is None


async def test_who_has_not_subscribed_yet_may_wait_for_ever() -> None:
    client = Client()
    client.subscribed = False
    standing = client.standing()
    client.rejoin = True
    client.now_s += 10 * UNSETTLED_S_MAX
    assert standing.trouble() is None


@pytest.mark.parametrize("task", ["sync", "coordination"])
async def test_a_task_of_the_client_that_has_ended_is_told_at_once(task: str) -> None:
    client = Client()
    standing = client.standing()
    getattr(client, task).set_result(None)
    found = standing.trouble()
    assert isinstance(found, BusAway) and "has ended" in str(found)
