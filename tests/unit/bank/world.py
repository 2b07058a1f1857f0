"""A bank in memory: requests and books, instructed one message at a time, as the loop would do it; no store and no bus."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from agents.runtime.decision import Context, Decision, Message, SetTimer
from bank.behaviour import behave
from bank.ledger import Books
from bank.messages import DAY, Answered, Close, CloseDay, ConfirmByMember, Ended, Execute, Instruct, OpenDay, RefuseByMember
from bank.model import Account, Authorization, Request, Status
from config.bank import Terms

DATE = "2026-03-02"
PLATFORM = "lendbus"


def number(name: object) -> str:
    """A request number that a test can name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(name)))


@dataclass
class Bank:
    """Its requests, its books, what it has said."""

    states: dict[str, Any] = field(default_factory=dict)
    books: Books = field(default_factory=Books)
    said: list[Message] = field(default_factory=list)
    timers: dict[str, Message] = field(default_factory=dict)
    now_ms: int = 1_000

    def __post_init__(self) -> None:
        self.tell(DAY, OpenDay(id=DAY, date=DATE))

    def tell(self, actor: str, message: Message) -> Decision[Any]:
        """Handle one message; its decision is taken up like the loop does."""
        self.now_ms += 1
        context = Context(actor, number(f"{self.now_ms}"), self.now_ms, books=self.books)
        decision = behave(self.states.get(actor), message, context, Terms())  # type: ignore[arg-type]
        self.books.apply(decision.entries)
        self.states[actor] = decision.state
        self.said += [send.message for send in decision.sends]
        for timer in decision.timers:
            assert isinstance(timer, SetTimer) and timer.due_ms > self.now_ms
            self.timers[actor] = timer.message
        return decision

    def put(
        self, name: object, kind: str, content: dict[str, Any], *, page: bool = False, platform: str = PLATFORM, **more: Any
    ) -> Answered:
        """Instruct; the answer."""
        mac = repr((kind, sorted(content.items(), key=repr), page))
        said = Instruct(id=number(name), platform=platform, kind=kind, page=page, content=content, content_mac=mac, **more)
        reply = self.tell(said.id, said).reply
        assert isinstance(reply, Answered)
        return reply

    def run(self, name: object) -> Request:
        """The delay of a request is over."""
        if (message := self.timers.pop(number(name), None)) is not None:
            self.tell(number(name), message)
        found = self.states[number(name)]
        assert isinstance(found, Request)
        return found

    def do(self, name: object, kind: str, content: dict[str, Any], *, page: bool = False, **more: Any) -> Request:
        """Instruct, confirm where there is a page, and execute; the request at its end."""
        self.put(name, kind, content, page=page, **more)
        if page:
            self.tell(number(name), ConfirmByMember(id=number(name)))
        return self.run(name)

    def close(self, name: object, *, platform: str = PLATFORM) -> Answered:
        """Give a request up; the answer."""
        reply = self.tell(number(name), Close(id=number(name), platform=platform)).reply
        assert isinstance(reply, Answered)
        return reply

    def open(self, who: str, *, fen: int = 0, cap_fen: int = 0) -> str:
        """An account with money on it and, with a cap, authorizations for everything; its number."""
        number_ = f"6{who}"
        self.books.accounts[number_] = Account(number_, who, f"person {who}", "s1.k.personal", "6222****1111", "s1.k.hash", DATE)
        if fen:
            assert self.do(f"recharge {who}", "recharge", {"custody_no": number_, "amount_fen": fen}, page=True).status is Status.SUCCEEDED
        for scope in ("bid", "repay") if cap_fen else ():
            self.books.authorizations[number_, scope] = Authorization(number(f"{who} {scope}"), number_, scope, cap_fen, "2026-12-31")
        return number_

    def roll(self) -> None:
        """The next business date."""
        assert self.books.date is not None
        self.tell(DAY, CloseDay(id=DAY, date=self.books.date))

    def results(self) -> list[Ended]:
        """What the notifier was told."""
        return [said for said in self.said if isinstance(said, Ended)]


__all__ = ["DATE", "PLATFORM", "Bank", "Execute", "RefuseByMember", "number"]
