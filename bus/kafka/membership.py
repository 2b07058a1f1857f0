"""Being a member of a group on Kafka: aiokafka's consumer with our time-outs, and what its coordinator's errors mean.

It runs in the App's own loop, not in a thread as Faust's driver does: measured in ADR 8.
"""

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from bus.errors import BusAway, BusError
from bus.kafka.cluster import Cluster, client_id, within
from bus.kafka.follow import FETCH_WAIT_MS
from bus.kafka.groups import epoch_note
from bus.kafka.pacing import paced
from bus.kafka.protocol import reason
from bus.record import Fence
from config import faults

SESSION_MS_MIN = 2_000  # a member that was silent for so long is out, if the broker lets it be so short
SESSION_MS_DEFAULT = 6_000  # `group.min.session.timeout.ms` where nobody has set it, or we may not read it
SESSION_SETTING = "group.min.session.timeout.ms"
HEARTBEATS_A_SESSION = 4
REBALANCE_S_MAX = 15.0  # a member that does not give its partitions up by then is out
REQUEST_S_MAX = 20.0  # longer than a rebalance: joining waits at the broker
START_S_MAX = 10.0
COMMIT_S_MAX = 3.0  # also what a revocation and a stop wait for it
LEAVE_S_MAX = 2.0
FETCH_PARTITION_BYTES = 1024 * 1024  # of one partition in one answer; a larger batch comes whole
METADATA_MS_MAX = 30_000  # so long a topic that somebody has given more partitions is not noticed
POLL_MS_MAX = 2**31 - 1  # a loop that waits for its store is no dead member: the heartbeat says that it lives

FATAL = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)

log = logging.getLogger("lendbus.bus")


async def session_ms(cluster: Cluster) -> int:
    """The shortest session that the broker allows, as far as it tells, but not shorter than ours."""
    try:
        allowed = int((await cluster.broker_configs()).get(SESSION_SETTING, SESSION_MS_DEFAULT))
    except KafkaError as exc:
        log.info("the broker's shortest session is not known (%s): taking its default of %d ms", reason(exc), SESSION_MS_DEFAULT)
        allowed = SESSION_MS_DEFAULT
    return max(allowed, SESSION_MS_MIN)


async def connected(cluster: Cluster, group: str) -> AIOKafkaConsumer:
    """A consumer that has not subscribed yet. Raises BusAway when no broker answers."""
    session = await session_ms(cluster)
    consumer = AIOKafkaConsumer(
        client_id=client_id(),
        group_id=cluster.address.outside(group),
        partition_assignment_strategy=[RoundRobinPartitionAssignor],  # Faust's own choice for an App without tables
        enable_auto_commit=False,
        auto_offset_reset="none",  # never a silent one
        isolation_level="read_committed",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=FETCH_PARTITION_BYTES,
        session_timeout_ms=session,
        heartbeat_interval_ms=session // HEARTBEATS_A_SESSION,
        rebalance_timeout_ms=int(REBALANCE_S_MAX * 1000),
        request_timeout_ms=int(REQUEST_S_MAX * 1000),
        max_poll_interval_ms=POLL_MS_MAX,
        metadata_max_age_ms=METADATA_MS_MAX,
        **cluster.address.client_options(),
    )
    paced(consumer._client)
    try:
        async with asyncio.timeout(START_S_MAX):
            await consumer.start()
    except (KafkaError, TimeoutError, OSError) as exc:
        await end(consumer)
        raise BusAway(f"group {group!r}: no broker of {cluster.address} answers ({exc or type(exc).__name__})") from exc
    return consumer


async def end(consumer: AIOKafkaConsumer) -> None:
    """Leave the group and close; a broker that does not answer, or a rebalance under way, is not waited for long."""
    stopping = asyncio.ensure_future(consumer.stop())
    done, _ = await asyncio.wait([stopping], timeout=LEAVE_S_MAX)
    if not done:
        await within(LEAVE_S_MAX, consumer._client.close(), "closing a consumer's connections")  # whatever it waits for fails
        done, _ = await asyncio.wait([stopping], timeout=LEAVE_S_MAX)
        for task in _tasks_of(consumer) if not done else ():
            task.cancel()
        stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)


def _tasks_of(consumer: AIOKafkaConsumer) -> list["asyncio.Task[None]"]:
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    return [task for task in (coordinator and coordinator._coordination_task, fetcher and fetcher._fetch_task) if task]


async def write_offsets(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int], fence: Fence, store: str) -> None:
    """Commit these offsets exactly, the generation and the store beside them. Raises BusAway: later, BusError: never.

    Only as the member that they were assigned to. Who was put out of the group while it was frozen has no generation (-1) until
    it has joined again, and a broker takes a commit of nobody's for a group that is empty just then: the old over the newer.
    """
    if consumer._coordinator.generation != fence.epoch:
        raise BusAway(f"group {fence.group!r}: generation {fence.epoch} is over, its offsets are committed by who comes next")
    wanted = {tp: OffsetAndMetadata(at, epoch_note(fence.epoch, store)) for tp, at in offsets.items()}
    try:
        async with asyncio.timeout(COMMIT_S_MAX):
            with faults.around("bus.offsets"):
                await consumer._coordinator._do_commit_offsets(None, wanted)  # `commit` tries on for ever, past a rebalance too
    except FATAL as exc:
        raise BusError(f"group {fence.group!r} cannot commit: {reason(exc)}; {_remedy(exc)}") from exc
    except (KafkaError, TimeoutError) as exc:
        raise BusAway(f"group {fence.group!r}: offsets are committed later ({reason(exc)})") from exc


def trouble(consumer: AIOKafkaConsumer, group: str) -> BusError | None:
    """What the coordinator has to say, if it ends the App; nobody asks it in Faust, and it waits until somebody does (FAUST 1).

    What passes makes it rejoin by itself. BusAway: an App of its own may have more luck.
    """
    if consumer._coordinator is None:
        return None
    try:
        consumer._coordinator.check_errors()
    except FATAL as exc:
        return BusError(f"group {group!r} cannot work: {reason(exc)}; {_remedy(exc)}")
    except KafkaError as exc:
        if exc.retriable:
            log.warning("group %s: %s; joining again", group, reason(exc))
            return None
        return BusAway(f"group {group!r}: the coordination has failed ({reason(exc)})")
    return None


def look_for(consumer: AIOKafkaConsumer) -> None:
    """Ask after a topic that has gone, which takes the partitions from its members: made anew, it would be heard of minutes later."""
    if any(consumer._client.cluster.partitions_for_topic(topic) is None for topic in consumer.subscription()):
        consumer._client.force_metadata_update()


def _remedy(exc: KafkaError) -> str:
    if isinstance(exc, InvalidSessionTimeoutError):
        return f"see the broker's {SESSION_SETTING} and group.max.session.timeout.ms"
    if isinstance(exc, GroupAuthorizationFailedError | TopicAuthorizationFailedError | ClusterAuthorizationFailedError):
        return "give this user the right to read it"
    return "see the broker's log"
