"""A member's bank business over a real store through the loop, custody's answers by hand (FLOWS 3)."""

from dataclasses import dataclass, field
from typing import Any

import pytest

import stores.users as tables
from agents.accounts.messages import Confirmed, Tried
from agents.custody.messages import OrderAwaiting, OrderDisputed, OrderEnded, PlaceOrder
from agents.runtime.decision import Message
from agents.users.agent import service
from agents.users.messages import (
    TOPIC,
    AuthorizeRepay,
    MemberOpened,
    OpeningChanged,
    Register,
    RequestRecharge,
    SubmitOpening,
    TransferChanged,
)
from config.registration import Policy
from stores.engine import Store
from stores.runtime import claim, suspended
from tests.integration.stores.world import World, ids
from topics import BY_TYPE

ONE, TWO = ids(2, "member")
FIRST, SECOND, THIRD = ids(3, "dealing")
PAGE = "http://bank/p/1"


@dataclass
class Centre:
    """The user centre over its store; what it says is kept."""

    world: World
    said: list[tuple[str, Message]] = field(default_factory=list)
    twice: bool = False
    count: int = 0

    async def tell(self, *commands: tuple[str, Message]) -> None:
        """These messages in one batch, perhaps read twice."""
        records = []
        for key, message in commands:
            self.count += 1
            record = self.world.record(key, message, message_id=ids(1, f"said{self.count}")[0], reply_to=f"gw-1/{self.count}")
            records.append(record._replace(topic=TOPIC))
        for _ in range(1 + self.twice):
            for pending in (await self.world.run(*records)).leaving:
                headers = dict[str, bytes | None](pending.record.headers)
                kind = BY_TYPE.get((headers["type"] or b"").decode())
                if kind is not None:
                    message = kind.model_validate_json(pending.record.value or b"")
                    self.said.append(((pending.record.key or b"").decode(), message))

    def all_of(self, kind: type[Message]) -> list[Any]:
        return [message for _, message in self.said if isinstance(message, kind)]

    async def members(self, *keys: str) -> None:
        """These people are members."""
        for key in keys:
            register = Register(id=key, login_name=key, mobile="s1.m", mobile_lookup="m", password_hash="s1.h", role="borrower")
            await self.tell((key, register))
            await self.tell((key, Tried(id=key)))
            await self.tell((key, Confirmed(id=key)))

    async def opened(self, key: str = ONE, number: str = FIRST, custody_no: str = "6001") -> None:
        """This member has an account."""
        await self.tell((key, submit(key, number)))
        await self.tell((key, OrderAwaiting(id=number, page_url=PAGE)))
        details = {"custody_no": custody_no, "card": "**3447"}
        await self.tell((key, OrderEnded(id=number, kind="open_account", result="succeeded", details=details)))

    async def claims(self) -> list[Any]:
        return [owner for owner in await self.world.column(claim.c.owner) if owner in (ONE, TWO)]

    async def row(self, query: Any, key: str) -> Any:
        async with self.world.store.reading() as connection:
            return await query(connection, key)


def submit(member: str = ONE, number: str = FIRST, person: str = "p") -> SubmitOpening:
    return SubmitOpening(id=number, member=member, name="s1.n", id_number="s1.i", card_number="s1.c", person_lookup=person)


def refused(number: str = FIRST, kind: str = "open_account") -> OrderEnded:
    return OrderEnded(id=number, kind=kind, result="refused", reason="name_refused")


@pytest.fixture(params=[False, True], ids=["once", "twice"])
async def centre(request: pytest.FixtureRequest, store: Store) -> Centre:
    """Two members; every batch is read once, or twice."""
    world = World(store)
    world.service = service(Policy())
    await world.take_over()
    made = Centre(world, twice=request.param)
    await made.members(ONE, TWO)
    return made


async def test_an_opening_is_kept_from_its_wish_to_its_account(centre: Centre) -> None:
    await centre.tell((ONE, submit()))
    assert (await centre.row(tables.opening_by_id, FIRST)).status == "PENDING"
    await centre.tell((ONE, OrderAwaiting(id=FIRST, page_url=PAGE)))
    row = await centre.row(tables.opening_by_id, FIRST)
    assert (row.member, row.status, row.page_url, row.person_lookup) == (ONE, "AWAITING", PAGE, "p")
    details = {"custody_no": "6001", "card": "**3447"}
    await centre.tell((ONE, OrderEnded(id=FIRST, kind="open_account", result="succeeded", details=details)))
    row = await centre.row(tables.opening_by_id, FIRST)
    assert (row.status, row.page_url, row.custody_no, row.card) == ("OPENED", None, "6001", "**3447")
    member = await centre.row(tables.member_by_id, ONE)
    assert (member.custody_no, member.card, member.person_lookup, member.opening) == ("6001", "**3447", "p", None)
    assert len(centre.all_of(PlaceOrder)) == len(centre.all_of(MemberOpened)) == 1
    assert {said.status for said in centre.all_of(OpeningChanged)} == {"AWAITING"}, "whoever has the page waits no longer"


