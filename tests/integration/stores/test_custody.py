"""Orders over a real store through the loop, the bank's answers by hand: what is asked, kept as evidence, listed, and told on (FLOWS 3)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

import stores.custody as tables
from agents.custody.agent import service
from agents.custody.messages import (
    TOPIC,
    AskDate,
    Closed,
    CloseOrder,
    DateAnswered,
    DateNotice,
    DateRolled,
    Notice,
    NoticeAlone,
    OrderAwaiting,
    OrderDisputed,
    OrderEnded,
    PlaceOrder,
    Queried,
    Registered,
)
from agents.custody.model import Order, Status
from agents.runtime.calendar import KEY
from agents.runtime.decision import Message
from config.custody import Policy
from stores import inspection
from stores.engine import Store
from stores.runtime import attempt, business_day, suspended, timer
from tests.integration.stores.world import World, ids
from topics import BY_TYPE

FIRST, SECOND, THIRD = ids(3, "order")
END: dict[str, Any] = {"status": "SUCCEEDED", "amount_fen": 500, "booked_date": "2026-03-02", "details": {"name": "王小明", "n": 7}}
BODY = '{"type": "order.ended",\r\n "data": {"name": "\\u4f60 你\u2028"}}'


@dataclass
class Office:
    """Custody over its store; what it says is kept with the topic it went to."""

    world: World
    twice: bool = False
    said: list[tuple[str, str, Message]] = field(default_factory=list)

    async def tell(self, *messages: Any) -> "Office":
        """These messages in one batch, perhaps read twice."""
        records = [self.world.record(message.id, message)._replace(topic=TOPIC) for message in messages]
        for _ in range(1 + self.twice):
            for pending in (await self.world.run(*records)).leaving:
                headers = dict[str, bytes | None](pending.record.headers)
                kind = BY_TYPE[(headers["type"] or b"").decode()]
                said = kind.model_validate_json(pending.record.value or b"")
                self.said.append((pending.record.topic, (pending.record.key or b"").decode(), said))
        assert await self.world.rows(suspended) == []
        return self

    async def read(self, query: Any, *args: Any, **options: Any) -> Any:
        """What a tool reads."""
        async with self.world.store.reading() as connection:
            return await query(connection, *args, **options)

    async def order(self, key: str) -> Order:
        """An order as it stands."""
        found: Order | None = await self.read(tables.order_by_id, key)
        assert found is not None
        return found

    async def asked(self) -> list[str]:
        """What waits for an answer of the bank."""
        return [str(number) for number in await self.world.column(attempt.c.number)]


@pytest.fixture(params=[False, True], ids=["once", "twice"])
async def office(request: pytest.FixtureRequest, store: Store) -> Office:
    world = World(store)
    world.service = service(Policy(), {})
    await world.take_over()
    return Office(world, request.param)


def place(key: str = FIRST, **changes: Any) -> PlaceOrder:
    said: dict[str, Any] = {
        "id": key, "kind": "recharge", "content": {"custody_no": "6", "amount_fen": 500}, "page": True, "amount_fen": 500,
        "reply_topic": "users.commands", "reply_key": "member", "sealed_content": '{"name":"s1.k1.c2VjcmV0"}',
    }  # fmt: skip
    return PlaceOrder(**{**said, **changes})


def a_notice(key: str = FIRST, webhook: str = "w1", **changes: Any) -> Notice:
    return Notice(**{"id": key, "webhook_id": webhook, "body": BODY, "kind": "recharge", **END, **changes})


async def test_an_order_from_its_place_to_its_end_is_one_row_with_its_evidence_beside_it(office: Office) -> None:
    await office.tell(place())
    assert await office.asked() == [f"register:{FIRST}:1"] and len(await office.world.rows(timer)) == 1
    await office.tell(Registered(id=FIRST, status="AWAITING", page_url="http://bank/p/1"))
    await office.tell(a_notice())
    await office.tell(Queried(id=FIRST, asked=1, kind="recharge", **END))
    order = await office.order(FIRST)
    assert (order.status, order.unverified, order.disputed, order.page_url) == (Status.SUCCEEDED, False, False, "http://bank/p/1")
    assert order.result is not None and order.result.details == END["details"] and order.noticed == order.result
    assert (order.content, order.sealed_content) == (place().content, place().sealed_content)
    (notice,) = await office.read(tables.notices_of, FIRST)
    assert (notice.webhook_id, notice.body, notice.status) == ("w1", BODY, "SUCCEEDED")
    assert await office.world.rows(timer) == [] and await office.read(tables.breaks) == []
    assert [(topic, key, type(m)) for topic, key, m in office.said] == [
        ("users.commands", "member", OrderAwaiting),
        ("users.commands", "member", OrderEnded),
    ]


async def test_everything_at_once_in_one_batch_comes_to_the_same_end(office: Office) -> None:
    await office.tell(
        place(),
        Registered(id=FIRST, status="AWAITING", page_url="http://bank/p/1"),
        a_notice(),
        a_notice(webhook="w2"),
        place(),
        Queried(id=FIRST, asked=2, kind="recharge", **END),
    )
    assert (await office.order(FIRST)).status is Status.SUCCEEDED
    assert [row.webhook_id for row in await office.read(tables.notices_of, FIRST)] == ["w1", "w2"]
    assert await office.asked() == [f"query:{FIRST}:1", f"query:{FIRST}:2", f"register:{FIRST}:1"]
    assert await office.world.rows(timer) == []


async def test_orders_are_found_by_their_state_and_by_how_long_nothing_has_come_of_them(office: Office) -> None:
    await office.tell(place(FIRST), place(SECOND), place(THIRD))
    office.world.now_ms += 1_000
    await office.tell(Registered(id=SECOND, status="ACCEPTED"), Queried(id=THIRD, asked=0, kind="recharge", **END))
    created = await office.read(tables.orders_by_status, "CREATED")
    assert [row.id for row in created] == [FIRST] and await office.read(tables.orders_by_status, "CREATED", after=FIRST) == []
    now_ms = office.world.now_ms
    for until_ms, wanted in ((now_ms, [FIRST, SECOND]), (now_ms - 1_000, [FIRST]), (now_ms - 1_001, [])):
        rows: Sequence[Any] = await office.read(tables.orders_without_result_since, until_ms=until_ms, limit=10)
        assert [row.id for row in rows] == wanted
    pages: list[Any] = []
    while page := await office.read(tables.orders_page, after=pages[-1].id if pages else "", limit=2):
        pages += page
    assert [row.id for row in pages] == sorted((FIRST, SECOND, THIRD))


async def test_breaks_are_listed_latest_first_with_what_they_are_about(office: Office) -> None:
    await office.tell(a_notice(SECOND))
    await office.tell(place(), a_notice(amount_fen=199_000))
    await office.tell(place(reply_key="another"))
    await office.tell(a_notice(webhook="w2"), Queried(id=FIRST, asked=2, kind="recharge", status="REFUSED"))
    found = await office.read(tables.breaks)
    assert [(b.order_id, b.kind, b.order_kind, b.disputed) for b in found] == [
        (FIRST, "query", "recharge", True),
        (FIRST, "content_differs", "recharge", True),
        (FIRST, "misfit", "recharge", True),
        (SECOND, "no_order", None, None),
    ]
    assert [row.kind for row in await office.read(tables.breaks_of, FIRST)] == ["misfit", "content_differs", "query"]
    assert {row.id for row in await office.read(tables.disputed_orders)} == {FIRST}
    assert [row.webhook_id for row in await office.read(tables.notices_of, SECOND)] == ["w1"]
    assert await office.read(tables.order_by_id, SECOND) is None
    assert [(key, type(m)) for _, key, m in office.said] == [("another", OrderDisputed), ("member", OrderDisputed)]


async def test_a_notice_before_its_order_is_kept_in_the_same_batch_and_over_batches(office: Office) -> None:
    await office.tell(a_notice(FIRST), place(FIRST))
    await office.tell(a_notice(SECOND, "w2"))
    await office.tell(place(SECOND))
    for key in (FIRST, SECOND):
        assert (await office.order(key)).status is Status.CREATED and len(await office.read(tables.notices_of, key)) == 1
        assert [row.kind for row in await office.read(tables.breaks_of, key)] == ["no_order"]


async def test_a_webhook_id_that_comes_again_with_another_text_does_not_take_the_evidence_away(office: Office) -> None:
    await office.tell(place(), a_notice())
    await office.tell(a_notice(body="{}"))
    assert [row.body for row in await office.read(tables.notices_of, FIRST)] == [BODY]


async def test_an_end_by_notice_alone_is_marked_until_the_bank_has_said_so(office: Office) -> None:
    await office.tell(place(), a_notice(), NoticeAlone(id=FIRST))
    assert (await office.order(FIRST)).unverified and await office.world.rows(timer)
    await office.tell(Queried(id=FIRST, asked=1, kind="recharge", **END))
    assert not (await office.order(FIRST)).unverified and await office.world.rows(timer) == []


async def test_an_order_that_is_given_up_twice_is_closed_once(office: Office) -> None:
    await office.tell(place(), CloseOrder(id=FIRST), CloseOrder(id=FIRST))
    assert len([number for number in await office.asked() if number.startswith("close:")]) == 2
    await office.tell(Closed(id=FIRST, status="CLOSED", reason="closed"), Closed(id=FIRST, status="CLOSED", reason="closed"))
    order = await office.order(FIRST)
    assert (order.status, order.closing) == (Status.CLOSED, False) and len(office.said) == 1


async def test_the_banks_days_are_told_once_each_to_both_dated_services_and_are_custodys_own_date(office: Office) -> None:
    await office.tell(AskDate(id=KEY), DateAnswered(id=KEY, date="2026-02-27"))
    await office.tell(DateNotice(id=KEY, date="2026-03-02"), DateNotice(id=KEY, date="2026-03-01"), DateAnswered(id=KEY, date="2026-03-02"))
    days = ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]
    for topic in ("trading.commands", "repayments.commands"):
        assert [m.date for to, key, m in office.said if to == topic and key == KEY and isinstance(m, DateRolled)] == days
    assert await office.read(tables.business_date) == "2026-03-02"
    assert [str(row[-1]) for row in await office.world.rows(business_day)] == ["2026-03-02"]
    assert await office.asked() == ["date:1"]


async def test_a_worker_that_starts_again_asks_for_the_date_in_one_chain_of_timers(office: Office) -> None:
    for _ in range(3):
        await office.tell(AskDate(id=KEY))
    assert len(await office.world.rows(timer)) == 1 and await office.asked() == ["date:1"]


async def test_what_tools_read_of_an_order_has_its_attempts(office: Office) -> None:
    await office.tell(place())
    (row,) = await office.read(inspection.attempts_of, [FIRST])
    assert (row.target, row.tries, row.last_error) == ("register", 0, None)
