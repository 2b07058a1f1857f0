"""Outbox rows that an operator's tool has written beside the loop: sent once, and not kept in mind after they have left."""

import pytest

from agents.runtime import outbox
from agents.runtime.decision import Send
from agents.runtime.envelope import Origin, encode
from agents.runtime.outbox import Pending
from stores.engine import Tx
from stores.runtime import outbox as outbox_rows
from stores.runtime import stray
from tests.integration.stores.world import NOW_MS, Said, World, ids


def written(tx: Tx, partition: int, words: list[str]) -> list[Pending]:
    said = [Send(word, Said(id=word, what="told")) for word in words]
    origin = Origin(ids(1)[0], "a", "operator-1")
    records = [encode(s.message, key=s.key, message_id=i, origin=origin, now_ms=NOW_MS) for s, i in zip(said, ids(len(said)), strict=True)]
    return outbox.insert_stray(tx, partition, list(zip(words, records, strict=True)))


async def test_the_scanner_finds_a_stray_once(world: World) -> None:
    await world.store.transaction("operator.commit", written, 0, ["a", "b"])
    found = [await world.store.transaction("timers.commit", outbox.take_strays, 0) for _ in range(2)]
    assert [[row.actor for row in rows] for rows in found] == [["a", "b"], []]
    assert await world.rows(stray) == [] and len(await world.rows(outbox_rows)) == 2, "they leave by the relay"


async def test_the_scanner_leaves_the_strays_of_another_partition_to_its_owner(world: World) -> None:
    await world.store.transaction("operator.commit", written, 1, ["a"])
    assert await world.store.transaction("timers.commit", outbox.take_strays, 0) == []
    assert len(await world.store.transaction("timers.commit", outbox.take_strays, 1)) == 1


async def test_a_stray_that_a_take_over_sends_is_a_stray_no_more(world: World) -> None:
    await world.store.transaction("operator.commit", written, 0, ["a", "b"])
    sent = await world.store.transaction("takeover.resend", outbox.left_behind, 0, after=0, limit=10)
    assert [row.actor for row in sent] == ["a", "b"]
    assert await world.store.transaction("timers.commit", outbox.take_strays, 0) == [], "it would leave a second time"
    await world.store.transaction("relay.commit", outbox.forget, [row.id for row in sent])
    assert await world.rows(stray) == [] and await world.rows(outbox_rows) == []


@pytest.mark.parametrize("limit", [1, 2], ids=["one at a time", "two at a time"])
async def test_only_the_strays_that_a_take_over_has_read_are_taken(world: World, limit: int) -> None:
    await world.store.transaction("operator.commit", written, 0, ["a", "b", "c"])
    sent = await world.store.transaction("takeover.resend", outbox.left_behind, 0, after=0, limit=limit)
    left = await world.store.transaction("timers.commit", outbox.take_strays, 0)
    assert [row.actor for row in (*sent, *left)] == ["a", "b", "c"]