async def test_a_second_opening_finds_the_open_one_in_the_store_and_leaves_its_person_claimed(centre: Centre) -> None:
    await centre.tell((ONE, submit()))
    await centre.tell((ONE, OrderAwaiting(id=FIRST, page_url=PAGE)))
    await centre.tell((ONE, submit(number=SECOND)))
    row = await centre.row(tables.opening_by_id, SECOND)
    assert (row.status, row.reason, row.open_id) == ("REFUSED", "opening_open", FIRST)
    assert centre.all_of(OpeningChanged)[-1].page_url == PAGE
    await centre.tell((TWO, submit(TWO, THIRD)))
    assert (await centre.row(tables.opening_by_id, THIRD)).reason == "person_taken"
    assert len(centre.all_of(PlaceOrder)) == 1


async def test_two_openings_in_one_batch_are_one_order(centre: Centre) -> None:
    await centre.tell((ONE, submit()), (ONE, submit(number=SECOND)), (TWO, submit(TWO, THIRD)))
    found = [await centre.row(tables.opening_by_id, number) for number in (FIRST, SECOND, THIRD)]
    assert [(row.status, row.reason) for row in found] == [("PENDING", None), ("REFUSED", "opening_open"), ("REFUSED", "person_taken")]
    assert [order.id for order in centre.all_of(PlaceOrder)] == [FIRST]
    assert await centre.claims() == [ONE]


async def test_a_refused_person_is_free_for_anybody(centre: Centre) -> None:
    await centre.tell((ONE, submit()))
    await centre.tell((ONE, refused()), (TWO, submit(TWO, SECOND)), (ONE, submit(number=THIRD)))
    found = [await centre.row(tables.opening_by_id, number) for number in (FIRST, SECOND, THIRD)]
    assert [(row.status, row.reason) for row in found] == [("REFUSED", "name_refused"), ("PENDING", None), ("REFUSED", "person_taken")]
    assert await centre.claims() == [TWO]
    member = await centre.row(tables.member_by_id, ONE)
    assert (member.opening, member.custody_no) == (None, None)


async def test_who_has_an_account_keeps_his_person_whatever_he_asks(centre: Centre) -> None:
    await centre.opened()
    await centre.tell((ONE, submit(number=SECOND)), (ONE, submit(number=THIRD, person="another")))
    assert (await centre.row(tables.opening_by_id, SECOND)).reason == "has_account"
    async with centre.world.store.reading() as connection:
        assert len(await tables.openings_page(connection, after="", limit=10)) == 3
    assert await centre.claims() == [ONE]


async def test_money_and_authorizations_are_rows_with_their_ends(centre: Centre) -> None:
    await centre.opened()
    recharge = RequestRecharge(id=SECOND, member=ONE, amount_fen=700_000)
    authorize = AuthorizeRepay(id=THIRD, member=ONE, cap_fen=400_000, expires_on="2027-02-28")
    await centre.tell((ONE, recharge), (ONE, authorize))
    orders = {order.id: order for order in centre.all_of(PlaceOrder)}
    assert (orders[SECOND].kind, orders[SECOND].content) == ("recharge", {"custody_no": "6001", "amount_fen": 700_000})
    assert orders[THIRD].content == {"custody_no": "6001", "scope": "repay", "cap_fen": 400_000, "expires_on": "2027-02-28"}
    ends = OrderEnded(id=SECOND, kind="recharge", result="succeeded", amount_fen=700_000)
    await centre.tell((ONE, OrderAwaiting(id=THIRD, page_url=PAGE)), (ONE, ends), (ONE, refused(THIRD, "authorize")))
    transfer, authorization = await centre.row(tables.transfer_by_id, SECOND), await centre.row(tables.authorization_by_id, THIRD)
    assert (transfer.status, transfer.amount_fen) == ("DONE", 700_000)
    assert (authorization.status, authorization.reason, authorization.cap_fen, authorization.expires_on) == (
        "REFUSED",
        "name_refused",
        400_000,
        "2027-02-28",
    )
    await centre.tell((ONE, recharge), (ONE, ends))
    assert len(centre.all_of(PlaceOrder)) == 3
    assert (await centre.row(tables.transfer_by_id, SECOND)).status == "DONE"


async def test_what_the_bank_contradicts_is_listed_until_it_has_an_end(centre: Centre) -> None:
    await centre.opened()
    await centre.tell((ONE, RequestRecharge(id=SECOND, member=ONE, amount_fen=1)))
    await centre.tell((ONE, OrderDisputed(id=SECOND, noticed="SUCCEEDED", queried="REFUSED")))
    async with centre.world.store.reading() as connection:
        [waits] = await tables.suspended_dealings(connection)
    assert (waits.id, waits.kind, waits.member) == (SECOND, "transfer", ONE)
    assert centre.all_of(TransferChanged)[-1].status == "SUSPENDED"
    await centre.tell((ONE, refused(SECOND, "recharge")))
    async with centre.world.store.reading() as connection:
        assert await tables.suspended_dealings(connection) == []


async def test_nobody_is_told_of_an_order_that_is_not_his(centre: Centre) -> None:
    await centre.tell((ONE, submit()))
    await centre.tell((TWO, refused()), (ONE, refused(SECOND)))
    assert (await centre.row(tables.opening_by_id, FIRST)).status == "PENDING"
    assert await centre.world.rows(suspended) == []
