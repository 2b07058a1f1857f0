"""The demo's story against a platform that a test invents: where it answers as it must the story holds, else that very scene does not."""

import itertools
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import pytest

from tools import demo_story
from tools.demo import Outcome
from tools.demo_story import Accounts, Scene, Story
from tools.demo_story import cast as people

SCENES: Final = ("lin", "wang", "zhao", "taken", "again", "changed", "open", "finished", "everybody")


@dataclass
class Answer:
    """What the platform says; its header tells where to look further."""

    status: int
    said: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    async def json(self) -> dict[str, Any]:
        return self.said


@dataclass
class Platform:
    """Answers as the gateway does; `spoil` may change an answer (it is told which POST this is, or None for a look)."""

    spoil: Callable[[int | None, Answer], Answer] = lambda _, answer: answer
    running: bool = True
    stays_away: bool = False
    posts: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    by_key: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    ids: Any = field(default_factory=lambda: itertools.count(1))
    said: list[str] = field(default_factory=list)

    async def stop(self) -> None:
        self.running = False
        self.said.append(f"stop after {len(self.posts)}")

    async def start(self) -> None:
        self.running = not self.stays_away
        self.said.append(f"start after {len(self.posts)}")
        self.states = {id_: "CONFIRMED" if self.running else state for id_, state in self.states.items()}

    @asynccontextmanager
    async def post(self, url: str, json: dict[str, Any], headers: dict[str, str]) -> Any:
        assert url == "http://demo/api/v1/registrations"
        self.posts.append(json)
        self.keys.append(headers["Idempotency-Key"])
        yield self.spoil(len(self.posts) - 1, self._registered(json, headers["Idempotency-Key"]))

    @asynccontextmanager
    async def get(self, url: str) -> Any:
        id_ = url.removeprefix("http://demo/api/v1/registrations/")
        yield self.spoil(None, Answer(200, {"id": id_, "status": self.states.get(id_, "?")}))

    def _registered(self, body: dict[str, Any], key: str) -> Answer:
        if key in self.by_key:
            before, id_ = self.by_key[key]
            if before != body:
                return Answer(422, {"code": "idempotency_key_reused"})
            return self._accepted(201, id_)
        if body["mobile"] in {before["mobile"] for before, _ in self.by_key.values()}:
            return Answer(409, {"code": "mobile_taken", "id": f"r{next(self.ids)}"})
        id_ = f"r{next(self.ids)}"
        self.by_key[key] = body, id_
        self.states[id_] = "CONFIRMED" if self.running else "TRYING"
        return self._accepted(201 if self.running else 202, id_)

    def _accepted(self, status: int, id_: str) -> Answer:
        return Answer(status, {"id": id_, "status": self.states[id_]}, {"Location": f"/api/v1/registrations/{id_}"})


