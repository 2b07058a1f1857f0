"""What the platform promises, checked against the tables and the log: some after every step, some when all has arrived."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from agents.runtime.envelope import REPLY_TO, TYPE
from agents.runtime.messages import DEAD_LETTERS, GATEWAY_REPLIES, Known, Mismatch
from agents.users.messages import EVENTS, MemberRegistered, RegistrationCancelled, RegistrationEnded
from bus.record import Record
from stores.accounts import account
from stores.runtime import claim, dead_letter, outbox, parked, position, stray, suspended, timer, waiting
from stores.users import member, registration
from tests.integration.stores.world import header, message_id
from tests.simulation.world import POLICY, Platform, Violation

DECIDED = {"CONFIRMING": "confirm", "CONFIRMED": "confirm", "CANCELLING": "cancel", "CANCELLED": "cancel"}
FINAL = ("CONFIRMED", "CANCELLED")
REPEATABLE = (GATEWAY_REPLIES, DEAD_LETTERS)  # an answer to a repeated question, a letter that is read again: same id, no effect


def hold(promise: bool, text: str, *about: Any) -> None:
    """Raise a violation when a promise does not hold."""
    if not promise:
        raise Violation(f"{text}: {', '.join(map(str, about))}")


@dataclass
class Promises:
    """The checks, and what they have seen so far of things that must not change."""

    platform: Platform
    decisions: dict[str, str] = field(default_factory=dict)
    reached: dict[tuple[str, int], int] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)  # reply-to → registration
    poisons: int = 0

    def after_a_step(self) -> None:
        """What holds between any two transactions."""
        self._decisions_stand()
        self._accounts_follow()
        self._names_have_one_living_owner()
        self._ended_is_at_rest()
        self._only_broken_actors_wait()
        self._positions_never_shrink()
        self._announced_once()

    def at_the_end(self) -> None:
        """What holds when everything that was said has arrived."""
        self.after_a_step()
        p = self.platform
        statuses = {r["id"]: r["status"] for r in p.sides["users"].dicts(registration)}
        hold(set(statuses.values()) <= set(FINAL), "a registration has not ended", statuses)
        hold(set(statuses) == set(self.asked.values()), "not everybody who registered has a registration", statuses, self.asked)
        confirmed = {key: "AVAILABLE" for key, status in statuses.items() if status == "CONFIRMED"}
        hold({a["id"]: a["status"] for a in p.sides["accounts"].dicts(account)} == confirmed, "accounts are not the confirmed", confirmed)
        hold({m["id"]: m["status"] for m in p.sides["users"].dicts(member)} == confirmed, "members are not the confirmed", confirmed)
        self._everybody_was_answered(statuses)
        self._said_once_and_in_order()
        for name, side in p.sides.items():
            for table in (timer, outbox, stray, suspended, parked):
                hold(side.rows(table) == [], f"{name} has rows left in {table.name}", side.rows(table))
            letters = side.dicts(dead_letter)
            hold(all(letter["state"] != "new" for letter in letters), f"{name} has open dead letters", letters)
        count = sum(len(side.rows(dead_letter)) for side in p.sides.values())
        hold(count == self.poisons + len(p.log.undamaged), "dead letters and bad records differ", count, self.poisons)

    def _decisions_stand(self) -> None:
        members = {m["id"]: m["status"] for m in self.platform.sides["users"].dicts(member)}
        for r in self.platform.sides["users"].dicts(registration):
            key, side = r["id"], DECIDED.get(r["status"])
            hold(self.decisions.get(key) in (None, side), "a decision flipped", key, self.decisions.get(key), r["status"])
            if side:
                self.decisions[key] = side
            wanted = {"CANCELLED": None}.get(r["status"], "AVAILABLE" if side == "confirm" else "UNAVAILABLE")
            hold(members.get(key) == wanted, "a member is not what its registration says", key, r["status"], members.get(key))
            hold(r["round"] <= POLICY.second_phase.budget, "the second phase was said more often than its budget", key, r["round"])

    def _accounts_follow(self) -> None:
        accounts = {a["id"]: a["status"] for a in self.platform.sides["accounts"].dicts(account)}
        for r in self.platform.sides["users"].dicts(registration):
            status = accounts.get(r["id"])
            hold(status != "AVAILABLE" or self.decisions.get(r["id"]) == "confirm", "an account is open undecided", r["id"], r["status"])
            hold(r["status"] != "CONFIRMED" or status == "AVAILABLE", "a confirmed member cannot log in", r["id"], status)
            hold(r["status"] != "CANCELLED" or status is None, "a cancelled registration keeps an account", r["id"], status)

    def _names_have_one_living_owner(self) -> None:
        side = self.platform.sides["accounts"]
        owned = sorted((f"{n}:{a[c]}", a["id"]) for a in side.dicts(account) for n, c in (("mobile", "mobile_lookup"), ("login_name",) * 2))
        hold(owned == sorted(side.rows(claim)), "claims are not what the accounts hold", owned, side.rows(claim))

    def _ended_is_at_rest(self) -> None:
        side = self.platform.sides["users"]
        ended = {r["id"]: r["changed_ms"] for r in side.dicts(registration) if r["status"] in FINAL}
        hold(not [t for t in side.dicts(timer) if t["actor"] in ended], "a timer outlives its registration", ended)
        early = [w for w in side.dicts(waiting) if w["actor"] in ended and w["at_ms"] < ended[w["actor"]]]
        hold(not early, "somebody who waited was not told the end", early)

    def _only_broken_actors_wait(self) -> None:
        for name, side in self.platform.sides.items():
            for row in side.dicts(suspended):
                hold((name, row["actor"]) in self.platform.weather.ever, "an actor without a bug is suspended", name, row)
            stopped = {row["actor"] for row in side.dicts(suspended)}
            hold({row["actor"] for row in side.dicts(parked)} <= stopped, "a message is parked for an actor that is not suspended", name)

    def _positions_never_shrink(self) -> None:
        for name, side in self.platform.sides.items():
            for row in side.dicts(position):
                at = (name, row["partition"])
                end = len(self.platform.log.partitions[side.service.topic, row["partition"]])
                highest = row["highest_offset"]
                hold(self.reached.get(at, 0) <= highest <= end, "the highest offset went back, or beyond the log", at, highest, end)
                hold(row["next_offset"] <= highest, "a position beyond the highest", at, row)
                self.reached[at] = highest

    def _announced_once(self) -> None:
        outcomes: dict[str, set[tuple[str, str | None]]] = defaultdict(set)
        for record in self.replies(RegistrationEnded.type):
            said = json.loads(record.value or b"")
            outcomes[said["id"]].add((said["status"], said["reason"]))
        hold(all(len(ends) == 1 for ends in outcomes.values()), "two different outcomes were told", dict(outcomes))
        for record in self.platform.log.all_of(EVENTS):
            kind, key = header(record.headers, TYPE), (record.key or b"").decode()
            wanted = {MemberRegistered.type: "confirm", RegistrationCancelled.type: "cancel"}.get(kind or "")
            hold(self.decisions.get(key) == wanted, "an event that contradicts the decision", key, kind)

    def replies(self, kind: str) -> list[Record]:
        """Answers of one type to HTTP requests."""
        return [r for r in self.platform.log.all_of(GATEWAY_REPLIES) if header(r.headers, TYPE) == kind]

    def _everybody_was_answered(self, statuses: dict[str, str]) -> None:
        told = {header(r.headers, REPLY_TO) for kind in (RegistrationEnded, Known, Mismatch) for r in self.replies(kind.type)}
        hold(set(self.asked) <= told, "a request was never answered", sorted(set(self.asked) - told))
        ends = {json.loads(r.value or b"")["id"]: json.loads(r.value or b"")["status"] for r in self.replies(RegistrationEnded.type)}
        hold(ends == statuses, "the told outcomes are not the registrations'", ends, statuses)
        facts = Counter(key.decode() for key, _ in self.platform.ids_at(EVENTS) if key)
        hold(dict(facts) == dict.fromkeys(statuses, 1), "not one announcement a registration", facts)

    def _said_once_and_in_order(self) -> None:
        """First occurrences at each destination are exactly what the actors have said, an actor's in its order."""
        p = self.platform
        for topic in {o.topic for side in p.sides.values() for o in side.said} - set(REPEATABLE):
            said: dict[bytes | None, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
            for name, side in p.sides.items():
                for o in side.said:
                    if o.topic == topic and message_id(o) not in p.foreign:
                        said[o.key][name].append(message_id(o))
            arrived: dict[bytes | None, list[str]] = defaultdict(list)
            for key, identity in p.ids_at(topic):
                if identity not in p.foreign:
                    arrived[key].append(identity)
            for key, by_service in said.items():
                for name, identities in by_service.items():
                    twice = [identity for identity, n in Counter(identities).items() if n > 1]
                    hold(not twice, "a message took effect twice", topic, key, twice)
                    found = [identity for identity in arrived[key] if identity in set(identities)]
                    hold(found == identities, "not what was said, in its order", topic, key, name, identities, found)
            known = {identity for by in said.values() for each in by.values() for identity in each}
            extra = [identity for each in arrived.values() for identity in each if identity not in known]
            hold(not extra, "a message that nobody's committed transaction has said", topic, extra)
