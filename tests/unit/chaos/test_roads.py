"""On the way some webhooks are lost and some messages come twice: as the seed has it, and none of them three times."""

from collections import Counter
from typing import Any, cast

from bus.log import Bus
from bus.record import Outgoing, Record
from tools.chaos.plan import DOUBLED_SHARE, LOST_SHARE
from tools.chaos.roads import Doubler, fates


class Log:
    """Notes what is appended."""

    def __init__(self) -> None:
        self.said: list[Outgoing] = []

    async def append(self, records: list[Outgoing], **_: Any) -> list[tuple[int, int]]:
        self.said += records
        return [(0, len(self.said))]


def record(number: int, offset: int | None = None) -> Record:
    return Record("trading.commands", 3, number if offset is None else offset, 5, 6, b"loan", str(number).encode(), [("message_id", b"m")])


def test_webhooks_have_the_fates_of_their_seed() -> None:
    one, two, other = fates("1"), fates("1"), fates("2")
    first = [one(b"") for _ in range(2_000)]
    assert first == [two(b"") for _ in range(2_000)]
    assert first != [other(b"") for _ in range(2_000)]
    counted = Counter(first)
    assert abs(counted["lose"] / 2_000 - LOST_SHARE) < 0.03
    assert abs(counted["double"] / 2_000 - DOUBLED_SHARE) < 0.03


async def test_a_message_is_said_again_as_it_was_in_its_partition() -> None:
    doubler = Doubler(cast(Bus, log := Log()), "1", 1.0)
    await doubler.see(record(1))
    assert log.said == [Outgoing("trading.commands", b"loan", b"1", [("message_id", b"m")], 5, 3)]


async def test_what_was_said_twice_is_not_said_a_third_time() -> None:
    doubler = Doubler(cast(Bus, log := Log()), "1", 1.0)
    await doubler.see(record(1))
    await doubler.see(record(1, offset=9))
    assert len(log.said) == doubler.doubled == 1


async def test_only_a_share_is_doubled() -> None:
    doubler = Doubler(cast(Bus, log := Log()), "1", 0.1)
    for number in range(1_000):
        await doubler.see(record(number))
    assert 50 < len(log.said) < 160
