"""What a worker counts, in Prometheus's terms."""

from prometheus_client import Counter, Gauge, Histogram

HANDLED = Counter("lendbus_messages_handled", "Messages that took effect", ["service"])
REPEATED = Counter("lendbus_messages_repeated", "Messages that the inbox knew already", ["service"])
DEAD = Counter("lendbus_dead_letters", "Records put aside, by reason", ["service", "reason"])
SUSPENDED = Counter("lendbus_actors_suspended", "Actors that were suspended", ["service"])
STUCK = Counter("lendbus_actors_stuck", "Suspended actors whose budget was spent", ["service"])
STORE_AWAY = Counter("lendbus_store_away", "Transactions that found their store away", ["service"])
BATCH_SECONDS = Histogram(
    "lendbus_batch_seconds",
    "From a run of records to its COMMIT",
    ["service"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10),
)
OUTBOX_WAITING = Gauge("lendbus_outbox_waiting", "Rows that wait to leave, in memory", ["service", "partition"])
OUTBOX_OLDEST = Gauge("lendbus_outbox_oldest_seconds", "Age of the oldest row that waits to leave", ["service", "partition"])
OWNED = Gauge("lendbus_partitions_owned", "Partitions that this process owns", ["service"])


def forget_partition(service: str, partition: int) -> None:
    """It is somebody else's: its gauges say nothing here any more."""
    for gauge in (OUTBOX_WAITING, OUTBOX_OLDEST):
        gauge.remove(service, str(partition))
