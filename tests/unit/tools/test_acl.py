"""Who may do what follows from the contract, and nothing more than that."""

import shlex

import pytest

from tools import cli
from tools.acl import CLUSTER, GROUP, OPERATOR, TOPIC, Grant, command, grants, outside
from topics import TOPICS, Topic

A_TOPIC = Topic("a.commands", "a", "id", 8, 1000, ("b", "gateway"), ("a",), "Commands to a.")
FACTS = Topic("a.events", "a", "id", 8, 1000, ("a",), ("gateway",), "Facts.")
FOUND = grants([A_TOPIC, FACTS], ["a"])


def may(principal: str, resource: str, name: str, found: list[Grant] = FOUND) -> set[str]:
    """The operations that a principal may do on a resource."""
    return {op for grant in found if grant[:3] == (principal, resource, name) for op in grant.operations}


def test_a_consumer_reads_its_topic_and_its_own_group_and_writes_neither() -> None:
    assert may("a", TOPIC, "a.commands") == {"Read", "Describe"}
    assert may("a", GROUP, "a") == {"Read", "Describe"}


def test_a_producer_writes_and_may_ask_how_long_a_record_may_be() -> None:
    assert may("b", TOPIC, "a.commands") == may("a", TOPIC, "a.events") == {"Write", "Describe", "DescribeConfigs"}


def test_who_consumes_without_a_group_has_none() -> None:
    assert may("gateway", TOPIC, "a.events") == {"Read", "Describe"}
    assert not [grant for grant in FOUND if grant.principal == "gateway" and grant.resource == GROUP]


def test_who_does_both_on_a_topic_has_one_grant_for_it() -> None:
    both = FACTS._replace(consumers=("a",))
    found = [grant for grant in grants([both], []) if grant.principal == "a"]
    assert found == [Grant("a", TOPIC, "a.events", ("Read", "Describe", "Write", "DescribeConfigs"), "consumes and produces")]


def test_the_operator_declares_and_looks_and_never_appends() -> None:
    assert may(OPERATOR, TOPIC, "a.commands") == {"Read", "Describe", "DescribeConfigs", "Create", "AlterConfigs"}
    assert may(OPERATOR, GROUP, "a") == {"Describe"}
    assert may(OPERATOR, CLUSTER, "kafka-cluster") == {"Describe"}


def test_nobody_else_may_create_alter_or_touch_the_cluster() -> None:
    services = [grant for grant in grants(TOPICS, ["accounts", "users"]) if grant.principal != OPERATOR]
    assert {op for grant in services for op in grant.operations} == {"Read", "Write", "Describe", "DescribeConfigs"}
    assert {grant.resource for grant in services} == {TOPIC, GROUP}


def test_every_producer_and_consumer_of_the_contract_has_its_grant() -> None:
    found = grants(TOPICS, ["accounts", "users"])
    for topic in TOPICS:
        assert all("Write" in may(name, TOPIC, topic.name, found) for name in topic.producers)
        assert all("Read" in may(name, TOPIC, topic.name, found) for name in topic.consumers)
    assert {grant.name for grant in found if grant.resource == GROUP} == {"accounts", "users"}


def test_names_are_those_of_the_broker_and_the_cluster_keeps_its_own() -> None:
    there = outside(FOUND, lambda name: f"bank.{name}", lambda service: f"User:{service}")
    assert may("User:a", TOPIC, "bank.a.commands", there) == {"Read", "Describe"}
    assert may("User:a", GROUP, "bank.a", there) == {"Read", "Describe"}
    assert may("User:operator", CLUSTER, "kafka-cluster", there) == {"Describe"}


@pytest.mark.parametrize(("resource", "ends"), [(TOPIC, ["--topic", "x y"]), (GROUP, ["--group", "x y"]), (CLUSTER, ["--cluster"])])
def test_a_line_gives_the_grant_and_survives_a_shell(resource: str, ends: list[str]) -> None:
    words = shlex.split(command(Grant("User:CN=a, O=b", resource, "x y", ("Read", "Describe"), "why"), "h:1,i:2"))
    assert words == [
        *["kafka-acls.sh", "--bootstrap-server", "h:1,i:2", "--add", "--allow-principal", "User:CN=a, O=b"],
        *["--operation", "Read", "--operation", "Describe", *ends],
    ]


def test_the_command_prints_a_line_a_grant_without_asking_any_broker(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["topics", "acl", "--commands", "--principal", "User:CN={service}"]) == 0
    out, err = capsys.readouterr()
    assert all(line.startswith("kafka-acls.sh --bootstrap-server ") and "--allow-principal User:CN=" in line for line in out.splitlines())
    assert f"{len(out.splitlines())} lines" in err


def test_a_principal_that_is_the_same_for_all_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["topics", "acl", "--principal", "User:all"]) == 2
    assert "has no {service} in it" in capsys.readouterr().err
