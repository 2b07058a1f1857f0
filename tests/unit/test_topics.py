"""The contract holds together: every message has a topic, every topic an owner, and what is written down is what the code does."""

import string
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import topics
from agents.accounts.agent import service as accounts_service
from agents.accounts.messages import Command as AccountsCommand
from agents.repayments.agent import service as repayments_service
from agents.repayments.messages import Command as RepaymentsCommand
from agents.repayments.messages import LentBid
from agents.runtime.decision import Message
from agents.runtime.envelope import Origin, decode, encode
from agents.runtime.service import Service
from agents.trading.agent import service as trading_service
from agents.users.agent import service as users_service
from agents.users.messages import Command as UsersCommand
from bank.agent import service as bank_service
from bank.messages import Command as BankCommand
from bus.record import Record
from config.bank import Terms
from config.limits import MESSAGE_BYTES_MAX
from config.registration import Policy
from topics import BANK_TOPICS, BY_NAME, BY_TYPE, DAY_MS, MESSAGES, TOPICS, Topic, messages_of

ID = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
SERVICES: dict[str, Service[Any]] = {
    "accounts": accounts_service(1),
    "bank": bank_service(Terms()),
    "repayments": repayments_service(),
    "trading": trading_service(),
    "users": users_service(Policy()),
}
NAMES = {*SERVICES, "custody", "trading", "repayments", "gateway", "runtime", "bank", "notifier"}
PERSONAL = {"password_hash", "mobile", "id_number", "card_number"}

every_message = pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.type)
every_topic = pytest.mark.parametrize("topic", [*TOPICS, *BANK_TOPICS], ids=lambda t: f"{t.owner} {t.name}")


def test_no_two_messages_have_one_type_and_no_two_topics_one_name() -> None:
    assert len(BY_TYPE) == len(MESSAGES) == len(set(MESSAGES))
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert len({topic.name for topic in BANK_TOPICS}) == len(BANK_TOPICS)


@every_message
def test_a_message_says_what_it_means_which_type_it_is_and_where_it_stands(message: type[Message]) -> None:
    assert message.__doc__ and message.__doc__.strip().endswith(".")
    assert {message.topic, *message.also} <= BY_NAME.keys()
    service, _, name = message.type.partition(".")
    assert service in NAMES and name == message.__name__
    assert message.version >= 1


@every_message
def test_a_message_names_its_actor_first(message: type[Message]) -> None:
    assert next(iter(message.model_fields)) == "id"


@every_message
def test_what_is_sealed_are_fields_and_what_is_personal_is_sealed(message: type[Message]) -> None:
    assert message.sealed <= message.model_fields.keys()
    assert message.sealed >= PERSONAL & message.model_fields.keys()


@every_message
def test_a_message_refuses_what_it_does_not_know_and_does_not_change(message: type[Message]) -> None:
    assert message.model_config["extra"] == "forbid" and message.model_config["frozen"] and message.model_config["strict"]


@every_message
def test_a_message_is_exported_by_its_name(message: type[Message]) -> None:
    assert getattr(topics, message.__name__) is message
    assert message.__name__ in topics.__all__


def of(message: type[Message], text: st.SearchStrategy[str]) -> st.SearchStrategy[Message]:
    numbers = st.integers(0, 2**53)
    kinds: dict[Any, st.SearchStrategy[Any]] = {
        str: text,
        int: numbers,
        bool: st.booleans(),
        str | None: st.none() | text,
        int | None: st.none() | numbers,
        tuple[str, ...]: st.lists(text, max_size=3).map(tuple),
        dict[str, Any]: st.dictionaries(text, text | numbers | st.booleans() | st.none() | st.lists(text, max_size=3), max_size=4),
        tuple[LentBid, ...]: st.lists(st.builds(LentBid, id=text, investor=text, custody_no=text, amount_fen=numbers), max_size=3).map(
            tuple
        ),
    }
    return st.builds(message, **{name: kinds[field.annotation] for name, field in message.model_fields.items()})


@every_message
@given(data=st.data())
def test_every_message_comes_through_the_wire_as_it_was(message: type[Message], data: st.DataObject) -> None:
    said = data.draw(of(message, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)))
    sent = encode(said, key=ID, message_id=ID, origin=Origin(ID, ID, "p"), now_ms=1)
    assert sent.topic == message.topic and sent.value is not None and len(sent.value) < MESSAGE_BYTES_MAX
    got = decode(Record(sent.topic, 0, 0, 1, 1, sent.key, sent.value, sent.headers), BY_TYPE)
    assert got.message == said and type(got.message) is message


@every_topic
def test_a_topics_owner_producers_and_consumers_are_services(topic: Topic) -> None:
    assert {topic.owner, *topic.producers, *topic.consumers} <= NAMES
    assert topic.producers


@every_topic
def test_a_topic_is_described_and_kept_for_a_time(topic: Topic) -> None:
    assert topic.english.endswith(".") and topic.key
    assert set(topic.name) <= {*string.ascii_lowercase, "."}
    assert topic.retention_ms > 0 and topic.partitions == (1 if topic.name == "bank.instructions" else 8)


@every_topic
def test_topics_with_sealed_fields_keep_seven_days_at_most(topic: Topic) -> None:
    if any(message.sealed for message in messages_of(topic.name)):
        assert topic.retention_ms <= 7 * DAY_MS


@every_topic
def test_nothing_but_its_messages_stands_on_a_topic(topic: Topic) -> None:
    assert messages_of(topic.name) == tuple(m for m in MESSAGES if topic.name in (m.topic, *m.also)) != ()


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())
def test_a_service_consumes_its_mailbox_and_understands_everything_that_may_stand_there(service: Service[Any]) -> None:
    topic = BY_NAME[service.topic]
    assert topic.owner == service.name and topic.consumers == (service.name,)
    assert set(service.messages) == set(messages_of(service.topic))
    assert service.registry == {m.type: m for m in service.messages}


@pytest.mark.parametrize(
    ("command", "service"),
    [
        pytest.param(AccountsCommand, SERVICES["accounts"], id="accounts"),
        pytest.param(BankCommand, SERVICES["bank"], id="bank"),
        pytest.param(RepaymentsCommand, SERVICES["repayments"], id="repayments"),
        pytest.param(UsersCommand, SERVICES["users"], id="users"),
    ],
)
def test_a_behaviour_is_typed_for_exactly_what_its_mailbox_takes(command: Any, service: Service[Any]) -> None:
    assert set(get_args(command)) == set(service.messages)


@every_message
def test_an_answer_that_several_may_be_told_goes_to_the_topic_that_is_named(message: type[Message]) -> None:
    assert message.topic not in message.also and len(set(message.also)) == len(message.also)


@pytest.mark.parametrize("message", [topics.Register, topics.Try, topics.SubmitOpening])
def test_what_is_compared_in_clear_is_never_a_sealed_field(message: type[Message]) -> None:
    fields = {name: f"<{name}>" for name in message.model_fields}
    claimed = {claim.value for claim in message.model_validate(fields).claims()}
    assert not claimed & {f"<{name}>" for name in message.sealed}


def test_answers_for_a_waiting_person_are_kept_for_an_hour_only() -> None:
    assert BY_NAME["gateway.replies"].retention_ms == 3_600_000
