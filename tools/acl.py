"""Who may do what on the broker, as it follows from the contract: each service its own topics and its own group; of the other
topics it sees that they are there, since it looks at its start.

A producer needs no IdempotentWrite on the cluster: since Kafka 2.8 Write on any topic is enough. It reads a topic's settings
for the longest record. The operator makes and describes topics and sees how far everybody is; it may not append.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from topics import Topic

OPERATOR: Final = "operator"
TOPIC, GROUP, CLUSTER = "topic", "group", "cluster"
CLUSTER_NAME: Final = "kafka-cluster"
READS: Final = ("Read", "Describe")
WRITES: Final = ("Write", "Describe", "DescribeConfigs")
OPERATES: Final = ("Read", "Describe", "DescribeConfigs", "Create", "AlterConfigs")
SEES: Final = ("Describe",)


class Grant(NamedTuple):
    """One principal may do these operations on one resource."""

    principal: str
    resource: str
    name: str
    operations: tuple[str, ...]
    why: str


def grants(topics: Sequence[Topic], groups: Iterable[str]) -> list[Grant]:
    """Every grant, by principal: services are principals, and those in `groups` consume under a group of their own name."""
    grouped = sorted(groups)
    services = sorted({name for topic in topics for name in (*topic.producers, *topic.consumers)})
    found = [grant for service in services for grant in _of_service(service, topics, grouped)]
    found += [Grant(OPERATOR, TOPIC, topic.name, OPERATES, "declares, describes, tails") for topic in topics]
    found += [Grant(OPERATOR, GROUP, group, SEES, "groups, lag") for group in grouped]
    return [*found, Grant(OPERATOR, CLUSTER, CLUSTER_NAME, SEES, "lists the groups")]


def _of_service(service: str, topics: Sequence[Topic], groups: Sequence[str]) -> Iterator[Grant]:
    for topic in topics:
        reads, writes = service in topic.consumers, service in topic.producers
        operations = dict.fromkeys([*(READS if reads else SEES), *(WRITES if writes else ())])
        why = " and ".join(["consumes"] * reads + ["produces"] * writes) or "looks at its start whether it is there"
        yield Grant(service, TOPIC, topic.name, tuple(operations), why)
    if service in groups:
        yield Grant(service, GROUP, service, ("Read", "Describe"), "consumes as this group")


def outside(found: Iterable[Grant], name: Callable[[str], str], principal: Callable[[str], str]) -> list[Grant]:
    """The grants under the names that the broker knows."""
    return [
        grant._replace(principal=principal(grant.principal), name=grant.name if grant.resource == CLUSTER else name(grant.name))
        for grant in found
    ]


def command(grant: Grant, servers: str) -> str:
    """The line that gives it, as an administrator types it; safe to be pasted into a shell."""
    words = ["kafka-acls.sh", "--bootstrap-server", servers, "--add", "--allow-principal", grant.principal]
    words += [word for operation in grant.operations for word in ("--operation", operation)]
    words += ["--cluster"] if grant.resource == CLUSTER else [f"--{grant.resource}", grant.name]
    return shlex.join(words)


def row(grant: Grant) -> dict[str, Any]:
    """As JSON and tables show it."""
    return {**grant._asdict(), "operations": list(grant.operations), "pattern": "literal"}
