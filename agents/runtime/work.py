"""What one transaction makes of its messages: steps 4 to 7 of the loop (DESIGN 1), for a run and for a healing alike.

`load` looks everything up in bulk, `handle` is pure and in memory, one message after another on the state that the one
before left, `save` writes it all back. A behaviour that raises parks its message and suspends its actor; the others go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Generic, NamedTuple, TypeVar

from agents.runtime import attempts, barrier, business_day, outbox, suspension, timers, waiting
from agents.runtime.books import Books
from agents.runtime.claims import Overlay
from agents.runtime.decision import ClearTimer, Context, Decision, Message, Send, SetTimer, derived_id
from agents.runtime.envelope import Delivery, Origin, body, encode
from agents.runtime.messages import Known, Mismatch, Suspended
from agents.runtime.outbox import Pending
from agents.runtime.ownership import Tenure
from agents.runtime.service import Service
from agents.runtime.tcc import standing_answer
from bus.record import Outgoing
from stores.actors import Change
from stores.engine import Row, Tx
from stores.runtime import alias
from stores.statement import insert_new_row

S = TypeVar("S")

_ALIAS = insert_new_row(alias)


TimerChange = tuple[str, SetTimer | ClearTimer, Row | None]  # actor, what it wants, and the row of a timer that is set


class Made(NamedTuple):
    """What a decision makes, as it will be written."""

    said: list[Outgoing]
    timers: list[TimerChange]
    attempts: list[Row]


@dataclass
class Work(Generic[S]):
    """One transaction's messages and what becomes of them; nothing of it outlives the transaction but `leaving`."""

    service: Service[S]
    tenure: Tenure
    now_ms: int
    leaving: list[Pending] = field(default_factory=list)
    newly_suspended: dict[str, tuple[str, str]] = field(default_factory=dict)  # actor → reason, error
    handled: int = 0

    def __post_init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._states: dict[str, S | None] = {}
        self._before: dict[str, S | None] = {}
        self._suspended: set[str] = set()
        self._claims = Overlay()
        self._uses_claims = any(m.claims is not Message.claims for m in self.service.messages)
        self._barrier = barrier.Branches(self.service.participant)
        self._waiting = waiting.Waiting()
        self._sends: list[tuple[str, Outgoing]] = []
        self._timers: list[TimerChange] = []
        self._forgotten: set[str] = set()
        self._attempts: list[Row] = []
        self._aliases: list[Row] = []
        self._books: Books | None = None
        self._date: date | None = None  # read once a batch, whatever the batch makes of it (FLOWS 5.2)
        self._new_date: date | None = None
        self._parked: list[Delivery] = []

    def load(self, tx: Tx, deliveries: Sequence[Delivery], also: Sequence[Delivery] = (), *, heal: str | None = None) -> None:
        """Look up, in bulk, everything that these messages name; `heal` is the actor whose suspension is being tried.

        `also` are messages that will not be handled, but whose actors matter.
        """
        actors = sorted({d.actor for d in (*deliveries, *also)})
        if not actors:
            return
        self._suspended = suspension.among(tx, actors) - {heal}
        if self._uses_claims:
            self._claims.read(tx, [(d.actor, c) for d in deliveries for c in d.message.claims()], actors)
        needs = [(d.actor, need) for d in (*deliveries, *also) for need in d.message.needs()]
        for actor, (state, version) in self.service.store.load(tx, actors, needs).items():
            self._states[actor], self._versions[actor] = state, version
        self._before = dict(self._states)
        self._barrier.load(tx, actors)
        if self.service.books is not None:
            self._books = self.service.books.load(tx, [(self._states.get(d.actor), d.message) for d in deliveries])
        if self.service.dated:
            self._date = business_day.read(tx)

    def handle(self, d: Delivery) -> None:
        """One message: behave, or queue behind its suspended actor, or suspend the actor because it raised."""
        if d.reply_to is not None:
            self._waiting.add(d.message.thing(d.actor), d.reply_to)
        if d.actor in self._suspended:
            self._parked.append(d)
            self._tell(d, Suspended(id=d.message.thing(d.actor)))
            return
        if failure := self.attempt(d):
            self.suspend(d, *failure)

    def attempt(self, d: Delivery) -> tuple[str, str] | None:
        """Let the behaviour handle it; when it raises, nothing has happened, and the reason and the error are returned."""
        try:
            decision = self._decide(d)
            made = self._made(d, decision)
            if decision.entries:
                assert self._books is not None, f"{self.service.name} has no books to enter anything into"
                self._books.apply(decision.entries)
        except Exception as exc:  # noqa: BLE001 - whatever a behaviour raises stops its own actor only
            return "behaviour_raised", suspension.describe(exc)
        self._take(d, decision, made)
        self.handled += 1
        return None

    def suspend(self, d: Delivery, reason: str, error: str) -> None:
        """Park the message and stop its actor; nothing of what it wanted has happened."""
        if d.actor not in self._suspended:
            self._suspended.add(d.actor)
            self.newly_suspended[d.actor] = (reason, error)
        thing = d.message.thing(d.actor)
        if d.reply_to is not None:
            self._waiting.add(thing, d.reply_to)
        self._parked.append(d)
        self._tell(d, Suspended(id=thing))

    def repeat(self, d: Delivery, *, same: bool) -> None:
        """A message that was handled before: whoever waits for an answer gets one (DESIGN 3)."""
        if d.reply_to is None:
            return
        thing = d.message.thing(d.actor)
        if not same:
            self._tell(d, Mismatch(id=thing))
            return
        before = self._before.get(d.actor)
        if before is None or not self.service.is_final(before, thing):  # else there is nothing left to wait for: the store says the end
            self._waiting.add(thing, d.reply_to)
        self._tell(d, Suspended(id=thing) if d.actor in self._suspended else Known(id=thing))

    @property
    def wakes(self) -> bool:
        """Whether the scanner has something new to look at."""
        return bool(self._timers or self._attempts or self.newly_suspended)

    def say(self, actor: str, record: Outgoing) -> None:
        """Put one more record into the outbox, on behalf of the actor."""
        self._sends.append((actor, record))

    def save(self, tx: Tx) -> None:
        """Write everything back, sorted; the outbox rows that have to leave are in `leaving` afterwards."""
        before, versions = self._before, self._versions
        changed = [Change(a, versions.get(a), s) for a, s in self._states.items() if s is not before.get(a)]
        if changed:
            self.service.store.save(tx, changed)
        if self.service.books is not None and self._books is not None:
            self.service.books.save(tx, self._books)
        if self._new_date is not None:
            business_day.write(tx, self._new_date)
        if self._uses_claims:
            self._claims.write(tx)
        self._barrier.save(tx, now_ms=self.now_ms)
        self._sends.extend(self._waiting.save(tx, now_ms=self.now_ms))
        if self._timers or self._forgotten:
            timers.write(tx, self._timers, sorted(self._forgotten))
        attempts.write(tx, self._attempts)
        tx.many(_ALIAS, sorted(self._aliases))
        self._save_parked(tx)
        if self._sends:
            self.leaving = outbox.insert(tx, self.tenure.partition, self._sends)

    def _save_parked(self, tx: Tx) -> None:
        for actor, (reason, error) in sorted(self.newly_suspended.items()):
            suspension.suspend(tx, actor, self.tenure.partition, reason=reason, error=error, now_ms=self.now_ms)
        if self._parked:
            suspension.park(tx, self._parked, now_ms=self.now_ms)

    def _decide(self, d: Delivery) -> Decision[S]:
        state = self._states.get(d.actor)
        participant = self.service.participant
        phase = participant.phases.get(type(d.message)) if participant else None
        if participant and phase:
            answers = self._barrier.answers(d.actor)
            if (standing := standing_answer(participant, d.actor, phase, answers, sent_ms=d.sent_ms, now_ms=self.now_ms)) is not None:
                return Decision(state, answer=standing, refused=True)
        wanted = d.message.claims() if self._uses_claims else ()
        lost = self._claims.lost(d.actor, wanted) if wanted else ()
        context = Context(d.actor, d.id, self.now_ms, d.principal, d.trace, self._date, lost, self._books)
        decision = self.service.behave(state, d.message, context)
        assert phase is None or decision.answer is not None, f"{type(d.message).__name__} wants an answer"
        return decision

    def _made(self, d: Delivery, decision: Decision[S]) -> Made:
        """Encoded here, inside the guard: a message that is too large, or is no JSON, is the behaviour's mistake."""
        if decision.trace is not None:
            d = d._replace(trace=decision.trace)
        origin = Origin(d.id, d.trace, d.principal)
        said: Sequence[Send] = decision.sends
        if decision.answer is not None:
            said = [Send(d.actor, decision.answer), *said]
        if decision.reply is not None:
            body(decision.reply, d.actor)
        return Made(
            [
                encode(message, key=key, message_id=derived_id(d.id, n), origin=origin, now_ms=self.now_ms, topic=topic)
                for n, (key, message, topic) in enumerate(said)
            ],
            [(d.actor, t, timers.row_of(d, t) if isinstance(t, SetTimer) else None) for t in decision.timers],
            [attempts.row_of(d, a, now_ms=self.now_ms) for a in decision.attempts],
        )

    def _take(self, d: Delivery, decision: Decision[S], made: Made) -> None:
        before = self._states.get(d.actor)
        self._barrier.answered(d, decision.answer)
        if not decision.refused:
            self._states[d.actor] = decision.state
            if decision.state is None:
                self._claims.free(d.actor)
                self._forgotten.add(d.actor)
                self._timers = [change for change in self._timers if change[0] != d.actor]
            else:
                if self._uses_claims:
                    self._claims.take(d.actor, d.message.claims())
                if before is None and d.trace != d.actor:
                    self._aliases.append((d.actor, d.trace, self.now_ms))
                if decision.frees:
                    self._claims.give_back(d.actor, decision.frees)
        if decision.business_date is not None:
            self._new_date = decision.business_date
        for name in decision.aliases:
            self._aliases.append((name, d.trace, self.now_ms))
        for record in made.said:
            self._sends.append((d.actor, record))
        self._timers += made.timers
        self._attempts += made.attempts
        if decision.reply is not None:
            self._waiting.answer(d, decision.reply)

    def _tell(self, d: Delivery, message: Message) -> None:
        if d.reply_to is not None:
            self._sends.append((d.actor, waiting.reply(message, d.reply_to, caused_by=d, now_ms=self.now_ms)))