async def played(platform: Platform) -> list[Scene]:
    """Every scene of the story on this platform."""
    story = Story("http://demo", Accounts(platform.stop, platform.start), cast(Any, platform))
    scenes = [scene async for scene in story.play()]
    assert scenes == story.scenes
    return scenes


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for what will never come."""
    monkeypatch.setattr(demo_story, "FINISHED_WITHIN_S", 0.02)
    monkeypatch.setattr(demo_story, "LOOK_EVERY_S", 0.001)


async def test_on_a_platform_that_answers_as_it_must_every_scene_holds() -> None:
    scenes = await played(platform := Platform())
    assert [scene.held for scene in scenes] == [True] * len(SCENES)
    assert [scene.status for scene in scenes] == [201, 201, 201, 409, 201, 422, 202, 200, 200]
    assert scenes[-1].outcome == "4 members"
    assert platform.said == ["stop after 6", "start after 7"]


async def test_a_key_is_used_again_only_where_the_story_says_so() -> None:
    await played(platform := Platform())
    uses = [platform.keys.index(key) for key in platform.keys]
    assert uses == [0, 1, 2, 3, 0, 0, 6]
    assert platform.posts[4] == platform.posts[0] != platform.posts[5]


def _at(place: int, **changes: Any) -> Callable[[int | None, Answer], Answer]:
    """This POST is answered otherwise."""

    def spoil(which: int | None, answer: Answer) -> Answer:
        if which != place:
            return answer
        status, headers = changes.get("status", answer.status), changes.get("headers", answer.headers)
        return Answer(status, {**answer.said, **{n: v for n, v in changes.items() if n not in ("status", "headers")}}, headers)

    return spoil


def _looks(state: str, only: str | None = None) -> Callable[[int | None, Answer], Answer]:
    """Whoever looks sees this state."""

    def spoil(which: int | None, answer: Answer) -> Answer:
        seen = which is None and only in (None, answer.said["id"])
        return Answer(200, {**answer.said, "status": state}) if seen else answer

    return spoil


@pytest.mark.parametrize(
    ("spoil", "broken"),
    [
        pytest.param(_at(0, status=202), {"lin"}, id="the first is only accepted"),
        pytest.param(_at(0, status=500, headers={}), {"lin"}, id="the first fails on the server, the same again finds it"),
        pytest.param(_at(1, status=200), {"wang"}, id="200 is not 201"),
        pytest.param(_at(1, code="mobile_taken"), {"wang"}, id="a problem's code in an answer of success"),
        pytest.param(_at(2, status=503, code="busy", headers={}), {"zhao", "everybody"}, id="the third is refused for want of room"),
        pytest.param(_at(3, status=201, code=None, headers={}), {"taken"}, id="a mobile number is had twice"),
        pytest.param(_at(3, code="login_name_taken"), {"taken"}, id="the refusal names another reason"),
        pytest.param(_at(3, headers={"Location": "/api/v1/registrations/r4"}), {"everybody"}, id="the refused one counts as accepted"),
        pytest.param(_at(4, id="r99"), {"again", "everybody"}, id="the same again makes another registration"),
        pytest.param(_at(4, status=409), {"again"}, id="the same again is refused"),
        pytest.param(_at(4, id=None), {"again", "everybody"}, id="the same again has no id"),
        pytest.param(_at(5, status=201), {"changed"}, id="other content under the same key is taken"),
        pytest.param(_at(5, code="conflict"), {"changed"}, id="other content is refused for another reason"),
        pytest.param(_at(6, status=201), {"open"}, id="201 although nobody can have confirmed"),
        pytest.param(_at(6, status=503, headers={}), {"open", "finished", "everybody"}, id="not accepted while accounts is stopped"),
        pytest.param(_looks("CANCELLED"), {"finished", "everybody"}, id="everybody is cancelled"),
        pytest.param(_looks("TRYING"), {"finished", "everybody"}, id="nothing ever ends"),
        pytest.param(_looks("CANCELLED", "r1"), {"everybody"}, id="the first is no member after all"),
        pytest.param(_looks("CANCELLED", "r5"), {"finished", "everybody"}, id="the open one is cancelled"),
    ],
)
async def test_what_is_answered_otherwise_breaks_its_own_scene(spoil: Callable[[int | None, Answer], Answer], broken: set[str]) -> None:
    scenes = await played(Platform(spoil))
    assert len(scenes) == len(SCENES), "the story is told to its end in any case"
    assert {name for name, scene in zip(SCENES, scenes, strict=True) if not scene.held} == broken


async def test_accounts_that_does_not_come_back_leaves_the_last_two_scenes_broken() -> None:
    scenes = await played(Platform(stays_away=True))
    assert [scene.held for scene in scenes] == [*[True] * 7, False, False]
    assert [scene.outcome for scene in scenes[-2:]] == ["TRYING", "3 members"]


@pytest.mark.parametrize(
    ("state", "held"),
    [("PENDING", True), ("TRYING", True), ("CONFIRMED", False), ("CANCELLED", False), ("CONFIRMING", False), ("", False), (None, False)],
)
async def test_an_open_registration_has_a_state_that_is_not_decided(state: str | None, held: bool) -> None:
    def spoil(which: int | None, answer: Answer) -> Answer:
        return Answer(202, {**answer.said, "status": state}, answer.headers) if which == 6 else answer

    assert (await played(Platform(spoil)))[6].held is held


def test_people_of_two_runs_share_neither_name_nor_number() -> None:
    everybody = [person for _ in range(20) for person in people()]
    assert len({person.login_name for person in everybody}) == len(everybody)
    for person in everybody:
        assert person.mobile.startswith("139") and len(person.mobile) == 11 and person.mobile.isdigit()
        assert person.role in ("investor", "borrower")
    assert all(len({person.mobile for person in cast_}) == 5 for cast_ in (people() for _ in range(20)))


def test_a_change_of_what_is_sent_leaves_the_rest_and_the_person_as_they_are() -> None:
    lin = people()[0]
    assert lin.body(mobile="13800000000") == {**lin.body(), "mobile": "13800000000"}
    assert json.loads(json.dumps(lin.body())) == lin.body()
    assert set(lin.body()) == {"login_name", "mobile", "password", "role"}


def scene(*, held: bool = True) -> Scene:
    return Scene("Lin", "registers", 201, "CONFIRMED", 12, held)


@pytest.mark.parametrize(
    ("scenes", "findings", "held"),
    [
        pytest.param([True, True], [], True, id="all hold and the stores agree"),
        pytest.param([True, False], [], False, id="the last does not hold"),
        pytest.param([False, True], [], False, id="the first does not hold"),
        pytest.param([True, True], ["member_without_account: r1: planted"], False, id="the stores disagree"),
        pytest.param([], [], False, id="nothing was played"),
    ],
)
def test_the_run_holds_only_when_all_of_it_does(scenes: list[bool], findings: list[str], held: bool) -> None:
    assert Outcome("http://demo", "data", [scene(held=each) for each in scenes], findings=findings).held is held
