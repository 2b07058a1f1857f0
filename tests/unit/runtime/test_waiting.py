"""Who waits, against a list: whatever comes in which batches, everybody is told once, and at most eight wait for one actor."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.runtime import inbox
from agents.runtime.envelope import Delivery
from agents.runtime.waiting import Waiting, reply
from bus.record import Record
from config.limits import REPLY_TO_MAX
from stores.runtime import waiting
from tests.integration.stores.memory import Memory, memory
from tests.integration.stores.world import NOW_MS, Do, Said, boxes, header, ids, message_id

FIRST, SECOND, THIRD = ids(3, "waiting")
END = Said(id="a", what="end")
WAITERS = st.tuples(st.sampled_from("ab"), st.integers(0, 11).map("gw-1/{}".format))
BATCHES = st.lists(st.tuples(st.lists(WAITERS, max_size=12), st.sets(st.sampled_from("ab"))), max_size=6)


def delivery(actor: str = "a", message_id: str = FIRST, mac: str | None = None, reply_to: str | None = None) -> Delivery:
    record = Record("test.commands", 0, 0, NOW_MS, NOW_MS, actor.encode(), b"{}", ())
    return Delivery(record, actor, message_id, actor, "member-1", reply_to, mac, NOW_MS, Do())


@pytest.fixture
def store() -> Iterator[Memory]:
    with memory(boxes()) as opened:
        yield opened


@settings(max_examples=40)
@given(BATCHES)
def test_everybody_who_found_room_is_told_the_end_once_and_nobody_else(batches: list[tuple[list[tuple[str, str]], set[str]]]) -> None:
    model: dict[str, list[str]] = defaultdict(list)
    with memory(boxes()) as store:
        for asked, ended in batches:
            batch = Waiting()
            for actor, reply_to in asked:
                batch.add(actor, reply_to)
                if reply_to not in model[actor] and len(model[actor]) < REPLY_TO_MAX:
                    model[actor].append(reply_to)
            for actor in ended:
                batch.answer(delivery(actor), END)
            told = Counter((actor, header(record.headers, "reply-to")) for actor, record in batch.save(store.tx, now_ms=NOW_MS))
            assert told == Counter((actor, reply_to) for actor in ended for reply_to in model.pop(actor, []))
            assert {row[:2] for row in store.rows(waiting)} == {(actor, to) for actor, all_of in model.items() for to in all_of}


@pytest.mark.parametrize(
    ("reply_to", "key"),
    [("gw-1/1", b"gw-1"), ("gw-1/1/2", b"gw-1"), ("gw-1", b"gw-1"), ("gw-1/", b"gw-1"), ("/1", b"")],
    ids=["process and number", "more than one slash", "process alone", "no number", "no process"],
)
def test_an_answer_goes_to_the_process_that_is_named_before_the_first_slash(reply_to: str, key: bytes) -> None:
    record = reply(END, reply_to, caused_by=delivery(), now_ms=NOW_MS)
    assert record.key == key and header(record.headers, "reply-to") == reply_to


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((FIRST, "gw-1/1", END), (FIRST, "gw-1/1", END), True),
        ((FIRST, "gw-1/1", END), (SECOND, "gw-1/1", END), False),
        ((FIRST, "gw-1/1", END), (FIRST, "gw-1/2", END), False),
        ((FIRST, "gw-1/1", END), (FIRST, "gw-1/1", Do()), False),
    ],
    ids=["said again", "another cause", "another waiter", "another answer"],
)
def test_the_id_of_an_answer_follows_from_its_cause_its_waiter_and_its_type(
    one: tuple[str, str, Said], other: tuple[str, str, Said], same: bool
) -> None:
    found = [message_id(reply(what, to, caused_by=delivery(message_id=cause), now_ms=NOW_MS)) for cause, to, what in (one, other)]
    assert (found[0] == found[1]) == same


def test_an_answer_keeps_trace_principal_and_cause() -> None:
    record = reply(END, "gw-1/1", caused_by=delivery()._replace(trace="tr-9", principal="member-9"), now_ms=NOW_MS)
    assert [header(record.headers, name) for name in ("trace-id", "principal", "causation-id")] == ["tr-9", "member-9", FIRST]


def test_of_two_ends_in_one_batch_the_last_is_told(store: Memory) -> None:
    batch = Waiting()
    batch.add("a", "gw-1/1")
    for what in ("one", "two"):
        batch.answer(delivery(), Said(id="a", what=what))
    ((_, record),) = batch.save(store.tx, now_ms=NOW_MS)
    assert Said.model_validate_json(record.value or b"").what == "two"


MACS = {
    "the same content": ("m1", "m1", True),
    "other content": ("m1", "m2", False),
    "neither has one": (None, None, True),
    "only the first has one": ("m1", None, False),
    "only the second has one": (None, "m1", False),
}


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "in two"])
@pytest.mark.parametrize(("first", "second", "same"), MACS.values(), ids=MACS)
def test_a_repeat_is_the_same_when_its_content_has_the_same_mac(
    first: str | None, second: str | None, same: bool, at_once: bool, store: Memory
) -> None:
    both = [delivery(mac=first), delivery(mac=second)]
    fresh: list[Delivery] = []
    repeats: list[inbox.Repeat] = []
    for batch in [both] if at_once else [both[:1], both[1:]]:
        new, known = inbox.take_new(store.tx, batch, now_ms=NOW_MS)
        fresh, repeats = fresh + new, repeats + known
    assert fresh == both[:1] and repeats == [(both[1], same)]


@settings(max_examples=40)
@given(st.lists(st.lists(st.tuples(st.sampled_from(ids(4, "inbox")), st.sampled_from(["m1", "m2"])), max_size=8), max_size=5))
def test_an_id_is_new_once_and_compared_with_its_first_content_for_ever(batches: list[list[tuple[str, str]]]) -> None:
    first: dict[str, str] = {}
    with memory(boxes()) as store:
        for batch in batches:
            wanted: list[tuple[str, bool | None]] = []
            for identity, mac in batch:
                wanted.append((identity, first[identity] == mac if identity in first else None))
                first.setdefault(identity, mac)
            fresh, repeats = inbox.take_new(store.tx, [delivery(message_id=i, mac=m) for i, m in batch], now_ms=NOW_MS)
            assert [d.id for d in fresh] == [i for i, same in wanted if same is None]
            assert [(d.id, same) for d, same in repeats] == [(i, same) for i, same in wanted if same is not None]


def test_an_id_is_one_message_whoever_it_is_addressed_to(store: Memory) -> None:
    inbox.take_new(store.tx, [delivery(message_id=THIRD)], now_ms=NOW_MS)
    _, repeats = inbox.take_new(store.tx, [delivery("b", message_id=THIRD)], now_ms=NOW_MS)
    assert [(d.actor, same) for d, same in repeats] == [("b", True)]
