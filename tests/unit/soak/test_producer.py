"""What the soak sends, as the log gets it: read back by the product's own decoder it is exactly what the producer says it sent."""

import collections
import uuid
from collections.abc import Sequence
from typing import Any, Final

import pytest

from agents.runtime.envelope import MESSAGE_ID, Delivery, Undecodable, decode
from bus.errors import BusAway
from bus.record import Fence, Outgoing, Record, unpack_headers
from config import retry
from tools.bench.load import VALUE_BYTES
from tools.bench.service import Count
from tools.soak import producer
from tools.soak.poison import HUGE_BYTES, POISONS
from tools.soak.producer import Producer

SEED: Final = 23


class Log:
    """A bus that keeps what is appended; the next `away` appends find it away."""

    def __init__(self, away: int = 0) -> None:
        self.rows: list[Outgoing] = []
        self.calls: list[int] = []
        self.away = away

    async def append(self, records: Sequence[Outgoing], *, fence: Fence | None = None) -> list[tuple[int, int]]:
        assert fence is None
        if self.away:
            self.away -= 1
            raise BusAway("planted")
        self.calls.append(len(records))
        self.rows += records
        return []

    def read(self) -> tuple[list[Delivery], list[str]]:
        """The messages in order, and the reasons of what is none."""
        messages, reasons = [], []
        for offset, row in enumerate(self.rows):
            try:
                messages.append(decode(Record(row.topic, 0, offset, 0, 0, row.key, row.value, row.headers), {Count.type: Count}))
            except Undecodable as refused:
                reasons.append(refused.reason)
        return messages, reasons


def a_producer(log: Any, seed: int = SEED, *, actors: int = 5) -> Producer:
    return Producer(log, seed, 400, actors=actors)


