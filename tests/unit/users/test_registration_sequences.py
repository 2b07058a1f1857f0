"""Any sequence of messages: a decision never flips, and both sides agree once accounts has answered (CASES D3, D6)."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agents.accounts.messages import Cancel, Cancelled, Confirm, Confirmed, Refused, Tried, Try
from agents.runtime.decision import ClearTimer, Decision, Message, SetTimer
from agents.users.behaviour import behave
from agents.users.messages import CancelRegistration, Command, RetrySecondPhase, SecondPhaseDue
from agents.users.model import MemberStatus, Registration, Status
from tests.unit.users.examples import ASKED, COMMANDS, KEY, POLICY, context

SIDE = {
    Status.TRYING: None,
    Status.CONFIRMING: "confirm",
    Status.CONFIRMED: "confirm",
    Status.CANCELLING: "cancel",
    Status.CANCELLED: "cancel",
}
ANY = st.one_of(st.sampled_from((ASKED, *COMMANDS)), st.builds(SecondPhaseDue, id=st.just(KEY), round=st.integers(0, 5)))


def check_itself(registration: Registration) -> None:
    """What is true of a registration in every state."""
    status, member = registration.status, registration.member
    assert (member is None) == (status is Status.CANCELLED)
    if member is not None:
        assert (member.status is MemberStatus.AVAILABLE) == (status in (Status.CONFIRMING, Status.CONFIRMED))
    assert (registration.reason is not None) == (SIDE[status] == "cancel")
    assert registration.round <= POLICY.second_phase.budget
    assert not (registration.stuck and status.is_final)


@given(st.lists(ANY, max_size=30))
def test_no_sequence_of_messages_flips_a_decision(commands: list[Command]) -> None:
    state: Registration | None = None
    decided: str | None = None
    for n, command in enumerate((ASKED, *commands)):
        decision = behave(state, command, context(1_000 + n), POLICY)
        assert decision.state is not None
        check_itself(decision.state)
        side = SIDE[decision.state.status]
        assert decided in (None, side)
        said = {type(send.message) for send in decision.sends}
        assert not (said & {Confirm} and side != "confirm") and not (said & {Cancel} and side != "cancel")
        state, decided = decision.state, side


@given(st.lists(ANY, max_size=30))
def test_what_has_ended_says_nothing_sets_nothing_and_stays(commands: list[Command]) -> None:
    for ended in (Confirmed(id=KEY), Cancelled(id=KEY)):
        path: tuple[Command, ...] = (ASKED, Tried(id=KEY) if ended.type.endswith("Confirmed") else Refused(id=KEY, code="x"), ended)
        state: Registration | None = None
        for command in path:
            state = behave(state, command, context(), POLICY).state
        for command in commands:
            decision = behave(state, command, context(), POLICY)
            assert decision.state is state
            assert not (decision.sends or decision.timers or decision.attempts)


@dataclass
class Accounts:
    """The participant with its barrier, as small as it can be: what it has been told once stands."""

    free: bool = True
    answers: dict[type[Message], Message] = field(default_factory=dict)
    state: str | None = None

    def tell(self, message: Message) -> Message:
        """What it answers; a repeat is answered as before."""
        if type(message) not in self.answers:
            self.answers[type(message)] = self._decide(message)
        return self.answers[type(message)]

    def _decide(self, message: Message) -> Message:
        match message:
            case Try():
                if Cancel in self.answers or not self.free:
                    return Refused(id=KEY, code="cancelled" if Cancel in self.answers else "mobile_taken")
                self.state = "UNAVAILABLE"
                return Tried(id=KEY)
            case Confirm():
                assert isinstance(self.answers.get(Try), Tried) and Cancel not in self.answers, "a Confirm nobody may send"
                self.state = "AVAILABLE"
                return Confirmed(id=KEY)
            case _:
                assert Confirm not in self.answers, "a Cancel after its Confirm"
                self.state = None
                return Cancelled(id=KEY)


class BothSides(RuleBasedStateMachine):
    """The coordinator, its participant, its timers, and two bags of messages that may be delayed, repeated and reordered."""

    def __init__(self) -> None:
        super().__init__()
        self.state: Registration | None = None
        self.to_accounts: list[Message] = []
        self.to_users: list[Command] = []
        self.timers: dict[str, SetTimer] = {}
        self.accounts = Accounts()
        self.now_ms = 1_000

    @initialize(free=st.booleans())
    def registers(self, free: bool) -> None:
        self.accounts.free = free
        self.handle(ASKED)

    def handle(self, command: Command) -> None:
        self.now_ms += 1
        decision: Decision[Registration] = behave(self.state, command, context(self.now_ms), POLICY)
        self.state = decision.state
        self.to_accounts += [send.message for send in decision.sends if isinstance(send.message, Try | Confirm | Cancel)]
        for timer in decision.timers:
            if isinstance(timer, ClearTimer):
                self.timers.pop(timer.name, None)
            else:
                self.timers[timer.name] = timer

    @precondition(lambda self: self.to_accounts)
    @rule(data=st.data(), again=st.booleans())
    def accounts_gets_a_message(self, data: st.DataObject, again: bool) -> None:
        at = data.draw(st.integers(0, len(self.to_accounts) - 1))
        message = self.to_accounts[at] if again else self.to_accounts.pop(at)
        self.to_users.append(self.accounts.tell(message))  # type: ignore[arg-type]

    @precondition(lambda self: self.to_users)
    @rule(data=st.data(), again=st.booleans())
    def users_gets_an_answer(self, data: st.DataObject, again: bool) -> None:
        at = data.draw(st.integers(0, len(self.to_users) - 1))
        self.handle(self.to_users[at] if again else self.to_users.pop(at))

    @precondition(lambda self: self.timers)
    @rule(data=st.data())
    def a_timer_fires(self, data: st.DataObject) -> None:
        timer = self.timers.pop(data.draw(st.sampled_from(sorted(self.timers))))
        self.handle(timer.message)  # type: ignore[arg-type]

    @rule(command=st.sampled_from([CancelRegistration(id=KEY, reason="x"), RetrySecondPhase(id=KEY)]))
    def an_operator_acts(self, command: Command) -> None:
        self.handle(command)

    @invariant()
    def nobody_is_in_with_half_a_registration(self) -> None:
        if self.state is None:
            return
        check_itself(self.state)
        if self.accounts.state == "AVAILABLE":
            assert SIDE[self.state.status] == "confirm"

    def teardown(self) -> None:
        """Everything that is under way arrives, the operator retries what is stuck: both sides agree at the end."""
        for _ in range(50):
            while self.to_accounts:
                self.to_users.append(self.accounts.tell(self.to_accounts.pop(0)))  # type: ignore[arg-type]
            while self.to_users:
                self.handle(self.to_users.pop(0))
            if self.state is None or self.state.status.is_final:
                break
            if self.timers:
                self.handle(self.timers.pop(min(self.timers)).message)  # type: ignore[arg-type]
            else:
                self.handle(RetrySecondPhase(id=KEY))
        if self.state is not None:
            assert self.state.status.is_final and not self.timers
            assert (self.accounts.state == "AVAILABLE") == (self.state.status is Status.CONFIRMED)
            assert (self.accounts.state is None) == (self.state.status is Status.CANCELLED)


TestBothSides = BothSides.TestCase
