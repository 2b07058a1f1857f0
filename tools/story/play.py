"""The story: register, open accounts at the bank, bring money, borrow and lend, repay in three instalments; and a loan that fails.

Every step waits for the final answer of the one before. The parts (`members`, `lend`, `fail_another`, `repay`) may be told apart,
as many at once as somebody likes: they share nothing but the bank's calendar, which whoever tells them rolls.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from tools.story import terms
from tools.story.http import Answer, Document, Doer, Http, Unexpected
from tools.story.people import Cast, Person, Staff
from tools.story.scene import Scene
from tools.story.terms import Listing

Roll = Callable[[], Awaitable[date]]  # the bank closes its day; the date on which it stands then

# What is final of each thing, and how it ends well.
OPENED: Final = ("OPENED", ("OPENED", "REFUSED", "CLOSED"))
DONE: Final = ("DONE", ("DONE", "REFUSED", "CLOSED"))
ON: Final = ("ON", ("ON", "REFUSED", "CLOSED"))
ACCEPTED: Final = ("ACCEPTED", ("ACCEPTED", "REFUSED", "RELEASED", "CLOSED"))
ROLLS_MAX: Final = 400  # days: a plan of three months is over long before


@dataclass
class Story:
    """One loan's life and another one's failure. `scenes` is what happened so far."""

    cast: Cast
    first_auditor: Staff
    second_auditor: Staff
    http: Http
    roll: Roll
    scenes: list[Scene] = field(default_factory=list)
    loans: dict[str, str] = field(default_factory=dict)  # "shop", "cart" → loan id
    today: date | None = None

    async def play(self) -> AsyncIterator[Scene]:
        """The whole story, scene by scene. Raises StoryEnded when it cannot go on."""
        for part in (self.members(), self.lend(), self.fail_another(), self.repay()):
            async for scene in part:
                yield scene

    async def members(self) -> AsyncIterator[Scene]:
        """Everybody registers, logs in, and opens an account at the bank, which refuses one; who has one brings money."""
        for person in self.cast.everybody:
            yield await self._register(person)
        doers: tuple[Doer, ...] = (*self.cast.everybody, self.first_auditor, self.second_auditor)
        for doer in doers:
            yield await self._log_in(doer)
        for person in self.cast.customers:
            yield await self._at_the_bank(person, "opens an account at the bank", "/api/v1/openings", person.papers(), OPENED)
        refused = self.cast.refused
        yield await self._refused_opening(refused)
        for person in self.cast.customers:
            body = {"amount_fen": terms.RECHARGES[person.part]}
            yield await self._at_the_bank(person, f"brings {yuan(body['amount_fen'])}", "/api/v1/recharges", body, DONE)

    async def lend(self) -> AsyncIterator[Scene]:
        """A loan is published, audited, filled, audited again and disbursed; its plan is made; the borrower lets it be collected."""
        async for scene in self._listed("shop", terms.SHOP):
            yield scene
        yield await self._bid("shop", *terms.TOO_MUCH, refused=True, because="without the money")
        for part, amount_fen in terms.BIDS:
            yield await self._bid("shop", part, amount_fen)
        yield await self._stands("shop", "FULL", "is full")
        yield await self._bid("shop", *terms.TOO_LATE, refused=True, because="too late")
        yield await self._audit("shop", self.first_auditor, "full-audit", "tries to approve it a second time", refused=True)
        yield await self._audit("shop", self.second_auditor, "full-audit", "approves the full loan")
        yield await self._stands("shop", "REPAYING", "is disbursed")
        yield await self._planned()
        body = {"cap_fen": terms.REPAY_CAP_FEN, "expires_on": f"{await self._authorized_until()}"}
        yield await self._at_the_bank(self.cast.borrower, "lets instalments be collected", "/api/v1/authorizations", body, ON)

    async def fail_another(self) -> AsyncIterator[Scene]:
        """A second loan is not filled by its last day: it fails, and everything is given back."""
        async for scene in self._listed("cart", terms.CART):
            yield scene
        for part, amount_fen in terms.CART_BIDS:
            yield await self._bid("cart", part, amount_fen)
        began = _now_s()
        for _ in range(terms.CART.raising_days + 1):
            self.today = await self.roll()
        yield self._over("the bank", f"closes {terms.CART.raising_days + 1} days", "done", began)
        yield await self._stands("cart", "FAILED", "fails: it was not filled in time")

    async def repay(self) -> AsyncIterator[Scene]:
        """The bank's date rolls day by day; on each due date the instalment is collected; after the last the loan is settled."""
        for row in (await self.plan())["instalments"]:
            yield await self._rolled_to(date.fromisoformat(row["due_date"]), f"instalment {row['number']}")
            yield await self._paid(int(row["number"]))
        yield await self._stands("shop", "SETTLED", "is settled")

    async def plan(self) -> Document:
        """The shop's plan as its borrower sees it."""
        return (await self.http.get(f"{self._loan('shop')}/plan", self.cast.borrower)).said

    def person(self, part: str) -> Person:
        """Who plays this part."""
        return next(person for person in self.cast.everybody if person.part == part)

    async def _register(self, who: Person) -> Scene:
        began = _now_s()
        answer = await self.http.post("/api/v1/registrations", who.registration())
        ended = await self._end_of(answer, None, ("CONFIRMED", "CANCELLED"), f"registration of {who.part}")
        return self._over(who.part, "registers", ended.code, began, held=ended.code == "CONFIRMED", answer=ended)

    async def _log_in(self, who: Doer) -> Scene:
        began = _now_s()
        answer = await self.http.log_in(who)
        held = answer.status in (200, 201) and "token" in answer.said
        return self._over(who.part, "logs in", "in" if held else answer.code, began, held=held, answer=answer)

    async def _at_the_bank(
        self, who: Person, does: str, path: str, body: dict[str, Any], ends: tuple[str, tuple[str, ...]], *, refused: str | None = None
    ) -> Scene:
        """Ask for something, confirm it on the bank's page, wait for its end; `refused`: it must come to nothing, for this reason."""
        began = _now_s()
        well, final = ends
        answer = await self.http.post(path, body, who)
        ended = await self._confirmed(who, answer, final, does, again=path.endswith("openings"))
        held = ended.code == well if refused is None else ended.code == refused
        return self._over(who.part, does, ended.code, began, held=held, answer=ended)

    async def _refused_opening(self, who: Person) -> Scene:
        does = "opens an account; the bank refuses the name"
        return await self._at_the_bank(who, does, "/api/v1/openings", who.papers(), OPENED, refused="REFUSED")

    async def _confirmed(self, who: Person, answer: Answer, final: tuple[str, ...], what: str, *, again: bool = False) -> Answer:
        """The bank's page is opened and confirmed, if there is one; then how the thing ends."""
        if answer.status >= 400:
            return answer
        if answer.location is None:
            raise Unexpected(f"{what}: {answer.status} without a Location: {answer.said}")
        said = answer.said
        if not said.get("page_url") and said.get("status") not in final:
            said = await self.http.until(
                answer.location, who, lambda d: bool(d.get("page_url")) or d.get("status") in final, f"{who.part} {what}: the bank's page"
            )
        if (page := said.get("page_url")) and said.get("status") not in final:
            await self.http.show(page)
            form = {"deposit_password": who.deposit_password}
            await self.http.submit(page, {**form, "deposit_password_again": who.deposit_password} if again else form)
        return await self._end_of(Answer(answer.status, said, answer.location), who, final, f"{who.part} {what}")

    async def _end_of(self, answer: Answer, who: Doer | None, final: tuple[str, ...], what: str) -> Answer:
        if answer.status >= 400 or answer.said.get("status") in final or answer.location is None:
            return answer
        said = await self.http.until(answer.location, who, lambda d: d.get("status") in final, what)
        return Answer(200, said, answer.location)

    async def _listed(self, name: str, listing: Listing) -> AsyncIterator[Scene]:
        """A borrower applies, an auditor lets it go public, the bank has its project."""
        began = _now_s()
        borrower = self.cast.borrower
        answer = await self.http.post(terms.PUBLISHED, listing.body(), borrower)
        if "id" not in answer.said or answer.status >= 400:
            raise Unexpected(f"the loan {name} was not accepted: {answer.status} {answer.said}")
        self.loans[name] = str(answer.said["id"])
        yield self._over(borrower.part, f"applies for {yuan(listing.amount_fen)}, {listing.title}", "DRAFT", began, answer=answer)
        yield await self._audit(name, self.first_auditor, "first-audit", "lets it go public")
        yield await self._stands(name, "RAISING", "is raising")

    async def _audit(self, name: str, who: Staff, which: str, does: str, *, refused: bool = False) -> Scene:
        began = _now_s()
        answer = await self.http.post(f"{self._loan(name)}/{which}", {"decision": "pass"}, who)
        held = (answer.status >= 400) == refused
        return self._over(who.part, does, answer.code if refused else "passed", began, held=held, answer=answer)

    async def _bid(self, name: str, part: str, amount_fen: int, *, refused: bool = False, because: str = "") -> Scene:
        began = _now_s()
        who, does = self.person(part), f"bids {yuan(amount_fen)} on the {name}{', ' + because if because else ''}"
        answer = await self.http.post(f"{self._loan(name)}/bids", {"amount_fen": amount_fen}, who)
        ended = await self._confirmed(who, answer, ACCEPTED[1], does)
        reason = ended.said.get("reason")
        outcome = f"{ended.code}, {reason}" if reason else ended.code
        held = ended.code != ACCEPTED[0] if refused else ended.code == ACCEPTED[0]
        return self._over(part, does, outcome, began, held=held, answer=ended)

    async def _stands(self, name: str, status: str, does: str) -> Scene:
        """Wait until the loan has this status."""
        began = _now_s()
        path = self._loan(name)
        said = await self.http.until(path, self.cast.borrower, lambda d: d.get("status") == status, f"the {name} {does}")
        return self._over(f"the {name}", does, status, began, answer=Answer(200, said, path))

    async def _planned(self) -> Scene:
        """Wait until the plan is there, whole."""
        began = _now_s()
        ready = {"READY", "REPAYING", "ACTIVE"}
        said = await self.http.until(
            f"{self._loan('shop')}/plan",
            self.cast.borrower,
            lambda d: d.get("status") in ready and len(d.get("instalments", ())) == terms.SHOP.months,
            "the plan of the shop",
        )
        total = sum(row["principal_fen"] + row["interest_fen"] for row in said["instalments"])
        return self._over("the shop", "has its plan", f"{len(said['instalments'])} instalments, {yuan(total)}", began)

    async def _authorized_until(self) -> date:
        """A year from the day on which the plan begins, whichever day the bank stands on."""
        first = date.fromisoformat((await self.plan())["instalments"][0]["due_date"])
        return first + timedelta(days=terms.AUTHORIZED_DAYS)

    async def _rolled_to(self, day: date, why: str) -> Scene:
        """The bank closes one day after the other until it stands on this one."""
        began, days = _now_s(), 0
        while self.today is None or self.today < day:
            if days > ROLLS_MAX:
                raise Unexpected(f"the bank stands on {self.today} after {days} days, wanted is {day}")
            self.today = await self.roll()
            days += 1
        return self._over("the bank", f"closes its days until {why} is due", "done", began, held=self.today == day)

    async def _paid(self, number: int) -> Scene:
        """Wait until this instalment is paid."""
        began = _now_s()

        def is_paid(plan: Document) -> bool:
            return any(int(row["number"]) == number and row["status"] == "PAID" for row in plan.get("instalments", ()))

        path = f"{self._loan('shop')}/plan"
        said = await self.http.until(path, self.cast.borrower, is_paid, f"instalment {number}")
        row = next(row for row in said["instalments"] if int(row["number"]) == number)
        total = yuan(row["principal_fen"] + row["interest_fen"])
        return self._over("the shop", f"repays instalment {number}", f"PAID, {total}", began)

    def _loan(self, name: str) -> str:
        return f"{terms.PUBLISHED}/{self.loans[name]}"

    def _over(self, who: str, does: str, outcome: str, began_s: float, *, held: bool = True, answer: Answer | None = None) -> Scene:
        took_ms = round((_now_s() - began_s) * 1000)
        status, which = (answer.status, answer.said.get("id")) if answer else (None, None)
        scene = Scene(who, does, outcome, held, took_ms, status, which)
        self.scenes.append(scene)
        return scene


def yuan(fen: int) -> str:
    """An amount as people read it."""
    sign = "-" if fen < 0 else ""
    return f"{sign}¥{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def _now_s() -> float:
    return time.monotonic()


async def told(story: Story) -> list[Scene]:
    """Play the whole story; every scene of it. Raises StoryEnded."""
    return [scene async for scene in story.play()]