async def sent(count: int, *, calls: int = 1, seed: int = SEED) -> tuple[Producer, Log]:
    """A producer that has sent so much, in so many calls."""
    log = Log()
    made = a_producer(log, seed)
    for _ in range(calls):
        await made.send(count // calls)
    return made, log


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Duplicates, poison and odd headers at rates that a small log shows."""
    monkeypatch.setattr(producer, "DUPLICATES", 0.3)
    monkeypatch.setattr(producer, "POISONED", 0.3)
    monkeypatch.setattr(producer, "ODD", 0.3)
    monkeypatch.setattr(producer, "KEPT", 20)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("calls", [pytest.param(1, id="one call"), pytest.param(30, id="thirty calls")])
async def test_the_log_has_every_number_of_every_actor_once_and_in_order(calls: int) -> None:
    made, log = await sent(300, calls=calls)
    seen: set[str] = set()
    numbers: dict[str, list[int]] = collections.defaultdict(list)
    for delivery in log.read()[0]:
        assert isinstance(delivery.message, Count)
        if delivery.id not in seen:
            numbers[delivery.actor].append(delivery.message.seq)
        seen.add(delivery.id)
    assert dict(numbers) == {actor: list(range(count)) for actor, count in made.sent.items()}
    assert made.total == len(seen) == 300


@pytest.mark.usefixtures("often")
async def test_a_duplicate_keeps_its_id_and_its_content_to_the_byte() -> None:
    made, log = await sent(300)
    by_id: dict[str, list[Outgoing]] = collections.defaultdict(list)
    for delivery in log.read()[0]:
        by_id[delivery.id].append(log.rows[delivery.record.offset])
    assert sum(len(rows) - 1 for rows in by_id.values()) == made.duplicates > 0
    assert all(len(set(rows)) == 1 for rows in by_id.values())


@pytest.mark.usefixtures("often")
async def test_some_duplicates_follow_at_once_and_others_much_later() -> None:
    log = (await sent(300))[1]
    messages = log.read()[0]
    first_at: dict[str, int] = {}
    behind = [at - first_at.setdefault(each.id, at) for at, each in enumerate(messages)]
    assert 1 in behind
    assert max(behind) > 50


@pytest.mark.usefixtures("often")
async def test_what_the_producer_says_is_poison_is_refused_for_the_reason_that_it_says() -> None:
    made, log = await sent(300)
    assert collections.Counter(log.read()[1]) == made.poison
    assert made.poison.total() > 30
    assert len(made.poison) > 5, "many kinds"


@pytest.mark.usefixtures("often")
async def test_no_poison_uses_the_id_of_a_message() -> None:
    log = (await sent(300))[1]
    messages = log.read()[0]
    good = {delivery.id for delivery in messages}
    offsets = {delivery.record.offset for delivery in messages}
    for offset, row in enumerate(log.rows):
        if offset not in offsets:
            assert not {(value or b"").decode(errors="replace") for name, value in row.headers if name == MESSAGE_ID} & good


@pytest.mark.usefixtures("often")
async def test_headers_as_a_blob_are_the_headers_as_a_list() -> None:
    for row in (await sent(300))[1].rows:
        assert row.packed is None or unpack_headers(row.packed) == row.headers


async def test_every_good_message_has_the_length_that_is_reported() -> None:
    log = (await sent(200))[1]
    assert {len(delivery.record.value or b"") for delivery in log.read()[0]} == {VALUE_BYTES}


@pytest.mark.usefixtures("often")
async def test_a_seed_sends_the_same_to_the_same_actors_and_another_seed_does_not() -> None:
    def script(log: Log) -> list[tuple[bytes | None, bytes | None]]:
        return [(row.key, row.value) for row in log.rows]

    (one, first), (two, second), (_, third) = [await sent(200, seed=seed) for seed in (SEED, SEED, SEED + 1)]
    assert one.actors == two.actors
    assert script(first) == script(second)
    assert script(first) != script(third)


def test_actors_are_ids_as_people_have_them_and_all_different() -> None:
    actors = a_producer(Log(), actors=50).actors
    assert len(set(actors)) == 50
    assert all(str(uuid.UUID(actor)) == actor and uuid.UUID(actor).version == 4 for actor in actors)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is away is asked again at once."""
    monkeypatch.setattr(retry.Schedule, "delay_ms", lambda *_: 0)


@pytest.mark.usefixtures("often", "impatient")
async def test_a_bus_that_is_away_for_a_while_neither_loses_nor_doubles_a_message() -> None:
    log = Log(away=3)
    made = a_producer(log)
    await made.send(40)
    messages, reasons = log.read()
    assert len({delivery.id for delivery in messages}) == made.total == 40
    assert len(messages) - 40 == made.duplicates
    assert len(reasons) == made.poison.total()
    assert log.calls == [len(log.rows)], "one call, all or nothing"


@pytest.mark.usefixtures("often")
async def test_what_the_bus_refused_for_another_reason_is_not_counted_as_sent() -> None:
    class Broken(Log):
        async def append(self, records: Sequence[Outgoing], *, fence: Fence | None = None) -> list[tuple[int, int]]:
            raise ValueError("planted")

    made = a_producer(Broken())
    with pytest.raises(ValueError, match="planted"):
        await made.send(40)
    assert (made.total, made.duplicates, made.poison.total()) == (0, 0, 0)


async def test_nothing_to_send_makes_no_call() -> None:
    assert (await sent(0))[1].calls == []


async def test_a_run_of_no_length_sends_nothing() -> None:
    log = Log()
    await a_producer(log).run(0.0)
    assert log.rows == []


async def test_huge_ones_are_so_seldom_that_the_log_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "POISONED", 1.0)
    made, log = await sent(2_000)
    huge = sum(len(row.value or b"") >= HUGE_BYTES for row in log.rows)
    assert huge <= made.poison.total() / len(POISONS) / 5, "one of twenty of its draws, other draws stand in for it"
    assert set(made.poison) == {poison.reason for poison in POISONS} - ({"too_large"} if not huge else set())
