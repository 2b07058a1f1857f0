"""The scheduler: at each step one thing that can happen to the platform, drawn by a seed; afterwards everything arrives.

`Simulation(seed, folder).run()` raises Violation with the seed and the last steps; the same seed makes the same run.
"""

import random
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path

from agents.runtime import batch as batches
from agents.runtime import operator
from agents.runtime.envelope import CONTENT_MAC, MESSAGE_ID, REPLY_TO, TYPE, Origin, encode
from agents.runtime.operator import Act, Mended
from agents.runtime.ownership import LostEpoch
from agents.runtime.scanner import _scan
from agents.users.messages import CancelRegistration, Register, RetrySecondPhase
from bus.errors import LostLease
from bus.record import Outgoing, Record, unpack_headers
from config.limits import PARKED_RUN_MAX
from stores.runtime import audit, dead_letter, suspended, timer
from stores.users import registration
from tests.integration.stores.world import header
from tests.simulation.promises import Promises, hold
from tests.simulation.world import Crash, Owner, Platform, Violation, partition_of

STEPS = 110
PEOPLE = 6
ROUNDS_MAX = 400
TRACE_SHOWN = 12
BAD_VALUES = (None, b"", b"{", b"[]", b'"x"', b'{"id": 1}', b"\xff\xfe")


