"""Whether a member of a group stands as it should, or has been trying to for too long: then its App is built anew.

aiokafka joins again by itself whatever passes, in tasks that nobody looks at: one that has ended, or waits for what never comes,
would leave a worker alive and deaf. Seen once after a broker was killed: its partitions' owner looked for the coordinator, for ever.
"""

import time
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer

from bus.errors import BusAway, BusError
from bus.kafka import membership

UNSETTLED_S_MAX = 45.0  # longer than a rebalance with a member that does not give up, and a request that nobody answers


class Standing:
    """What `_watch` asks of one consumer."""

    def __init__(self, consumer: AIOKafkaConsumer, group: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._consumer = consumer
        self._group = group
        self._clock = clock
        self._settled_s = clock()

    def trouble(self) -> BusError | None:
        """Why the App has to end, if it has to; BusAway: another one may have more luck."""
        if (said := membership.trouble(self._consumer, self._group)) is not None:
            return said
        membership.look_for(self._consumer)
        if (ended := self._ended()) is not None:
            return BusAway(f"group {self._group!r}: {ended} of its client has ended")
        now_s = self._clock()
        if self._is_settled():
            self._settled_s = now_s
        elif now_s - self._settled_s > UNSETTLED_S_MAX:
            return BusAway(f"group {self._group!r} has not been joined for {UNSETTLED_S_MAX:g} s; trying with a new client")
        return None

    def _ended(self) -> str | None:
        client, coordinator = self._consumer._client, self._consumer._coordinator
        tasks = {"the metadata's reader": client._sync_task, "the coordination": getattr(coordinator, "_coordination_task", None)}
        return next((name for name, task in tasks.items() if task is not None and task.done()), None)

    def _is_settled(self) -> bool:
        """Nothing was asked of it yet, or it knows its coordinator, tells it that it lives, and need not join again."""
        coordinator, subscription = self._consumer._coordinator, self._consumer._subscription.subscription
        if subscription is None or coordinator is None:
            return True
        heart = coordinator._heartbeat_task
        alive = heart is not None and not heart.done()
        return alive and coordinator.coordinator_id is not None and not coordinator.need_rejoin(subscription)
