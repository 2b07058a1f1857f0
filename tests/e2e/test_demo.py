"""`lendbus demo --once`: the story holds, and says so to people and to machines."""

import json
import signal

from tests.e2e.world import World


async def test_the_story_holds_and_one_object_tells_it(world: World) -> None:
    demo = await world.start("demo", "--once", "--json", "--port", "0")
    assert demo.process.stdout is not None
    told = json.loads(await demo.process.stdout.read())
    assert await demo.ended() == 0, demo.said()
    assert told["held"]
    assert told["check"] == {"ok": True, "findings": []}
    assert [scene["status"] for scene in told["scenes"]] == [201, 201, 201, 409, 201, 422, 202, 200, 200]
    assert told["trace"]["steps"][0]["type"] == "users.Register"


async def test_in_a_narrow_pipe_it_cuts_no_id(world: World) -> None:
    demo = await world.start("demo", "--once", "--port", "0", COLUMNS="40")
    assert demo.process.stdout is not None
    told = (await demo.process.stdout.read()).decode()
    assert await demo.ended() == 0, demo.said()
    assert "The story held." in told
    [command] = [line for line in told.splitlines() if line.startswith("lendbus trace ")]
    assert len(command.split()[2]) == 36


async def test_ctrl_c_in_the_story_is_the_end_of_it_and_no_traceback(world: World) -> None:
    demo = await world.start("demo", "--port", "0")
    await demo.says("Lin registers")
    demo.send(signal.SIGINT)
    assert await demo.ended() == 130
    assert "Traceback" not in demo.said()
