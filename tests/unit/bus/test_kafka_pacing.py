"""aiokafka's tries while a broker is away are few, and its words fewer."""

import asyncio
import logging
import time

import pytest
from aiokafka.cluster import ClusterMetadata

from bus.kafka import pacing
from bus.kafka.pacing import Seldom, calm, paced


class Client:
    """Counts its updates, which all fail until somebody says otherwise."""

    def __init__(self) -> None:
        self.updates = 0
        self.answers = False

    async def _metadata_update(self, cluster: object, topics: object) -> bool:
        self.updates += 1
        return self.answers


async def test_an_update_that_failed_is_followed_by_a_pause_and_one_that_succeeded_by_none(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    client = Client()
    paced(client)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert not await client._metadata_update(None, None)
    assert slept == [pacing.UPDATE_AGAIN_S]
    client.answers = True
    assert await client._metadata_update(None, None)
    assert slept == [pacing.UPDATE_AGAIN_S] and client.updates == 2


async def test_an_update_that_does_not_know_a_wanted_topic_is_followed_by_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    client, cluster = Client(), ClusterMetadata()
    client.answers = True
    paced(client)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert await client._metadata_update(cluster, {"gone"})
    assert slept == [pacing.UPDATE_AGAIN_S]


def line(words: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("aiokafka.conn", logging.ERROR, "", 0, words, values, None)


def test_the_same_words_are_written_once_until_their_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    seldom = Seldom()
    assert seldom.filter(line("no answer of node %s", 1))
    assert not seldom.filter(line("no answer of node %s", 2))
    assert seldom.filter(line("joined"))
    now_s += pacing.SAME_WORDS_S
    assert seldom.filter(line("no answer of node %s", 1))


def test_calming_twice_filters_once() -> None:
    calm()
    calm()
    for name in pacing.TALKATIVE:
        assert sum(isinstance(each, Seldom) for each in logging.getLogger(name).filters) == 1