class Simulation:
    """One run of one seed."""

    def __init__(self, seed: str, folder: Path, *, steps: int = STEPS) -> None:
        self.seed = seed
        self.chance = random.Random(f"simulation {seed}")
        self.platform = Platform(folder)
        self.promises = Promises(self.platform)
        self.trace: list[str] = []
        self.acts = 0
        self._steps = steps
        self._numbers = 0
        self._people = [self.new_id() for _ in range(PEOPLE)]
        self.platform.mangles = lambda o: o.topic.endswith(".commands") and self._may_mangle and self.chance.random() < 0.07
        self._may_mangle = True
        self._choices: dict[Callable[[], str], int] = {
            self.deliver: 12,
            self.relay: 12,
            self.scan: 5,
            self.time_goes_on: 4,
            self.registers: 4,
            self.takes_over: 2,
            self.ghost_wakes: 3,
            self.rewinds: 1,
            self.operator_acts: 1,
            self.breaks: 1,
            self.mends: 1,
            self.poisons: 1,
            self.echoes: 2,
            self.redrives: 2,
        }

    def run(self) -> None:
        """Random steps, then everything that is under way arrives; the promises are checked all along. Raises Violation."""
        try:
            for _ in range(self._steps):
                (step,) = self.chance.choices(list(self._choices), list(self._choices.values()))
                self.trace.append(f"{step.__name__}: ")
                self.trace[-1] += step()
                self.promises.after_a_step()
            self.settle()
            self.promises.at_the_end()
            hold(sum(len(side.rows(audit)) for side in self.platform.sides.values()) == self.acts, "an act without its audit row")
        except (AssertionError, sqlite3.Error, LostEpoch, LostLease) as exc:
            steps = "\n  ".join(self.trace[-TRACE_SHOWN:])
            raise Violation(f"{exc!r}\nseed {self.seed!r}, after {len(self.trace)} steps:\n  {steps}") from exc
        finally:
            self.platform.close()

    def new_id(self) -> str:
        """The next id of this run."""
        self._numbers += 1
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.seed}/{self._numbers}"))

    def registers(self) -> str:
        """A person's command: the first, a repeat of it, one with other content, or the same again under another id."""
        n = self.chance.randrange(PEOPLE)
        key, other, again = self._people[n], self.chance.random() < 0.1, self.chance.random() < 0.1
        command = Register(
            id=key,
            login_name=f"name{n % 4}",
            mobile="s1.k1.bQ",
            mobile_lookup=f"mobile{n // 2}",
            password_hash="s1.k1.aA",
            role="investor" if other else "borrower",
        )
        identity = self.new_id() if again else str(uuid.uuid5(uuid.NAMESPACE_OID, key))
        reply_to = f"gw-1/{self.new_id()}"
        self.promises.asked[reply_to] = key
        self._foreign(
            encode(
                command,
                key=key,
                message_id=identity,
                origin=Origin(identity, key, "anonymous"),
                now_ms=self.platform.now_ms,
                reply_to=reply_to,
                mac=f"{int(other):064d}",
            )
        )
        return f"person {n}{', other content' if other else ''}{', another id' if again else ''}"

    def deliver(self) -> str:
        """One owner handles a run; it may die before or after the COMMIT."""
        owner = self._an_owner()
        crash = self.chance.choices(["", "before", "after"], [20, 1, 1])[0]
        return f"{owner.at} {self._deliver(owner, self.chance.randint(1, 8), crash)}"

    def relay(self) -> str:
        """Rows to the bus; the owner may die before their rows are deleted."""
        owner = self._an_owner()
        dies = self.chance.random() < 0.05
        self.platform.relay(owner, self.chance.randint(1, 5), dies_between=dies)
        if not dies and self.chance.random() < 0.3:
            owner.delete_sent(self.platform.now_ms)
        return f"{owner.at}{' and dies' if dies else ''}"

    def scan(self) -> str:
        """Timers fire, suspended actors are tried again; the owner may die before or after the COMMIT."""
        owner = self._an_owner()
        crash = self.chance.choices(["", "before", "after"], [12, 1, 1])[0]
        return f"{owner.at} {self._scan(owner, crash)}"

    def time_goes_on(self) -> str:
        """Virtual milliseconds."""
        ms = self.chance.choice([1, 200, 999, 1_000, 5_000, 60_000])
        self.platform.now_ms += ms
        return f"{ms} ms"

    def takes_over(self) -> str:
        """Another process takes a partition; the old owner lives and does not know."""
        at = self.chance.choice(list(self.platform.owners))
        self.platform.take_over(*at, dies_between=self.chance.random() < 0.2)
        return str(at)

    def ghost_wakes(self) -> str:
        """A lost owner goes on where it was: it is told so, and not one row of its service changes."""
        if not self.platform.ghosts:
            return "none"
        ghost = self.chance.choice(self.platform.ghosts)
        before = ghost.side.everything()
        what = self.chance.choice(["apply", "scan", "delete", "append"] if self._ghost_run(ghost) else ["scan", "delete", "append"])
        try:
            if what == "apply":
                ghost.transaction(self.platform.now_ms, batches.apply, self._decoded(ghost, self._ghost_run(ghost)), None)
            elif what == "scan":
                ghost.transaction(self.platform.now_ms, _scan)
            elif what == "delete":
                ghost.delete_sent(self.platform.now_ms)
            else:
                self.platform.log.fenced(ghost, ghost.waiting, self.platform.now_ms, self.platform.mangles)
        except (LostEpoch, LostLease):
            hold(ghost.side.everything() == before, "a lost owner has written", ghost.at, what)
        else:
            hold(False, "a lost owner was not told", ghost.at, what)
        return f"{ghost.at} {what}"

    def rewinds(self) -> str:
        """The group's offset is older than the position: an owner reads again what it has handled."""
        owner = self._an_owner()
        owner.next_offset = self.chance.randint(0, owner.next_offset)
        return f"{owner.at} to {owner.next_offset}"

    def operator_acts(self) -> str:
        """Cancel or retry a registration, whatever state it is in."""
        key = self.chance.choice(self._people)
        cancel = self.chance.random() < 0.5
        self._tell(key, CancelRegistration(id=key, reason="asked") if cancel else RetrySecondPhase(id=key))
        return f"{'cancel' if cancel else 'retry'} {key[:8]}"

    def breaks(self) -> str:
        """From now on a behaviour raises for one actor."""
        name, key = self.chance.choice(list(self.platform.sides)), self.chance.choice(self._people)
        self.platform.weather.breaks(name, key)
        return f"{name} {key[:8]}"

    def mends(self) -> str:
        """Another version has no bug any more."""
        self.platform.weather.broken.clear()
        return "all"

    def poisons(self) -> str:
        """A record that nobody can read, under the key of somebody who is being served."""
        topic = self.chance.choice(["users.commands", "accounts.commands"])
        key = self.chance.choice([None, b"\xff", *(k.encode() for k in self._people)])
        value, at_ms = self.chance.choice(BAD_VALUES), self.platform.now_ms
        headers: tuple[tuple[str, bytes | None], ...] = ((MESSAGE_ID, self.new_id().encode()), ("type", b"accounts.Confirm"))
        self.platform.foreign.add(header(headers, MESSAGE_ID) or "")
        self.platform.log.append(Outgoing(topic, key, value, headers, at_ms), at_ms)
        self.promises.poisons += 1
        return f"{topic} {key!r} {value!r}"

    def echoes(self) -> str:
        """A stranger copies a record to the end of its topic: as it is, or under a message id of its own."""
        topic = self.chance.choice(["users.commands", "accounts.commands"])
        records = [r for r in self.platform.log.all_of(topic) if header(r.headers, CONTENT_MAC) is None and self._is_good(r)]
        if not records:
            return "none"
        r = self.chance.choice(records)
        if renamed := self.chance.random() < 0.5:
            r = r._replace(headers=(*(h for h in r.headers if h[0] != MESSAGE_ID), (MESSAGE_ID, self.new_id().encode())))
            self.platform.foreign.add(header(r.headers, MESSAGE_ID) or "")
        self.platform.log.append(Outgoing(topic, r.key, r.value, r.headers, r.timestamp_ms), self.platform.now_ms)
        return f"{header(r.headers, 'type')} {(r.key or b'')[:8]!r}{' renamed' if renamed else ''}"

    def redrives(self) -> str:
        """An operator mends a dead letter, or gives it up when it never was a message or is said again anyhow."""
        side = self.platform.sides[self.chance.choice(list(self.platform.sides))]
        letters = [letter for letter in side.dicts(dead_letter) if letter["state"] == "new"]
        if not letters:
            return "none"
        letter, identity = self.chance.choice(letters), self.new_id()
        good = self.platform.log.undamaged.get((letter["topic"], letter["partition"], letter["offset"]))
        skipped = good is None or (self._replaceable(letter["headers"]) and self.chance.random() < 0.7)
        if skipped or good is None:
            side.transaction(operator.skip_letter, self._act(), letter["id"])
        else:
            self.platform.foreign.add(identity)
            side.transaction(operator.redrive_letter, self._act(), letter["id"], Mended(value=good), new_id=identity)
        return f"{side.service.name} {letter['offset']} {'skipped' if skipped else 'mended'}"

    def settle(self) -> None:
        """No more faults: all arrives, time goes on until no timer is left, the operator sees to what is stuck."""
        self._may_mangle = False
        self.mends()
        for at, owner in self.platform.owners.items():
            if not owner.alive or self.platform.log.epochs[at] != owner.tenure.epoch:
                self.platform.take_over(*at)
        for _ in range(ROUNDS_MAX):
            if not self._drain() and not self._wait() and not self._tidy():
                break
            self.promises.after_a_step()
        else:
            raise Violation("it does not end")
        for owner in self.platform.owners.values():
            owner.delete_sent(self.platform.now_ms)

    def _drain(self) -> bool:
        """Relay and handle all that there is; whether there was anything."""
        moved = False
        for owner in self.platform.owners.values():
            self._scan(owner, "")
            moved = moved or bool(owner.waiting)
            self.platform.relay(owner, len(owner.waiting))
            while self.platform.run_of(owner, 1):
                self._deliver(owner, 50, "")
                moved = True
        return moved

    def _wait(self) -> bool:
        """Let the clock go on to whatever is due next; whether anything is."""
        dues = [row["due_ms"] for side in self.platform.sides.values() for row in side.dicts(timer)]
        dues += [row["next_ms"] for side in self.platform.sides.values() for row in side.dicts(suspended) if row["next_ms"] is not None]
        self.platform.now_ms = max(self.platform.now_ms, min(dues, default=0))
        return bool(dues)

    def _tidy(self) -> bool:
        """What only an operator can do; whether there was anything to do."""
        before = self.acts
        for side in self.platform.sides.values():
            for row in side.dicts(suspended):
                side.transaction(operator.redrive_actor, self._act(), row["actor"])
            while any(letter["state"] == "new" for letter in side.dicts(dead_letter)):
                self.redrives()
        for row in self.platform.sides["users"].dicts(registration):
            if row["stuck"]:
                self._tell(row["id"], RetrySecondPhase(id=row["id"]))
        return self.acts > before

    def _an_owner(self) -> Owner:
        """An owner to act; one that has died is replaced first."""
        at = self.chance.choice(list(self.platform.owners))
        if not self.platform.owners[at].alive:
            self.platform.take_over(*at)
        return self.platform.owners[at]

    def _deliver(self, owner: Owner, count: int, crash: str) -> str:
        run = self.platform.run_of(owner, count)
        if not run:
            return "nothing"
        with Dying(owner, crash):
            owner.transaction(self.platform.now_ms, batches.apply, self._decoded(owner, run), None, crash=crash)
            owner.next_offset = run[-1].offset + 1
        return f"{run[0].offset}-{run[-1].offset} {crash}"

    def _scan(self, owner: Owner, crash: str) -> str:
        with Dying(owner, crash):
            scan = owner.transaction(self.platform.now_ms, _scan, crash=crash)
            for actor, tries in scan.heal:
                owner.transaction(self.platform.now_ms, batches.heal, actor, tries, PARKED_RUN_MAX)
            return f"{len(scan.leaving)} said, {len(scan.heal)} tried again"
        return crash

    def _decoded(self, owner: Owner, run: list[Record]) -> list[batches.Item]:
        return batches.decoded(run, owner.side.service.registry)

    def _ghost_run(self, ghost: Owner) -> list[Record]:
        """What the ghost has read; when the log has nothing more for it, what it read before."""
        return self.platform.run_of(ghost, 5) or self.platform.log.partitions[ghost.side.service.topic, ghost.tenure.partition][:5]

    def _replaceable(self, packed: bytes) -> bool:
        """Whether the coordinator's timers make good what is lost: all that the two sides say to each other."""
        return (header(unpack_headers(packed), TYPE) or "").startswith("accounts.")

    def _is_good(self, r: Record) -> bool:
        return r.key is not None and (r.topic, r.partition, r.offset) not in self.platform.log.undamaged and r.value not in BAD_VALUES

    def _foreign(self, o: Outgoing) -> None:
        self.platform.foreign.add(header(o.headers, MESSAGE_ID) or "")
        assert header(o.headers, REPLY_TO), "a person waits"
        self.platform.log.append(o, self.platform.now_ms, mangled=self.platform.mangles(o))

    def _tell(self, key: str, message: CancelRegistration | RetrySecondPhase) -> None:
        identity = self.new_id()
        self.platform.foreign.add(identity)
        side = self.platform.sides["users"]
        side.transaction(operator.tell, self._act(), key, message, partition=partition_of(key.encode()), message_id=identity)

    def _act(self) -> Act:
        self.acts += 1
        return Act("operator-1", "simulated", self.platform.now_ms)


class Dying:
    """The owner dies of the block's Crash; one that was to die before its COMMIT has changed nothing."""

    def __init__(self, owner: Owner, crash: str) -> None:
        self._owner = owner
        self._before = owner.side.everything() if crash == "before" else None

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if kind is not Crash:
            return False
        self._owner.alive = False
        if self._before is not None:
            hold(self._owner.side.everything() == self._before, "a transaction without its COMMIT has changed rows", self._owner.at)
        return True
