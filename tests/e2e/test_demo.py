"""`lendbus demo --once`: a loan's whole life holds, with the demo's own faults in it, and says so to people and to machines."""

import json
import signal

import pytest

from tests.e2e.world import World

pytestmark = pytest.mark.timeout(120)


async def test_the_story_holds_and_one_object_tells_it(world: World) -> None:
    demo = await world.start("demo", "--once", "--json", "--port", "0")
    assert demo.process.stdout is not None
    told = json.loads(await demo.process.stdout.read())
    assert await demo.ended() == 0, demo.said()
    assert told["held"], demo.said()
    assert told["check"] == {"ok": True, "findings": []}
    assert all(scene["held"] for scene in told["scenes"])
    assert told["lost_webhooks"] == 1
    assert len(told["held_up"]) == 3
    brought = 100_000 + 700_000 + 400_000 + 250_000
    assert sum(balance["available_fen"] for balance in told["balances"].values()) == brought
    assert all(balance["held_fen"] == 0 for balance in told["balances"].values())
    types = {step["type"] for step in told["trace"]["steps"]}
    audited = {"trading.Publish", "trading.PassFirstAudit", "custody.PlaceOrder", "custody.Registered", "trading.ApproveFull"}
    repaid = {"repayments.GeneratePlan", "repayments.PlanReady", "custody.OrderEnded", "repayments.PlanSettled"}
    assert audited | repaid <= types, "the bank's notices and the calendar do not break the trace"
    assert {(state["thing"], state["state"]) for state in told["trace"]["states"]} >= {("loan", "SETTLED")}


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
    await demo.says("lin registers")
    demo.send(signal.SIGINT)
    assert await demo.ended() == 130
    assert "Traceback" not in demo.said()
