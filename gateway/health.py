"""What it means that the gateway can do its work."""

from collections.abc import Callable, Mapping

from agents.runtime.http.health import Check, NotReady
from agents.runtime.http.replies import Replies
from agents.runtime.messages import GATEWAY_REPLIES
from bus.log import Bus
from gateway.users_reader import Users


def checks(bus: Bus, replies: Replies, users: Users, appends: Callable[[], bool]) -> Mapping[str, Check]:
    """What readiness means, part by part. `appends` knows whether the last record could be appended."""

    async def bus_answers() -> None:
        await bus.ends(GATEWAY_REPLIES)
        if not appends():
            raise NotReady("the last append has failed just now")

    async def answers_are_read() -> None:
        if not replies.alive:
            raise NotReady("answers are not being read")

    return {"bus": bus_answers, "replies": answers_are_read, "users_store": users.ping}
