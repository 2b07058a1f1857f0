"""Sequences of keys and bodies against the simplest model of what a key means: the first content wins for ever (CASES D14)."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.runtime.http.idempotency import ANONYMOUS, thing_id
from agents.runtime.messages import Known, Mismatch
from agents.users.messages import RegistrationEnded
from agents.users.model import Member, MemberStatus, Registration, Status
from gateway.registrations import ROUTE, Standing
from tests.integration.gateway.world import Answer, Asked, Client, ScriptedUsers, World, a_body

CONTENTS: Final = [
    a_body(),
    a_body(mobile="13800000001"),
    a_body(password="correct horsf"),
    a_body(role="borrower"),
    a_body(login_name="lin"),
]
LIVES: Final = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
STEPS: Final = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, len(CONTENTS) - 1), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8
)


def spelt(content: dict[str, str], way: int) -> bytes:
    """The same content in other bytes: order, spaces, escapes, and the spellings of name and number."""
    match way:
        case 0:
            return json.dumps(content).encode()
        case 1:
            return json.dumps(dict(reversed(content.items())), indent=4).encode()
        case 2:
            return "".join(f"\\u{ord(c):04x}" if c.isalpha() else c for c in json.dumps(content)).join(("\r\n", "\t")).encode()
        case _:
            folded = {**content, "login_name": content["login_name"].upper(), "mobile": f"+86 {content['mobile']}"}
            return json.dumps(folded).encode()


def key_spelt(key: str, way: int) -> str:
    """The same key as a header may have it."""
    return (key, key.upper(), f'"{key}"', f'"{key.upper()}"')[way]


def end_of(mobile: str, role: str) -> tuple[str, str | None]:
    """How a registration ends here: of its content, so that a repeat must show the same."""
    if mobile.endswith("1"):
        return "CANCELLED", "mobile_taken"
    return ("CANCELLED", "deadline") if role == "borrower" else ("CONFIRMED", None)


class Centre:
    """Plays the user centre: keeps the first content of each thing, and says what the real one would say."""

    def __init__(self, world: World, users: ScriptedUsers) -> None:
        self._world, self._users = world, users
        self._offset = 0

    async def work(self) -> None:
        """Until it is cancelled."""
        while True:
            found = await self._world.commands_of_people()
            for asked in found[self._offset :]:
                await self._handle(asked)
            self._offset = len(found)
            await self._world.bus.wait(1)

    async def _handle(self, asked: Asked) -> None:
        known = self._users.says.get(asked.actor)
        if known is not None:
            await self._world.answer(asked, (Known if known.mac == asked.mac else Mismatch)(id=asked.actor))
            return
        status, reason = end_of(self._world.keyring.open(asked.message.mobile, field="mobile"), asked.message.role)
        member = Member(asked.actor, asked.message.role, asked.message.mobile, MemberStatus.AVAILABLE, 0)
        registration = Registration(asked.actor, asked.message.login_name, Status(status), reason, 1, False, 0, 0, member)
        self._users.says[asked.actor] = Standing(registration, False, asked.mac)
        await self._world.answer(asked, RegistrationEnded(id=asked.actor, status=status, reason=reason))


@pytest.fixture
async def client(tmp_path: Path, users: ScriptedUsers) -> AsyncIterator[Client]:
    async with World(tmp_path, wait_ms=10_000) as world:
        centre = asyncio.create_task(Centre(world, users).work())
        yield await world.gateway(users)
        centre.cancel()
        await asyncio.gather(centre, return_exceptions=True)


def expected(first: dict[str, Any], now: dict[str, Any]) -> tuple[int, str]:
    """The model: status and state or code, of the content that the key had first and the one that it has now."""
    if first != now:
        return 422, "idempotency_key_reused"
    status, reason = end_of(first["mobile"], first["role"])
    code = {"mobile_taken": "mobile_taken", "deadline": "registration_timed_out"}.get(reason or "")
    return (409, code) if code else (201, status)


def said(answer: Answer) -> tuple[int, str]:
    """What an answer says, as the model says it."""
    return answer.status, answer.code if answer.status >= 400 else answer.body["status"]


@LIVES
@given(steps=STEPS)
async def test_the_first_content_of_a_key_wins_for_ever_in_every_spelling(client: Client, steps: list[tuple[int, int, int, int]]) -> None:
    keys = [str(uuid.uuid4()) for _ in range(3)]
    model: dict[str, dict[str, Any]] = {}
    for which, what, spelling, key_spelling in steps:
        key, content = keys[which], CONTENTS[what]
        answer = await client.post(spelt(content, spelling), key_spelt(key, key_spelling))
        assert said(answer) == expected(model.setdefault(key, content), content)
        if answer.status == 201:
            assert answer.body["id"] == thing_id(ANONYMOUS, ROUTE, key)
            assert answer.headers["Location"].startswith(f"{ROUTE}/{answer.body['id']}?token=")


@LIVES
@given(steps=STEPS)
async def test_at_once_one_content_of_a_key_wins_and_every_other_is_refused(client: Client, steps: list[tuple[int, int, int, int]]) -> None:
    keys = [str(uuid.uuid4()) for _ in range(3)]
    answers = await asyncio.gather(*(client.post(spelt(CONTENTS[what], way), key_spelt(keys[key], k)) for key, what, way, k in steps))
    for which in {step[0] for step in steps}:
        mine = [(CONTENTS[step[1]], said(answer)) for step, answer in zip(steps, answers, strict=True) if step[0] == which]
        winners = [content for content, (status, _) in mine if status != 422]
        assert winners, "somebody came first"
        assert [found for _, found in mine] == [expected(winners[0], content) for content, _ in mine]


@LIVES
@given(what=st.integers(0, len(CONTENTS) - 1), ways=st.lists(st.integers(0, 3), min_size=2, max_size=4))
async def test_another_key_is_another_registration_though_the_content_is_the_same(client: Client, what: int, ways: list[int]) -> None:
    answers = [await client.post(spelt(CONTENTS[what], way)) for way in ways]
    assert len({said(answer) for answer in answers}) == 1
    made = [answer for answer in answers if answer.status == 201]
    assert len({answer.body["id"] for answer in made}) == len({urlsplit(a.headers["Location"]).query for a in made}) == len(made)
