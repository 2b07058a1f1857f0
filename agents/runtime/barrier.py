"""The barrier's rows: what each branch of a participant has answered, kept in the transaction that answered (`tcc`)."""

from collections.abc import Sequence

import orjson
from sqlalchemy import select

from agents.runtime.decision import Message
from agents.runtime.envelope import Delivery
from agents.runtime.tcc import Answers, Participant, Phase
from stores.engine import Tx
from stores.runtime import barrier
from stores.statement import Statement, in_list, insert_row

_OF = Statement(
    select(barrier.c.actor, barrier.c.phase, barrier.c.answer_type, barrier.c.answer_body).where(in_list(barrier.c.actor, "ids")), "ids"
)
_INSERT = insert_row(barrier)


class Branches:
    """A batch's view of its branches' answers; empty and free of cost for a service that takes part in nothing."""

    def __init__(self, participant: Participant | None) -> None:
        self._participant = participant
        self._answers: dict[str, dict[Phase, Message]] = {}
        self._new: list[tuple[str, Phase, Message]] = []

    def load(self, tx: Tx, actors: Sequence[str]) -> None:
        """Read what these branches have answered so far."""
        if self._participant is None:
            return
        types = self._participant.answer_types()
        for actor, phase, kind, body in tx.all(_OF, tx.list(actors)):
            self._answers.setdefault(actor, {})[Phase(phase)] = types[kind].model_validate_json(body)

    def answers(self, actor: str) -> Answers:
        """What this branch has answered, in this batch or before."""
        return self._answers.get(actor, {})

    def answered(self, d: Delivery, answer: Message | None) -> None:
        """Remember what a phase was answered; the first answer stands."""
        phase = self._participant.phases.get(type(d.message)) if self._participant else None
        if phase is None or answer is None or self._refuses_a_late_try(d, phase):
            return
        known = self._answers.setdefault(d.actor, {})
        if phase not in known:
            known[phase] = answer
            self._new.append((d.actor, phase, answer))

    def _refuses_a_late_try(self, d: Delivery, phase: Phase) -> bool:
        return phase is Phase.TRY and Phase.CANCEL in self.answers(d.actor)

    def save(self, tx: Tx, *, now_ms: int) -> None:
        """Write the new answers, in key order."""
        rows = [(actor, phase.value, answer.type, orjson.dumps(answer.model_dump()), now_ms) for actor, phase, answer in self._new]
        tx.many(_INSERT, sorted(rows))
