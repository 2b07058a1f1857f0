"""Topics on the broker: made as the contract says, their settings kept as it says, everything else left to their operator."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.errors import StaleMetadata, TopicAlreadyExistsError
from aiokafka.protocol.admin import CreateTopicsRequest

from bus.errors import BusError
from bus.kafka.cluster import ASK_S_MAX, Cluster
from bus.kafka.limits import FRAME_BYTES, SETTING
from bus.kafka.protocol import AlterTopicConfigs, check
from bus.log import DAY_MS, RECORD_BYTES_MAX, TopicSpec

REPLICATION_DEFAULT = -1  # the broker's `default.replication.factor`
RETENTION = "retention.ms"
SEGMENT = "segment.ms"
FOR_EVER = -1
SEGMENTS_OF_RETENTION = 10  # a record is gone at most a tenth of the retention after its time
SEGMENT_MS_MAX = 7 * DAY_MS


def settings(spec: TopicSpec) -> dict[str, str]:
    """The settings of a topic on the broker."""
    retention_ms = FOR_EVER if spec.retention_ms is None else spec.retention_ms
    segment_ms = SEGMENT_MS_MAX if spec.retention_ms is None else max(1, spec.retention_ms // SEGMENTS_OF_RETENTION)
    return {
        "message.timestamp.type": "LogAppendTime",
        RETENTION: str(retention_ms),
        SEGMENT: str(min(segment_ms, SEGMENT_MS_MAX)),
        SETTING: str(spec.max_bytes + FRAME_BYTES),
        "cleanup.policy": "delete",
    }


async def topics(cluster: Cluster) -> list[TopicSpec]:
    """See `Bus.topics`."""

    async def ask() -> list[TopicSpec]:
        await cluster.refresh()
        names = cluster.topic_names()
        configs = await cluster.topic_configs(names)
        counts = {name: await cluster.partitions(name) for name in names}
        return [_spec(name, count, configs.get(name, {})) for name in names if (count := counts[name]) is not None]

    return await cluster.patiently("looking at the topics", ask)


def _spec(name: str, partitions: int, values: Mapping[str, str]) -> TopicSpec:
    retention_ms = int(values.get(RETENTION, 7 * DAY_MS))
    max_bytes = int(values.get(SETTING, RECORD_BYTES_MAX + FRAME_BYTES)) - FRAME_BYTES
    return TopicSpec(name, partitions, None if retention_ms == FOR_EVER else retention_ms, max(1, max_bytes))


async def declare(cluster: Cluster, specs: Sequence[TopicSpec]) -> None:
    """See `Bus.declare`: looked at first, so that nothing is made when one of them cannot be."""
    await cluster.patiently("looking at the topics", cluster.refresh)
    counts = {spec.name: await _count(cluster, spec) for spec in specs}
    for spec in specs:
        _check(spec, counts[spec.name])
    if missing := [spec for spec in specs if counts[spec.name] is None]:
        await cluster.patiently("making topics", lambda: _create(cluster, missing))
        await cluster.patiently("waiting for new topics", lambda: _led(cluster, missing))
    if there := [spec for spec in specs if counts[spec.name] is not None]:
        await cluster.patiently("renewing the settings of topics", lambda: _renew(cluster, there))
        await cluster.patiently("waiting for the settings of topics", lambda: _renewed(cluster, there))


async def _count(cluster: Cluster, spec: TopicSpec) -> int | None:
    return await cluster.partitions(spec.name) if spec.name in cluster.topic_names() else None


def _check(spec: TopicSpec, count: int | None) -> None:
    if spec.partitions < 1 or spec.max_bytes < 1:
        raise BusError(f"topic {spec.name!r}: partitions and max_bytes must be at least 1")
    if count is not None and count != spec.partitions:
        raise BusError(f"topic {spec.name!r} has {count} partitions, not {spec.partitions}: the number is fixed for life, as keys go by it")


async def _create(cluster: Cluster, specs: Sequence[TopicSpec]) -> None:
    wanted: list[tuple[Any, ...]] = [
        (cluster.address.outside(spec.name), spec.partitions, REPLICATION_DEFAULT, [], list(settings(spec).items())) for spec in specs
    ]
    answer = await cluster.ask(CreateTopicsRequest(wanted, int(ASK_S_MAX * 1000), False), cluster.client.cluster.controller.nodeId)
    for _, code, *message in answer.topic_errors:
        if code != TopicAlreadyExistsError.errno:  # somebody else was quicker, or this is the second try
            check(code, *message)


async def _led(cluster: Cluster, specs: Sequence[TopicSpec]) -> None:
    """Return when every partition has a leader: the first append and read find it."""
    await cluster.refresh()
    for spec in specs:
        for partition in range(spec.partitions):
            cluster.leader(spec.name, partition)


async def _wrong(cluster: Cluster, specs: Sequence[TopicSpec]) -> dict[str, dict[str, str]]:
    """What is to be changed of topics whose settings we may read, by their names on the broker."""
    found = await cluster.topic_configs(spec.name for spec in specs)
    return {
        cluster.address.outside(spec.name): wrong
        for spec in specs
        if spec.name in found and (wrong := {name: value for name, value in settings(spec).items() if found[spec.name].get(name) != value})
    }


async def _renew(cluster: Cluster, specs: Sequence[TopicSpec]) -> None:
    if changes := await _wrong(cluster, specs):
        answer = await cluster.ask(AlterTopicConfigs(changes))
        for code, message, *_ in answer.responses:
            check(code, message)


async def _renewed(cluster: Cluster, specs: Sequence[TopicSpec]) -> None:
    """Return when the broker goes by it: the controller answers before."""
    if wrong := await _wrong(cluster, specs):
        raise StaleMetadata(f"not yet: {wrong}")
