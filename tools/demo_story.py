"""The demo's story: what people do over HTTP, and what must come of it. It knows the platform by its URL only.

Only the accounts agent's stop and start come from the process around it, as two functions.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

ROUTE: Final = "/api/v1/registrations"
FINISHED_WITHIN_S: Final = 30.0  # an open registration after everything runs again
LOOK_EVERY_S: Final = 0.02
REQUEST_S_MAX: Final = 30.0


@dataclass(frozen=True)
class Person:
    """Somebody who wants to become a member."""

    name: str
    login_name: str
    mobile: str
    role: str

    def body(self, **changes: str) -> dict[str, str]:
        """What this person sends."""
        said = {"login_name": self.login_name, "mobile": self.mobile, "password": "a long pass phrase", "role": self.role}
        return {**said, **changes}


@dataclass
class Scene:
    """One thing that somebody did and what was answered; `held` says whether the story went as it must."""

    who: str
    does: str
    status: int | None
    outcome: str
    took_ms: int
    held: bool
    id: str | None = None
    location: str | None = None


@dataclass
class Accounts:
    """The accounts agent, which the story stops and starts."""

    stop: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]


@dataclass
class Story:
    """Plays the scenes one after another; `scenes` is what happened so far."""

    url: str
    accounts: Accounts
    http: aiohttp.ClientSession
    scenes: list[Scene] = field(default_factory=list)

    async def play(self) -> AsyncIterator[Scene]:
        """Every scene, as soon as it is over."""
        lin, wang, zhao, chen, sun = cast()
        first_key = _key()
        yield await self._post(lin, "registers", 201, "CONFIRMED", key=first_key)
        yield await self._post(wang, "registers", 201, "CONFIRMED")
        yield await self._post(zhao, "registers", 201, "CONFIRMED")
        yield await self._post(chen, f"registers with {lin.name}'s mobile", 409, "mobile_taken", body=chen.body(mobile=lin.mobile))
        yield await self._again(lin, first_key)
        changed = lin.body(login_name=f"{lin.login_name}_2")
        yield await self._post(lin, "sends the same key, other content", 422, "idempotency_key_reused", key=first_key, body=changed)
        await self.accounts.stop()
        yield await self._post(sun, "registers while accounts is stopped", 202, "open", of_open=True)
        await self.accounts.start()
        yield await self._finished(sun, self.scenes[-1])
        yield await self._everybody()

    async def _post(
        self,
        who: Person,
        does: str,
        status: int,
        outcome: str,
        *,
        key: str | None = None,
        body: dict[str, str] | None = None,
        of_open: bool = False,
    ) -> Scene:
        """Ask, and compare with what must be answered; `of_open`: any state that is not final."""
        began = _now_s()
        async with self.http.post(f"{self.url}{ROUTE}", json=body or who.body(), headers={"Idempotency-Key": key or _key()}) as answer:
            said = await answer.json()
        came = str(said.get("code") or said.get("status"))
        held = answer.status == status and (came == outcome or (of_open and came in ("PENDING", "TRYING")))
        took_ms = round((_now_s() - began) * 1000)
        return self._over(Scene(who.name, does, answer.status, came, took_ms, held, said.get("id"), answer.headers.get("Location")))

    async def _again(self, who: Person, key: str) -> Scene:
        first = next(scene.id for scene in self.scenes if scene.who == who.name)
        scene = await self._post(who, "sends the same again, same key", 201, "CONFIRMED", key=key)
        scene.held = scene.held and scene.id == first
        return scene

    async def _finished(self, who: Person, opened: Scene) -> Scene:
        """Accounts runs again: the open registration ends by itself."""
        began, state = _now_s(), "not accepted"
        while opened.location and _now_s() < began + FINISHED_WITHIN_S:
            if (state := await self._state(opened)) in _FINAL:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        took_ms = round((_now_s() - began) * 1000)
        does = "is finished: accounts is back"
        return self._over(Scene(who.name, does, 200, state, took_ms, state == "CONFIRMED", opened.id, opened.location))

    async def _everybody(self) -> Scene:
        """Whoever was accepted is a member: nothing is lost."""
        began = _now_s()
        accepted = {scene.id: scene for scene in self.scenes if scene.location}
        states = [await self._state(scene) for scene in accepted.values()]
        members = states.count("CONFIRMED")
        took_ms = round((_now_s() - began) * 1000)
        return self._over(Scene("everybody", "looks", 200, f"{members} members", took_ms, members == len(accepted) == 4))

    async def _state(self, scene: Scene) -> str:
        async with self.http.get(f"{self.url}{scene.location}") as answer:
            said: dict[str, Any] = await answer.json()
        return str(said.get("status"))

    def _over(self, scene: Scene) -> Scene:
        self.scenes.append(scene)
        return scene


_FINAL: Final = ("CONFIRMED", "CANCELLED")


def cast() -> tuple[Person, ...]:
    """The people of this run; nobody else has their names and mobile numbers, so that a story can be told twice in one folder."""
    run = uuid.uuid4().hex[:8]
    numbers = random.sample(range(10**8), 5)
    roles = ("investor", "borrower", "investor", "borrower", "investor")
    names = ("Lin", "Wang", "Zhao", "Chen", "Sun")
    return tuple(
        Person(name, f"{name.lower()}_{run}", f"139{number:08d}", role) for name, number, role in zip(names, numbers, roles, strict=True)
    )


def session() -> aiohttp.ClientSession:
    """The HTTP client of the people."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_S_MAX))


def _key() -> str:
    return str(uuid.uuid4())


def _now_s() -> float:
    return asyncio.get_running_loop().time()
