"""The ACLs that follow from the contract on a broker that checks them: enough for everybody's work, and not more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest
from aiokafka.structs import TopicPartition

from bus.connect import connect
from bus.errors import BusAway, BusError
from bus.kafka.address import Address, parse
from bus.kafka.local.launch import free_port
from bus.log import Bus
from bus.record import Outgoing
from config.settings import load
from tests.kafka_server import Broker
from tools import assemble
from tools.acl import Grant, grants, outside
from tools.reading import services
from tools.services import SERVICES
from tools.topics import _declared
from topics import TOPICS

PASSWORD = "not-a-secret"
NAMESPACE = "bank"
NAMES = (*SERVICES, "gateway", "operator")
RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10, "AlterConfigs": 11}
LITERAL, ALLOW = 3, 3
NOW_MS = 1_795_568_361_844
STARTED_S = 300  # a broker on a busy machine


class Guarded:
    """A broker that lets nobody do what no ACL allows; whoever comes without a login is its administrator."""

    def __init__(self, broker: Broker) -> None:
        self.broker, self.port = broker, free_port()
        users = " ".join(f'user_lendbus-{name}="{PASSWORD}"' for name in NAMES)
        listeners = f"PLAINTEXT://{broker.address},SASL_PLAINTEXT://127.0.0.1:{self.port}"
        broker.also = {
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{(controller := free_port())}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    def url(self, name: str) -> str:
        """The bus as this principal opens it."""
        return f"kafka://lendbus-{name}:{quote(PASSWORD)}@127.0.0.1:{self.port}/{NAMESPACE}?security=sasl_plaintext&mechanism=PLAIN"

    def address(self, name: str) -> Address:
        """Its parts."""
        return parse(self.url(name))

    @asynccontextmanager
    async def bus(self, name: str) -> AsyncIterator[Bus]:
        """The bus, opened by this principal."""
        opened = connect(self.url(name))
        await opened.open()
        try:
            yield opened
        finally:
            await opened.close()

    async def give(self, found: list[Grant]) -> None:
        """What `lendbus topics acl --commands` says, done."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.address)
        await admin.start()
        try:
            for grant in found:
                for operation in grant.operations:
                    request = CreateAclsRequest(
                        RESOURCES[grant.resource], grant.name, LITERAL, grant.principal, "*", OPERATIONS[operation], ALLOW
                    )
                    answer = await admin._send_to_controller(request)
                    assert [code for code, *_ in answer.creation_responses] == [0], grant
        finally:
            await admin.close()


def a_record(topic: str) -> Outgoing:
    """A record for partition 0."""
    return Outgoing(topic, b"k", b"v", (), NOW_MS, 0)


async def has_no_right(guarded: Guarded, name: str, topic: str) -> bool:
    """Whether the principal may not append to a topic; nothing is said of the record, which waits for the right."""
    async with guarded.bus(name) as bus:
        try:
            await bus.append([a_record(topic)])
        except BusAway as exc:
            if any(refusal.__name__ in str(exc) for refusal in (ClusterAuthorizationFailedError, TopicAuthorizationFailedError)):
                return True
            raise
        return False


async def consume(guarded: Guarded, name: str, group: str, topic: str) -> None:
    """Join a group as this principal, and commit an offset."""
    address = guarded.address(name)
    consumer = AIOKafkaConsumer(
        address.outside(topic), group_id=address.outside(group), enable_auto_commit=False, **address.client_options()
    )
    try:
        await consumer.start()
        async with asyncio.timeout(30):
            while not consumer.assignment():  # noqa: ASYNC110  (aiokafka has no event for it)
                await asyncio.sleep(0.05)
        await consumer.commit({TopicPartition(address.outside(topic), 0): 0})
    finally:
        await consumer.stop()


@pytest.mark.campaign
@pytest.mark.timeout(STARTED_S)
async def test_everybody_may_do_their_work_and_nothing_else(kafka_broker: Broker, tmp_path: Path) -> None:
    guarded = Guarded(kafka_broker)
    await kafka_broker.start()
    found = grants(TOPICS, services())
    await guarded.give(outside(found, guarded.address("operator").outside, "User:lendbus-{}".format))
    settings = load(data=tmp_path, bus=guarded.url("operator"))

    assert {row["done"] for row in await _declared(settings)} == {"made"}  # the operator makes the topics
    for service in (*SERVICES, "gateway"):
        async with guarded.bus(service) as bus:
            await bus.declare(assemble.specs(settings))  # as a worker does at its start: nothing is left to make

    for topic in TOPICS:
        for name in NAMES:
            assert await has_no_right(guarded, name, topic.name) == (name not in topic.producers), (name, topic.name)
        for reader in topic.consumers:
            async with guarded.bus(reader) as bus:
                assert len(await bus.read(topic.name, 0, 0)) == len(topic.producers)

    await consume(guarded, "users", "users", "users.commands")
    with pytest.raises(GroupAuthorizationFailedError):
        await consume(guarded, "gateway", "users", "gateway.replies")
    async with guarded.bus("gateway") as bus:
        with pytest.raises(BusError):
            await bus.read("accounts.commands", 0, 0)
    async with guarded.bus("operator") as bus:
        assert [row.group for row in await bus.groups()] == ["users"]
        assert await bus.offsets("users") == {("users.commands", 0): 0}
        assert len(await bus.read("users.events", 0, 0)) == 1
