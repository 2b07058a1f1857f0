"""One Kafka cluster in one event loop: the client that asks, what is known of topics, the sender; shared by all `KafkaBus` of the loop.

Every request has an end (`REQUEST_S`), every repetition too (`ASK_S_MAX`); what does not end well in that time is BusAway.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaConnectionError, KafkaError, LeaderNotAvailableError
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import TopicPartition

from bus.errors import BusAway, BusError
from bus.kafka.address import Address
from bus.kafka.pacing import calm, paced
from bus.kafka.protocol import BROKER_RESOURCE, TOPIC_RESOURCE, check, translated

REQUEST_S = 10.0  # one request, and one connection
ASK_S_MAX = 10.0  # a question with its repetitions: a leader moves, a topic is new
AGAIN_S = 0.05

T = TypeVar("T")

log = logging.getLogger("lendbus.bus")


def _said_by_us(_: logging.LogRecord) -> bool:
    """aiokafka's client says each try to connect aloud; what came of them all is BusAway, which whoever waits says once."""
    return False


def client_id() -> str:
    """Who we are to the broker; `lendbus lag` and the like read process and machine from it."""
    return f"lendbus@{socket.gethostname()}/{os.getpid()}"


class Cluster:
    """The shared side. Use `Cluster.shared`, `open` and `close`."""

    _shared: ClassVar[dict[tuple[Address, asyncio.AbstractEventLoop], "Cluster"]] = {}

    def __init__(self, address: Address) -> None:
        self.address = address
        self._users = 0
        self._opening = asyncio.Lock()
        self._client: AIOKafkaClient | None = None
        self._closers: list[Callable[[], Awaitable[None]]] = []

    @classmethod
    def shared(cls, address: Address) -> "Cluster":
        """This loop's one object for the cluster and namespace."""
        return cls._shared.setdefault((address, asyncio.get_running_loop()), cls(address))

    @property
    def client(self) -> AIOKafkaClient:
        """The client. Raises BusError before `open` and after `close`."""
        if self._client is None:
            raise BusError(f"the bus {self.address} is not open")
        return self._client

    @property
    def key(self) -> str:
        """What fences of this bus are remembered under."""
        return str(self.address)

    async def open(self) -> None:
        """One more user. Raises BusAway when no broker answers."""
        async with self._opening:
            if self._users == 0:
                logging.getLogger("aiokafka").addFilter(_said_by_us)  # of the client alone: its consumer and producer have loggers below
                calm()
                try:
                    self._client = await self._connected()
                except BaseException:
                    self._forget()
                    raise
            self._users += 1

    async def close(self) -> None:
        """One user less; the last one closes what is open."""
        async with self._opening:
            self._users -= 1
            if self._users:
                return
            self._forget()
            for closer in reversed(self._closers):
                await closer()
            client, self._client = self._client, None
            if client is not None:
                await client.close()

    def at_close(self, closer: Callable[[], Awaitable[None]]) -> None:
        """Called before the client is closed, the last one first."""
        self._closers.append(closer)

    def _forget(self) -> None:
        self._shared.pop((self.address, asyncio.get_running_loop()), None)

    async def _connected(self) -> AIOKafkaClient:
        client = AIOKafkaClient(client_id=client_id(), request_timeout_ms=int(REQUEST_S * 1000), **self.address.client_options())
        paced(client)
        try:
            with translated(f"connecting to {self.address}"):
                async with asyncio.timeout(REQUEST_S):
                    await client.bootstrap()
        except BaseException:
            await client.close()
            raise
        return client

    # asking

    async def ask(self, request: Any, node: int | None = None, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """One request to this node, or to any; its answer. Raises Kafka's errors."""
        return await self.client.send(self.any_node() if node is None else node, request, group=group)

    def any_node(self) -> int:
        """Some broker. Raises Kafka's error when none is known."""
        node: int | None = self.client.get_random_node()
        if node is None:
            raise KafkaConnectionError("no broker is known")
        return node

    def nodes(self) -> list[int]:
        """Every broker."""
        return [broker.nodeId for broker in self.client.cluster.brokers()]

    async def patiently(self, what: str, question: Callable[[], Awaitable[T]]) -> T:
        """The answer, asked again after what passes until `ASK_S_MAX`. Raises BusAway or BusError."""
        with translated(what):
            async with asyncio.timeout(ASK_S_MAX):
                while True:
                    try:
                        return await question()
                    except KafkaError as exc:
                        if not exc.retriable:
                            raise
                        log.debug("%s: %r; again", what, exc)
                        await self.refresh() if exc.invalid_metadata else None
                        await asyncio.sleep(AGAIN_S)

    async def refresh(self) -> None:
        """Ask anew which topics there are and who leads them. Raises Kafka's error when nobody answers."""
        if not await self.client.force_metadata_update():
            raise KafkaConnectionError("no broker answers")

    # topics

    def topic_names(self) -> list[str]:
        """The topics of this namespace, by name, as last heard of; `refresh` first."""
        names = (self.address.inside(name) for name in self.client.cluster.topics())
        return sorted(name for name in names if name is not None)

    async def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has; None when there is no such topic. Raises BusAway."""
        if (count := self._known(topic)) is None:
            with translated(f"looking for topic {topic!r}"):
                async with asyncio.timeout(ASK_S_MAX):
                    await self.refresh()
            count = self._known(topic)
        return count

    def _known(self, topic: str) -> int | None:
        found = self.client.cluster.partitions_for_topic(self.address.outside(topic))
        return len(found) if found else None

    async def declared(self, topic: str) -> int:
        """How many partitions a topic has. Raises BusError when there is no such topic."""
        count = await self.partitions(topic)
        if count is None:
            raise BusError(f"unknown topic {topic!r}: declare it first")
        return count

    def leader(self, topic: str, partition: int) -> int:
        """Who leads a partition. Raises Kafka's error while there is nobody."""
        node: int | None = self.client.cluster.leader_for_partition(TopicPartition(self.address.outside(topic), partition))
        if node is None or node == -1:
            raise LeaderNotAvailableError(f"{topic}/{partition}")
        return node

    # settings

    async def topic_configs(self, topics: Iterable[str]) -> dict[str, dict[str, str]]:
        """The settings of topics, those left out that we may not read or that are gone. Raises Kafka's errors."""
        wanted = [self.address.outside(topic) for topic in topics]
        if not wanted:
            return {}
        answer = await self.ask(DescribeConfigsRequest([(TOPIC_RESOURCE, name, None) for name in wanted]))
        found = {}
        for code, message, _, name, entries in answer.resources:
            if code:
                log.debug("settings of topic %s: error %d %s", name, code, message)
            elif (inside := self.address.inside(name)) is not None:
                found[inside] = _values(entries)
        return found

    async def broker_configs(self) -> Mapping[str, str]:
        """The settings of some broker. Raises Kafka's errors."""
        node = self.any_node()
        answer = await self.ask(DescribeConfigsRequest([(BROKER_RESOURCE, str(node), None)]), node)
        [(code, message, _, _, entries)] = answer.resources
        check(code, message)
        return _values(entries)

    async def cluster_id(self) -> str:
        """The id that the cluster was given when it was made. Raises Kafka's errors."""
        answer = await self.ask(MetadataRequest([]))
        return str(answer.cluster_id)

    async def coordinator(self, group: str) -> int:
        """The broker that keeps a group. Raises Kafka's errors."""
        node: int = await self.client.coordinator_lookup(CoordinationType.GROUP, self.address.outside(group))
        if not await self.client.ready(node):
            raise KafkaConnectionError(f"the coordinator of {group} does not answer")
        return node


def _values(entries: Iterable[Any]) -> dict[str, str]:
    return {name: value for name, value, *_ in entries if value is not None}


async def within(seconds: float, work: Awaitable[object], what: str) -> None:
    """Wait for a closing step, but not for ever; what goes wrong in it is said, not raised."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except (TimeoutError, KafkaError, OSError, BusAway) as exc:
        log.warning("%s did not end well: %s", what, str(exc) or type(exc).__name__)
