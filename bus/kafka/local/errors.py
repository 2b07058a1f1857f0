"""Why there is no local Kafka.

BusError
└── LocalKafkaError
    ├── Unfit           the machine lacks something, or what was asked for cannot be had: the sentence says what to give
    └── BrokerFailed    everything was there, and the broker did not start, answer or end as it should
"""

from bus.errors import BusError


class LocalKafkaError(BusError):
    """The root of what the launcher raises."""


class Unfit(LocalKafkaError):
    """The machine lacks something, or what was asked for cannot be had."""


class BrokerFailed(LocalKafkaError):
    """The broker did not start, answer or end as it should."""
