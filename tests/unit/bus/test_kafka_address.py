"""Kafka URLs: what they say, what is refused, and that no password is ever shown."""

import pytest

from bus.errors import BusError
from bus.kafka.address import Address, parse


def test_hosts_namespace_and_security_are_read() -> None:
    address = parse("kafka://ann:p%40ss@k1:9093,k2/bank.a?security=sasl_plaintext&mechanism=SCRAM-SHA-256")
    assert address.servers == ("k1:9093", "k2:9092") and address.namespace == "bank.a"
    options = address.client_options()
    assert options["security_protocol"] == "SASL_PLAINTEXT" and options["sasl_mechanism"] == "SCRAM-SHA-256"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("ann", "p@ss")


def test_a_password_is_in_no_repr_and_in_no_name() -> None:
    address = parse("kafka://ann:secret@k1/x?security=sasl_ssl")
    assert "secret" not in repr(address) + str(address)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("kafka://", "no Kafka URL"),
        ("kafka:///x", "no Kafka URL"),
        ("http://k1", "no Kafka URL"),
        ("kafka://k1:0/x", "no host:port"),
        ("kafka://k1:99999/x", "no host:port"),
        ("kafka://k1:九/x", "no host:port"),
        ("kafka://k1,/x", "no host:port"),
        ("kafka://k1/a/b", "no namespace"),
        ("kafka://k1/.a", "no namespace"),
        ("kafka://k1/" + "a" * 101, "no namespace"),
        ("kafka://k1/标的", "no namespace"),
        ("kafka://k1?securty=ssl", "no option securty"),
        ("kafka://k1?security=tls", "security=tls"),
        ("kafka://k1?security=sasl_ssl", "user:password"),
        ("kafka://ann:secret@k1", "user:password"),
        ("kafka://ann:secret@k1?security=sasl_ssl&mechanism=GSSAPI", "mechanism=GSSAPI"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_its_password(url: str, why: str) -> None:
    with pytest.raises(BusError, match=why) as caught:
        parse(url)
    assert "secret" not in str(caught.value)


def test_a_missing_certificate_is_a_sentence() -> None:
    with pytest.raises(BusError, match="certificates"):
        parse("kafka://k1?security=ssl&cafile=missing.pem").client_options()


def test_names_outside_carry_the_namespace_and_others_are_nobodys() -> None:
    address = Address(("k1:1",), "bank")
    assert address.outside("users.commands") == "bank.users.commands"
    assert address.inside("bank.users.commands") == "users.commands"
    assert address.inside("bank2.users.commands") is None and address.inside("users.commands") is None


def test_without_a_namespace_everything_is_inside_but_kafkas_own() -> None:
    address = Address(("k1:1",))
    assert address.outside("t") == "t" and address.inside("t") == "t" and address.inside("__consumer_offsets") is None
