"""The barrier of a TCC participant: a branch is tried, confirmed and cancelled at most once, in whatever order it is told.

Around the behaviour of every participant, without its author asking:
* idempotence 幂等: a phase that was answered is answered again, the behaviour is not asked twice;
* empty rollback 空回滚: a Cancel without its Try is remembered and answered;
* hanging 悬挂: a Try after its Cancel, or older than the barrier remembers, is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from agents.runtime.decision import Message


class Phase(StrEnum):
    """The three things a coordinator may say to a branch."""

    TRY = "try"
    CONFIRM = "confirm"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Participant:
    """A service's part: the messages of its phases, its refusal of a Try that comes too late
    (made of the actor and a code), its answers' types.

    `memory_ms`: how long barrier rows are kept; a Try sent longer ago is refused.
    """

    phases: Mapping[type[Message], Phase]
    answers: tuple[type[Message], ...]
    refuse: Callable[[str, str], Message]
    tried: type[Message]
    memory_ms: int

    def answer_types(self) -> dict[str, type[Message]]:
        """Type on the wire → answer, to read stored answers again."""
        return {a.type: a for a in self.answers}


Answers = Mapping[Phase, Message]  # what this branch has answered so far


class BarrierBroken(Exception):
    """A coordinator contradicts itself (Confirm without an accepted Try, or after Cancel; Cancel after Confirm)."""


def standing_answer(participant: Participant, actor: str, phase: Phase, answers: Answers, *, sent_ms: int, now_ms: int) -> Message | None:
    """The answer that the barrier gives by itself, or None: the behaviour is asked. Raises BarrierBroken."""
    if phase in answers:
        return answers[phase]
    match phase:
        case Phase.TRY:
            if Phase.CANCEL in answers:
                return participant.refuse(actor, "cancelled")
            if now_ms - sent_ms > participant.memory_ms:
                return participant.refuse(actor, "too_old")
        case Phase.CONFIRM:
            if not isinstance(answers.get(Phase.TRY), participant.tried) or Phase.CANCEL in answers:
                raise BarrierBroken(f"confirm, but the branch has answered {_said(answers)}")
        case Phase.CANCEL:
            if Phase.CONFIRM in answers:
                raise BarrierBroken(f"cancel, but the branch has answered {_said(answers)}")
    return None


def _said(answers: Answers) -> str:
    return ", ".join(f"{phase}: {answer.type}" for phase, answer in answers.items()) or "nothing"
