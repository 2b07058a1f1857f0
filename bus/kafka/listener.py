"""What aiokafka tells at a rebalance, passed on to the consumer of the App."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.structs import TopicPartition

if TYPE_CHECKING:
    from bus.kafka.consumer import Consumer


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """What aiokafka calls at a rebalance."""

    def __init__(self, consumer: "Consumer") -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Everything that was assigned is taken back; what of it is ours again is said by the next assignment."""
        await self._consumer.give_up()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """A new generation."""
        await self._consumer.receive(assigned)
