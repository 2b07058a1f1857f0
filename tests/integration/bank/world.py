"""The bank's ledger over a real store: instructions in batches as the loop makes them, its clock the test's."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.runtime import timers
from agents.runtime.batch import Done
from agents.runtime.decision import Message
from agents.runtime.envelope import TYPE
from agents.runtime.suspension import among
from bank.agent import service
from bank.messages import DAY, CloseDay, ConfirmByMember, Ended, Execute, Instruct, OpenDay
from bank.model import Request
from bank.store import REQUESTS
from config.bank import Terms
from stores.engine import Store, Tx
from tests.integration.stores.direct import execute
from tests.integration.stores.world import World

DATE = "2026-03-02"
PLATFORM = "lendbus"
PROJECT = "project"
LATER_MS = 1_000  # longer than any delay of the bank


def number(name: object) -> str:
    """A request number, or another id, that a test can name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(name)))


def instruct(name: object, kind: str, content: dict[str, Any], *, page: bool = False, **more: Any) -> Instruct:
    """An instruction of the platform."""
    mac = repr((kind, sorted(content.items(), key=repr), page))
    return Instruct(id=number(name), platform=PLATFORM, kind=kind, page=page, content=content, content_mac=mac, **more)


def opening(who: str) -> Instruct:
    """An instruction to open an account for a person."""
    content = {"member_id": number(who), "card": "6222****1111", "name_refused": False}
    return instruct(f"open {who}", "open_account", content, page=True, sealed_content=f"s1.k1.personal{who}", person_lookup=f"person {who}")


def hold_of(name: object, custody_no: str, amount_fen: int) -> Instruct:
    """A bid that its investor confirms on the page."""
    return instruct(name, "hold", {"project_no": number(PROJECT), "custody_no": custody_no, "amount_fen": amount_fen}, page=True)


@dataclass
class House:
    """The ledger's one partition, owned; every method makes one transaction of the loop a batch."""

    stores: dict[str, Store]
    url: str  # of the ledger's store
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.stores["bank"])
        self.world.service = service(Terms())

    async def begin(self) -> None:
        """Own the partition and open the first day."""
        await self.world.take_over()
        await self.tell((DAY, OpenDay(id=DAY, date=DATE)))

    async def tell(self, *messages: tuple[str, Message]) -> Done:
        """Messages to actors, as one batch."""
        return await self.world.run(*(self.world.record(actor, message) for actor, message in messages))

    async def fire(self, after_ms: int = LATER_MS) -> Done | None:
        """What is due by then, as one batch under its own message ids."""
        self.world.now_ms += after_ms
        now_ms = self.world.now_ms

        def fired(tx: Tx, _: Any) -> list[timers.Due]:
            due = timers.due(tx, 0, now_ms=now_ms, limit=5_000)
            timers.fired(tx, [t.id for t in due])
            return due

        due: list[timers.Due] = await self.world.owned(fired)
        records = [self.world.record(t.actor, Execute.model_validate_json(t.body), message_id=t.firing_id) for t in due]
        return await self.world.run(*records) if records else None

    async def put(self, *instructions: Instruct) -> None:
        """Instruct in one batch; where there is a page the members confirm in a second one."""
        await self.tell(*((said.id, said) for said in instructions))
        pages = [said for said in instructions if said.page]
        if pages:
            await self.tell(*((said.id, confirmation(said)) for said in pages))

    async def do(self, *instructions: Instruct) -> list[Request]:
        """Instruct, confirm, and execute all of them in one batch; how they have ended."""
        await self.put(*instructions)
        await self.fire()
        return [await self.request(said.id) for said in instructions]

    def execution(self, said: Instruct) -> Execute:
        """The bank's delay is over for this one."""
        return Execute(id=said.id)

    async def spoil(self, *statements: str) -> None:
        """What somebody does to the books behind the bank's back."""
        execute(self.url, *statements)

    async def roll(self, date: str = DATE) -> None:
        """End a business date."""
        await self.tell((DAY, CloseDay(id=DAY, date=date, platforms=(PLATFORM,))))

    async def request(self, request_no: str) -> Request:
        """A request as its row has it."""
        found = await self.world.store.transaction("loop.commit", REQUESTS.load, [request_no])
        return found[request_no][0]

    async def suspended(self, *names: str) -> set[str]:
        """Which of these actors are suspended."""
        return await self.world.store.transaction("loop.commit", among, [number(name) for name in names])

    async def asks(self, question: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """What a query function says of the ledger's store."""
        async with self.world.store.reading() as connection:
            return await question(connection, *args, **named)

    async def people(self, *names: str, fen: int = 0) -> dict[str, str]:
        """Members with an account and as much money; their numbers."""
        opened = await self.do(*map(opening, names))
        numbers = {name: str(done.details["custody_no"]) for name, done in zip(names, opened, strict=True)}
        if fen:
            await self.do(
                *(
                    instruct(f"recharge {who}", "recharge", {"custody_no": custody_no, "amount_fen": fen}, page=True)
                    for who, custody_no in numbers.items()
                )
            )
        return numbers

    async def project(self, borrower: str, amount_fen: int = 80_000) -> None:
        """A loan that takes bids."""
        asked = {"project_no": number(PROJECT), "custody_no": borrower, "amount_fen": amount_fen}
        await self.do(instruct("establish", "establish_project", asked))


def confirmation(said: Instruct) -> ConfirmByMember:
    """What the member says on the page; where an account is opened he chooses a password."""
    return ConfirmByMember(id=said.id, password_hash="s1.k1.hash" if said.kind == "open_account" else None)


def results(done: Done | None) -> Sequence[Ended]:
    """What the notifier is told by a batch."""
    assert done is not None
    said = [pending.record for pending in done.leaving if dict(pending.record.headers)[TYPE] == Ended.type.encode()]
    return [Ended.model_validate_json(record.value or b"") for record in said]
